internal import CharacterBackend
internal import HostOS
internal import Log
internal import Machine
internal import Synchronization
internal import VNC

/// The program `apus-vmm`: from the arguments to the exit status.
public enum MachineProgram {
    /// Runs the machine of a command line to its end.
    public static func run(_ arguments: [String]) -> Int32 {
        switch CommandLineParser.parse(arguments) {
        case .information(let text):
            write(text.hasSuffix("\n") ? text : text + "\n", to: 1)
            return 0
        case .failure(let text):
            write(text + "\n", to: 2)
            return 1
        case .machine(let configuration, let warnings):
            var configuration = configuration
            configuration.lifecycle.restoresOnDemand = true
            // Before an engine's, which takes faults of translated code and leaves others to these.
            RawTerminal.installHandlers()
            do throws(ProgramError) { return try run(configuration, warnings) } catch {
                RawTerminal.restoreAny()
                write("\(configuration.program): \(printable(error.text, limit: lineLimit))\n", to: 2)
                return 1
            }
        }
    }

    /// Signals that end a machine in good order.
    private static let ending = [Signals.terminate, Signals.interrupt, Signals.hangUp]

    private struct ProgramError: Error {
        let text: String
    }

    private static func run(
        _ configuration: MachineConfiguration, _ warnings: [String]
    ) throws(ProgramError) -> Int32 {
        let process = configuration.process
        Signals.ignoreBrokenPipes()
        LogSink.standard.setProgram(configuration.program)
        if let name = process.name { HostThread.nameCurrent(name) }
        LogSink.standard.setTimestamps(process.timestampsMessages)
        if let path = process.logFile {
            try step { () throws(HostError) in try LogSink.standard.redirect(toFile: path) }
        }
        guard process.daemonizes else { return try Session(configuration, warnings).run() }
        let daemon: Daemonization
        do throws(HostError) { daemon = try Daemonization() } catch { throw ProgramError(text: "\(error)") }
        return try run(configuration, warnings, in: daemon)
    }

    /// Runs the machine in the background, on a thread of its own. Swift's locks name their owner by a thread number
    /// that each thread looks up once; the first thread's is that of the process before the fork, and a lock that it
    /// holds while another thread waits for it is never given back.
    private static func run(
        _ configuration: MachineConfiguration, _ warnings: [String], in daemon: consuming Daemonization
    ) throws(ProgramError) -> Int32 {
        let background = Background(daemon)
        // The first thread only waits: signals are for the other, which reads them.
        Signals.block(ending)
        do throws(HostError) {
            let thread = try HostThread(name: "main loop", stackSize: 8 << 20) { background.run(configuration, warnings) }
            thread.join()
        } catch { throw ProgramError(text: "\(error)") }
        return try background.outcome.withLock { $0 }.get()
    }

    private static func step<R, E: Error>(_ body: () throws(E) -> R) throws(ProgramError) -> R {
        do throws(E) { return try body() } catch { throw ProgramError(text: "\(error)") }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        try? Descriptor(borrowing: descriptor).writeAll(Array(text.utf8))
    }

    /// What the first thread and the one that does the work share.
    private final class Background: Sendable {
        // SAFETY: set before the thread starts, and from then on the thread's alone.
        private nonisolated(unsafe) var daemon: Daemonization?
        let outcome = Mutex<Result<Int32, ProgramError>>(.success(1))

        init(_ daemon: consuming Daemonization) { unsafe self.daemon = consume daemon }

        func run(_ configuration: MachineConfiguration, _ warnings: [String]) {
            let result: Result<Int32, ProgramError>
            do throws(ProgramError) {
                let session = try Session(configuration, warnings)
                try release()
                result = .success(try session.run())
            } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
        }

        /// Lets the process that was started exit with 0.
        private func release() throws(ProgramError) {
            guard let taken = unsafe daemon.take() else { return }
            do throws(HostError) { try taken.ready() } catch { throw ProgramError(text: "\(error)") }
        }
    }

    /// A machine with its monitors and signals.
    private final class Session {
        let loop: EventLoop
        let machine: VirtualMachine
        let pidFile: PIDFile?
        let signals: SignalDescriptor
        let signalSource: EventSource
        let monitors: [MonitorConnection]
        let doors: DebugDoors

        init(_ configuration: MachineConfiguration, _ warnings: [String]) throws(ProgramError) {
            // Before any thread: each inherits what is blocked.
            let signals = try MachineProgram.step { () throws(HostError) in try SignalDescriptor(MachineProgram.ending) }
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
            // Of a machine that cannot be, the error alone counts.
            for warning in warnings { MachineProgram.write(warning + "\n", to: 2) }
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
            doors = DebugDoors(machine, loop: loop)
            if let id = configuration.gdbServer { doors.open(id) }
            self.loop = loop
            self.machine = machine
            self.pidFile = pidFile
            self.signals = signals
        }

        /// Gives up what the machine does not need, as `-sandbox` says, before the guest's first instruction.
        private func confine() throws(ProgramError) {
            guard let wanted = machine.configuration.process.sandbox, wanted.enabled else { return }
            var filter = SystemCallFilter()
            if wanted.deniesObsolete { filter.refuseObsolete() }
            if wanted.deniesElevation { filter.refuseElevation() }
            if wanted.deniesSpawn { filter.refuseProcesses() }
            if wanted.deniesResourceControl { filter.refuseResourceControl() }
            let final = filter
            try MachineProgram.step { () throws(HostError) in try final.install() }
        }

        func run() throws(ProgramError) -> Int32 {
            defer { pidFile?.remove() }
            try confine()
            try MachineProgram.step { () throws(MachineBuildError) in try machine.start() }
            for (wanted, server) in zip(machine.configuration.vncServers, machine.vncServers) where wanted.isAnnounced {
                MachineProgram.write("VNC server running on \(server.host ?? ""):\(server.service ?? "")\n", to: 1)
            }
            loop.run()
            doors.close(status: machine.exitStatus)
            machine.close()
            return machine.exitStatus
        }
    }
}
