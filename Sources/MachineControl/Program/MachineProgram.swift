internal import CharacterBackend
internal import HostOS
internal import Log
internal import Machine
internal import Synchronization

/// The program `apus-vmm`: from the arguments to the exit status.
public enum MachineProgram {
    /// Runs the machine of a command line to its end.
    public static func run(_ arguments: [String]) -> Int32 {
        switch CommandLineParser.parse(arguments) {
        case .information(let text):
            write(text.hasSuffix("\n") ? text : text + "\n", to: 1)
            return 0
        case .processorModels:
            write("Available CPUs:\n  qemu64\n  max\n", to: 1)
            return 0
        case .failure(let text):
            write(text + "\n", to: 2)
            return 1
        case .machine(let configuration, let warnings):
            for warning in warnings { write(warning + "\n", to: 2) }
            do throws(ProgramError) { return try run(configuration) } catch {
                RawTerminal.restoreAny()
                write("\(configuration.program): \(printable(error.text))\n", to: 2)
                return 1
            }
        }
    }

    private struct ProgramError: Error {
        let text: String
    }

    private static func run(_ configuration: MachineConfiguration) throws(ProgramError) -> Int32 {
        let process = configuration.process
        Signals.ignoreBrokenPipes()
        LogSink.standard.setProgram(configuration.program)
        LogSink.standard.setTimestamps(process.timestampsMessages)
        if let path = process.logFile {
            try step { () throws(HostError) in try LogSink.standard.redirect(toFile: path) }
        }
        if process.daemonizes {
            let daemon = try start { () throws(HostError) in try Daemonization() }
            let session = try Session(configuration)
            try finish(daemon, keepsErrors: process.logFile == nil)
            return try session.run()
        }
        return try Session(configuration).run()
    }

    private static func start(
        _ body: () throws(HostError) -> Daemonization
    ) throws(ProgramError) -> Daemonization {
        do throws(HostError) { return try body() } catch { throw ProgramError(text: "\(error)") }
    }
    private static func finish(_ daemon: consuming Daemonization, keepsErrors: Bool) throws(ProgramError) {
        do throws(HostError) { try daemon.ready(keepsErrors: keepsErrors) } catch {
            throw ProgramError(text: "\(error)")
        }
    }
    private static func step<R, E: Error>(_ body: () throws(E) -> R) throws(ProgramError) -> R {
        do throws(E) { return try body() } catch { throw ProgramError(text: "\(error)") }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        try? Descriptor(borrowing: descriptor).writeAll(Array(text.utf8))
    }

    /// A machine with its monitors and signals.
    private final class Session {
        let loop: EventLoop
        let machine: VirtualMachine
        let pidFile: PIDFile?
        let signals: SignalDescriptor
        let signalSource: EventSource
        let monitors: [MonitorConnection]

        init(_ configuration: MachineConfiguration) throws(ProgramError) {
            // Before any thread: each inherits what is blocked.
            let wanted = [Signals.terminate, Signals.interrupt, Signals.hangUp]
            let signals = try MachineProgram.step { () throws(HostError) in try SignalDescriptor(wanted) }
            let loop = try MachineProgram.step { () throws(HostError) in try EventLoop() }
            let pidFile: PIDFile?
            if let path = configuration.process.pidFile {
                pidFile = try MachineProgram.step { () throws(HostError) in try PIDFile(path) }
            } else {
                pidFile = nil
            }
            let machine: VirtualMachine
            do throws(MachineBuildError) { machine = try VirtualMachine(configuration, loop: loop) } catch {
                pidFile?.remove()
                throw ProgramError(text: error.description)
            }
            signalSource = try MachineProgram.step { () throws(HostError) in
                try loop.add(signals.descriptor, [.read]) { _ in
                    while let signal = signals.next() {
                        let sender = signal.processID == 0 ? "" : " from pid \(signal.processID)"
                        MachineProgram.write(
                            "\(configuration.program): terminating on signal \(signal.signal)\(sender)\r\n", to: 2)
                        machine.quit(cause: .hostSignal)
                    }
                }
            }
            monitors = configuration.monitors.compactMap { monitor in
                guard let port = machine.characters.port(monitor.characterDevice) else { return nil }
                return MonitorConnection(
                    monitor, machine: machine, port: port, loop: loop,
                    inBackground: machine.characters.isInBackground(monitor.characterDevice, port))
            }
            self.loop = loop
            self.machine = machine
            self.pidFile = pidFile
            self.signals = signals
        }

        func run() throws(ProgramError) -> Int32 {
            defer { pidFile?.remove() }
            try MachineProgram.step { () throws(MachineBuildError) in try machine.start() }
            loop.run()
            machine.close()
            return machine.exitStatus
        }
    }
}
