internal import JSON

/// An option of the command line: one row of the table that parsing, `-help`, suggestions and
/// `query-command-line-options` come from.
struct OptionDescription: Sendable {
    /// What stands after the option.
    enum Argument: Sendable {
        /// Nothing.
        case none
        /// A word that the handler reads by itself.
        case text
        /// Parameters in option syntax.
        case parameters(ParameterTable)
        /// Parameters in option syntax with dotted keys, or a JSON object.
        case parametersOrJSON(ParameterTable)
    }
    /// Stores what the option says.
    typealias Handler = @Sendable (inout ConfigurationBuilder, OptionArgument) throws(OptionError) -> Void

    /// The name without its dash.
    let name: String
    /// What stands after it.
    let argument: Argument
    /// The argument as `-help` shows it; empty for options without.
    let usage: String
    /// What it does, in a line or several.
    let help: String
    /// Its name in `query-command-line-options`.
    let group: String
    /// The parameters that an option reads by itself.
    private let declared: [Parameter]
    let handler: Handler

    init(
        _ name: String, _ argument: Argument, _ usage: String, _ help: String, group: String? = nil,
        declares declared: [Parameter] = [], _ handler: @escaping Handler
    ) {
        self.name = name
        self.argument = argument
        self.usage = usage
        self.help = help
        self.group = group ?? name
        self.declared = declared
        self.handler = handler
    }

    var takesArgument: Bool { if case .none = argument { false } else { true } }

    /// The parameters that the option declares.
    var parameters: [Parameter] {
        switch argument {
        case .parameters(let table), .parametersOrJSON(let table): table.parameters
        default: declared
        }
    }
}

/// An option's argument, as text and as typed values.
struct OptionArgument: Sendable {
    /// The option's name without its dash.
    let option: String
    /// The argument as given; empty for options without.
    let text: String
    /// The typed values of options that declare parameters.
    let values: JSONObject

    func string(_ name: String) -> String? { values[name]?.stringValue }
    func flag(_ name: String) -> Bool? { values[name]?.boolValue }
    func int(_ name: String) -> Int? { values[name]?.intValue }
    func size(_ name: String) -> UInt64? { values[name]?.uint64Value }
    func required(_ name: String) throws(OptionError) -> String {
        guard let value = string(name), !value.isEmpty else { throw .missing(name) }
        return value
    }
}

extension JSONObject {
    func string(_ name: String) -> String? { self[name]?.stringValue }
    func flag(_ name: String) -> Bool? { self[name]?.boolValue }
    func int(_ name: String) -> Int? { self[name]?.intValue }
    func size(_ name: String) -> UInt64? { self[name]?.uint64Value }
    func strings(_ name: String) -> [String] { (self[name]?.arrayValue ?? []).compactMap(\.stringValue) }
    /// A word that the table has checked to be one of a type's.
    func choice<T: RawRepresentable>(_ name: String, as type: T.Type = T.self) -> T? where T.RawValue == String {
        string(name).flatMap { T(rawValue: $0) }
    }
}

extension CaseIterable where Self: RawRepresentable, RawValue == String {
    /// All words of a type, for tables.
    static var words: [String] { allCases.map(\.rawValue) }
}
