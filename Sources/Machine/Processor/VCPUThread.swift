public import CEngine
public import DeviceModel
public import Execution
public import HostOS
internal import Log
internal import Synchronization

/// What processors reach beside RAM: made by the board before the processors start.
public final class ProcessorBuses: Sendable {
    /// I/O ports, 0 to 0xFFFF.
    public let io: Bus
    /// Device memory.
    public let memory: Bus
    /// What of device memory is there for processors in system management mode alone, before the rest.
    public let managementMemory: Bus
    /// The processors' SMI pins.
    let management: ManagementInterrupts
    /// The PIC's acknowledge cycle; nil where there is no PIC.
    let acknowledge: @Sendable () -> UInt8?
    /// The end of a level-triggered interrupt, for IOAPICs.
    let endOfInterrupt: @Sendable (UInt8) -> Void

    /// Buses with their interrupt controllers.
    public init(
        io: Bus, memory: Bus, managementMemory: Bus = Bus(), management: ManagementInterrupts = ManagementInterrupts(),
        acknowledge: @escaping @Sendable () -> UInt8?,
        endOfInterrupt: @escaping @Sendable (UInt8) -> Void
    ) {
        self.io = io
        self.memory = memory
        self.managementMemory = managementMemory
        self.management = management
        self.acknowledge = acknowledge
        self.endOfInterrupt = endOfInterrupt
    }
}

/// A processor's thread with the engine's type put away.
public protocol ProcessorThread: AnyObject, Sendable {
    /// The processor's number.
    var index: Int { get }
    /// The thread's number on the host; 0 before it runs.
    var threadID: Int { get }
    /// Whether its thread was made.
    var isStarted: Bool { get }
    /// Makes the thread.
    func start() throws(HostError)
    /// Waits for the thread's end. Once.
    func join()
    /// Has it look at the group's gate soon. Any thread.
    func kick()
    /// Wakes it from `sleep`. Any thread.
    func wake()
    /// Sleeps until `kick`, `wake` or the time's end. Its own thread only.
    func sleep(nanoseconds: UInt64?)
    /// Posts a non-maskable interrupt. Any thread.
    func injectNMI()
    /// Requests a system management interrupt. Any thread.
    func injectSMI()
    /// The architectural state, while it is at the gate.
    var state: apus_x86_state { get set }
    /// An instruction is half done: the processor can neither be saved nor restored.
    var hasOutstandingAccess: Bool { get }
    /// Back to the state after power-on, while it is at the gate.
    func reset()
    /// What the processor can do for a debugger; nil: nothing.
    var debugAbilities: DebugAbilities? { get }
    /// Replaces what a debugger wants, while the processor is at the gate. False where it cannot be done.
    func setDebug(_ request: DebugRequest) -> Bool
}

/// A thread whose processor may be saved.
protocol SavableThread {
    var savable: (any SavableProcessor)? { get }
    func tellEndedInterrupts()
}

/// The thread that runs one processor and answers its exits.
final class VCPUThread<CPU: Processor>: ProcessorThread, SavableThread where CPU.State == apus_x86_state {
    private let processor: CPU
    // The group and its threads hold each other: both live until the process ends, or the machine is closed.
    private let group: ProcessorGroup
    private let buses: ProcessorBuses
    private let bell = Bell()
    private let thread = Mutex<HostThread?>(nil)
    private let number = Atomic<Int>(0)
    private let logger: Logger
    private let name: String

    /// The host shows the thread by the processor's number and the engine's name, as QEMU has it.
    init(_ processor: CPU, engine: String, group: ProcessorGroup, buses: ProcessorBuses) {
        self.processor = processor
        name = "CPU \(processor.index)/\(engine.uppercased())"
        self.group = group
        self.buses = buses
        logger = Logger("cpu\(processor.index)")
    }

    var index: Int { processor.index }
    var threadID: Int { number.load(ordering: .relaxed) }
    var isStarted: Bool { thread.withLock { $0 != nil } }
    var state: apus_x86_state {
        get { processor.state }
        set { processor.state = newValue }
    }

    func start() throws(HostError) {
        let made = try HostThread(name: name, stackSize: 8 << 20) { [self] in
            number.store(Int(HostThread.currentID), ordering: .relaxed)
            loop()
        }
        thread.withLock { $0 = made }
    }
    func join() {
        let made = thread.withLock { thread -> HostThread? in
            defer { thread = nil }
            return thread
        }
        made?.join()
    }
    func kick() {
        processor.kick()
        bell.ring()
    }
    func wake() { bell.ring() }
    func sleep(nanoseconds: UInt64?) { bell.wait(nanoseconds: nanoseconds) }
    func injectNMI() {
        processor.injectNMI()
        bell.ring()
    }
    func injectSMI() {
        processor.injectSMI()
        bell.ring()
    }
    var hasOutstandingAccess: Bool { processor.hasOutstandingAccess }
    func reset() { processor.reset() }
    var debugAbilities: DebugAbilities? { processor.debugAbilities }
    func setDebug(_ request: DebugRequest) -> Bool { processor.setDebug(request) }

    /// The processor as one that can be saved; nil where it cannot. While it is at the gate.
    var savable: (any SavableProcessor)? { processor as? any SavableProcessor }
    /// Tells the IOAPIC what it has yet to hear. While the processor is at the gate.
    func tellEndedInterrupts() {
        for vector in savable?.takeEndedInterrupts() ?? [] { buses.endOfInterrupt(vector) }
    }

    /// Who answers for device memory, as the processor's mode has it.
    private func deviceMemory(at address: UInt64) -> Bus {
        processor.isInManagement && buses.managementMemory.covers(address) ? buses.managementMemory : buses.memory
    }

    private func loop() {
        guard group.pass(self) else { return }
        while true {
            switch processor.run() {
            case .portRead(let port, let size):
                processor.complete(read: buses.io.read(UInt64(port), size: Int(size)))
            case .portWrite(let port, let size, let value):
                buses.io.write(UInt64(port), size: Int(size), value: UInt64(value))
            case .mmioRead(let address, let size):
                processor.complete(read: deviceMemory(at: address).read(address, size: Int(size)))
            case .mmioWrite(let address, let size, let value):
                deviceMemory(at: address).write(address, size: Int(size), value: value)
            case .interruptAcknowledge:
                processor.acknowledge(vector: buses.acknowledge())
            case .endOfInterrupt(let vector):
                buses.endOfInterrupt(vector)
            case .halt:
                // Engines that sleep by themselves do not come here; others are asked again after a short time,
                // because only they know what wakes their processor.
                bell.wait(nanoseconds: 1_000_000)
                guard group.pass(self) else { return }
            case .interrupted:
                guard group.pass(self) else { return }
            case .debug(let stop):
                group.request(.debug(processor: processor.index, stop))
                guard group.pass(self) else { return }
            case .shutdown:
                group.request(.tripleFault)
                guard group.pass(self) else { return }
            case .error(let words):
                logger.error("The engine cannot go on: \(words)")
                group.request(.internalError(words))
                guard group.pass(self) else { return }
            }
        }
    }
}
