internal import BlockImage
internal import CLinux
internal import HostOS
internal import JSON

/// The image tool: `qemu-img`'s command line.
public enum ImageProgram {
    /// Runs a command line and ends the process. As with `qemu-img`, neither SIGUSR1 (a question how far the work is) nor
    /// a reader that has gone ends it in the middle.
    public static func main(_ arguments: [String]) -> Never {
        Signals.block([Signals.user1])
        Signals.ignoreBrokenPipes()
        exit(run(arguments))
    }

    /// Runs a command line (with the program's name) and gives the exit status.
    public static func run(_ arguments: [String]) -> Int32 {
        let console = Console()
        let status = run(arguments, console)
        console.flush()
        return status
    }

    /// Runs a command line on a console.
    public static func run(_ arguments: [String], _ console: Console) -> Int32 {
        defer { console.flush() }
        let path = arguments.first ?? "apus-img"
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let session = Session(program: name, console: console)
        let words = session.takeTrust(Array(arguments.dropFirst()))
        do throws(ToolFailure) {
            try session.takeSecrets(words)
            // By their own names, or as commands.
            switch name {
            case "qemu-io": return try IOProgram.run(words, session)
            case "qemu-nbd": return try NBDProgram.run(words, session)
            default: return try dispatch(words, session)
            }
        } catch {
            for line in error.lines { session.report(line) }
            if let hint = error.hint { console.putError(hint) }
            return error.status
        }
    }

    private static func dispatch(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        guard let first = words.first else { throw .usage("Not enough arguments") }
        switch first {
        case "-h", "--help":
            session.put(Help.text)
            return 0
        case "-V", "--version":
            session.put(Help.version)
            return 0
        case "io": return try IOProgram.run(Array(words.dropFirst()), session)
        case "nbd": return try NBDProgram.run(Array(words.dropFirst()), session)
        default: break
        }
        guard !first.hasPrefix("-") else { throw .usage("unrecognized option '\(first)'") }
        guard let command = commands.first(where: { $0.name == first }) else {
            throw .usage("Command not found: \(first)")
        }
        return try command.run(Array(words.dropFirst()), session)
    }

    struct Command {
        let name: String
        let run: ([String], Session) throws(ToolFailure) -> Int32
    }

    static var commands: [Command] {
        [
            Command(name: "amend", run: AmendCommand.run), Command(name: "bench", run: BenchCommand.run),
            Command(name: "bitmap", run: BitmapCommand.run), Command(name: "commit", run: CommitCommand.run),
            Command(name: "dd", run: DDCommand.run), Command(name: "measure", run: MeasureCommand.run),
            Command(name: "rebase", run: RebaseCommand.run), Command(name: "check", run: CheckCommand.run),
            Command(name: "compare", run: CompareCommand.run),
            Command(name: "convert", run: ConvertCommand.run), Command(name: "create", run: CreateCommand.run),
            Command(name: "info", run: InfoCommand.run), Command(name: "map", run: MapCommand.run),
            Command(name: "resize", run: ResizeCommand.run), Command(name: "snapshot", run: SnapshotCommand.run),
        ]
    }
}

/// One run of the tool: whose name it bears and where it speaks.
final class Session {
    let program: String
    let console: Console
    /// `-q`.
    var isQuiet = false
    /// The secrets of `--object`.
    let secrets = BlockSecrets()
    /// The groups of `--object throttle-group`.
    let throttles = ThrottleGroups()
    /// Which names in images are followed.
    var references = ReferencePolicy()

    init(program: String, console: Console) {
        self.program = program
        self.console = console
    }

    /// Takes `--untrusted` and `--trusted` off a command line, wherever they stand in it. What else is on it, and what
    /// options there name, the user has asked for.
    func takeTrust(_ words: [String]) -> [String] {
        references.advice = "--trusted follows it, as does naming it on the command line"
        if words.contains("--untrusted") {
            references.trust = .none
        } else if words.contains("--trusted") {
            references.trust = .all
        }
        for word in words {
            references.named.insert(word)
            for part in word.split(separator: ",") {
                if let sign = part.firstIndex(of: "=") {
                    references.named.insert(String(part[part.index(after: sign)...]))
                }
            }
        }
        return words.filter { $0 != "--untrusted" && $0 != "--trusted" }
    }

    private static let otherObjects: Set<String> = [
        "iothread", "main-loop", "secret_keyring", "tls-cipher-suites", "tls-creds-anon",
        "cryptodev-backend", "can-bus", "colo-compare", "dbus-vmstate", "memory-backend-ram", "memory-backend-file",
        "rng-builtin", "rng-random",
    ]

    /// Makes the objects of a command line before anything is opened, wherever they stand in it.
    func takeSecrets(_ words: [String]) throws(ToolFailure) {
        for (index, word) in words.enumerated() {
            var text: Substring
            if word == "--object", index + 1 < words.count {
                text = words[index + 1][...]
            } else if word.hasPrefix("--object=") {
                text = word.dropFirst(9)
            } else {
                continue
            }
            var options: [String: String] = [:]
            let type: String
            if text.hasPrefix("{") {
                guard let object = (try? JSONReader.parse(String(text), limits: .monitor))?.objectValue else {
                    throw ToolFailure("'\(text)' is no JSON object")
                }
                do throws(BlockError) { options = try ImageName.flat(object) } catch { throw ToolFailure("\(error)") }
                type = options.removeValue(forKey: "qom-type") ?? ""
            } else {
                if text.hasPrefix("qom-type=") { text = text.dropFirst(9) }
                type = String(text.prefix { $0 != "," })
                text = text.drop { $0 != "," }.dropFirst()
                for (name, value) in OptionText.pairs(String(text)) { options[name] = value ?? "on" }
            }
            if ThrottleGroups.takes(type) {
                guard let id = options.removeValue(forKey: "id") else { throw ToolFailure("Parameter 'id' is missing") }
                do throws(BlockError) { try throttles.add(id, options) } catch { throw ToolFailure("\(error)") }
                continue
            }
            guard BlockSecrets.takes(type) else {
                // Others tune what is not tuned here.
                guard Self.otherObjects.contains(type) else {
                    throw ToolFailure("Parameter 'qom-type' does not accept value '\(type)'")
                }
                continue
            }
            do throws(BlockError) { try secrets.add(type: type, options) } catch { throw ToolFailure("\(error)") }
        }
    }

    /// Writes to the standard output.
    func put(_ text: String) { console.put(text) }
    /// Writes to the standard output unless told to be quiet.
    func say(_ text: String) { if !isQuiet { console.put(text) } }
    /// Writes a line with the program's name to the standard error.
    func report(_ line: String) { console.putError("\(program): \(line)") }
    /// Writes a warning to the standard error.
    func warn(_ line: String) { console.putError("\(program): warning: \(line)") }
}
