internal import JSON

/// JSON as QEMU prints it: four spaces a level, a line for each end, and members in the order of its hash table,
/// which scripts that compare text have come to rely on.
enum HashOrder {
    /// The value's text, with a newline.
    static func text(_ value: JSONValue) -> String {
        var text = ""
        write(value, 0, &text)
        return text + "\n"
    }

    private static func write(_ value: JSONValue, _ level: Int, _ text: inout String) {
        func newLine(_ level: Int) { text += "\n" + String(repeating: " ", count: 4 * level) }
        switch value {
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                newLine(level + 1)
                write(element, level + 1, &text)
            }
            newLine(level)
            text += "]"
        case .object(let object):
            text += "{"
            for (index, member) in sorted(object).enumerated() {
                if index > 0 { text += "," }
                newLine(level + 1)
                text += "\(JSONValue.string(member.name)): "
                write(member.value, level + 1, &text)
            }
            newLine(level)
            text += "}"
        default: text += value.description
        }
    }

    private static func sorted(_ object: JSONObject) -> [JSONObject.Member] {
        var members = object.members.enumerated().map { (bucket($1.name), $0, $1) }
        // Within a bucket the newest is first.
        members.sort { $0.0 != $1.0 ? $0.0 < $1.0 : $0.1 > $1.1 }
        return members.map(\.2)
    }

    /// The bucket of 512 that a name falls into.
    private static func bucket(_ name: String) -> UInt32 {
        var value = 0x238F_13AF &* UInt32(truncatingIfNeeded: name.utf8.count)
        for (index, byte) in name.utf8.enumerated() { value &+= UInt32(byte) << UInt32(index * 5 % 24) }
        return (1_103_515_243 &* value &+ 12345) % 512
    }
}
