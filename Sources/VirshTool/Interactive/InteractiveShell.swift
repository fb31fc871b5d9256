internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Commands that a person types, or that stand in a file on standard input.
struct InteractiveShell {
    private let shell: Shell

    init(_ shell: Shell) {
        self.shell = shell
        shell.isInteractive = true
    }

    /// Until the end of input or `quit`. The last command's success.
    func run() -> Bool {
        let input = shell.lines
        input.idle = { [shell] in shell.liveConnection?.descriptor }
        input.serve = { [shell] in
            // Pings are answered, and events that nobody waits for are kept.
            if let connection = shell.liveConnection { _ = try? connection.receiveNow() }
        }
        input.completions = { [shell] line in Completion(shell).words(of: line) }
        if !shell.isQuiet {
            shell.out(
                """
                Welcome to virsh, the virtualization interactive terminal.

                Type:  'help' for help with commands
                       'quit' to quit


                """)
        }
        var succeeded = true
        while !shell.isLeaving {
            shell.flush()
            guard let line = input.line(prompt) else {
                if !input.isTerminal { shell.out("\n") }
                break
            }
            guard !line.trimmed.isEmpty else { continue }
            do throws(CommandFailure) {
                let commands = try CommandLineParser.parse(line: line)
                if !commands.isEmpty { succeeded = shell.run(commands) }
            } catch {
                for line in error.lines { shell.complain(line) }
                succeeded = false
            }
        }
        shell.flush()
        return succeeded
    }

    private var prompt: String { shell.settings.isReadOnly ? "virsh > " : "virsh # " }
}
