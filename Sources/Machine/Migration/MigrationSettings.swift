internal import JSON

/// Parameters and capabilities of migrations, by QEMU's names and with its defaults and ranges.
struct MigrationSettings: Sendable {
    private enum Kind {
        case integer(ClosedRange<Int64>)
        case flag
        case text
        case word([String])
    }

    /// In the order in which they are shown.
    private static let known: [(name: String, initial: JSONValue, kind: Kind)] = [
        ("announce-initial", JSONValue.integer(50), Kind.integer(0...100_000)),
        ("announce-max", JSONValue.integer(550), Kind.integer(0...100_000)),
        ("announce-rounds", JSONValue.integer(5), Kind.integer(0...1000)),
        ("announce-step", JSONValue.integer(100), Kind.integer(0...10_000)),
        ("throttle-trigger-threshold", JSONValue.integer(50), Kind.integer(1...100)),
        ("cpu-throttle-initial", JSONValue.integer(20), Kind.integer(1...99)),
        ("cpu-throttle-increment", JSONValue.integer(10), Kind.integer(1...99)),
        ("cpu-throttle-tailslow", JSONValue.bool(false), Kind.flag),
        ("max-cpu-throttle", JSONValue.integer(99), Kind.integer(1...99)),
        ("tls-creds", JSONValue.string(""), Kind.text),
        ("tls-hostname", JSONValue.string(""), Kind.text),
        ("max-bandwidth", JSONValue.integer(128 << 20), Kind.integer(0...Int64.max)),
        ("downtime-limit", JSONValue.integer(300), Kind.integer(0...2_000_000)),
        ("max-postcopy-bandwidth", JSONValue.integer(0), Kind.integer(0...Int64.max)),
    ]
    private static let capabilityNames = ["xbzrle", "auto-converge", "events", "zero-blocks", "return-path"]
    /// Capabilities that change nothing here, and those that there are not yet.
    private static let absent: Set<String> = ["postcopy-ram", "multifd", "rdma-pin-all", "compress", "x-colo"]

    private(set) var parameters: JSONObject = {
        var object = JSONObject()
        for entry in known { object[entry.name] = entry.initial }
        return object
    }()
    private(set) var capabilities: [(name: String, isOn: Bool)] = capabilityNames.map { ($0, false) }

    private func number(_ name: String) -> Int64 { parameters[name]?.int64Value ?? 0 }
    /// Bytes a second; 0 for no limit.
    var bandwidth: UInt64 { UInt64(max(0, number("max-bandwidth"))) }
    /// Milliseconds.
    var downtimeLimit: UInt64 { UInt64(max(0, number("downtime-limit"))) }
    var throttle: (initial: Int, increment: Int, most: Int, trigger: UInt64) {
        (
            Int(number("cpu-throttle-initial")), Int(number("cpu-throttle-increment")),
            Int(number("max-cpu-throttle")), UInt64(number("throttle-trigger-threshold"))
        )
    }
    func has(_ capability: String) -> Bool { capabilities.contains { $0.name == capability && $0.isOn } }

    mutating func set(_ values: JSONObject) throws(MachineError) {
        for (name, value) in values.members.map({ ($0.name, $0.value) }) {
            guard let entry = Self.known.first(where: { $0.name == name }) else {
                throw .failed("Parameter '\(name)' is unexpected")
            }
            switch (entry.kind, value) {
            case (.integer(let range), _):
                guard let number = value.int64Value, range.contains(number) else {
                    throw .failed(
                        "Parameter '\(name)' expects a value between \(range.lowerBound) and \(range.upperBound)")
                }
            case (.flag, .bool), (.text, .string): break
            case (.word(let words), .string(let word)) where words.contains(word): break
            default: throw .failed("Parameter '\(name)' has a value of another kind")
            }
            if case .string(let text) = value, name == "tls-creds", !text.isEmpty {
                throw .notSupported("TLS is not there yet for migrations")
            }
        }
        for member in values.members { parameters[member.name] = member.value }
    }

    mutating func set(_ changes: [(name: String, isOn: Bool)]) throws(MachineError) {
        for change in changes where !capabilities.contains(where: { $0.name == change.name }) {
            if Self.absent.contains(change.name), !change.isOn { continue }
            throw .failed("Capability '\(change.name)' is not supported")
        }
        for change in changes {
            guard let place = capabilities.firstIndex(where: { $0.name == change.name }) else { continue }
            capabilities[place].isOn = change.isOn
        }
    }
}
