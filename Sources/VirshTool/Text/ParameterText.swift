internal import RPCWire

/// Typed parameters as text, and text as typed parameters.
enum ParameterText {
    static func value(_ value: TypedValue) -> String {
        switch value {
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .long(let number): "\(number)"
        case .ulong(let number): "\(number)"
        case .double(let number): NumberText.fixed(number, 6)
        case .boolean(let flag): flag ? "yes" : "no"
        case .string(let text): text
        }
    }

    /// A value of the same type as another.
    static func like(_ model: TypedValue, _ text: String) -> TypedValue? {
        let number = NumberText.integer(text)
        switch model {
        case .int: return number.flatMap { Int32(exactly: $0) }.map { .int($0) }
        case .uint: return number.flatMap { UInt32(exactly: $0) }.map { .uint($0) }
        case .long: return number.flatMap { Int64(exactly: $0) }.map { .long($0) }
        case .ulong: return number.flatMap { UInt64(exactly: $0) }.map { .ulong($0) }
        case .double: return Double(text).map { .double($0) }
        case .boolean: return number.map { .boolean($0 != 0) }
        case .string: return .string(text)
        }
    }

    /// A parameter's whole number, whatever its type.
    static func number(_ params: [RemoteTypedParam], _ field: String) -> UInt64? {
        guard let value = params.first(where: { $0.field == field })?.value else { return nil }
        switch value {
        case .int(let number): return UInt64(exactly: number)
        case .uint(let number): return UInt64(number)
        case .long(let number): return UInt64(exactly: number)
        case .ulong(let number): return number
        default: return nil
        }
    }

    static func text(_ params: [RemoteTypedParam], _ field: String) -> String? {
        guard case .string(let text) = params.first(where: { $0.field == field })?.value else { return nil }
        return text
    }
}
