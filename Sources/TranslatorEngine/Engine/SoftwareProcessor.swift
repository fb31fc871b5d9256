public import CEngine
public import Execution
internal import GuestMemory
internal import HostOS
internal import LocalAPIC
internal import Synchronization
internal import X86

/// One processor of the software engine.
///
/// The working structure is this processor's thread's own while it runs; other threads post bits of `pending`, write
/// APIC requests and the mailbox.
@safe public final class SoftwareProcessor: Processor, @unchecked Sendable {
    public let index: Int
    let cpu: CPU
    let apic: APIC
    let model: ResolvedCPU
    let fetcher: CodeFetcher
    let frequency: UInt64
    let now: @Sendable () -> UInt64
    let wallClock: @Sendable () -> UInt64
    let memory: AddressSpace
    let apicID: UInt32
    private let initialOffset: UInt64
    private let timer: TimerThread
    let instructionTime: (any InstructionTime)?
    let random: (@Sendable () -> UInt64?)?
    let bell = Bell()
    private let mailbox = Mutex<[CodeMessage]>([])
    /// The PIC's output line.
    private let externalLine = Atomic<Bool>(false)
    /// The page of the last start-up message.
    let startVector = Atomic<UInt8>(0)
    /// When the APIC's timer is due, in host nanoseconds.
    let deadline = Atomic<UInt64>(UInt64.max)
    /// The engine, which owns this.
    private(set) weak var engine: SoftwareEngine?
    private let storage: ProcessorStorage
    /// The blocks behind `ranges`, kept alive as long as they are named there.
    private var view: FlatView
    /// A read whose value has not come yet, or a write that has been made and not been noted.
    private var outstanding = Outstanding.none
    private var pauses = 0
    /// Data breakpoints that the instruction at hand has reached, as bits of DR6.
    var dataBreakpoints: UInt64 = 0
    let trace: ExecutionTrace
    /// For `info jit`.
    var exits = ExitCounters()
    /// What a debugger wants.
    var debug = DebugState()
    /// Level-triggered vectors whose end the IOAPIC has yet to hear of.
    var endedInterrupts: [UInt8] = []
    /// What the time page of kvm-clock was last written with.
    var pvClockBase = PVClockBase()
    /// What kvm-clock tells minus virtual time: other than 0 where the guest came from another engine.
    let pvClockOffset = Atomic<UInt64>(0)
    /// It told a later time after the machine stood, which the guest is yet to be told.
    let pvClockStepped = Atomic<Bool>(false)
    /// NMIs that came and were not looked at. A processor holds one back while it handles another; two that come before
    /// this thread looks are two, as they would be where it looks at once.
    let messagesNMI = Atomic<UInt32>(0)

    private enum Outstanding { case none, read, write }
    /// How code is to be translated, until the first `run`: a translator takes address space that a machine does not need
    /// which is only built, or looked at.
    private var translation: Translation?
    private struct Translation {
        let threshold: UInt64
        let promotion: Int32
        let capacity: Int
        let perfMap: PerfMap?
        let isVerified: Bool
        let isTagged: Bool?
    }

    init(
        index: Int, apicID: UInt32, request: SoftwareEngineRequest, timer: TimerThread, frequency: UInt64
    ) throws(HostError) {
        self.index = index
        self.apicID = apicID
        model = request.model
        now = request.now
        wallClock = request.wallClock
        memory = request.memory
        initialOffset = request.tscOffset
        trace = request.trace
        self.timer = timer
        instructionTime = request.instructionTime
        random = request.random
        self.frequency = frequency
        storage = try ProcessorStorage()
        cpu = storage.cpu
        apic = unsafe APIC(storage.apicState)
        fetcher = try CodeFetcher(features: Self.decoderFeatures(request.model), hostCode: HostCode(capacity: 2 << 20))
        view = request.memory.view
        unsafe cpu.p.pointee.engine = Unmanaged.passUnretained(self).toOpaque()
        if let threshold = request.translationThreshold {
            translation = Translation(
                threshold: threshold, promotion: request.translationPromotion,
                capacity: request.translationCapacity / request.apicIDs.count, perfMap: request.perfMap,
                isVerified: request.verifiesTranslation, isTagged: request.usesTaggedTables ? true : nil)
        }
        unsafe cpu.p.pointee.counts_instructions = request.instructionTime == nil ? 0 : 1
        cpu.takeTraceItems()
        reset()
    }

    func connect(_ engine: SoftwareEngine) { self.engine = engine }

    // MARK: Other threads

    /// Sets bits of `pending` and wakes the processor. Any thread.
    func post(_ bits: UInt32) {
        _ = unsafe apus_vcpu_post(cpu.p, bits)
        bell.ring()
    }
    public func kick() { post(UInt32(APUS_PENDING_KICK)) }
    public func injectNMI() {
        messagesNMI.wrappingAdd(1, ordering: .sequentiallyConsistent)
        post(UInt32(APUS_PENDING_NMI))
    }
    public func injectSMI() { post(UInt32(APUS_PENDING_SMI)) }
    func setExternalInterrupt(_ level: Bool) {
        externalLine.store(level, ordering: .sequentiallyConsistent)
        if level { post(UInt32(APUS_PENDING_EXTINT)) }
    }
    func send(_ message: CodeMessage) {
        mailbox.withLock { $0.append(message) }
        post(UInt32(APUS_PENDING_CODE))
    }
    func tellOthers(_ message: CodeMessage) { engine?.tellOthers(message, from: index) }

    /// Takes an interrupt message that reaches this processor. Any thread.
    func receive(_ message: InterruptMessage) {
        switch message.deliveryMode {
        case .fixed, .lowestPriority:
            _ = apic.post(vector: message.vector, levelTriggered: message.isLevelTriggered)
            post(UInt32(APUS_PENDING_INTERRUPT))
        case .nonMaskable: injectNMI()
        case .initialize:
            // It makes an earlier start-up message void.
            unsafe apus_vcpu_clear(cpu.p, UInt32(APUS_PENDING_SIPI))
            post(UInt32(APUS_PENDING_INIT))
        case .startUp:
            startVector.store(message.vector, ordering: .releasing)
            post(UInt32(APUS_PENDING_SIPI))
        case .external: post(UInt32(APUS_PENDING_EXTINT))
        case .systemManagement: post(UInt32(APUS_PENDING_SMI))
        }
    }

    // MARK: Its own thread

    var externalInterruptIsUp: Bool { externalLine.load(ordering: .sequentiallyConsistent) }

    func takeMessages() {
        let messages = mailbox.withLock { messages -> [CodeMessage] in
            defer { messages = [] }
            return messages
        }
        for message in messages { cpu.handle(message) }
    }

    /// Sleeps until an event is posted or the APIC's timer is due.
    func sleep() {
        if let instructionTime { return idle(instructionTime) }
        let due = deadline.load(ordering: .acquiring)
        if due == .max { return bell.wait(nanoseconds: nil) }
        let time = HostClock.monotonic
        if due > time { bell.wait(nanoseconds: due - time) }
        if HostClock.monotonic >= due { _ = unsafe apus_vcpu_post(cpu.p, UInt32(APUS_PENDING_TIMER)) }
    }

    /// PAUSE: a spin of some length gives the host's processor to another thread.
    func pause() {
        pauses &+= 1
        if pauses & 15 == 0 { apus_yield() } else { apus_spin() }
    }

    /// Requests the timer's interrupt where it is due, and arms the next deadline.
    func advanceTimer() {
        if let instructionTime { return advanceCountedTimer(instructionTime) }
        let time = now()
        let counter = cpu.timeStampCounter
        if apic.advanceTimer(nowNanoseconds: time, guestTSC: counter) { post(UInt32(APUS_PENDING_INTERRUPT)) }
        var due = UInt64.max
        switch apic.nextDeadline {
        case .nanoseconds(let at): due = HostClock.monotonic &+ (at > time ? at - time : 0)
        case .guestTSC(let at):
            let ticks = at > counter ? at - counter : 0
            let (product, overflow) = ticks.multipliedReportingOverflow(by: 1_000_000)
            due = overflow ? .max : HostClock.monotonic &+ product / frequency
        case nil: break
        }
        deadline.store(due, ordering: .sequentiallyConsistent)
        if due != .max { timer.deadlineChanged(due) }
    }

    /// What CPUID shows of the changing state.
    var cpuidState: ResolvedCPU.State {
        ResolvedCPU.State(
            osxsave: cpu.cr4 & CR4.osxsave != 0, ospke: cpu.cr4 & CR4.pke != 0, isAPICEnabled: apic.mode != .disabled,
            xcr0: cpu.xcr0, apicID: apicID)
    }

    /// Reads the physical map anew, as the mode has it.
    func loadRanges() {
        view = cpu.isInManagement ? memory.managementView : memory.view
        storage.setRanges(view)
        cpu.flushTLB()
    }

    // MARK: State

    public var state: apus_x86_state {
        get {
            unsafe cpu.p.pointee.s.rflags = cpu.rflags
            return unsafe cpu.p.pointee.s
        }
        set {
            unsafe cpu.p.pointee.s = newValue
            // States of older releases do not say.
            if newValue.smbase == 0 { unsafe cpu.p.pointee.s.smbase = CPU.initialSMBASE }
            cpu.rflags = newValue.rflags
            cpu.sanitizeVectorState()
            loadRanges()
            cpu.forgetCode()
            cpu.updateMode()
            if cpu.paging == 3 { try? cpu.loadPDPTEs(newValue.cr3) }
            cpu.maskedEvents = true
        }
    }

    public var isInManagement: Bool { cpu.isInManagement }
    public var hasOutstandingAccess: Bool { outstanding != .none || (unsafe cpu.p.pointee.reply_count) != 0 }

    public func reset() {
        unsafe apus_vcpu_clear(cpu.p, ~UInt32(APUS_PENDING_KICK))
        outstanding = .none
        cpu.commitReplies()
        cpu.powerOn(model: model)
        // It is in no mode of its own any more.
        loadRanges()
        if cpu.traces(.resets) { trace.emit("CPU Reset (CPU \(index))\n" + cpu.registerText(floating: false)) }
        unsafe cpu.p.pointee.s.tsc_offset = initialOffset
        apic.reset(id: apicID, bootProcessor: index == 0)
        mailbox.withLock { $0 = [] }
        endedInterrupts = []
        fetcher.reset(cpu)
        deadline.store(.max, ordering: .sequentiallyConsistent)
        if externalInterruptIsUp { post(UInt32(APUS_PENDING_EXTINT)) }
    }

    // MARK: Translation

    @inline(never) func makeTranslator() {
        guard let wanted = translation else { return }
        translation = nil
        fetcher.translator = try? storage.makeTranslator(
            wanted.threshold, promotion: wanted.promotion, capacity: wanted.capacity, isTagged: wanted.isTagged)
        fetcher.translator?.perfMap = wanted.perfMap
        if wanted.isVerified && fetcher.translator != nil { fetcher.verifier = Verifier() }
    }

    /// The same now, with a parent's code. False where the two are not alike; throws where it cannot lie where it lay.
    func makeTranslator(from parent: FrozenCode.Processor, of files: [HostOS.Descriptor]) throws(HostError) -> Bool {
        guard let wanted = translation, !wanted.isVerified, wanted.perfMap == nil,
            Translator.capacity(wanted.capacity) == parent.capacity
        else { return false }
        fetcher.translator = try storage.makeTranslator(
            wanted.threshold, promotion: wanted.promotion, capacity: wanted.capacity,
            isTagged: parent.isTagged != 0, from: parent, of: files)
        translation = nil
        return true
    }

    /// Drops translated code and its address space: from now on all is interpreted.
    func releaseTranslator() {
        translation = nil
        fetcher.reset(cpu)
        unsafe cpu.p.pointee.flat_tables = nil
        fetcher.translator = nil
    }

    // MARK: Exits

    public func complete(read value: UInt64) {
        guard outstanding == .read else { return }
        cpu.recordReply(value)
        outstanding = .none
    }

    public func acknowledge(vector: UInt8?) {
        guard let vector else { return }
        cpu.deliverInterrupt(vector)
    }

    public func run() -> Exit {
        if outstanding == .write {
            cpu.recordReply(0)
            outstanding = .none
        }
        if translation != nil { makeTranslator() }
        checkPVClock()
        if let instructionTime { setLimit(instructionTime) }
        let exit = cpu.execute(self)
        cpu.saveX87()
        exits.count(exit)
        switch exit {
        case .portRead, .mmioRead: outstanding = .read
        case .portWrite, .mmioWrite: outstanding = .write
        default: break
        }
        return exit
    }
}

extension CPU {
    /// The object that this processor's structure belongs to.
    var owner: SoftwareProcessor {
        // SAFETY: set once by the initialiser, and the object owns the structure.
        unsafe unsafeBitCast(p.pointee.engine.unsafelyUnwrapped, to: SoftwareProcessor.self)
    }
    var paging: UInt8 { unsafe p.pointee.paging }
}

extension SoftwareProcessor {
    /// The local APIC; its timer's deadline is in virtual nanoseconds. What comes in is made possible first, and the
    /// APIC ID stays. For the processor's thread, or others while it is outside `run`.
    public var localAPIC: apus_local_apic {
        get { unsafe apic.state.pointee }
        set {
            let id = unsafe apic.state.pointee.id
            unsafe apic.state.pointee = newValue
            unsafe apic.state.pointee.id = id
            apic.sanitize()
            post(UInt32(APUS_PENDING_INTERRUPT))
            advanceTimer()
        }
    }
}
