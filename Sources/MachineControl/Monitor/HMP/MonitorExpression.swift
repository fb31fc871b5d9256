/// Evaluates expressions of the monitor for people: numbers, characters, `$rip` and its like, `+ - * / % & | ^ ~` and
/// parentheses. Sums bind loosest, then `& | ^`, then products. 64 bits, wrapping.
struct MonitorExpression {
    let bytes: [UInt8]
    var position: Int
    /// The value of a register, or nil.
    let register: (String) -> UInt64?
    private var depth = 0

    init(bytes: [UInt8], position: Int = 0, register: @escaping (String) -> UInt64?) {
        self.bytes = bytes
        self.position = position
        self.register = register
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }
    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x09 { position += 1 }
    }
    private mutating func take(_ set: String) -> UInt8? {
        skipSpace()
        guard let byte = current, set.utf8.contains(byte) else { return nil }
        position += 1
        return byte
    }

    mutating func evaluate() throws(MonitorError) -> UInt64 {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 64 else { throw .generic("expression is nested too deep") }
        var value = try logic()
        while let sign = take("+-") {
            let other = try logic()
            value = sign == UInt8(ascii: "+") ? value &+ other : value &- other
        }
        return value
    }

    private mutating func logic() throws(MonitorError) -> UInt64 {
        var value = try product()
        while let sign = take("&|^") {
            let other = try product()
            switch sign {
            case UInt8(ascii: "&"): value &= other
            case UInt8(ascii: "|"): value |= other
            default: value ^= other
            }
        }
        return value
    }

    private mutating func product() throws(MonitorError) -> UInt64 {
        var value = try unary()
        while let sign = take("*/%") {
            let other = try unary()
            if sign == UInt8(ascii: "*") {
                value = value &* other
                continue
            }
            guard other != 0 else { throw .generic("division by zero") }
            value = sign == UInt8(ascii: "/") ? value / other : value % other
        }
        return value
    }

    private mutating func unary() throws(MonitorError) -> UInt64 {
        skipSpace()
        // Signs are taken in a loop: a line of a thousand of them must not nest.
        var signs: [UInt8] = []
        while let sign = take("+-~") { signs.append(sign) }
        var value = try primary()
        for sign in signs.reversed() {
            if sign == UInt8(ascii: "-") { value = 0 &- value } else if sign == UInt8(ascii: "~") { value = ~value }
        }
        return value
    }

    private mutating func primary() throws(MonitorError) -> UInt64 {
        guard let byte = current else { throw .generic("unexpected end of expression") }
        switch byte {
        case UInt8(ascii: "("):
            position += 1
            let value = try evaluate()
            guard take(")") != nil else { throw .generic("')' expected") }
            return value
        case UInt8(ascii: "'"):
            guard position + 2 < bytes.count, bytes[position + 2] == byte else {
                throw .generic("missing terminating ' character")
            }
            position += 3
            return UInt64(bytes[position - 2])
        case UInt8(ascii: "$"):
            position += 1
            let name = word()
            guard let value = register(name) else { throw .generic("unknown register") }
            return value
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let text = word()
            guard let value = Self.number(text) else { throw .generic("invalid number: '\(printable(text))'") }
            return value
        default: throw .generic("invalid char '\(printable(String(UnicodeScalar(byte))))' in expression")
        }
    }

    private mutating func word() -> String {
        let start = position
        while let byte = current,
            (97...122).contains(byte | 0x20) || (48...57).contains(byte) || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: ".")
        {
            position += 1
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// As strtoull with base 0: a leading 0 is octal.
    private static func number(_ text: String) -> UInt64? {
        if text.hasPrefix("0x") || text.hasPrefix("0X") { return UInt64(text.dropFirst(2), radix: 16) }
        if text.hasPrefix("0"), text.utf8.count > 1 { return UInt64(text.dropFirst(), radix: 8) }
        return UInt64(text)
    }
}
