internal import HostOS
internal import LibvirtClient
internal import RPCWire
internal import SASL

/// What commands share: the connection, where output goes, and how the user wants it. Of one thread.
final class Shell {
    /// What the command line says before the command.
    struct Settings {
        var uri: String?
        var isReadOnly = false
        var isQuiet = false
        var isTimed = false
        var debug = 4
        var logFile: String?
        var escape: UInt8 = 0x1d
        var keepaliveInterval = 5
        var keepaliveCount = 6
    }

    var settings: Settings
    var isQuiet: Bool { settings.isQuiet }
    /// Whether `quit` was said.
    var isLeaving = false
    /// Whether a person types the commands.
    var isInteractive = false
    /// What is typed.
    let lines = LineInput()
    private var open: LibvirtConnection?
    private var hadConnection = false
    private var output: [UInt8] = []
    private let standardOutput = Descriptor(borrowing: 1)
    private let standardError = Descriptor(borrowing: 2)
    /// What `apus` calls itself in front of its errors.
    let log: ShellLog?

    init(_ settings: Settings) {
        self.settings = settings
        log = settings.logFile.map { ShellLog($0, level: settings.debug) }
        output.reserveCapacity(4096)
    }

    // MARK: - Output

    /// Prints, a little later: many lines are one write.
    func out(_ text: String) {
        output.append(contentsOf: text.utf8)
        if output.count > 1 << 16 { flush() }
    }

    /// Everything printed so far is with the kernel.
    func flush() {
        guard !output.isEmpty else { return }
        try? standardOutput.writeAll(output)
        output.removeAll(keepingCapacity: true)
    }

    /// An error line. What was printed before it stands before it.
    func complain(_ text: String) {
        flush()
        log?.error(text)
        try? standardError.writeAll(Array("error: \(text)\n".utf8))
    }

    /// Text on standard error without the word.
    func aside(_ text: String) {
        flush()
        try? standardError.writeAll(Array(text.utf8))
    }

    // MARK: - The connection

    /// The connection; made now if there is none, or none any more.
    func connection() throws -> LibvirtConnection {
        if let open, open.isAlive { return open }
        let isAgain = hadConnection
        do {
            try connect(settings.uri, isReadOnly: settings.isReadOnly)
        } catch {
            var failure = CommandFailure(
                lines: [isAgain ? "failed to reconnect to the hypervisor" : "failed to connect to the hypervisor"]
                    + CommandFailure.lines(of: error))
            failure.isOfConnection = true
            throw failure
        }
        if isAgain { complain("Reconnected to the hypervisor") }
        guard let open else { throw CommandFailure("no valid connection") }
        return open
    }

    /// Connects to a daemon, instead of the one before.
    func connect(_ uri: String?, isReadOnly: Bool) throws {
        disconnect()
        var options = LibvirtConnection.Options()
        options.readOnly = isReadOnly
        options.keepaliveInterval = settings.keepaliveInterval
        options.keepaliveCount = settings.keepaliveCount
        if let own = try? HostFile.target(ofLink: "/proc/self/exe") {
            options.starter = [own, "daemon", "--daemon", "--timeout", "120"]
        }
        open = try LibvirtConnection.open(
            uri ?? HostIdentity.environment("LIBVIRT_DEFAULT_URI"), options, ask: answer)
        settings.uri = uri
        settings.isReadOnly = isReadOnly
        hadConnection = true
    }

    /// Asks the user for a name or a password.
    func answer(_ question: SASLSession.Question) -> String? {
        flush()
        if question.kind == .password { return try? lines.secret("\(question.prompt): ", self) }
        return lines.line("\(question.prompt): ")
    }

    /// The connection if there is one that lives.
    var liveConnection: LibvirtConnection? { open.flatMap { $0.isAlive ? $0 : nil } }

    /// Why the connection that was there is of no more use.
    var connectionFailure: ClientError? { open?.failure }

    /// Says goodbye.
    func disconnect() {
        open?.close()
        open = nil
    }

    // MARK: - Commands

    /// Runs commands one after the other. What the last one said counts.
    func run(_ commands: [ParsedCommand]) -> Bool {
        var succeeded = true
        for parsed in commands {
            let began = HostClock.monotonic
            succeeded = run(parsed)
            if ["quit", "exit"].contains(parsed.command.name) { return succeeded }
            if settings.isTimed {
                let time = Double(HostClock.monotonic &- began) / 1_000_000
                out("\n(Time: \(NumberText.fixed(time, 3)) ms)\n\n")
            } else if !isQuiet {
                out("\n")
            }
        }
        return succeeded
    }

    private func run(_ parsed: ParsedCommand) -> Bool {
        do {
            if parsed.wantsHelp {
                out(HelpText.command(parsed.command))
            } else {
                try parsed.command.run(Call(shell: self, parsed: parsed))
            }
            return true
        } catch {
            for line in CommandFailure.lines(of: error) { complain(line) }
            if let open, !open.isAlive { complain("Disconnected from \(uriText) due to \(disconnectReason(error))") }
            return false
        }
    }

    private var uriText: String { settings.uri ?? open?.uri?.text ?? "the hypervisor" }

    private func disconnectReason(_ error: any Error) -> String {
        let text = CommandFailure.lines(of: error).last ?? ""
        return text.contains("keepalive")
            ? "keepalive timeout" : text.contains("End of file") ? "end of file" : "I/O error"
    }
}

/// The file that `-l` names.
final class ShellLog {
    private let file: Descriptor?
    private let level: Int

    /// - Parameter level: 0 (everything) to 4 (errors).
    init(_ path: String, level: Int) {
        file = try? HostFile.open(path, .append, permissions: 0o600)
        self.level = level
    }

    func error(_ text: String) { write("ERROR", text) }
    func info(_ text: String) { if level <= 1 { write("INFO", text) } }

    private func write(_ kind: String, _ text: String) {
        let stamp = TimeText.log(Int64(HostClock.realtime / 1_000_000_000))
        try? file?.writeAll(Array("[\(stamp) virsh \(HostIdentity.processID)] \(kind) \(text)\n".utf8))
    }
}
