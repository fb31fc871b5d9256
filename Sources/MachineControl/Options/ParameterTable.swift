internal import JSON

/// A parameter of an option: its name and what values it takes.
struct Parameter: Sendable {
    /// What values it takes.
    enum Kind: Equatable, Sendable {
        /// Any text.
        case string
        /// `on` or `off`.
        case boolean
        /// A whole number of a range.
        case number(ClosedRange<Int64>)
        /// Any whole number that is not negative.
        case unsigned
        /// Bytes; without a suffix, times `unit`.
        case size(unit: UInt64)
        /// One of these words.
        case choice([String])
        /// A tree of its own, from JSON or dotted keys.
        case any
    }
    /// Its name.
    let name: String
    /// What values it takes.
    let kind: Kind
    /// What it means, for `query-command-line-options`.
    let help: String
    /// Whether it may be given more than once; its values are then an array.
    let repeats: Bool

    init(_ name: String, _ kind: Kind, _ help: String = "", repeats: Bool = false) {
        self.name = name
        self.kind = kind
        self.help = help
        self.repeats = repeats
    }

    static let onOffAuto = Kind.choice(["on", "off", "auto"])
    static let size = Kind.size(unit: 1)
    static let natural = Kind.number(0...0x7fff_ffff)

    /// The name of the kind in `query-command-line-options`.
    var schemaType: String {
        switch kind {
        case .string, .choice, .any: "string"
        case .boolean: "boolean"
        case .number, .unsigned: "number"
        case .size: "size"
        }
    }

    /// The typed value of a text.
    func value(_ text: String) throws(OptionError) -> JSONValue {
        switch kind {
        case .string, .any: return .string(text)
        case .boolean:
            guard let flag = OptionValue.boolean(text) else { throw .value(name, text, expects: "'on' or 'off'") }
            return .bool(flag)
        case .number(let range):
            guard let number = OptionValue.integer(text), range.contains(number) else {
                throw .value(name, text, expects: Self.words(range))
            }
            return .integer(number)
        case .unsigned:
            guard let number = OptionValue.unsigned(text) else { throw .value(name, text, expects: "a number") }
            return .number(number)
        case .size(let unit):
            guard let size = OptionValue.size(text, unit: unit) else {
                throw .value(name, text, expects: "a size, such as 512M or 4G")
            }
            return .number(size)
        case .choice(let words):
            guard words.contains(text) else {
                throw .unknown("Parameter '\(name)' does not accept value", text, among: words)
            }
            return .string(text)
        }
    }

    /// A value of JSON that has the parameter's type itself, as QMP has it: a number is no string. In QMP's words, with
    /// `path` before the name.
    func typed(_ json: JSONValue, path: String = "") throws(OptionError) -> JSONValue {
        guard repeats else { return try typedSingle(json, path + name) }
        guard case .array(let elements) = json else { throw Self.mismatch(path + name, "array") }
        var values: [JSONValue] = []
        for (place, element) in elements.enumerated() {
            // A list of strings is one of objects with a string in them.
            guard case .object = element, let text = element["str"] else {
                throw Self.mismatch("\(path)\(name)[\(place)]", "object")
            }
            values.append(try typedSingle(text, "\(path)\(name)[\(place)].str"))
        }
        return .array(values)
    }

    private func typedSingle(_ json: JSONValue, _ path: String) throws(OptionError) -> JSONValue {
        switch (kind, json) {
        case (.any, _), (.boolean, .bool), (.string, .string): return json
        case (.choice, .string), (.number, .integer), (.unsigned, .integer), (.unsigned, .unsigned),
            (.size, .integer), (.size, .unsigned):
            return try single(json)
        case (.size, _): throw .invalid("Parameter '\(path)' expects uint64")
        case (.boolean, _): throw Self.mismatch(path, "boolean")
        case (.number, _), (.unsigned, _): throw Self.mismatch(path, "integer")
        case (.string, _), (.choice, _): throw Self.mismatch(path, "string")
        }
    }
    static func mismatch(_ path: String, _ type: String) -> OptionError {
        .invalid("Invalid parameter type for '\(path)', expected: \(type)")
    }

    /// The typed value of JSON. Strings are taken as options write them.
    func value(_ json: JSONValue) throws(OptionError) -> JSONValue {
        if repeats, case .array(let elements) = json {
            var values: [JSONValue] = []
            for element in elements {
                // libvirt writes lists of strings as objects with one member `str`.
                values.append(try single(element["str"] ?? element))
            }
            return .array(values)
        }
        let value = try single(json)
        return repeats ? .array([value]) : value
    }

    private func single(_ json: JSONValue) throws(OptionError) -> JSONValue {
        switch (kind, json) {
        case (.any, _), (.boolean, .bool): return json
        case (_, .string(let text)): return try value(text)
        case (.number, .integer(let number)): return try value("\(number)")
        case (.unsigned, .integer), (.unsigned, .unsigned), (.size, .integer), (.size, .unsigned):
            guard let number = json.uint64Value else { throw .value(name, json.description, expects: "a number") }
            return .number(number)
        case (.choice(let words), .bool(let flag)) where words.contains(flag ? "on" : "off"):
            return .string(flag ? "on" : "off")
        default: throw .value(name, json.description, expects: "a \(schemaType)")
        }
    }

    private static func words(_ range: ClosedRange<Int64>) -> String {
        range == 0...0x7fff_ffff
            ? "a number that is not negative" : "a number from \(range.lowerBound) to \(range.upperBound)"
    }
}

/// The parameters that an option takes.
struct ParameterTable: Sendable {
    /// The key of a first part without one.
    let implied: String?
    /// All parameters.
    let parameters: [Parameter]

    init(implied: String? = nil, _ parameters: [Parameter]) {
        self.implied = implied
        self.parameters = parameters
    }

    func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }

    private func unknown(_ name: String) -> OptionError {
        .unknown("Invalid parameter", name, among: parameters.map(\.name))
    }

    /// The typed values of an argument in option syntax. Of a key given twice the last counts.
    func values(_ text: String) throws(OptionError) -> JSONObject {
        try values(try OptionPairs(text, implied: implied))
    }

    /// The typed values of parts. A flag without a value is on; with `no` before it, off.
    func values(_ pairs: OptionPairs) throws(OptionError) -> JSONObject {
        var values = JSONObject()
        for pair in pairs.pairs {
            guard let parameter = parameter(pair.key) else {
                if pair.value == nil, pair.key.hasPrefix("no"),
                    let base = self.parameter(String(pair.key.dropFirst(2))),
                    base.kind == .boolean
                {
                    values[base.name] = .bool(false)
                    continue
                }
                throw unknown(pair.key)
            }
            guard let text = pair.value else {
                guard parameter.kind == .boolean else { throw .invalid("Parameter '\(parameter.name)' needs a value") }
                values[parameter.name] = .bool(true)
                continue
            }
            let value = try parameter.value(text)
            if parameter.repeats {
                values[parameter.name] = .array((values[parameter.name]?.arrayValue ?? []) + [value])
            } else {
                values[parameter.name] = value
            }
        }
        return values
    }

    /// The typed values of a JSON object whose members have their types, or of dotted keys made into one.
    func values(_ object: JSONObject, isTyped: Bool = false, path: String = "") throws(OptionError) -> JSONObject {
        var values = JSONObject()
        for member in object.members {
            guard let parameter = parameter(member.name) else { throw unknown(member.name) }
            values[member.name] =
                try isTyped ? parameter.typed(member.value, path: path) : parameter.value(member.value)
        }
        return values
    }

    /// The typed values of an argument that may be a JSON object, with dotted keys where it is not. With
    /// `takesUnderscores` its keys may have them for dashes.
    func valuesOrJSON(_ text: String, takesUnderscores: Bool = false) throws(OptionError) -> JSONObject {
        if let object = try jsonArgument(text) { return try values(object) }
        var pairs = try OptionPairs(text, implied: implied)
        if takesUnderscores {
            pairs.pairs = pairs.pairs.map {
                OptionPairs.Pair(key: String($0.key.map { $0 == "_" ? "-" : $0 }), value: $0.value)
            }
        }
        guard pairs.pairs.contains(where: { $0.key.utf8.contains(UInt8(ascii: ".")) }) else { return try values(pairs) }
        return try values(try pairs.nested())
    }
}

/// The object of an argument that starts with a brace; nil for one that does not.
func jsonArgument(_ text: String) throws(OptionError) -> JSONObject? {
    guard text.utf8.first == UInt8(ascii: "{") else { return nil }
    do {
        return try JSONReader.parse(text, limits: JSONLimits(size: 1 << 20, depth: 64, singleQuotes: true)).objectValue
    } catch { throw .invalid("JSON parse error, \(error)") }
}
