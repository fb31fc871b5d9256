internal import BlockImage
internal import Curses
internal import DeviceModel
internal import Devices
internal import Display
internal import Execution
public import HostOS
internal import Log
internal import Synchronization
internal import SPICE
internal import VNC

/// A machine: a board, its processors' threads, and its life from the start to the process's end.
///
/// All changes of the run state are made under one lock, one at a time; events go out after it is given up. What
/// guests ask for is done on the event loop's thread.
public final class VirtualMachine: Sendable {
    struct State: Sendable {
        var runState = RunState.prelaunch
        /// What is done at the turns of its life; a monitor may change it.
        var life = LifecycleConfiguration()
        var hasEnded = false
        /// The wall clock when the machine began to stand for work on its state, its own or that of the one it was.
        var stoodSince: UInt64?
        /// What it did before that work.
        var stoodFrom = RunState.prelaunch
        var exitStatus: Int32 = 0
        var subscribers: [(id: EventSubscription, handler: @Sendable (MachineEvent) -> Void)] = []
        var nextSubscription = 1
        /// Objects that were added after the start, and the names of those that were removed.
        var objects: [ObjectConfiguration] = []
        var removedObjects: Set<String> = []
        /// The names of processors that were plugged in, empty where none was given.
        var processorNames: [Int: String] = [:]
    }

    public let configuration: MachineConfiguration
    /// The loop on whose thread timers fire and requests of the guest are done.
    public let loop: EventLoop
    /// The character back-ends, for monitors to be put on.
    public let characters: CharacterHub
    public let descriptorSets: DescriptorSets
    let board: Board
    let group: ProcessorGroup
    let log = Logger("machine")
    /// Held during each change of the run state; waits for processors, so they never take it.
    let control = Mutex(())
    let state = Mutex(State())
    /// What a debugger that is attached has to hear; nil without one.
    struct DebuggerState: Sendable {
        var stop: (processor: Int, stop: DebugStop)?
    }
    let debugger = Mutex<DebuggerState?>(nil)
    /// Opens and closes the door for debuggers, which belongs to the program.
    typealias DebugServerHandler = @Sendable (String?) throws(MachineError) -> Void
    let debugServer = Mutex<DebugServerHandler?>(nil)
    /// Migrations, out and in.
    let desk = MigrationDesk()
    let announcer = Announcer()

    /// Makes the machine of a configuration, loads its kernel, and makes its processors' threads, which wait. On an
    /// error nothing is left.
    public init(
        _ configuration: MachineConfiguration, loop: EventLoop,
        engineFactory: EngineFactory = { request throws(MachineBuildError) in try EngineChoice().make(request) }
    ) throws(MachineBuildError) {
        self.configuration = configuration
        self.loop = loop
        descriptorSets = DescriptorSets(configuration.process.descriptors)
        let characters = try CharacterHub(configuration, loop: loop, descriptors: descriptorSets)
        self.characters = characters
        do throws(MachineBuildError) {
            let board = try Board(
                configuration, loop: loop, characters: characters, descriptors: descriptorSets,
                engineFactory: engineFactory)
            self.board = board
            let group = ProcessorGroup()
            self.group = group
            // An empty machine has no processor.
            let threads =
                configuration.board.kind == .none ? [] : board.engine.makeThreads(group: group, buses: board.buses)
            do throws(MachineBuildError) { try board.reset(threads, loadsKernel: configuration.incoming == nil && configuration.snapshot == nil) } catch {
                board.close()
                throw error
            }
            for device in board.devices { device.pause() }
            board.input.isListening = false
            pending = threads
            let reporter = EventReporter()
            do throws(MachineBuildError) {
                curses = try Self.makeCurses(configuration, board)
                servers = try Self.makeServers(configuration, board) { reporter.send(.vnc(id: $0, $1)) }
                do throws(MachineBuildError) {
                    spice = try Self.makeSPICE(configuration, board) { reporter.send(.spice($0)) }
                } catch {
                    for server in servers { server.close() }
                    throw error
                }
            } catch {
                board.close()
                throw error
            }
            reporter.connect { [weak self] event in
                guard let self else { return }
                switch event {
                case .vnc(let id, let event):
                    if let status = vncServers.first(where: { $0.id == id }) { emit(.vnc(event, server: status)) }
                case .spice(let event): if let status = spiceServer { emit(.spice(event, server: status)) }
                }
            }
        } catch {
            characters.closeAll()
            throw error
        }
    }

    /// The VNC servers.
    let servers: [VNCServer]
    /// The SPICE server.
    let spice: SPICEServer?
    /// The terminal that shows text.
    private let curses: CursesDisplay?

    /// The processors before `start` takes them.
    private let pending: [any ProcessorThread]

    /// Starts the processors' threads; the guest runs, unless the configuration says to wait.
    public func start() throws(MachineBuildError) {
        state.withLock { $0.life = configuration.lifecycle }
        board.lifecycle.connect { [weak self] request in
            guard let self else { return }
            if case .balloonChanged(let actual) = request { return emit(.balloonChange(actual: actual)) }
            if case .clockSet(let offset) = request { return emit(.rtcChange(offset: offset, path: "/machine/rtc")) }
            if case .networkConnected(let id, let address) = request {
                return emit(.networkConnected(id: id, address: address))
            }
            if case .networkDisconnected(let id) = request { return emit(.networkDisconnected(id: id)) }
            if case .trayMoved(let device, let id, let isOpen) = request {
                return emit(.trayMoved(device: device, id: id, isOpen: isOpen))
            }
            if case .serialPortChanged(let id, let isOpen) = request {
                return emit(.serialPortChange(id: id, isOpen: isOpen))
            }
            if case .receiveFilterChanged(let id, let path) = request {
                return emit(.receiveFilterChanged(id: id, path: path))
            }
            if case .blockJob(let event, let data) = request { return emit(.blockJob(event: event, data: data)) }
            if case .imageCorrupted(let line) = request { return log.warning(line) }
            if case .blockFailed(let failure) = request {
                emit(
                    .blockIOError(
                        device: failure.device, node: failure.node, isWrite: failure.isWrite,
                        action: failure.action == .stop ? .stop : failure.action == .ignore ? .ignore : .report,
                        noSpace: failure.isNoSpace, reason: failure.reason))
                guard failure.action == .stop else { return }
            }
            // The processors stop where they are: a guest that asked for a reset runs no further instruction.
            if request != .crashLoaded { group.requestStop() }
            loop.post { self.handle(request) }
        }
        characters.onExit { [weak self] in self?.end(status: 0, cause: nil) }
        do throws(HostError) {
            connectHotplug()
            let absent = Set(pending.map(\.index)).subtracting(0..<board.topology.processors)
            try group.start(pending, absent: absent) { [weak self] request in
                guard let self else { return }
                switch request {
                case .tripleFault: loop.post { self.handle(.reset(.guestReset)) }
                case .internalError(let words): loop.post { self.handle(.internalError(words)) }
                case .debug(let processor, let stop): loop.post { self.debugStopped(processor, stop) }
                }
            }
        } catch { throw MachineBuildError("\(error)") }
        for server in servers {
            do throws(VNCError) { try server.start() } catch { throw MachineBuildError("-vnc: \(error)") }
        }
        do throws(SPICEError) { try spice?.start() } catch { throw MachineBuildError("-spice: \(error)") }
        do throws(CursesError) { try curses?.start() } catch { throw MachineBuildError("-display curses: \(error)") }
        // Every thread is at the gate now, and its number is known.
        group.park()
        if let address = configuration.incoming { return try waitForMachine(address) }
        if let name = configuration.snapshot {
            do throws(MachineError) { try loadSnapshot(name, vmstate: nil, devices: nil) } catch {
                throw MachineBuildError("-loadvm \(name): \(error)")
            }
        }
        if !configuration.lifecycle.startsPaused { _ = run() }
    }

    /// Waits for a machine that comes (`-incoming`).
    private func waitForMachine(_ address: String) throws(MachineBuildError) {
        state.withLock { $0.runState = .inMigrate }
        desk.state.withLock { state in
            state.startsWhenThere = !configuration.lifecycle.startsPaused
            state.isDeferred = address == "defer"
        }
        guard address != "defer" else { return }
        do throws(MachineError) { try startReceiving(address, nil) } catch {
            throw MachineBuildError("-incoming \(address): \(error)")
        }
    }

    /// Names who opens doors for debuggers when a monitor asks for one.
    public func onDebugServer(_ handler: @escaping @Sendable (String?) throws(MachineError) -> Void) {
        debugServer.withLock { $0 = handler }
    }

    /// The status that the process ends with, once the loop has returned.
    public var exitStatus: Int32 { state.withLock { $0.exitStatus } }

    // MARK: Changes of the run state

    /// Lets time and processors go on. False where they went already.
    func run() -> Bool {
        let changed = control.withLock { _ -> Bool in
            guard state.withLock({ !$0.hasEnded && $0.runState != .running && $0.runState != .suspended }) else {
                return false
            }
            // A guest that sleeps goes on sleeping.
            let isAsleep = board.power?.isAsleep == true
            state.withLock { $0.runState = isAsleep ? .suspended : .running }
            board.storage.resetHealth()
            makeGoodClock()
            board.clock.start()
            board.engine.timeStarted()
            for device in board.devices { device.resume() }
            board.input.isListening = true
            if !isAsleep { group.release() }
            return true
        }
        if changed { emit(.resume) }
        return changed
    }

    /// Stops processors, devices and time. False where they stood already; the state's name changes all the same.
    @discardableResult
    func halt(as newState: RunState) -> Bool {
        let changed = control.withLock { _ -> Bool in
            let wasRunning = state.withLock { $0.runState == .running || $0.runState == .suspended }
            group.park()
            if wasRunning {
                board.input.isListening = false
                for device in board.devices { device.pause() }
                board.clock.stop()
                board.engine.timeStopped()
            }
            state.withLock { state in
                if newState == .saveVM || newState == .finishMigrate {
                    if wasRunning { state.stoodSince = board.clock.wallClock }
                    if !state.runState.isForState { state.stoodFrom = state.runState }
                }
                if wasRunning || newState != .paused { state.runState = newState }
            }
            return wasRunning
        }
        if changed { emit(.stop) }
        return changed
    }

    /// Resets everything; the machine then runs or stands as before.
    func performReset(_ cause: ShutdownCause) {
        let failure = control.withLock { _ -> MachineBuildError? in
            let wasRunning = state.withLock { $0.runState == .running || $0.runState == .suspended }
            group.park()
            do throws(MachineBuildError) { try board.reset(group.threads) } catch { return error }
            // Reset by its user, a machine that stands is as new, as QEMU's is.
            state.withLock { state in
                switch state.runState {
                case .running, .inMigrate, .finishMigrate: break
                default: if cause != .snapshotLoad { state.runState = .prelaunch }
                }
            }
            if wasRunning {
                state.withLock { $0.runState = .running }
                group.release()
            }
            return nil
        }
        if let failure {
            log.error("The machine cannot be reset: \(failure)")
            halt(as: .internalError)
            return
        }
        emit(.reset(cause))
    }

    /// Ends the machine: stops it and has the loop return.
    func end(status: Int32, cause: ShutdownCause?) {
        let first = state.withLock { state in
            defer { state.hasEnded = true }
            if !state.hasEnded { state.exitStatus = status }
            return !state.hasEnded
        }
        guard first else { return }
        if let cause { emit(.shutdown(cause)) }
        group.requestStop()
        loop.post { [loop] in loop.stop() }
    }

    /// Does what a guest asked for. The loop's thread.
    private func handle(_ request: LifecycleRequest) {
        let life = actions
        switch request {
        case .exit(let status): end(status: status, cause: .guestShutdown)
        case .reset(let cause):
            if life.reboot == .shutdown { shutDown(cause) } else { performReset(cause) }
        case .shutdown(let cause): shutDown(cause)
        case .internalError: halt(as: .internalError)
        case .crashLoaded: emit(.guestCrashLoaded)
        case .trayMoved, .balloonChanged, .clockSet, .networkConnected, .networkDisconnected, .serialPortChanged,
            .receiveFilterChanged, .blockJob, .imageCorrupted:
            break
        case .watchdog: watchdogFired(life.watchdog)
        case .suspended: suspend()
        case .suspendedToDisk: suspendToDisk()
        case .alarm: alarmRings()
        case .blockFailed:
            // Who has stopped the machine meanwhile keeps it stopped under that name.
            if runState.isRunning { halt(as: .ioError) }
        case .panicked:
            // A machine that stands at its end stands for who looks at the crash.
            let action = life.panic == .shutdown && life.shutdown == .pause ? .pause : life.panic
            emit(.guestPanicked(action: action))
            switch action {
            case .none: resumeAfterRequest()
            case .pause: halt(as: .guestPanicked)
            case .shutdown: shutDown(.guestPanic)
            case .exitFailure: end(status: 1, cause: .guestPanic)
            }
        }
    }

    /// Does what the configuration says of watchdogs. The guest, which is held where it was, goes on after some.
    private func watchdogFired(_ action: LifecycleConfiguration.Watchdog) {
        emit(.watchdog(action: action))
        switch action {
        case .reset: performReset(.guestReset)
        case .shutdown:
            board.power?.pressPowerButton()
            resumeAfterRequest()
        case .poweroff: end(status: 0, cause: .guestShutdown)
        case .pause: halt(as: .watchdog)
        case .debug:
            log.warning("watchdog: timer fired")
            resumeAfterRequest()
        case .none: resumeAfterRequest()
        case .injectNMI:
            for thread in group.present { thread.injectNMI() }
            resumeAfterRequest()
        }
    }

    /// The end, or with `-no-shutdown` a stop that a monitor may look at. A machine that stands stays as it is.
    func shutDown(_ cause: ShutdownCause) {
        guard actions.shutdown == .pause else {
            end(status: 0, cause: cause)
            return
        }
        emit(.shutdown(cause))
        if runState.isRunning { halt(as: .shutdown) }
    }

    /// A processor stopped for the debugger: so does the machine. Of several at the same time the first counts.
    private func debugStopped(_ processor: Int, _ stop: DebugStop) {
        guard runState.isRunning else { return }
        let isWanted = debugger.withLock { state -> Bool in
            guard state != nil else { return false }
            state?.stop = (processor, stop)
            return true
        }
        if isWanted { halt(as: .debug) } else { resumeAfterRequest() }
    }

    /// Undoes the stop that came with a request which changes nothing.
    func resumeAfterRequest() {
        control.withLock { _ in
            if state.withLock({ $0.runState == .running && !$0.hasEnded }) { group.release() }
        }
    }

    func emit(_ kind: MachineEvent.Kind) {
        let event = MachineEvent(kind, time: HostClock.realtime)
        for subscriber in state.withLock({ $0.subscribers }) { subscriber.handler(event) }
    }

    /// Ends processors, devices and back-ends. After the loop has returned, once.
    public func close() {
        desk.close()
        // A processor may wait for the reader of its output, who is gone: without the back-end it waits no more.
        if !group.park(milliseconds: 1000) { characters.closeAll() }
        group.end()
        board.engine.release()
        for server in servers { server.close() }
        spice?.close()
        curses?.close()
        board.close()
        desk.closeLateMemory()
    }
}
