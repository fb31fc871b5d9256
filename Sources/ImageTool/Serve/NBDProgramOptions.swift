internal import BlockImage

/// The command line of `qemu-nbd`.
struct NBDProgramOptions {
    enum Task {
        case help, version, list, connect, disconnect, serve
    }

    var task = Task.serve
    var image: String?
    var port: String?
    var bind: String?
    var socket: String?
    var shared = 1
    var isPersistent = false
    var export = ""
    var description: String?
    var offset: UInt64 = 0
    var showsDepth = false
    var bitmaps: [String] = []
    var forks = false
    var pidFile: String?
    var credentials: String?
    var authorization: String?
    var hostName: String?
    var format: String?
    var isReadOnly = false
    var isSnapshot = false
    var isOptionList = false
    var mode = OpenMode()
    private var given: Set<String> = []

    init(_ words: [String]) throws(ToolFailure) {
        var scanner = OptionScanner(
            words, short: "hVb:o:p:rsnc:dvk:e:f:tl:x:T:D:AB:L",
            long: [
                .init("help", "h"), .init("version", "V"), .init("bind", "b", value: true),
                .init("port", "p", value: true), .init("socket", "k", value: true),
                .init("offset", "o", value: true), .init("read-only", "r"), .init("allocation-depth", "A"),
                .init("bitmap", "B", value: true), .init("connect", "c", value: true), .init("disconnect", "d"),
                .init("list", "L"), .init("snapshot", "s"), .init("load-snapshot", "l", value: true),
                .init("nocache", "n"), .init("cache", value: true), .init("aio", value: true),
                .init("discard", value: true), .init("detect-zeroes", value: true),
                .init("shared", "e", value: true), .init("format", "f", value: true), .init("persistent", "t"),
                .init("verbose", "v"), .init("object", value: true), .init("export-name", "x", value: true),
                .init("description", "D", value: true), .init("tls-creds", value: true),
                .init("tls-hostname", value: true), .init("tls-authz", value: true), .init("image-opts"),
                .init("trace", "T", value: true), .init("fork"), .init("pid-file", value: true),
                .init("selinux-label", value: true),
            ])
        var isDevice = false
        mode.discard = "ignore"
        mode.isParallel = true
        while let (key, value) = try scanner.next() {
            switch key {
            case "h": task = .help
            case "V": task = .version
            case "b": bind = value
            case "p":
                guard let number = UInt16(value), number > 0 else { throw ToolFailure("Invalid port number: \(value)") }
                port = value
            case "k": socket = value
            case "o":
                guard let size = BlockOptions.size(value), size <= UInt64(Int64.max) else {
                    throw ToolFailure("Invalid offset '\(value)'")
                }
                offset = size
            case "r": isReadOnly = true
            case "A": showsDepth = true
            case "B": bitmaps.append(value)
            case "c": (task, isDevice) = (.connect, true)
            case "d": (task, isDevice) = (.disconnect, true)
            case "L": task = .list
            case "s": isSnapshot = true
            case "l":
                mode.snapshot = try ConvertCommand.snapshotKey(value)
                isReadOnly = true
            case "e":
                guard let number = Int(value), number >= 0 else {
                    throw ToolFailure("Invalid shared device number '\(value)'")
                }
                shared = number
            case "f": format = value
            case "t": isPersistent = true
            case "x": export = value
            case "D": description = value
            case "image-opts": isOptionList = true
            case "fork": forks = true
            case "pid-file": pidFile = value
            case "tls-creds": credentials = value
            case "tls-hostname": hostName = value
            case "tls-authz": authorization = value
            default: try setMode(key, value)
            }
        }
        guard export.utf8.count <= 4096 else { throw ToolFailure("export name '\(export)' too long") }
        guard (description ?? "").utf8.count <= 4096 else { throw ToolFailure("export description too long") }
        if task == .list {
            guard scanner.operands.isEmpty else { throw ToolFailure("List mode is incompatible with a file name") }
        } else if task == .serve || isDevice {
            guard scanner.operands.count == 1 else {
                throw ToolFailure(
                    lines: ["Invalid number of arguments"], hint: "Try `qemu-nbd --help' for more information.")
            }
        }
        guard mode.detectZeroes != "unmap" || mode.discard == "unmap" else {
            throw ToolFailure(
                "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap")
        }
        image = scanner.operands.first
        mode.isWritable = !isReadOnly
    }

    private mutating func setMode(_ key: String, _ value: String) throws(ToolFailure) {
        let kind = key == "n" ? "cache" : key
        guard given.insert(kind).inserted || !["cache", "aio", "discard"].contains(kind) else {
            throw ToolFailure("\(kind == "cache" ? "-n and --cache" : "--\(kind)") can only be specified once")
        }
        switch key {
        case "n": mode.cache = CacheMode.none
        case "cache":
            guard let cache = CacheMode(name: value) else { throw ToolFailure("Invalid cache mode `\(value)'") }
            mode.cache = cache
        case "aio":
            switch value {
            case "native", "io_uring": mode.isParallel = true
            case "threads": mode.isParallel = false
            default: throw ToolFailure("Invalid aio mode '\(value)'")
            }
        case "discard":
            switch value {
            case "ignore", "off": mode.discard = "ignore"
            case "unmap", "on": mode.discard = "unmap"
            default: throw ToolFailure("Invalid discard mode `\(value)'")
            }
        case "detect-zeroes":
            guard DetectZeroes(rawValue: value) != nil else {
                throw ToolFailure("Failed to parse detect_zeroes mode: invalid parameter value: \(value)")
            }
            mode.detectZeroes = value
        default: break
        }
    }
}
