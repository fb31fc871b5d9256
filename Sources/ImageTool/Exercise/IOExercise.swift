internal import BlockImage
internal import CLinux
internal import HostOS

/// A run of `qemu-io`: the open image and the commands on it.
final class IOExercise {
    let session: Session
    private(set) var image: OpenImage?
    private var plan = IOImagePlan()
    /// `quit` was said.
    private(set) var isOver = false

    /// The tags of break points.
    var tags: Set<String> = []
    private let background = IOBackground()

    init(_ session: Session) { self.session = session }

    /// The node that can hold requests.
    var debugNode: BlkdebugNode? { image?.graph.nodes.lazy.compactMap { $0 as? BlkdebugNode }.first }

    /// Waits for requests that commands have left under way.
    func awaitRequests() { background.finish(session.console) }

    func close() {
        for tag in tags { debugNode?.removeBreakpoint(tag: tag) }
        tags = []
        awaitRequests()
        image?.close()
        image = nil
    }

    /// Opens an image; false: it says why not.
    func open(_ plan: IOImagePlan) -> Bool {
        guard image == nil else {
            session.report("file open already, try 'help close'")
            return false
        }
        do throws(ToolFailure) {
            if plan.isSnapshot {
                image = try TemporaryOverlay.open(
                    plan.name, format: plan.format, isOptionList: plan.isOptionList, plan.mode, session)
            } else {
                image = try OpenImage(
                    plan.name, format: plan.format, isOptionList: plan.isOptionList, plan.mode, session)
            }
            self.plan = plan
            return true
        } catch {
            let name = plan.isOptionList || plan.name.isEmpty ? "" : " \(plan.name)"
            // Here the name stands before the reason already.
            let (first, prefix) = (error.lines.first ?? "", "Could not open '\(plan.name)': ")
            let reason = first.hasPrefix(prefix) ? String(first.dropFirst(prefix.count)) : first
            session.report("can't open\(name.isEmpty ? "" : " device")\(name): \(reason)")
            for line in error.lines.dropFirst() { session.console.putError(line) }
            return false
        }
    }

    /// Opens the image anew; the old way again where that does not work.
    func reopen(_ change: (inout IOImagePlan) -> Void) -> Bool {
        let old = plan
        var changed = plan
        change(&changed)
        close()
        if open(changed) { return true }
        _ = open(old)
        return false
    }

    /// Carries out commands up to `quit`; whether all went well.
    func run(_ lines: [String]) -> Bool {
        var isGood = true
        for line in lines where !isOver {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init)
            guard let name = words.first else { continue }
            if !run(name, Array(words.dropFirst())) { isGood = false }
        }
        return isGood
    }

    private func run(_ name: String, _ words: [String]) -> Bool {
        // Where a request may be held, the commands after it must not wait for it.
        if name.hasPrefix("aio_"), name != "aio_flush", !tags.isEmpty, let image {
            let console = Console(captures: true)
            let own = IOExercise(Session(program: session.program, console: console))
            own.image = image
            if background.start(own, name, words) { return true }
        }
        return runHere(name, words)
    }

    func runHere(_ name: String, _ words: [String]) -> Bool {
        guard let command = IOCommand.named(name) else {
            session.console.putError("command \"\(name)\" not found")
            return false
        }
        if command.needsFile && image == nil {
            session.console.putError("no file open, try 'help open'")
            return false
        }
        let count = words.count
        guard count >= command.minimum, count <= command.maximum else {
            let expected =
                command.maximum == Int.max
                ? "at least \(command.minimum)"
                : command.minimum == command.maximum
                    ? "\(command.minimum)" : "between \(command.minimum) and \(command.maximum)"
            session.console.putError("bad argument count \(count) to \(name), expected \(expected) arguments")
            return false
        }
        do throws(IOFailure) {
            try command.run(self, command, words)
            return true
        } catch {
            switch error {
            case .silent: break
            case .text(let text): session.put("\(text)\n")
            case .report(let text): session.report(text)
            case .error(let text): session.console.putError(text)
            case .usage: session.put("\(command.line)\n")
            }
            return false
        }
    }

    func end() { isOver = true }
}

/// How a command ends that does not end well: what is said of it, and where.
enum IOFailure: Error {
    case silent
    /// On the standard output.
    case text(String)
    /// On the standard error, after the program's name.
    case report(String)
    /// On the standard error.
    case error(String)
    /// The command's own line of help.
    case usage
}

/// A command: its names, how many words it takes, and what it does.
struct IOCommand {
    let name: String
    let short: String
    let minimum: Int
    let maximum: Int
    let needsFile: Bool
    let arguments: String
    let summary: String
    let run: (IOExercise, IOCommand, [String]) throws(IOFailure) -> Void

    init(
        _ name: String, short: String = "", _ words: ClosedRange<Int>, needsFile: Bool = true, _ arguments: String,
        _ summary: String, run: @escaping (IOExercise, IOCommand, [String]) throws(IOFailure) -> Void
    ) {
        self.name = name
        self.short = short
        minimum = words.lowerBound
        maximum = words.upperBound
        self.needsFile = needsFile
        self.arguments = arguments
        self.summary = summary
        self.run = run
    }

    /// As the help lists it.
    var line: String { "\(name) \(arguments) -- \(summary)" }
    private var listed: String { arguments.isEmpty ? "\(name) -- \(summary)" : line }

    static func named(_ name: String) -> IOCommand? {
        all.first { $0.name == name || (!$0.short.isEmpty && $0.short == name) }
    }

    static var all: [IOCommand] { IOTransfers.commands + IOImageCommands.commands + IOControl.commands }

    /// The short options of a command as the C library reads them: letters, then what they take.
    func scan(_ words: [String], _ short: String, _ exercise: IOExercise) throws(IOFailure) -> (
        options: [(key: String, value: String)], operands: [String]
    ) {
        var scanner = OptionScanner(words, short: short, long: [])
        var options: [(key: String, value: String)] = []
        do throws(ToolFailure) {
            while let next = try scanner.next() { options.append(next) }
        } catch {
            let letter = error.lines.first?.drop { $0 != "'" }.dropFirst(2).prefix(1) ?? ""
            let isMissing = error.lines.first?.hasPrefix("missing") ?? false
            exercise.session.console.putError(
                isMissing
                    ? "\(name): option requires an argument -- '\(letter)'" : "\(name): invalid option -- '\(letter)'")
            throw .usage
        }
        return (options, scanner.operands)
    }

    static func number(_ text: String) throws(IOFailure) -> UInt64 {
        guard let value = BlockOptions.size(text), value <= UInt64(Int64.max) else {
            throw .text("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- \(text)")
        }
        return value
    }

    static func help(_ exercise: IOExercise, _ name: String?) throws(IOFailure) {
        guard let name else {
            for command in all.sorted(by: { $0.name < $1.name }) {
                exercise.session.put(command.name == "map" ? "\(command.line)\n" : "\(command.listed)\n")
            }
            return exercise.session.put("\nUse 'help commandname' for extended help.\n")
        }
        guard let command = named(name) else { throw .text("command \(name) not found") }
        exercise.session.put(command.name == "map" ? "\(command.line)\n" : "\(command.listed)\n")
    }
}
