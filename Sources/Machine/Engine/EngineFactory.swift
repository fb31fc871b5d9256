public import CEngine
public import DeviceModel
public import Execution
public import GuestMemory
internal import Synchronization

/// What an engine is made from: the machine as far as processors see it.
public struct EngineRequest: Sendable {
    /// Guest RAM; device memory is everything else.
    public var memory: AddressSpace
    /// Processors, at least 1.
    public var processorCount: Int
    /// The local APIC's ID of each processor, in order.
    public var apicIDs: [UInt32]
    /// The model and features as `-cpu` has them; nil for the default.
    public var processorModel: String?
    /// Sockets, dies, cores and threads, for CPUID.
    public var topology: ProcessorTopology
    /// Bytes of RAM.
    public var ramSize: UInt64
    /// The machine's clock, for the local APICs' timers.
    public var clock: any VirtualClock
    /// Guest TSC minus host TSC at power-on, so that a guest's counter starts at 0.
    public var tscOffset: UInt64
    /// The accelerator's properties.
    public var accelerator: AcceleratorConfiguration
    /// Guests idle the host's processors (`-overcommit cpu-pm=on`).
    public var keepsIdleInGuest = false
    /// Accelerators to try after it, in order.
    public var alternatives: [AcceleratorConfiguration] = []
    /// The date that paravirtual clocks tell, nanoseconds since 1970; nil: the clock's.
    public var wallClock: (@Sendable () -> UInt64)?
    /// What RDRAND and RDSEED give where engines in software execute them; nil: the host's.
    public var random: (@Sendable () -> UInt64?)?
    /// Virtual time is counted in instructions, which takes an engine in software and one processor.
    public var instructionTime: (any InstructionTime)?
    /// What engines in software write down.
    public var trace = ExecutionTrace()
    /// Whether the names of translated blocks go to a file for perf.
    public var writesPerfMap = false

    /// A request of all parts.
    public init(
        memory: AddressSpace, processorCount: Int, apicIDs: [UInt32], processorModel: String?,
        topology: ProcessorTopology, ramSize: UInt64, clock: any VirtualClock, tscOffset: UInt64 = 0,
        accelerator: AcceleratorConfiguration = AcceleratorConfiguration(kind: .automatic)
    ) {
        self.memory = memory
        self.processorCount = processorCount
        self.apicIDs = apicIDs
        self.processorModel = processorModel
        self.topology = topology
        self.ramSize = ramSize
        self.clock = clock
        self.tscOffset = tscOffset
        self.accelerator = accelerator
    }
}

/// An engine with its type put away, as boards and devices use it.
public protocol MachineEngine: AnyObject, Sendable, MSISink {
    /// The name that `-accel` knows.
    var name: String { get }
    /// Whether processors have system management mode.
    var hasManagement: Bool { get }
    /// The PIC's output line. Any thread.
    func setExternalInterrupt(_ level: Bool)
    /// The machine's time stands from now on; its processors wait at the gate.
    func timeStopped()
    /// The machine's time goes on.
    func timeStarted()
    /// Why it was chosen, a sentence for monitors; may be empty.
    var reason: String { get set }
    /// Lines about translation, while no processor runs; nil where nothing is translated.
    var translationStatistics: [String]? { get }
    /// The trace's items are others now.
    func traceChanged()
    /// Gives back what only running needs, after the threads have ended.
    func release()
    /// One thread for each processor, not started.
    func makeThreads(group: ProcessorGroup, buses: ProcessorBuses) -> [any ProcessorThread]
    /// Turns writes of guests into rings of eventfds; nil where the engine cannot.
    var doorbells: (any DoorbellHost)? { get }
    /// PIC, IOAPIC and PIT of the engine; nil where they are the board's.
    var controllers: (any EngineControllers)? { get }
    /// Runs the trial's guest, which its memory holds, and gives the nanoseconds; nil where the guest did not come to
    /// its end within the limit.
    func run(_ trial: EngineTrial, limit nanoseconds: UInt64) -> UInt64?
}

/// Makes engines. Throws a `MachineBuildError` where it cannot.
public typealias EngineFactory = @Sendable (EngineRequest) throws(MachineBuildError) -> any MachineEngine

/// PIC, IOAPIC and PIT that an engine has itself: global interrupts 0 to 23, and a device of the machine.
public protocol EngineControllers: InterruptSink, Device {
    /// Interrupts 0 and 8 are the HPET's from now on, or the PIT's and RTC's again.
    func setLegacyReplacement(_ isOn: Bool)
}

/// What an engine has beside the protocol of all engines.
public struct EngineExtras: Sendable {
    /// Rings eventfds.
    public var doorbells: (any DoorbellHost)?
    /// PIC, IOAPIC and PIT.
    public var controllers: (any EngineControllers)?
    /// What processors offer, by the names of `-cpu`.
    var features: [String] = []
    /// Hears of the buses before processors run.
    var connect: (@Sendable (ProcessorBuses) -> Void)?

    /// Nothing beside it.
    public init() {}
}

/// A box whose engine may know how machines are moved.
protocol MovableEngineOwner {
    var movable: (any MovableEngine)? { get }
    /// What processors offer, by the names of `-cpu`.
    var features: [String] { get }
}

/// Puts the type of an x86 engine away.
public final class EngineBox<E: Engine>: MachineEngine, MovableEngineOwner where E.CPU.State == apus_x86_state {
    private let engine: E
    private let extras: EngineExtras
    private let words = Mutex("")

    /// A box of an engine.
    public init(_ engine: E, _ extras: EngineExtras = EngineExtras()) {
        self.engine = engine
        self.extras = extras
    }
    var movable: (any MovableEngine)? { engine as? any MovableEngine }
    var features: [String] { extras.features }
    public var doorbells: (any DoorbellHost)? { extras.doorbells }
    public var controllers: (any EngineControllers)? { extras.controllers }

    public var name: String { engine.name }
    public var hasManagement: Bool { engine.hasManagement }
    public func setExternalInterrupt(_ level: Bool) { engine.setExternalInterrupt(level) }
    public func deliver(address: UInt64, data: UInt32) { engine.deliverMSI(address: address, data: data) }
    public func makeThreads(group: ProcessorGroup, buses: ProcessorBuses) -> [any ProcessorThread] {
        extras.connect?(buses)
        let threads = engine.processors.map { VCPUThread($0, engine: engine.name, group: group, buses: buses) }
        buses.management.connect(threads)
        return threads
    }
    public func timeStopped() { engine.timeStopped() }
    public var translationStatistics: [String]? { engine.translationStatistics }
    public func traceChanged() { engine.traceChanged() }
    public func release() { engine.release() }
    public func timeStarted() { engine.timeStarted() }
    public var reason: String {
        get { words.withLock { $0 } }
        set { words.withLock { $0 = newValue } }
    }
    public func run(_ trial: EngineTrial, limit nanoseconds: UInt64) -> UInt64? {
        trial.run(engine.processors[0], limit: nanoseconds)
    }
}
