public import CEngine

// SAFETY of every access here: the initialiser's contract says that `state` stays valid; fields that other threads may
// read are loaded and stored atomically, arrays are indexed within their eight or seven elements.

extension APIC {
    /// Entries of the local vector table.
    static let lvtCount = 7

    /// IA32_APIC_BASE. Any thread reads; it is written by `writeBase`.
    public internal(set) var base: UInt64 {
        @inlinable get { unsafe apus_apic_base(state) }
        nonmutating set { unsafe apus_apic_set_base(state, newValue) }
    }
    /// The initial APIC ID, all 32 bits of the x2APIC ID. Any thread reads.
    public internal(set) var id: UInt32 {
        @inlinable get { unsafe apus_apic_id(state) }
        nonmutating set { unsafe apus_apic_set_id(state, newValue) }
    }
    /// The task-priority register, 0...255 (11.8.3.1).
    public var taskPriority: UInt8 {
        @inlinable get { UInt8(truncatingIfNeeded: unsafe apus_apic_tpr(state)) }
        @inlinable nonmutating set { unsafe apus_apic_set_tpr(state, UInt32(newValue)) }
    }
    /// CR8: the class of the task priority, 0...15 (11.8.6). Higher bits of a new value are ignored; that they are
    /// reserved is the MOV's business.
    public var cr8: UInt64 {
        @inlinable get { UInt64(taskPriority >> 4) }
        @inlinable nonmutating set { taskPriority = UInt8(truncatingIfNeeded: (newValue & 15) << 4) }
    }
    /// The logical destination register of xAPIC mode.
    var logicalDestination: UInt32 {
        get { unsafe apus_apic_ldr(state) }
        nonmutating set { unsafe apus_apic_set_ldr(state, newValue) }
    }
    /// The destination format register.
    var destinationFormat: UInt32 {
        get { unsafe apus_apic_dfr(state) }
        nonmutating set { unsafe apus_apic_set_dfr(state, newValue) }
    }
    /// The spurious-interrupt vector register.
    @usableFromInline var spurious: UInt32 {
        @inlinable get { unsafe apus_apic_svr(state) }
        nonmutating set { unsafe apus_apic_set_svr(state, newValue) }
    }

    /// Entry `index` (APUS_LVT_*) of the local vector table.
    func lvt(_ index: Int) -> UInt32 { unsafe apus_atomic_load32(apus_apic_lvt(state) + index) }
    /// Replaces entry `index`.
    func setLVT(_ index: Int, _ value: UInt32) { unsafe apus_atomic_store32(apus_apic_lvt(state) + index, value) }

    /// The highest vector in the IRR, or -1. Any thread.
    @inlinable var highestRequested: Int { unsafe APIC.highestBit(apus_apic_irr(state)) }
    /// The highest vector in the ISR, or -1. Any thread.
    @inlinable var highestInService: Int { unsafe APIC.highestBit(apus_apic_isr(state)) }

    /// The number of the highest bit in 256, or -1.
    @inlinable static func highestBit(_ words: UnsafeMutablePointer<UInt32>) -> Int {
        var index = 7
        while index >= 0 {
            let word = unsafe apus_atomic_load32(words + index)
            if word != 0 { return index &* 32 &+ 31 &- word.leadingZeroBitCount }
            index &-= 1
        }
        return -1
    }

    /// Moves a vector from the IRR to the ISR.
    @inlinable func beginService(_ vector: UInt8) {
        let (word, bit) = (Int(vector >> 5), UInt32(1) << UInt32(vector & 31))
        unsafe apus_atomic_and32(apus_apic_irr(state) + word, ~bit)
        unsafe apus_atomic_store32(apus_apic_isr(state) + word, (apus_apic_isr(state) + word).pointee | bit)
    }
    /// Takes a vector out of the ISR. True where it was level-triggered.
    @inlinable func endService(_ vector: UInt8) -> Bool {
        let (word, bit) = (Int(vector >> 5), UInt32(1) << UInt32(vector & 31))
        unsafe apus_atomic_store32(apus_apic_isr(state) + word, (apus_apic_isr(state) + word).pointee & ~bit)
        return unsafe apus_atomic_load32(apus_apic_tmr(state) + word) & bit != 0
    }
    /// Puts a vector into the IRR, its trigger mode into the TMR before. True where it was not there yet. Any thread.
    @inlinable func request(_ vector: UInt8, levelTriggered: Bool) -> Bool {
        let (word, bit) = (Int(vector >> 5), UInt32(1) << UInt32(vector & 31))
        let trigger = unsafe apus_apic_tmr(state) + word
        if (unsafe apus_atomic_load32(trigger) & bit != 0) != levelTriggered {
            if levelTriggered {
                unsafe apus_atomic_or32(trigger, bit)
            } else {
                unsafe apus_atomic_and32(trigger, ~bit)
            }
        }
        return unsafe apus_atomic_or32(apus_apic_irr(state) + word, bit) & bit == 0
    }
    /// Word `index & 7` of one of the 256-bit registers at `offset`.
    func vectorWord(_ offset: UInt32) -> UInt32 {
        let word = Int(offset >> 4) & 7
        return switch offset & 0xF80 {
        case APICRegister.inService: unsafe apus_atomic_load32(apus_apic_isr(state) + word)
        case APICRegister.triggerMode: unsafe apus_atomic_load32(apus_apic_tmr(state) + word)
        default: unsafe apus_atomic_load32(apus_apic_irr(state) + word)
        }
    }

    /// Adds error bits to those that the next write of the ESR shows. The bits that were not set before. Any thread.
    func collectErrors(_ bits: UInt32) -> UInt32 {
        bits & ~(unsafe apus_atomic_or32(apus_apic_esr_shadow(state), bits))
    }
    /// Latches the collected errors into the register that software reads.
    func latchErrors() { unsafe state.pointee.esr = apus_atomic_exchange32(apus_apic_esr_shadow(state), 0) }
    /// The error register as last latched.
    var errors: UInt32 { unsafe state.pointee.esr }

    var icrLow: UInt32 {
        get { unsafe state.pointee.icr_low }
        nonmutating set { unsafe state.pointee.icr_low = newValue }
    }
    var icrHigh: UInt32 {
        get { unsafe state.pointee.icr_high }
        nonmutating set { unsafe state.pointee.icr_high = newValue }
    }
    var timerDivide: UInt32 {
        get { unsafe state.pointee.timer_divide }
        nonmutating set { unsafe state.pointee.timer_divide = newValue }
    }
    var timerInitial: UInt32 {
        get { unsafe state.pointee.timer_initial }
        nonmutating set { unsafe state.pointee.timer_initial = newValue }
    }
    /// Virtual nanoseconds at which the count reaches zero; 0 where it does not run.
    var timerDeadline: UInt64 {
        get { unsafe state.pointee.timer_deadline_ns }
        nonmutating set { unsafe state.pointee.timer_deadline_ns = newValue }
    }
    /// IA32_TSC_DEADLINE; 0 where it is disarmed.
    var tscDeadline: UInt64 {
        get { unsafe state.pointee.tsc_deadline }
        nonmutating set { unsafe state.pointee.tsc_deadline = newValue }
    }
}
