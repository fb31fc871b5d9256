/// A command with what was given to it.
struct ParsedCommand: Sendable {
    let command: Command
    /// Values by option, in their order; a flag has one empty value.
    var values: [String: [String]] = [:]
    /// Options with their values in the order of the line.
    var order: [(name: String, value: String)] = []
    /// `--help` stood behind it.
    var wantsHelp = false
}

/// Makes commands of words.
enum CommandLineParser {
    /// What a line is cut into.
    enum Token: Equatable {
        case word(String)
        case end
    }

    /// Words and ends of commands of a line: quotes, backslashes, `;`, and `#` for the rest of a line.
    static func tokens(_ line: String) throws(CommandFailure) -> [Token] {
        var tokens: [Token] = []
        var word: [UInt8]?
        var quote: UInt8?
        var rest = Array(line.utf8)[...]
        func close() {
            if let bytes = word { tokens.append(.word(String(decoding: bytes, as: UTF8.self))) }
            word = nil
        }
        while let byte = rest.popFirst() {
            if let open = quote {
                if byte == open {
                    quote = nil
                } else if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\"") {
                    guard let next = rest.popFirst() else { throw CommandFailure("dangling \\") }
                    word?.append(next)
                } else {
                    word?.append(byte)
                }
                continue
            }
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): close()
            case UInt8(ascii: ";"), UInt8(ascii: "\n"):
                close()
                tokens.append(.end)
            case UInt8(ascii: "#") where word == nil:
                rest = rest.drop { $0 != UInt8(ascii: "\n") }
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                quote = byte
                word = word ?? []
            case UInt8(ascii: "\\"):
                guard let next = rest.popFirst() else { throw CommandFailure("dangling \\") }
                // A line that goes on in the next one.
                if next != UInt8(ascii: "\n") { word = (word ?? []) + [next] }
            default: word = (word ?? []) + [byte]
            }
        }
        if quote == UInt8(ascii: "\"") { throw CommandFailure("missing \"") }
        close()
        return tokens
    }

    /// The commands of a line.
    static func parse(line: String) throws(CommandFailure) -> [ParsedCommand] {
        var commands: [ParsedCommand] = []
        var words: [String] = []
        for token in try tokens(line) + [.end] {
            switch token {
            case .word(let word): words.append(word)
            case .end:
                if !words.isEmpty { commands.append(try parse(words: words)) }
                words = []
            }
        }
        return commands
    }

    /// One command of words that are already apart.
    static func parse(words: [String]) throws(CommandFailure) -> ParsedCommand {
        guard let name = words.first else { throw CommandFailure("unknown command: ''") }
        guard let command = CommandGroup.command(name) else { throw CommandFailure("unknown command: '\(name)'") }
        var reader = OptionReader(command)
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            if word == "--help", !reader.onlyData {
                reader.parsed.wantsHelp = true
                return reader.parsed
            }
            let bytes = Array(word.utf8.prefix(3))
            if !reader.onlyData, bytes.count == 3, bytes[0] == 45, bytes[1] == 45, isAlphanumeric(bytes[2]) {
                try reader.option(word.dropFirst(2), &rest)
            } else if word == "--", !reader.onlyData {
                reader.onlyData = true
            } else {
                try reader.data(word)
            }
        }
        try reader.check()
        return reader.parsed
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}

/// Takes a command's words one after the other.
private struct OptionReader {
    var parsed: ParsedCommand
    var onlyData = false
    private let options: [CommandOption]
    /// Positional options without a value yet.
    private var open: [Int]

    init(_ command: Command) {
        parsed = ParsedCommand(command: command)
        let all = command.options
        options = all
        open = all.indices.filter { all[$0].isPositional }
    }

    private mutating func add(_ option: CommandOption, _ value: String) {
        parsed.values[option.name, default: []].append(value)
        parsed.order.append((option.name, value))
    }

    mutating func option(_ word: Substring, _ rest: inout ArraySlice<String>) throws(CommandFailure) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        var name = String(parts[0])
        var value = parts.count == 2 ? String(parts[1]) : nil
        if let found = options.first(where: { $0.name == name }), case .alias(let target) = found.kind {
            let pair = target.split(separator: "=", maxSplits: 1)
            if pair.count == 2 {
                if value != nil { throw CommandFailure("invalid '=' after option --\(name)") }
                value = String(pair[1])
            }
            name = String(pair[0])
        }
        guard let index = options.firstIndex(where: { $0.name == name }) else {
            throw CommandFailure("command '\(parsed.command.name)' doesn't support option --\(name)")
        }
        let option = options[index]
        if parsed.values[name] != nil, !option.takesRest { throw CommandFailure("option --\(name) already seen") }
        if option.kind == .flag {
            if value != nil { throw CommandFailure("invalid '=' after option --\(name)") }
            return add(option, "")
        }
        if !option.takesRest { open.removeAll { $0 == index } }
        if value == nil { value = rest.popFirst() }
        guard let value else {
            let kind = option.kind == .number ? "number" : "string"
            throw CommandFailure("expected syntax: --\(name) <\(kind)>")
        }
        add(option, value)
    }

    mutating func data(_ word: String) throws(CommandFailure) {
        guard let index = open.first else { throw CommandFailure("unexpected data '\(word)'") }
        if !options[index].takesRest { open.removeFirst() }
        add(options[index], word)
    }

    func check() throws(CommandFailure) {
        var lines: [String] = []
        for option in options where option.isRequired && parsed.values[option.name] == nil {
            let name = option.kind == .text && option.isPositional ? "<\(option.name)>" : "--\(option.name)"
            lines.append("command '\(parsed.command.name)' requires \(name) option")
        }
        if !lines.isEmpty { throw CommandFailure(lines: lines) }
    }
}
