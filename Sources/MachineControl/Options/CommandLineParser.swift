internal import JSON
public import Machine

/// What a command line asks for.
public enum CommandLineRequest: Equatable, Sendable {
    /// A machine. The warnings are lines for standard error, with the program's name.
    case machine(MachineConfiguration, warnings: [String])
    /// This text on standard output, and exit status 0.
    case information(String)
    /// This one line on standard error, and exit status 1. Nothing was started.
    case failure(String)
}

/// Reads QEMU's command line: `-opt` and `--opt`, option syntax and JSON, by one table.
public enum CommandLineParser {
    /// The version that QEMU's clients see.
    public static let version = (major: 7, minor: 2, micro: 0)
    /// The version's package, with the project's own version.
    public static let package = "apus 0.1"

    /// What the arguments ask for. The first is the program's own name, whose last part chooses the default engines:
    /// `qemu-kvm`, `qemu-system-x86_64`, or any other.
    public static func parse(_ arguments: [String]) -> CommandLineRequest {
        let path = arguments.first ?? "apus-vmm"
        let program = path.split(separator: "/").last.map(String.init) ?? "apus-vmm"
        var builder = ConfigurationBuilder(program: program)
        do {
            try parse(arguments.dropFirst(), into: &builder)
            builder.origin = ""
            try builder.finish()
        } catch {
            switch error {
            case .information(let text): return .information(text)
            case .invalid(let text):
                let place = builder.origin.isEmpty ? "" : "\(printable(builder.origin)): "
                return .failure("\(printable(program)): \(place)\(text)")
            }
        }
        let warnings = builder.warnings.map { "\(printable(program)): warning: \(printable($0, limit: lineLimit))" }
        return .machine(builder.configuration, warnings: warnings)
    }

    private static func parse(
        _ arguments: ArraySlice<String>, into builder: inout ConfigurationBuilder
    ) throws(OptionError) {
        var place = arguments.startIndex
        while place < arguments.endIndex {
            let word = arguments[place]
            place += 1
            builder.origin = word
            // A lone dash is standard input as an image to QEMU's getopt; here as there, anything else is a name.
            guard word.utf8.first == UInt8(ascii: "-"), word != "-" else {
                try builder.addPositionalImage(word)
                continue
            }
            let name = String(word.hasPrefix("--") ? word.dropFirst(2) : word.dropFirst())
            guard let option = OptionTable.find(name) else {
                let nearest = Suggestion.nearest(to: name, among: OptionTable.all.map(\.name))
                throw .invalid("invalid option" + (nearest.map { "; did you mean '-\($0)'?" } ?? "; see -help"))
            }
            var text = ""
            if option.takesArgument {
                guard place < arguments.endIndex else {
                    let usage = option.usage.replacing("\n      ", with: "")
                    throw .invalid("requires an argument: \(usage.isEmpty ? "a word" : usage)")
                }
                text = arguments[place]
                place += 1
                builder.origin = "\(word) \(text)"
            }
            try apply(option, text, to: &builder)
        }
    }

    private static func apply(
        _ option: OptionDescription, _ text: String, to builder: inout ConfigurationBuilder
    ) throws(OptionError) {
        let values: JSONObject
        switch option.argument {
        case .none, .text: values = JSONObject()
        case .parameters(let table):
            let pairs = try OptionPairs(text, implied: table.implied)
            if pairs.asksForHelp { throw .information(OptionTable.parameterHelp(option)) }
            values = try table.values(pairs)
        case .parametersOrJSON(let table):
            if text.utf8.first != UInt8(ascii: "{"), try OptionPairs(text, implied: table.implied).asksForHelp {
                throw .information(OptionTable.parameterHelp(option))
            }
            values = try table.valuesOrJSON(text)
        }
        try option.handler(&builder, OptionArgument(option: option.name, text: text, values: values))
    }
}
