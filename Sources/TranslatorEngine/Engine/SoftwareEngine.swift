internal import CEngine
public import Execution
public import GuestMemory
public import HostOS
internal import LocalAPIC
internal import Synchronization
public import X86

/// What the software engine is made from.
public struct SoftwareEngineRequest: Sendable {
    /// Guest RAM; all else is device memory.
    public var memory: AddressSpace
    /// The local APIC's ID of each processor, in order; at least one.
    public var apicIDs: [UInt32]
    /// The processor that guests see.
    public var model: ResolvedCPU
    /// Virtual time in nanoseconds. Any thread.
    public var now: @Sendable () -> UInt64
    /// Wall-clock time in nanoseconds since 1970. Any thread.
    public var wallClock: @Sendable () -> UInt64
    /// Guest TSC minus host TSC at power-on.
    public var tscOffset: UInt64
    /// A block is translated when it has executed so many times, where the host allows it; nil: all is interpreted.
    public var translationThreshold: UInt64?
    /// Translated code of user mode is translated anew for speed after so many executions.
    public var translationPromotion: Int32 = 2048
    /// Bytes of translated code, of all processors together. The code is dropped when they are full.
    public var translationCapacity: Int
    /// Translated code looks into the interpreter's TLB, as where the host has too little address space for tables.
    public var usesTaggedTables = false
    /// Each translated block is compared with the interpreter. For one processor.
    public var verifiesTranslation = false
    /// Virtual time is counted in instructions, and the time-stamp counter in its nanoseconds. For one processor.
    public var instructionTime: (any InstructionTime)?
    /// What RDRAND and RDSEED give, nil where nothing is ready; nil: the host's. The processor's thread.
    public var random: (@Sendable () -> UInt64?)?
    /// What is written down.
    public var trace = ExecutionTrace()
    /// Takes the names of translated blocks.
    public var perfMap: PerfMap?

    /// A request of all parts.
    public init(
        memory: AddressSpace, apicIDs: [UInt32], model: ResolvedCPU, now: @escaping @Sendable () -> UInt64,
        wallClock: @escaping @Sendable () -> UInt64, tscOffset: UInt64 = 0, translationThreshold: UInt64? = 16
    ) {
        self.memory = memory
        self.apicIDs = apicIDs
        self.model = model
        self.now = now
        self.wallClock = wallClock
        self.tscOffset = tscOffset
        self.translationThreshold = translationThreshold
        translationCapacity = (16 << 20) * (1 + max(1, apicIDs.count))
    }
}

/// The engine for hosts without hardware virtualization: an interpreter of decoded blocks, one host thread a
/// processor.
public final class SoftwareEngine: Engine {
    public typealias CPU = SoftwareProcessor

    public let name = "tcg"
    public let hasManagement = true
    public let processors: [SoftwareProcessor]
    private let timer: TimerThread
    let instructionTime: (any InstructionTime)?
    private let arbitration = Mutex(-1)
    /// The host's time-stamp counter when the machine's time stopped; 0 while it goes on.
    let stoppedCounter = Atomic<UInt64>(0)

    /// Ticks of the host's time-stamp counter that the machine stood still.
    let pausedTicks = Atomic<UInt64>(0)
    /// What kvm-clock counts from.
    let clockBase = Mutex(PVClockBase())

    /// An engine with processors in the state after power-on. Throws where memory or threads are short.
    public init(_ request: SoftwareEngineRequest) throws(HostError) {
        let frequency = request.instructionTime == nil ? TimeStampFrequency.host : TimeStampFrequency.counted
        instructionTime = request.instructionTime
        let timer = try TimerThread()
        var made: [SoftwareProcessor] = []
        for (index, id) in request.apicIDs.enumerated() {
            made.append(
                try SoftwareProcessor(
                    index: index, apicID: id, request: request, timer: timer, frequency: frequency))
        }
        processors = made
        self.timer = timer
        for processor in made { processor.connect(self) }
        if let time = request.instructionTime {
            let processor = made[0]
            time.connect(
                executed: { [weak processor] in processor?.executedInstructions ?? 0 },
                deadlineMoved: { [weak processor] in processor?.kick() })
        } else {
            timer.start(made)
        }
        request.memory.observeCode { [weak self] block, offset, count in
            self?.codeWritten(block, offset: offset, count: count)
        }
        request.memory.observeLayout { [weak self] _ in
            for processor in self?.processors ?? [] { processor.post(UInt32(APUS_PENDING_MEMORY)) }
        }
    }

    deinit { timer.stop() }

    public func release() { for processor in processors { processor.releaseTranslator() } }

    public func setExternalInterrupt(_ level: Bool) { processors[0].setExternalInterrupt(level) }

    public func deliverMSI(address: UInt64, data: UInt32) {
        guard let message = InterruptMessage(messageAddress: address, data: data) else { return }
        deliver(message, from: nil)
    }

    /// Whether there is a processor of that APIC ID.
    func hasProcessor(apicID: UInt32) -> Bool { processors.contains { $0.apicID == apicID } }

    /// Delivers a message to the processors that it reaches. Any thread.
    func deliver(_ message: InterruptMessage, from sender: Int?) {
        if message.deliveryMode == .lowestPriority {
            arbitration.withLock { last in
                var round = LowestPriorityArbitration(after: last)
                for processor in processors
                where message.reaches(processor.apic.identity, isSender: processor.index == sender) {
                    round.consider(processor.index, priority: processor.apic.processorPriority)
                }
                guard let winner = round.winner else { return }
                last = winner
                processors[winner].receive(message)
            }
            return
        }
        for processor in processors
        where message.reaches(processor.apic.identity, isSender: processor.index == sender) {
            processor.receive(message)
        }
    }

    /// A device wrote to pages with code.
    private func codeWritten(_ block: RAMBlock, offset: UInt64, count: UInt64) {
        var at = UInt(offset)
        let end = UInt(offset + count)
        let base = unsafe UInt(bitPattern: block.base)
        while at < end {
            let pageEnd = min((at & ~4095) + 4096, end)
            for processor in processors { processor.send(.drop(host: base &+ at, count: pageEnd - at)) }
            at = pageEnd
        }
    }

    func tellOthers(_ message: CodeMessage, from sender: Int) {
        for processor in processors where processor.index != sender { processor.send(message) }
    }
}
