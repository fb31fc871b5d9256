internal import BlockImage
internal import JSON

/// Parameters and capabilities of migrations, by QEMU's names and with its defaults and ranges.
struct MigrationSettings: Sendable {
    private enum Kind {
        case integer(ClosedRange<Int64>)
        case flag
        case text
        case word([String])
        /// Bitmaps and their aliases; not shown before it is set.
        case mapping
        /// Takes its first value alone: why.
        case none(String)
    }

    /// In the order in which they are shown. Those that change nothing here are kept for who asks.
    private static let known: [(name: String, initial: JSONValue, kind: Kind)] = [
        ("announce-initial", JSONValue.integer(50), Kind.integer(0...100_000)),
        ("announce-max", JSONValue.integer(550), Kind.integer(0...100_000)),
        ("announce-rounds", JSONValue.integer(5), Kind.integer(1...1000)),
        ("announce-step", JSONValue.integer(100), Kind.integer(1...10_000)),
        ("compress-level", JSONValue.integer(1), Kind.integer(0...9)),
        ("compress-threads", JSONValue.integer(8), Kind.integer(1...255)),
        ("compress-wait-thread", JSONValue.bool(true), Kind.flag),
        ("decompress-threads", JSONValue.integer(2), Kind.integer(1...255)),
        ("throttle-trigger-threshold", JSONValue.integer(50), Kind.integer(1...100)),
        ("cpu-throttle-initial", JSONValue.integer(20), Kind.integer(1...99)),
        ("cpu-throttle-increment", JSONValue.integer(10), Kind.integer(1...99)),
        ("cpu-throttle-tailslow", JSONValue.bool(false), Kind.flag),
        ("max-cpu-throttle", JSONValue.integer(99), Kind.integer(1...99)),
        ("tls-creds", JSONValue.string(""), Kind.text),
        ("tls-hostname", JSONValue.string(""), Kind.text),
        ("max-bandwidth", JSONValue.integer(128 << 20), Kind.integer(0...Int64.max)),
        ("downtime-limit", JSONValue.integer(300), Kind.integer(0...2_000_000)),
        ("x-checkpoint-delay", JSONValue.integer(20_000), Kind.integer(0...Int64(UInt32.max))),
        ("block-incremental", JSONValue.bool(false), Kind.none("disks are moved by drive-mirror and NBD")),
        ("multifd-channels", JSONValue.integer(2), Kind.integer(1...16)),
        ("multifd-compression", JSONValue.string("none"), Kind.word(["none", "zlib", "zstd"])),
        ("xbzrle-cache-size", JSONValue.integer(64 << 20), Kind.integer(4096...Int64.max)),
        ("max-postcopy-bandwidth", JSONValue.integer(0), Kind.integer(0...Int64.max)),
        ("tls-authz", JSONValue.string(""), Kind.none("who may connect is what the certificates say")),
        ("multifd-zlib-level", JSONValue.integer(1), Kind.integer(0...9)),
        ("multifd-zstd-level", JSONValue.integer(1), Kind.integer(0...20)),
        (BitmapMapping.parameter, JSONValue.null, Kind.mapping),
    ]
    /// The capabilities of QEMU 7.2 in its order; what keeps one from being there, where it is not.
    private static let knownCapabilities: [(name: String, absence: String?)] = [
        ("xbzrle", "pages go whole; 'compress' and 'multifd' pack them"),
        ("rdma-pin-all", "there is no RDMA"), ("auto-converge", nil), ("zero-blocks", nil), ("compress", nil),
        ("events", nil), ("postcopy-ram", nil), ("x-colo", "there is no COLO"),
        ("release-ram", "the source keeps its memory until the other end runs"),
        ("block", "disks are moved by drive-mirror and NBD"), ("return-path", nil),
        ("pause-before-switchover", nil), ("multifd", nil),
        ("dirty-bitmaps", nil),
        ("postcopy-blocktime", "it is not measured"),
        ("late-block-activate", "images are taken before the machine may run"),
        ("x-ignore-shared", "shared memory goes as all memory does"),
        ("validate-uuid", "a machine may come to one of another UUID"),
        ("background-snapshot", "x-fork copies a running machine"),
        ("zero-copy-send", "pages are checked as they go"),
        ("postcopy-preempt", "pages that are asked for go first on the one connection"),
    ]

    private(set) var parameters: JSONObject = {
        var object = JSONObject()
        for entry in known where entry.initial != .null { object[entry.name] = entry.initial }
        return object
    }()
    private(set) var capabilities: [(name: String, isOn: Bool)] = knownCapabilities.map {
        ($0.name, false)
    }

    private func number(_ name: String) -> Int64 { parameters[name]?.int64Value ?? 0 }
    /// Bytes a second; 0 for no limit.
    var bandwidth: UInt64 { UInt64(max(0, number("max-bandwidth"))) }
    /// Milliseconds.
    var downtimeLimit: UInt64 { UInt64(max(0, number("downtime-limit"))) }
    var announcement: AnnounceParameters {
        get throws(MachineError) {
            func value(_ name: String) -> UInt64 { UInt64(max(0, number("announce-\(name)"))) }
            return try AnnounceParameters(
                initial: value("initial"), most: value("max"), rounds: value("rounds"), step: value("step"))
        }
    }
    var throttle: (initial: Int, increment: Int, most: Int, trigger: UInt64) {
        (
            Int(number("cpu-throttle-initial")), Int(number("cpu-throttle-increment")),
            Int(number("max-cpu-throttle")), UInt64(number("throttle-trigger-threshold"))
        )
    }
    /// Bytes a second while memory comes late; 0 for no limit.
    var lateBandwidth: UInt64 { UInt64(max(0, number("max-postcopy-bandwidth"))) }
    private func text(_ name: String) -> String { parameters[name]?.stringValue ?? "" }
    /// The object with TLS credentials, and the name that the other end's certificate must have; nil for none.
    var credentials: String? { text("tls-creds").isEmpty ? nil : text("tls-creds") }
    var peerName: String? { text("tls-hostname").isEmpty ? nil : text("tls-hostname") }
    /// Connections for pages beside the first; 0: all go over the first.
    var lanes: Int { has("multifd") ? Int(number("multifd-channels")) : 0 }
    /// How pages are packed on their way, and the level of that.
    var packing: (kind: Packing, level: Int32)? {
        if has("compress") { return (.zlib, Int32(number("compress-level"))) }
        guard has("multifd") else { return nil }
        switch text("multifd-compression") {
        case "zlib": return (.zlib, Int32(number("multifd-zlib-level")))
        case "zstd": return (.zstd, Int32(number("multifd-zstd-level")))
        default: return nil
        }
    }
    /// Which bitmaps go, and under which names; nil for all, under their own.
    var bitmapMapping: BitmapMapping? { parameters[BitmapMapping.parameter].flatMap { try? BitmapMapping($0) } }
    func has(_ capability: String) -> Bool { capabilities.contains { $0.name == capability && $0.isOn } }

    mutating func set(_ values: JSONObject) throws(MachineError) {
        for (name, value) in values.members.map({ ($0.name, $0.value) }) {
            guard let entry = Self.known.first(where: { $0.name == name }) else {
                throw .failed("Parameter '\(name)' is unexpected")
            }
            switch (entry.kind, value) {
            case (.integer(let range), _):
                guard let number = value.int64Value ?? value.uint64Value.map({ Int64(clamping: $0) }) else {
                    throw .failed("Parameter '\(name)' expects a whole number")
                }
                guard range.contains(number) else {
                    throw .failed(
                        "Parameter '\(name)' expects a value between \(range.lowerBound) and \(range.upperBound)")
                }
            case (.flag, .bool), (.text, .string), (.text, .null): break
            case (.mapping, .array): _ = try BitmapMapping(value)
            case (.mapping, _): throw .failed("Parameter '\(name)' expects an array")
            case (.none(let reason), let value):
                guard value == entry.initial || (value == .null && entry.initial.stringValue != nil) else {
                    throw .notSupported("Parameter '\(name)' is not supported: \(reason)")
                }
            case (.word(let words), .string(let word)):
                guard words.contains(word) else {
                    throw .failed("Parameter '\(name)' does not accept value '\(word.prefix(40))'")
                }
            case (.flag, _): throw .failed("Parameter '\(name)' expects boolean")
            default: throw .failed("Parameter '\(name)' expects string")
            }
        }
        let (first, most) = (values["cpu-throttle-initial"], values["max-cpu-throttle"])
        let initial = first?.int64Value ?? number("cpu-throttle-initial")
        guard initial <= most?.int64Value ?? number("max-cpu-throttle") else {
            throw .failed(
                "Parameter 'max-cpu-throttle' expects a value between cpu-throttle-initial (\(initial)) and 99")
        }
        // Null takes a text back.
        for member in values.members {
            parameters[member.name] = member.value == .null ? .string("") : member.value
        }
    }

    mutating func set(_ changes: [(name: String, isOn: Bool)]) throws(MachineError) {
        for change in changes {
            guard let known = Self.knownCapabilities.first(where: { $0.name == change.name }) else {
                throw .failed("Parameter 'capability' does not accept value '\(change.name.prefix(40))'")
            }
            if change.isOn, let absence = known.absence {
                throw .failed("Capability '\(change.name)' is not supported: \(absence)")
            }
        }
        var next = capabilities
        for change in changes {
            guard let place = next.firstIndex(where: { $0.name == change.name }) else { continue }
            next[place].isOn = change.isOn
        }
        func has(_ name: String) -> Bool { next.contains { $0.name == name && $0.isOn } }
        if has("postcopy-ram"), has("multifd") || has("compress") {
            throw .failed("Postcopy is not compatible with \(has("multifd") ? "multifd" : "compress")")
        }
        if has("multifd"), has("compress") { throw .failed("Multifd is not compatible with compress") }
        capabilities = next
    }
}
