/// One JSON value (RFC 8259), with integers kept exact.
///
/// A number without fraction and exponent is `integer` where `Int64` holds it, `unsigned` where only `UInt64` does,
/// and `double` beyond; so two equal numbers are equal values.
public enum JSONValue: Equatable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number that fits a signed word.
    case integer(Int64)
    /// A whole number above `Int64.max`.
    case unsigned(UInt64)
    /// Any other number; finite.
    case double(Double)
    /// A string of Unicode scalars.
    case string(String)
    /// Values in order.
    case array([JSONValue])
    /// Named values in order.
    case object(JSONObject)

    /// The value of any integer; one that fits neither word becomes a double.
    public static func number(_ value: some FixedWidthInteger) -> JSONValue {
        if let signed = Int64(exactly: value) { return .integer(signed) }
        if let unsigned = UInt64(exactly: value) { return .unsigned(unsigned) }
        return .double(Double(value))
    }
}

extension JSONValue {
    /// The flag, where the value is one.
    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }
    /// The text, where the value is a string.
    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }
    /// The elements, where the value is an array.
    public var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }
    /// The members, where the value is an object.
    public var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }
    /// The number, where it is whole and fits `Int64`.
    public var int64Value: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }
    /// The number, where it is whole, not negative and fits `UInt64`.
    public var uint64Value: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        default: nil
        }
    }
    /// The number as `Int`, where it is whole and fits.
    public var intValue: Int? { int64Value.flatMap { Int(exactly: $0) } }
    /// Any number, rounded to a double.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
    /// The member of an object, or nil.
    public subscript(_ name: String) -> JSONValue? { objectValue?[name] }
    /// The kind of value in the words of QMP's errors: `object`, `array`, `string`, `integer`, `number`, `boolean`,
    /// `null`.
    public var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer, .unsigned: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A flag.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Values in order.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// Named values in order.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}
