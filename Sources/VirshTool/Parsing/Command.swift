/// One option of a command, as its row in the table spells it.
struct CommandOption: Sendable {
    enum Kind: Sendable, Equatable {
        /// `name`: is there or is not.
        case flag
        /// `name=`: text behind it.
        case text
        /// `name#`: a number behind it.
        case number
        /// `name~value`: an old name of another option, or of one with a value.
        case alias(String)
    }

    let name: String
    let kind: Kind
    /// `!name`: the command does not run without it.
    let isRequired: Bool
    /// A word without a name before it may be its value.
    let isPositional: Bool
    /// `*name`, `+name`: takes all words that are left.
    let takesRest: Bool

    /// Reads a row's word: `!domain`, `file=`, `count#`, `+cmd`, `live`, `^timeout#` (never without its name).
    init(_ word: Substring) {
        var rest = word
        var required = false
        var all = false
        var named = false
        loop: while let first = rest.first {
            switch first {
            case "!": required = true
            case "+": (required, all) = (true, true)
            case "*": all = true
            case "^": named = true
            default: break loop
            }
            rest = rest.dropFirst()
        }
        if let mark = rest.firstIndex(of: "~") {
            name = String(rest[..<mark])
            kind = .alias(String(rest[rest.index(after: mark)...]))
            (isRequired, isPositional, takesRest) = (false, false, false)
            return
        }
        var kind = Kind.flag
        if rest.last == "=" {
            kind = .text
            rest = rest.dropLast()
        } else if rest.last == "#" {
            kind = .number
            rest = rest.dropLast()
        } else if required || all {
            kind = .text
        }
        name = String(rest)
        self.kind = kind
        isRequired = required
        isPositional = kind != .flag && !named
        takesRest = all
    }
}

/// One command: everything about it comes from its row, parsing and help too.
struct Command: Sendable {
    let name: String
    /// What it is, in a line.
    let summary: String
    private let syntax: String
    let run: @Sendable (Call) throws -> Void
    /// Another command's name for the same.
    let isHidden: Bool

    init(
        _ name: String, _ summary: String, _ syntax: String, isHidden: Bool = false,
        _ run: @escaping @Sendable (Call) throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.syntax = syntax
        self.isHidden = isHidden
        self.run = run
    }

    /// In the order of the row. Read when they are needed: a run needs those of one command.
    var options: [CommandOption] { syntax.split(separator: " ").map { CommandOption($0) } }
}

/// Commands that `help` shows together.
struct CommandGroup: Sendable {
    let title: String
    let keyword: String
    let commands: [Command]

    /// In the order of `help`.
    static var all: [CommandGroup] {
        [
            CommandGroup(title: "Domain Management", keyword: "domain", commands: Command.domainManagement),
            CommandGroup(title: "Domain Monitoring", keyword: "monitor", commands: Command.domainMonitoring),
            CommandGroup(title: "Domain Events", keyword: "events", commands: Command.domainEvents),
            CommandGroup(title: "Host and Hypervisor", keyword: "host", commands: Command.host),
            CommandGroup(title: "Checkpoint", keyword: "checkpoint", commands: Command.checkpoints),
            CommandGroup(title: "Interface", keyword: "interface", commands: Command.interfaces),
            CommandGroup(title: "Network Filter", keyword: "filter", commands: Command.filters),
            CommandGroup(title: "Networking", keyword: "network", commands: Command.networks),
            CommandGroup(title: "Node Device", keyword: "nodedev", commands: Command.nodeDevices),
            CommandGroup(title: "Secret", keyword: "secret", commands: Command.secrets),
            CommandGroup(title: "Snapshot", keyword: "snapshot", commands: Command.snapshots),
            CommandGroup(title: "Backup", keyword: "backup", commands: Command.backups),
            CommandGroup(title: "Storage Pool", keyword: "pool", commands: Command.pools),
            CommandGroup(title: "Storage Volume", keyword: "volume", commands: Command.volumes),
            CommandGroup(title: "Virsh itself", keyword: "virsh", commands: Command.itself),
        ]
    }

    /// The command of a name.
    static func command(_ name: String) -> Command? {
        for group in all {
            for command in group.commands where command.name == name { return command }
        }
        return nil
    }
}
