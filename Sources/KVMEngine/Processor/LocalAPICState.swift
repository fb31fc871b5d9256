public import CEngine
internal import CLinux
internal import HostOS
internal import LocalAPIC

// KVM's local APIC and the neutral one, each into the other. KVM keeps a page of registers at their offsets in memory
// (SDM volume 3, table 11-1), IA32_APIC_BASE with the special registers, and the deadline with the model-specific ones.
extension HardwareProcessor {
    /// The local APIC. `now` is virtual time in nanoseconds, to which its timer's deadline is told. For the
    /// processor's thread, or others while it is outside `run`.
    public func localAPIC(now: UInt64) throws(KVMError) -> apus_local_apic {
        if let local { return local.state(now: now) }
        do throws(HostError) {
            var registers = kvm_lapic_state()
            try control.exchange(APUS_KVM_GET_LAPIC, &registers, "read the local APIC")
            var special = kvm_sregs()
            try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
            var state = registers.neutral(now: now)
            state.base = special.apic_base
            state.id = apicID
            if state.base & APICRegisters.extended != 0 { state.ldr = 0 }
            if state.hasDeadlineTimer {
                state.tsc_deadline = (RegisterExchange.read([0x6E0], control).first ?? nil) ?? 0
            }
            return state
        } catch { throw .failed(error) }
    }

    /// Sets the local APIC. What is in no APIC's power (reserved bits) goes; the APIC ID stays.
    public func setLocalAPIC(_ state: apus_local_apic, now: UInt64) throws(KVMError) {
        do throws(HostError) {
            var special = kvm_sregs()
            try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
            local?.set(state, now: now)
            special.apic_base = local?.apic.base ?? state.base
            try control.exchange(APUS_KVM_SET_SREGS, &special, "set the local APIC's base")
            guard local == nil else { return }
            var registers = kvm_lapic_state()
            try control.exchange(APUS_KVM_GET_LAPIC, &registers, "read the local APIC")
            registers.set(state, now: now)
            try control.send(APUS_KVM_SET_LAPIC, registers, "set the local APIC")
            if state.hasDeadlineTimer { RegisterExchange.write([(number: 0x6E0, value: state.tsc_deadline)], control) }
        } catch { throw .failed(error) }
    }
}

/// Offsets of the registers.
private enum APICRegisters {
    static let extended: UInt64 = 1 << 10
    static let (taskPriority, logical, format, spurious) = (0x80, 0xD0, 0xE0, 0xF0)
    static let (inService, trigger, request, error) = (0x100, 0x180, 0x200, 0x280)
    static let (commandLow, commandHigh) = (0x300, 0x310)
    static let (initialCount, currentCount, divide) = (0x380, 0x390, 0x3E0)
    /// In the neutral state's order.
    static let localVectors = [0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x2F0]
    static let masked: UInt32 = 1 << 16
}

extension apus_local_apic {
    /// The timer compares with the time-stamp counter.
    fileprivate var hasDeadlineTimer: Bool { lvt.0 >> 17 & 3 == 2 }
    /// The timer counts one in so many nanoseconds, as a shift (SDM volume 3, figure 11-10).
    fileprivate var divideShift: UInt32 { ((timer_divide & 3 | timer_divide >> 1 & 4) &+ 1) & 7 }
}

extension kvm_lapic_state {
    private subscript(_ offset: Int) -> UInt32 {
        get {
            // SAFETY: the offsets are below 1024, the size of the array, and multiples of 4.
            unsafe withUnsafeBytes(of: regs) { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        }
        set {
            unsafe withUnsafeMutableBytes(of: &regs) {
                unsafe $0.storeBytes(of: newValue, toByteOffset: offset, as: UInt32.self)
            }
        }
    }

    fileprivate func neutral(now: UInt64) -> apus_local_apic {
        typealias R = APICRegisters
        func words(_ start: Int) -> (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) {
            func word(_ index: Int) -> UInt32 { self[start + index * 16] }
            return (word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
        }
        var state = apus_local_apic()
        state.irr = words(R.request)
        state.tmr = words(R.trigger)
        state.isr = words(R.inService)
        state.tpr = self[R.taskPriority]
        state.ldr = self[R.logical]
        state.dfr = self[R.format]
        state.svr = self[R.spurious]
        state.esr = self[R.error]
        state.icr_low = self[R.commandLow]
        state.icr_high = self[R.commandHigh]
        let v = R.localVectors.map { self[$0] }
        // An APIC without the last one reads 0 there.
        state.lvt = (v[0], v[1], v[2], v[3], v[4], v[5], v[6] == 0 ? R.masked : v[6])
        state.timer_divide = self[R.divide] & 0xB
        if !state.hasDeadlineTimer {
            state.timer_initial = self[R.initialCount]
            let left = UInt64(self[R.currentCount]) << UInt64(state.divideShift)
            state.timer_deadline_ns = left == 0 ? 0 : now &+ left
        }
        return state
    }

    fileprivate mutating func set(_ state: apus_local_apic, now: UInt64) {
        typealias R = APICRegisters
        func put(
            _ start: Int, _ words: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32), _ to: inout Self
        ) {
            let list = [words.0, words.1, words.2, words.3, words.4, words.5, words.6, words.7]
            // The first 16 vectors are no interrupts.
            for (index, word) in list.enumerated() { to[start + index * 16] = index == 0 ? word & ~0xFFFF : word }
        }
        put(R.request, state.irr, &self)
        put(R.trigger, state.tmr, &self)
        put(R.inService, state.isr, &self)
        self[R.taskPriority] = state.tpr & 0xFF
        // In the extended mode KVM derives the logical ID itself.
        if state.base & R.extended == 0 {
            self[R.logical] = state.ldr & 0xFF00_0000
            self[R.format] = state.dfr | 0x0FFF_FFFF
        }
        self[R.spurious] = state.svr & 0x1FF
        self[R.error] = state.esr & 0xE0
        self[R.commandLow] = state.icr_low & 0xC_CFFF
        self[R.commandHigh] = state.base & R.extended == 0 ? state.icr_high & 0xFF00_0000 : state.icr_high
        let lvt = [state.lvt.0, state.lvt.1, state.lvt.2, state.lvt.3, state.lvt.4, state.lvt.5]
        for (offset, value) in zip(R.localVectors, lvt) { self[offset] = value & 0x7_FFFF }
        self[R.divide] = state.timer_divide & 0xB
        self[R.initialCount] = state.hasDeadlineTimer ? 0 : state.timer_initial
        let left = state.timer_deadline_ns > now ? state.timer_deadline_ns - now : state.timer_deadline_ns == 0 ? 0 : 1
        let shift = UInt64(state.divideShift)
        self[R.currentCount] = state.hasDeadlineTimer ? 0 : UInt32(clamping: (left + (1 << shift) - 1) >> shift)
    }
}
