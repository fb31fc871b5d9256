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

    /// Until the end of input or `quit`. A command that fails does not end it, nor count for the program's status.
    func run() {
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
        while true {
            if shell.isLeaving {
                shell.out("\n")
                break
            }
            shell.flush()
            guard let line = input.line(prompt) else {
                if !input.isTerminal { shell.out("\n") }
                break
            }
            guard !line.trimmed.isEmpty else { continue }
            do throws(CommandFailure) {
                let commands = try CommandLineParser.parse(line: line)
                if !commands.isEmpty { _ = shell.run(commands) }
            } catch {
                for line in error.lines { shell.complain(line) }
            }
        }
        shell.flush()
    }

    private var prompt: String { shell.settings.isReadOnly ? "virsh > " : "virsh # " }
}
