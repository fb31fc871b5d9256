internal import HostOS
internal import LibvirtClient

/// `virsh`, under its own name and as `apus COMMAND`.
public enum VirshProgram {
    /// The version of libvirt whose `virsh` this is: scripts compare it.
    static let version = "9.0.0"

    private enum Outcome {
        case run(Shell.Settings, words: [String])
        case end(Int32)
    }

    /// Whether a first word is for us: a command, a line of them, or an option before one.
    public static func takes(_ word: String) -> Bool {
        if word == "-h" || word == "--help" || word == "--version" { return false }
        if word.hasPrefix("-") { return true }
        let name = word.split(whereSeparator: { " ;\t\n".contains($0) }).first.map(String.init) ?? ""
        return CommandGroup.command(name) != nil
    }

    /// Runs with the words behind the program's name, and gives the status for the shell.
    public static func run(_ arguments: [String], program: String = "virsh") -> Int32 {
        Signals.ignoreBrokenPipes()
        switch settings(arguments, program) {
        case .end(let status): return status
        case .run(let settings, let words): return run(settings, words)
        }
    }

    private static func run(_ settings: Shell.Settings, _ words: [String]) -> Int32 {
        let shell = Shell(settings)
        defer {
            shell.flush()
            shell.disconnect()
        }
        // A connection that was named must be there, whatever the command is.
        if settings.uri != nil {
            do { _ = try shell.connection() } catch {
                for line in CommandFailure.lines(of: error) { shell.complain(line) }
                return 1
            }
        }
        if words.isEmpty {
            InteractiveShell(shell).run()
            return 0
        }
        let commands: [ParsedCommand]
        do throws(CommandFailure) {
            // One word is a line of commands, as the interactive shell would read it.
            commands =
                words.count == 1
                ? try CommandLineParser.parse(line: words[0]) : [try CommandLineParser.parse(words: words)]
        } catch {
            for line in error.lines { shell.complain(line) }
            return 1
        }
        return shell.run(commands) ? 0 : 1
    }

    // MARK: - Options before the command

    private static let usage = """

        virsh [options]... [<command_string>]
        virsh [options]... <command> [args...]

          options:
            -c | --connect=URI      the daemon to connect to
            -d | --debug=NUM        how much the log tells, 0 (all) to 4 (errors)
            -e | --escape <char>    the character that leaves a console
            -h | --help             this help
            -k | --keepalive-interval=NUM
                                    seconds of silence before a ping, 0 for never
            -K | --keepalive-count=NUM
                                    pings without an answer that end the connection
            -l | --log=FILE         writes a log there
            -q | --quiet            prints only what was asked for
            -r | --readonly         connects so that nothing can be changed
            -t | --timing           tells how long commands took
            -v                      the version
            -V                      the version and more
                 --version[=TYPE]   the version, TYPE is short or long
          commands (non interactive mode):


        """

    private static let longOptions: [(name: String, letter: Character)] = [
        ("connect", "c"), ("debug", "d"), ("escape", "e"), ("help", "h"), ("keepalive-interval", "k"),
        ("keepalive-count", "K"), ("log", "l"), ("quiet", "q"), ("readonly", "r"), ("timing", "t"), ("version", "v"),
    ]

    private static func say(_ text: String, to descriptor: Int32 = 1) {
        try? Descriptor(borrowing: descriptor).writeAll(Array(text.utf8))
    }

    private static func settings(_ arguments: [String], _ program: String) -> Outcome {
        var settings = Shell.Settings()
        settings.uri = HostIdentity.environment("VIRSH_DEFAULT_CONNECT_URI")
        if let level = HostIdentity.environment("VIRSH_DEBUG").flatMap({ Int($0) }), (0...4).contains(level) {
            settings.debug = level
        }
        settings.logFile = HostIdentity.environment("VIRSH_LOG_FILE")
        var rest = arguments[...]
        while let word = rest.first, word.hasPrefix("-"), word != "-" {
            rest = rest.dropFirst()
            if word == "--" { break }
            var letters: Substring
            var value: String?
            if word.hasPrefix("--") {
                let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let found = longOptions.filter { $0.name.hasPrefix(parts[0]) }
                let exact = longOptions.first { $0.name == parts[0] } ?? (found.count == 1 ? found[0] : nil)
                guard let exact else {
                    return unsupported(word)
                }
                letters = Substring(String(exact.letter))
                value = parts.count == 2 ? String(parts[1]) : nil
            } else {
                letters = word.dropFirst()
            }
            while let letter = letters.popFirst() {
                if "cdeklK".contains(letter) {
                    let argument = value ?? (letters.isEmpty ? rest.popFirst() : String(letters))
                    letters = ""
                    guard let argument else {
                        say("error: option '-\(letter)'/'--\(name(letter))' requires an argument\n", to: 2)
                        return .end(1)
                    }
                    if let problem = take(letter, argument, &settings) {
                        say("error: \(problem)\n", to: 2)
                        return .end(1)
                    }
                    continue
                }
                switch letter {
                case "q": settings.isQuiet = true
                case "r": settings.isReadOnly = true
                case "t": settings.isTimed = true
                case "h":
                    say(usage + HelpText.groups(CommandGroup.all).dropLast() + helpTail)
                    return .end(0)
                case "v" where value != "long":
                    say("\(version)\n")
                    return .end(0)
                case "v", "V":
                    say(versionText)
                    return .end(0)
                default:
                    return unsupported("-\(letter)")
                }
            }
        }
        return .run(settings, words: Array(rest))
    }

    private static func name(_ letter: Character) -> String { longOptions.first { $0.letter == letter }?.name ?? "" }

    private static func unsupported(_ option: String) -> Outcome {
        say("error: unsupported option '\(option)'. See --help.\n", to: 2)
        return .end(1)
    }

    private static let helpTail = """

          (specify help <group> for details about the commands in the group)

          (specify help <command> for details about the command)


        """

    private static let versionText = """
        Virsh command line tool of libvirt \(version)
        Part of Apus

        Compiled with support for:
         Hypervisors: QEMU/KVM
         Networking: Remote Network Bridging Interface Nwfilter
         Storage: Dir Filesystem
         Miscellaneous: Daemon Nodedev Secrets Debug

        """

    private static func take(_ letter: Character, _ argument: String, _ settings: inout Shell.Settings) -> String? {
        switch letter {
        case "c": settings.uri = argument
        case "d":
            guard let level = Int(argument) else { return "option -d takes a numeric argument" }
            if (0...4).contains(level) {
                settings.debug = level
            } else {
                say("error: ignoring debug level \(level) out of range [0-4]\n", to: 2)
            }
        case "e":
            let bytes = Array(argument.utf8)
            // `^]` is Ctrl and the letter; a character stands for itself.
            if bytes.count == 2, bytes[0] == UInt8(ascii: "^"), (64...95).contains(bytes[1] & ~0x20 | 0x40) {
                settings.escape = bytes[1] & 0x1f
            } else if bytes.count == 1 {
                settings.escape = bytes[0]
            } else {
                return "Invalid string '\(argument)' for escape sequence"
            }
        case "k", "K":
            guard let number = Int(argument), number >= 0 else {
                return "Invalid value for option \(letter == "k" ? "-k" : "-K")"
            }
            if letter == "k" { settings.keepaliveInterval = number } else { settings.keepaliveCount = number }
        default: settings.logFile = argument
        }
        return nil
    }
}
