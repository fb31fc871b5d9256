internal import JSON

/// JSON as QEMU prints it: four spaces a level, and members in the order of its hash table, which scripts that
/// compare text have come to rely on.
enum HashOrder {
    /// The value's text, with a newline.
    static func text(_ value: JSONValue) -> String {
        String(decoding: JSONWriter.write(sorted(value), pretty: true), as: UTF8.self) + "\n"
    }

    private static func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(sorted))
        case .object(let object):
            var members = object.members.enumerated().map { (bucket($1.name), $0, $1) }
            // Within a bucket the newest is first.
            members.sort { $0.0 != $1.0 ? $0.0 < $1.0 : $0.1 > $1.1 }
            var result = JSONObject()
            for (_, _, member) in members { result[member.name] = sorted(member.value) }
            return .object(result)
        default: return value
        }
    }

    /// The bucket of 512 that a name falls into.
    private static func bucket(_ name: String) -> UInt32 {
        var value = 0x238F_13AF &* UInt32(truncatingIfNeeded: name.utf8.count)
        for (index, byte) in name.utf8.enumerated() { value &+= UInt32(byte) << UInt32(index * 5 % 24) }
        return (1_103_515_243 &* value &+ 12345) % 512
    }
}
