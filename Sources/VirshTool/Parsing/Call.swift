internal import LibvirtClient
internal import RPCWire

/// A command on its way: what was given to it, and the shell that it speaks through.
struct Call {
    let shell: Shell
    let parsed: ParsedCommand

    /// Whether a flag was given, or an option with a value.
    func has(_ name: String) -> Bool { parsed.values[name] != nil }

    /// An option's value. An empty one is an error, except of options that may be empty.
    subscript(_ name: String) -> String? { parsed.values[name]?.last }

    /// The value of an option that the table says is there.
    func text(_ name: String) throws -> String {
        let value = self[name] ?? ""
        if value.isEmpty { throw CommandFailure("Failed to get option '\(name)': Option argument is empty") }
        return value
    }

    /// All values of an option that takes the rest.
    func all(_ name: String) -> [String] { parsed.values[name] ?? [] }

    /// The bits of the flags that were given.
    func bits(_ pairs: (String, UInt32)...) -> UInt32 {
        pairs.reduce(0) { has($1.0) ? $0 | $1.1 : $0 }
    }

    // MARK: - Numbers

    private func malformed(_ name: String, _ scaled: Bool = false) -> CommandFailure {
        CommandFailure(
            "\(scaled ? "Scaled numeric" : "Numeric") value '\(self[name] ?? "")' for <\(name)> option is malformed or out of range"
        )
    }

    /// A whole number within a type.
    func number<Number: FixedWidthInteger>(_ name: String, _ type: Number.Type = Int.self) throws -> Number? {
        guard let text = self[name] else { return nil }
        guard let value = NumberText.integer(text).flatMap({ Number(exactly: $0) }) else { throw malformed(name) }
        return value
    }

    /// A size with a unit behind it (`512M`, `2GiB`), in bytes; without a unit times `scale`.
    func scaled(_ name: String, scale: UInt64) throws -> UInt64? {
        guard let text = self[name] else { return nil }
        guard let value = NumberText.scaled(text, scale) else { throw malformed(name, true) }
        return value
    }

    // MARK: - Options that go together or do not

    /// At most one of each pair.
    func exclusive(_ first: String, _ second: String) throws {
        if has(first), has(second) {
            throw CommandFailure("Options --\(first) and --\(second) are mutually exclusive")
        }
    }

    /// The second with the first only.
    func requires(_ name: String, _ other: String) throws {
        if has(name), !has(other) { throw CommandFailure("Option --\(other) is required by option --\(name)") }
    }

    /// Flags of `--live`, `--config`, `--current` (`virDomainModificationImpact`).
    func impact() throws -> UInt32 {
        try exclusive("current", "live")
        try exclusive("current", "config")
        return bits(("config", 2), ("live", 1))
    }

    // MARK: - The daemon

    /// The connection, which is made when it is first needed.
    var client: LibvirtConnection { get throws { try shell.connection() } }

    /// Asks the daemon.
    @discardableResult
    func ask<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws -> Procedure.Result {
        try client.call(type, arguments)
    }

    // MARK: - Saying things

    /// Prints what was asked for.
    func out(_ text: String) { shell.out(text) }
    /// Prints what is only for people: not with `--quiet`.
    func say(_ text: String) { if !shell.isQuiet { shell.out(text) } }
    /// Prints a table.
    func table(_ table: TextTable) { shell.out(table.text(withHeader: !shell.isQuiet)) }
    /// An error that does not end the command.
    func complain(_ text: String) { shell.complain(text) }
}
