internal import Machine

/// A command of the monitor for people: one row of the table that parsing, `help` and completion come from.
struct HMPCommand: Sendable {
    typealias Handler = @Sendable (HMPInterpreter, HMPArguments, inout HMPState) throws(MonitorError) -> String

    let name: String
    /// A shorter name, or nil.
    let alias: String?
    let arguments: [HMPArgument]
    let help: String
    let handler: Handler

    init(
        _ name: String, alias: String? = nil, _ arguments: [HMPArgument], _ help: String,
        _ handler: @escaping Handler
    ) {
        self.name = name
        self.alias = alias
        self.arguments = arguments
        self.help = help
        self.handler = handler
    }

    /// A command without arguments.
    init(_ name: String, alias: String? = nil, _ help: String, _ handler: @escaping Handler) {
        self.init(name, alias: alias, [], help, handler)
    }

    /// The name with its alias, as errors and help show it.
    var title: String { alias.map { "\(name)|\($0)" } ?? name }
    /// The line of `help`.
    func usage(prefix: String = "") -> String {
        "\(prefix)\(title) \(arguments.map(\.usage).joined(separator: " ")) -- \(help)\n"
    }
    func answers(to word: String) -> Bool { name == word || alias == word }
}

/// An argument of such a command.
struct HMPArgument: Sendable {
    enum Kind: Equatable, Sendable {
        /// A word, perhaps in double quotes.
        case word
        /// The rest of the line.
        case rest
        /// An expression over numbers and registers.
        case expression
        /// `/4xw`.
        case format
        /// `-a`.
        case flag(Character)
    }
    let name: String
    let kind: Kind
    let isOptional: Bool

    init(_ name: String, _ kind: Kind, optional: Bool = false) {
        self.name = name
        self.kind = kind
        isOptional = optional
    }

    var usage: String {
        switch kind {
        case .flag(let letter): "[-\(letter)]"
        case .format: "/fmt"
        default: isOptional ? "[\(name)]" : name
        }
    }
}

/// The arguments of a line.
struct HMPArguments {
    var words: [String: String] = [:]
    var numbers: [String: UInt64] = [:]
    var flags: Set<Character> = []
    var format = MemoryFormat()
}

/// What a monitor remembers between lines.
struct HMPState {
    /// The processor that commands mean, an index.
    var processor = 0
    /// Lines before this one, oldest first.
    var history: [String] = []
    /// The format of the last `x` or `xp`.
    var format = MemoryFormat()
    /// Whether `quit` was said.
    var isEnded = false
}

/// Runs lines of the monitor for people. Holds no state of a client.
struct HMPInterpreter {
    let machine: any MachineOperations

    /// What a line prints, with a newline at the end of each of its lines.
    func run(_ line: String, _ state: inout HMPState) -> String {
        var parser = HMPLineParser(line)
        guard let name = parser.commandName() else { return "" }
        // `x/4x` is `x /4x`.
        guard let command = HMPCommandTable.all.first(where: { $0.answers(to: name) }) else {
            return "unknown command: '\(printable(name))'\n"
        }
        if name == "info" { return runInfo(&parser, &state) }
        return run(command, prefix: "", &parser, &state)
    }

    private func runInfo(_ parser: inout HMPLineParser, _ state: inout HMPState) -> String {
        guard let name = parser.commandName() else {
            return HMPCommandTable.info.map { $0.usage(prefix: "info ") }.joined()
        }
        guard let command = HMPCommandTable.info.first(where: { $0.answers(to: name) }) else {
            return "unknown command: 'info \(printable(name))'\n"
        }
        return run(command, prefix: "info ", &parser, &state)
    }

    private func run(
        _ command: HMPCommand, prefix: String, _ parser: inout HMPLineParser, _ state: inout HMPState
    ) -> String {
        let hint = "Try \"help \(prefix)\(command.name)\" for more information\n"
        let arguments: HMPArguments
        do throws(MonitorError) {
            arguments = try parser.arguments(of: command, machine: machine, state: state)
        } catch { return error.text + "\n" + hint }
        do throws(MonitorError) { return try command.handler(self, arguments, &state) } catch {
            return "Error: \(error.text)\n"
        }
    }

    /// The names that may stand where a line ends, for completion.
    func completions(of line: String) -> [String] {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard let last = words.last else { return [] }
        let known: [String]
        switch words.count {
        case 1: known = HMPCommandTable.all.flatMap { [$0.name] + ($0.alias.map { [$0] } ?? []) }
        case 2 where words[0] == "info": known = HMPCommandTable.info.map(\.name)
        case 2 where words[0] == "help" || words[0] == "?": known = HMPCommandTable.all.map(\.name)
        case 3 where words[0] == "help" && words[1] == "info": known = HMPCommandTable.info.map(\.name)
        default: known = []
        }
        return known.filter { $0.hasPrefix(last) }.sorted()
    }
}
