internal import HostOS
internal import JSON

/// Forks a machine that somebody started by hand: speaks to its monitor, and starts its children beside it.
final class MachineFork {
    struct Child {
        let name: String
        let folder: String
        let process: HostProcess
        let monitor: QMPClient
    }
    private let loop: EventLoop
    private let thread: HostThread
    private let monitor: QMPClient
    /// What the machine says of itself.
    private let parent: JSONValue
    private var children: [Child] = []
    private var folders: [String] = []

    /// Connects to the monitor at a path.
    init(_ path: String) throws(LibvirtError) {
        do throws(HostError) {
            let loop = try EventLoop()
            self.loop = loop
            thread = try HostThread(name: "monitors") { loop.run() }
        } catch { throw LibvirtError.system("\(error)") }
        monitor = try MachineFork.connect(path, loop, nil)
        parent = try monitor.execute("x-query-fork")
    }

    /// Lets go of the monitors. Children that run go on.
    func close() {
        for child in children { child.monitor.close() }
        monitor.close()
        loop.stop()
        thread.join()
    }

    private static func connect(
        _ path: String, _ loop: EventLoop, _ process: HostProcess?
    ) throws(LibvirtError) -> QMPClient {
        let deadline = HostClock.monotonic + 60_000_000_000
        let pause = Bell()
        while true {
            do throws(HostError) {
                let socket = try Socket.connect(SocketAddress.unix(path))
                let client = try QMPClient(
                    socket, loop: loop, handlers: QMPClient.Handlers(event: { _ in }, close: {}))
                try MachineFork.greet(client)
                return client
            } catch {
                guard let process, !process.hasEnded, HostClock.monotonic < deadline else {
                    throw LibvirtError.system("\(error)")
                }
                pause.wait(nanoseconds: 1_000_000)
            }
        }
    }

    private static func greet(_ client: QMPClient) throws(HostError) {
        do throws(LibvirtError) { try client.negotiate() } catch {
            client.close()
            throw HostError.noDescriptor("speak with a machine: \(error.message)")
        }
    }

    // MARK: Children

    /// Starts so many children and has the machine fork into them. `folder` takes their files, and the machine's own
    /// overlays; nil: beside its first image, else beside its monitor.
    func fork(_ count: Int, folder: String?, prefix: String?, beside: String) throws(LibvirtError) -> [Child] {
        let own = parent["name"]?.stringValue ?? ""
        let name = prefix ?? (own.isEmpty ? "machine" : own)
        guard !name.contains("/"), name != ".", name != ".." else {
            throw LibvirtError.invalidArgument("'\(name)' cannot be part of a file's name")
        }
        let disks = parent["disks"]?.arrayValue ?? []
        let image = disks.compactMap { $0["backing"]?.stringValue }.first { $0.hasPrefix("/") }
        // The machine's own images are there from its first fork on.
        let home = MachineFork.parentFolder(image ?? beside)
        let place = folder ?? (home.hasSuffix("/\(name).forks") ? home : home + "/\(name).forks")
        do throws(LibvirtError) {
            try onHost { () throws(HostError) in
                try HostFolder.make(place, permissions: 0o700)
                // The options' relative paths begin where the parent's do.
                try HostFile.enter(parent["directory"]?.stringValue ?? "/")
            }
            let root = place.hasPrefix("/") ? place : (parent["directory"]?.stringValue ?? "") + "/" + place
            try start(count, name, root)
            try split(root, name, disks)
            return children
        } catch {
            for child in children { child.process.kill() }
            for folder in folders { HostFile.removeTree(folder) }
            throw error
        }
    }

    private static func parentFolder(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    private func onHost<R>(_ body: () throws(HostError) -> R) throws(LibvirtError) -> R {
        do throws(HostError) { return try body() } catch { throw LibvirtError.system("\(error)") }
    }

    private func start(_ count: Int, _ name: String, _ root: String) throws(LibvirtError) {
        let program = parent["program"]?.stringValue ?? ""
        let words = (parent["arguments"]?.arrayValue ?? []).compactMap(\.stringValue)
        let variables = ["PATH", "HOME", "USER", "TMPDIR", "LANG", "XDG_RUNTIME_DIR"].compactMap { name in
            HostIdentity.environment(name).map { "\(name)=\($0)" }
        }
        var started: [(name: String, folder: String, process: HostProcess)] = []
        var number = 1
        for _ in 0..<count {
            while HostFile.status("\(root)/\(name)-\(number)").kind != .nothing { number += 1 }
            let folder = "\(root)/\(name)-\(number)"
            let identity: JSONObject = [
                "folder": .string(folder), "name": .string("\(name)-\(number)"), "disks": parent["disks"] ?? .array([]),
                "paused": parent["paused"] ?? false,
            ]
            let process = try onHost { () throws(HostError) in
                try HostFolder.make(folder, permissions: 0o700)
                folders.append(folder)
                let null = try HostFile.open("/dev/null", .readWrite)
                let output = try HostFile.open("\(folder)/output", .append, permissions: 0o600)
                return try HostProcess.spawn(
                    program, arguments: words + ["-x-fork", JSONValue.object(identity).description],
                    environment: variables, descriptors: [null, output, output])
            }
            started.append(("\(name)-\(number)", folder, process))
        }
        var failure: LibvirtError?
        for (name, folder, process) in started {
            do throws(LibvirtError) {
                let monitor = try MachineFork.connect("\(folder)/qmp", loop, process)
                children.append(Child(name: name, folder: folder, process: process, monitor: monitor))
            } catch {
                process.kill()
                let said = (try? HostFile.contents("\(folder)/output", limit: 1 << 16)) ?? []
                let words = said.isEmpty ? error.message : String(decoding: said.dropLast(), as: UTF8.self)
                failure = failure ?? LibvirtError.operationFailed("'\(name)' did not start: \(words)")
            }
        }
        if let failure { throw failure }
    }

    private func split(_ root: String, _ name: String, _ disks: [JSONValue]) throws(LibvirtError) {
        let overlays = disks.map { disk -> JSONValue in
            let device = disk["device"]?.stringValue ?? ""
            let stem = String(device.map { $0.isLetter || $0.isNumber || $0 == "-" ? $0 : "_" })
            var number = 1
            while HostFile.status("\(root)/parent-\(stem)-\(number).qcow2").kind != .nothing { number += 1 }
            return [
                "device": .string(device), "snapshot-file": .string("\(root)/parent-\(stem)-\(number).qcow2"),
            ]
        }
        try monitor.execute(
            "x-fork",
            [
                "children": .array(children.map { .string("unix:\($0.folder)/fork") }), "overlays": .array(overlays),
            ])
        let pause = Bell()
        while true {
            let known = try monitor.execute("query-migrate")
            switch known["status"]?.stringValue {
            case "completed": return
            case "failed", "cancelled":
                throw LibvirtError.operationFailed(
                    "the machine was not forked: " + (known["error-desc"]?.stringValue ?? "it was cancelled"))
            default: pause.wait(nanoseconds: 2_000_000)
            }
        }
    }

    /// What a child says of itself: its identifier, its cards' addresses, where the host's ports lead into it.
    static func describe(_ child: Child) -> JSONObject {
        var object: JSONObject = [
            "name": .string(child.name), "pid": .number(child.process.number), "qmp": .string("\(child.folder)/qmp"),
            "folder": .string(child.folder),
        ]
        object["uuid"] = (try? child.monitor.execute("query-uuid"))?["UUID"]
        object["status"] = (try? child.monitor.execute("query-status"))?["status"]
        let lines = (try? child.monitor.execute("human-monitor-command", ["command-line": "info usernet"]))?.stringValue
        let forwards = (lines ?? "").split(whereSeparator: \.isNewline).compactMap { line -> JSONValue? in
            let fields = line.split(separator: " ")
            guard fields.count >= 6, let kind = fields.first, kind.hasSuffix("[HOST_FORWARD]") else { return nil }
            return .string(
                "\(kind.dropLast(14).lowercased()):\(fields[2]):\(fields[3])-\(fields[4]):\(fields[5])")
        }
        object["forwards"] = .array(forwards)
        return object
    }
}
