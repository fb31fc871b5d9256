/// Reads one JSON value out of bytes (RFC 8259): recursive descent, bounded in depth and size.
public struct JSONReader {
    let bytes: [UInt8]
    let limits: JSONLimits
    var position = 0
    private var depth = 0

    private init(_ bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// The one value that `bytes` hold, with white space around it.
    public static func parse(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.size else { throw JSONError(.size(limit: limits.size), at: limits.size) }
        var reader = JSONReader(bytes, limits: limits)
        reader.skipSpace()
        guard reader.position < bytes.count else { throw JSONError(.empty, at: reader.position) }
        let value = try reader.value()
        reader.skipSpace()
        guard reader.position == bytes.count else { throw reader.unexpected("the end of the value") }
        return value
    }

    /// The one value that a text holds.
    public static func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    func error(_ reason: JSONError.Reason) -> JSONError { JSONError(reason, at: position) }
    func unexpected(_ expected: String) -> JSONError {
        guard let byte = current else { return error(.unexpectedEnd) }
        return error(.unexpected(byte: byte, expected: expected))
    }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        guard let byte = current else { throw error(.unexpectedEnd) }
        switch byte {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "'") where limits.singleQuotes: return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): return try keyword()
        default: throw unexpected("a value")
        }
    }

    private mutating func enter() throws(JSONError) {
        guard depth < limits.depth else { throw error(.depth(limit: limits.depth)) }
        depth += 1
        position += 1
        skipSpace()
    }
    private mutating func leave() {
        depth -= 1
        position += 1
    }

    private mutating func array() throws(JSONError) -> [JSONValue] {
        try enter()
        var elements: [JSONValue] = []
        if current == UInt8(ascii: "]") {
            leave()
            return elements
        }
        while true {
            elements.append(try value())
            skipSpace()
            switch current {
            case UInt8(ascii: "]"):
                leave()
                return elements
            case UInt8(ascii: ","):
                position += 1
                skipSpace()
            default: throw unexpected("',' or ']'")
            }
        }
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        var object = JSONObject()
        if current == UInt8(ascii: "}") {
            leave()
            return object
        }
        while true {
            let start = position
            guard current == UInt8(ascii: "\"") || (limits.singleQuotes && current == UInt8(ascii: "'")) else {
                throw unexpected("a member's name")
            }
            let name = try string()
            guard object[name] == nil else { throw JSONError(.duplicate(name), at: start) }
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw unexpected("':'") }
            position += 1
            skipSpace()
            object[name] = try value()
            skipSpace()
            switch current {
            case UInt8(ascii: "}"):
                leave()
                return object
            case UInt8(ascii: ","):
                position += 1
                skipSpace()
            default: throw unexpected("',' or '}'")
            }
        }
    }

    private mutating func keyword() throws(JSONError) -> JSONValue {
        let start = position
        while let byte = current,
            (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
                || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) || byte == UInt8(ascii: "_")
        {
            position += 1
        }
        // A word of a megabyte is not worth repeating in an error.
        let word = String(decoding: bytes[start..<min(position, start + 32)], as: UTF8.self)
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default: throw JSONError(.keyword(word), at: start)
        }
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while let byte = current, byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") { position += 1 }
        guard position > start else { throw error(position < bytes.count ? .number : .unexpectedEnd) }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        let first = position
        try digits()
        // RFC 8259, 6: no leading zeros.
        guard bytes[first] != UInt8(ascii: "0") || position == first + 1 else {
            throw JSONError(.number, at: first)
        }
        var whole = true
        if current == UInt8(ascii: ".") {
            whole = false
            position += 1
            try digits()
        }
        if let byte = current, byte | 0x20 == UInt8(ascii: "e") {
            whole = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else { throw JSONError(.numberRange, at: start) }
        return .double(value)
    }
}
