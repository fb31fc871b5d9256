import DeviceModel
import Execution
import GuestMemory
import Machine
import Synchronization

/// An engine without processors: the test is what drives the buses, and what lets time go on. It notes interrupts.
final class TwinEngine: MachineEngine {
    /// What came to processors.
    enum Interrupt: Hashable, CustomStringConvertible {
        case message(address: UInt64, data: UInt32)
        case line(Bool)
        var description: String {
            switch self {
            case .message(let address, let data): "\(String(address, radix: 16)):\(String(data, radix: 16))"
            case .line(let level): "line \(level)"
            }
        }
    }
    let name = "twin"
    let hasManagement = false
    let memory: AddressSpace
    private let time: (any InstructionTime)?
    private let executed = Atomic<UInt64>(0)
    private let noted = Mutex<[Interrupt]>([])
    private let captured = Mutex<ProcessorBuses?>(nil)

    init(_ request: EngineRequest) {
        memory = request.memory
        time = request.instructionTime
        time?.connect(executed: { [self] in executed.load(ordering: .relaxed) }, deadlineMoved: {})
    }

    var buses: ProcessorBuses? { captured.withLock { $0 } }
    /// The interrupts since the last time.
    func takeInterrupts() -> [Interrupt] {
        noted.withLock { noted in
            defer { noted = [] }
            return noted
        }
    }

    /// Lets virtual time go on, timer by timer, after each of which `then` is done. After so many of them the rest is one
    /// step, in each twin alike.
    func advance(by nanoseconds: UInt64, then: () -> Void = {}) {
        guard let time else { return }
        let end = executed.load(ordering: .relaxed) + nanoseconds
        for _ in 0..<2000 {
            let now = executed.load(ordering: .relaxed)
            guard now < end else { return }
            executed.store(min(end, now + time.instructions(until: nil)), ordering: .relaxed)
            time.limitReached { _ in }
            then()
        }
        executed.store(end, ordering: .relaxed)
        time.limitReached { _ in }
    }

    func deliver(address: UInt64, data: UInt32) { noted.withLock { $0.append(.message(address: address, data: data)) } }
    func setExternalInterrupt(_ level: Bool) { noted.withLock { $0.append(.line(level)) } }
    func makeThreads(group: ProcessorGroup, buses: ProcessorBuses) -> [any ProcessorThread] {
        captured.withLock { $0 = buses }
        return []
    }
    func timeStopped() {}
    func timeStarted() {}
    func traceChanged() {}
    func release() {}
    var reason: String {
        get { "" }
        set { _ = newValue }
    }
    var translationStatistics: [String]? { nil }
    var doorbells: (any DoorbellHost)? { nil }
    var controllers: (any EngineControllers)? { nil }
    func run(_ trial: EngineTrial, limit nanoseconds: UInt64) -> UInt64? { nil }
}
