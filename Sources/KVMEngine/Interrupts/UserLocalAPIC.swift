internal import CEngine
internal import HostOS
internal import LocalAPIC
internal import Synchronization

/// The local APIC of a processor of a machine whose interrupt controllers are all this process's
/// (`kernel-irqchip=off`), with what KVM does not do then either: halting, and waiting for a start-up message.
///
/// Messages come from any thread; the rest is the processor's thread's, or others' while it is outside `run`.
@safe final class UserLocalAPIC: @unchecked Sendable {
    let apic: APIC
    /// Rung by messages, for a processor that halts.
    let bell = Bell()
    /// HLT was executed and nothing came since.
    var isHalted = false
    /// INIT came and no start-up message.
    var waitsForStart = false
    /// What the run page says of interrupts is of another state than the present one.
    var isWindowStale = true
    /// RFLAGS.IF, as far as it is known outside of KVM.
    var interruptFlag = false
    /// The page of the last start-up message.
    private let startVector = Atomic<UInt8>(0)
    private let messages = Atomic<UInt32>(0)
    /// When the timer is due, by the host's monotonic clock.
    let due = Atomic<UInt64>(.max)
    private weak var processor: HardwareProcessor?
    private let timers: LocalTimers
    private let storage: UnsafeMutablePointer<apus_local_apic>

    /// What came for the processor.
    enum Message {
        static let initialize: UInt32 = 1
        static let startUp: UInt32 = 2
        static let timer: UInt32 = 4
    }

    init(_ timers: LocalTimers) {
        self.timers = timers
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: apus_local_apic())
        // SAFETY: the memory lives as long as this object, and so as long as its APIC is used.
        apic = unsafe APIC(storage)
    }
    deinit { unsafe storage.deallocate() }

    func connect(_ processor: HardwareProcessor) { self.processor = processor }

    // MARK: Any thread

    /// Takes an interrupt message that reaches this processor.
    func receive(_ message: InterruptMessage) {
        switch message.deliveryMode {
        case .fixed, .lowestPriority:
            _ = apic.post(vector: message.vector, levelTriggered: message.isLevelTriggered)
            tell(0)
        case .nonMaskable: processor?.injectNMI()
        case .initialize:
            // It makes an earlier start-up message void.
            messages.bitwiseAnd(~Message.startUp, ordering: .sequentiallyConsistent)
            tell(Message.initialize)
        case .startUp: start(at: message.vector)
        case .external: tell(0)
        case .systemManagement: break
        }
    }
    func start(at vector: UInt8) {
        startVector.store(vector, ordering: .releasing)
        tell(Message.startUp)
    }
    /// Has the processor look.
    func tell(_ message: UInt32) {
        messages.bitwiseOr(message, ordering: .sequentiallyConsistent)
        processor?.lookAtLocalAPIC()
    }

    // MARK: Its own thread

    func takeMessages() -> UInt32 { messages.exchange(0, ordering: .sequentiallyConsistent) }
    /// A start-up message that was not looked at yet.
    var pendingStart: UInt8? {
        messages.load(ordering: .sequentiallyConsistent) & Message.startUp != 0 ? startPage : nil
    }
    var startPage: UInt8 { startVector.load(ordering: .acquiring) }

    func reset(id: UInt32, bootProcessor: Bool) {
        _ = takeMessages()
        apic.reset(id: id, bootProcessor: bootProcessor)
        isWindowStale = true
        arm()
    }

    /// Requests the timer's interrupt where it is due, and sets the next time.
    func advanceTimer() {
        apic.advanceTimer(nowNanoseconds: HostClock.monotonic, guestTSC: 0)
        arm()
    }
    /// Sets when the timer is due next. The deadline mode is offered to no guest.
    func arm() {
        var time = UInt64.max
        if case .nanoseconds(let at)? = apic.nextDeadline { time = at }
        due.store(time, ordering: .sequentiallyConsistent)
        if time != .max { timers.changed() }
    }
    /// The timer stands still while the machine does.
    func disarm() { due.store(.max, ordering: .sequentiallyConsistent) }
    /// It goes on after a pause.
    func shift(by nanoseconds: UInt64) {
        if unsafe storage.pointee.timer_deadline_ns != 0 { unsafe storage.pointee.timer_deadline_ns &+= nanoseconds }
        arm()
    }

    /// Whether device memory at an address is the APIC's page.
    func owns(_ address: UInt64) -> Bool {
        address & ~0xFFF == apic.base & 0xF_FFFF_FFFF_F000 && apic.mode == .xAPIC
    }
    /// A read of its page. Registers have 32 bits every 16 bytes; other accesses read part of one, or zero.
    func read(_ address: UInt64, size: Int) -> UInt64 {
        let within = address & 15
        guard within < 4 else { return 0 }
        let value = apic.read(offset: UInt32(address & 0xFF0), now: HostClock.monotonic)
        return UInt64(value) >> (within * 8)
    }
    func write(_ address: UInt64, _ value: UInt64) -> APIC.Effect {
        guard address & 15 == 0 else { return .nothing }
        return apic.write(
            offset: UInt32(address & 0xFF0), value: UInt32(truncatingIfNeeded: value), now: HostClock.monotonic, tsc: 0)
    }

    /// The neutral state, with the timer's deadline in virtual time.
    func state(now: UInt64) -> apus_local_apic {
        var state = unsafe storage.pointee
        if state.timer_deadline_ns != 0 {
            let time = HostClock.monotonic
            state.timer_deadline_ns = now &+ (state.timer_deadline_ns > time ? state.timer_deadline_ns - time : 0)
            if state.timer_deadline_ns == 0 { state.timer_deadline_ns = 1 }
        }
        return state
    }
    /// Sets it. What is in no APIC's power goes; the APIC ID stays, and there is no deadline mode.
    func set(_ new: apus_local_apic, now: UInt64) {
        var state = new
        state.id = unsafe storage.pointee.id
        if state.timer_deadline_ns != 0 {
            let left = state.timer_deadline_ns > now ? state.timer_deadline_ns - now : 0
            state.timer_deadline_ns = max(1, HostClock.monotonic.addingReportingOverflow(left).partialValue)
        }
        unsafe storage.pointee = state
        apic.sanitize()
        arm()
    }
}

/// Delivers interrupt messages to such APICs. Any thread.
final class LocalAPICRouter: Sendable {
    let apics: [UserLocalAPIC]
    private let arbitration = Mutex(-1)

    init(_ apics: [UserLocalAPIC]) { self.apics = apics }

    func deliver(_ message: InterruptMessage, from sender: Int?) {
        func reached(_ index: Int) -> Bool {
            message.reaches(apics[index].apic.identity, isSender: index == sender)
        }
        guard message.deliveryMode == .lowestPriority else {
            for index in apics.indices where reached(index) { apics[index].receive(message) }
            return
        }
        arbitration.withLock { last in
            var round = LowestPriorityArbitration(after: last)
            for index in apics.indices where reached(index) {
                round.consider(index, priority: apics[index].apic.processorPriority)
            }
            guard let winner = round.winner else { return }
            last = winner
            apics[winner].receive(message)
        }
    }
}

/// A thread that tells such APICs when their timers are due.
final class LocalTimers: Sendable {
    private let bell = Bell()
    private let isOver = Atomic<Bool>(false)

    func start(_ apics: [UserLocalAPIC]) throws(HostError) {
        let (timers, list) = (self, apics.map { Weak($0) })
        _ = try HostThread(name: "apic timers") { timers.serve(list) }
    }
    private struct Weak: Sendable {
        weak let apic: UserLocalAPIC?
        init(_ apic: UserLocalAPIC) { self.apic = apic }
    }

    /// A timer is due at another time now.
    func changed() { bell.ring() }
    func stop() {
        isOver.store(true, ordering: .releasing)
        bell.ring()
    }

    private func serve(_ apics: [Weak]) {
        while !isOver.load(ordering: .acquiring) {
            let now = HostClock.monotonic
            var next = UInt64.max
            for apic in apics.lazy.compactMap(\.apic) {
                let due = apic.due.load(ordering: .sequentiallyConsistent)
                guard due <= now else {
                    next = min(next, due)
                    continue
                }
                if apic.due.compareExchange(expected: due, desired: .max, ordering: .sequentiallyConsistent).exchanged {
                    apic.tell(UserLocalAPIC.Message.timer)
                }
            }
            bell.wait(nanoseconds: next == .max ? nil : next - now)
        }
    }
}
