/// One processor of a machine, run by its own thread.
///
/// Everything but `kick`, `injectNMI` and reading `index` is for that thread, or for others while it is outside `run`.
public protocol Processor: AnyObject, Sendable {
    /// The ISA's neutral state.
    associatedtype State

    /// Number in the machine, from 0.
    var index: Int { get }
    /// Runs the guest until something needs the machine.
    func run() -> Exit
    /// Gives the value that the last `portRead` or `mmioRead` exit asked for; `run` goes on with it.
    func complete(read value: UInt64)
    /// Delivers the vector that the interrupt controller answered to `interruptAcknowledge`; nil where the request
    /// had gone away.
    func acknowledge(vector: UInt8?)
    /// Requests a system management interrupt, where the engine has that mode. Any thread.
    func injectSMI()
    /// Makes `run` return `.interrupted` soon, also when it is entered later. Any thread.
    func kick()
    /// Posts a non-maskable interrupt. Any thread.
    func injectNMI()
    /// The architectural state, complete while no access is outstanding.
    var state: State { get set }
    /// Whether its accesses are those of system management mode. Its own thread, or others while it is outside `run`.
    var isInManagement: Bool { get }
    /// True between an exit that asks for a value and the end of its instruction: the state must not be saved then.
    var hasOutstandingAccess: Bool { get }
    /// Back to the state after power-on. What a debugger wants stays.
    func reset()
    /// What it can do for a debugger; nil: nothing.
    var debugAbilities: DebugAbilities? { get }
    /// Replaces what the debugger wants. False where it cannot be done; nothing has changed then.
    func setDebug(_ request: DebugRequest) -> Bool
}

/// Runs guest processors: in software, or by the host's own virtualization.
public protocol Engine: AnyObject, Sendable {
    /// Its processors.
    associatedtype CPU: Processor

    /// The name that `-accel` knows.
    var name: String { get }
    /// The machine's processors in order, made when the engine was.
    var processors: [CPU] { get }
    /// Whether its processors have system management mode.
    var hasManagement: Bool { get }
    /// Delivers a message-signalled interrupt, from a device or an IOAPIC. Any thread.
    func deliverMSI(address: UInt64, data: UInt32)
    /// The PIC's output line, wired to LINT0 of the boot processor. Any thread.
    func setExternalInterrupt(_ level: Bool)
    /// The machine's time stands from now on. All processors are outside `run`, and stay there.
    func timeStopped()
    /// The machine's time goes on; processors run after this.
    func timeStarted()
    /// Lines about translation for monitors, while no processor runs; nil where nothing is translated.
    var translationStatistics: [String]? { get }
    /// The items of the trace that the engine was made with are others now. Any thread.
    func traceChanged()
    /// Gives back what only running needs. The threads of its processors have ended.
    func release()
}

extension Processor {
    /// There is no system management mode.
    public var isInManagement: Bool { false }
    /// Nothing: there is no system management mode.
    public func injectSMI() {}
}

extension Engine {
    /// Nothing: an engine whose clocks are the machine's needs no word.
    public func timeStopped() {}
    public var hasManagement: Bool { false }
    /// Nothing.
    public func timeStarted() {}
    /// Nothing.
    public func release() {}
    /// Nothing is translated.
    public var translationStatistics: [String]? { nil }
    /// Nothing is traced.
    public func traceChanged() {}
}
