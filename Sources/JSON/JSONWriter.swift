/// Writes JSON values in ASCII: everything else is escaped, so that any byte channel carries the text.
public struct JSONWriter {
    private var output: [UInt8] = []
    private let pretty: Bool

    private init(pretty: Bool) { self.pretty = pretty }

    /// The text of a value: on one line as QMP writes it, or with a member a line and 4 spaces a level.
    public static func write(_ value: JSONValue, pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.write(value, level: 0)
        return writer.output
    }

    private mutating func put(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func separate(first: Bool, level: Int) {
        if !first { put(pretty ? "," : ", ") }
        newLine(level)
    }
    private mutating func newLine(_ level: Int) {
        guard pretty else { return }
        output.append(0x0a)
        output.append(contentsOf: repeatElement(0x20, count: 4 * level))
    }

    private mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: put("null")
        case .bool(let flag): put(flag ? "true" : "false")
        case .integer(let number): put(String(number))
        case .unsigned(let number): put(String(number))
        // JSON has no word for infinities and not-a-number.
        case .double(let number): put(number.isFinite ? "\(number)" : "null")
        case .string(let text): write(text)
        case .array(let elements):
            put("[")
            for (place, element) in elements.enumerated() {
                separate(first: place == 0, level: level + 1)
                write(element, level: level + 1)
            }
            if !elements.isEmpty { newLine(level) }
            put("]")
        case .object(let object):
            put("{")
            for (place, member) in object.members.enumerated() {
                separate(first: place == 0, level: level + 1)
                write(member.name)
                put(": ")
                write(member.value, level: level + 1)
            }
            if !object.isEmpty { newLine(level) }
            put("}")
        }
    }

    private mutating func write(_ text: String) {
        put("\"")
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: put("\\\"")
            case 0x5c: put("\\\\")
            case 0x08: put("\\b")
            case 0x0c: put("\\f")
            case 0x0a: put("\\n")
            case 0x0d: put("\\r")
            case 0x09: put("\\t")
            case 0x20..<0x7f: output.append(UInt8(truncatingIfNeeded: scalar.value))
            default: for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { writeEscape(unit) }
            }
        }
        put("\"")
    }
    private mutating func writeEscape(_ unit: UInt16) {
        let digits = String(unit, radix: 16)
        put("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
    }
}

extension JSONValue: CustomStringConvertible {
    /// The value on one line.
    public var description: String { String(decoding: JSONWriter.write(self), as: UTF8.self) }
}
