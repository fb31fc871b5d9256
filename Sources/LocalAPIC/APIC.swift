public import CEngine

/// The logic of one processor's local APIC over its state in the processor's structure (Intel SDM volume 3,
/// chapter 11; section numbers below are of that chapter).
///
/// It holds no lock, no clock and no bus: registers go in, an `Effect` comes out, and the engine asks `pendingVector`
/// again after anything that may have changed it (a write, an expired timer, a post).
///
/// Threading: `post`, `recordError`, `identity` and `processorPriority` may be called by any thread; everything else
/// belongs to the processor's own thread, or to others while it does not run.
@safe public struct APIC {
    /// The state. The owner keeps it alive and in place as long as this value is used.
    public let state: UnsafeMutablePointer<apus_local_apic>

    /// The APIC whose state is at `pointer`.
    @inlinable public init(_ pointer: UnsafeMutablePointer<apus_local_apic>) { unsafe state = pointer }

    /// What a register write asks of the world outside.
    public enum Effect: Equatable, Sendable {
        /// Nothing more.
        case nothing
        /// Deliver this message to the processors that it reaches.
        case interprocessorInterrupt(InterruptMessage)
        /// Tell the IOAPICs that the level-triggered vector has ended.
        case endOfInterrupt(vector: UInt8)
        /// `nextDeadline` is another one now.
        case timerChanged
    }

    /// The modes of IA32_APIC_BASE (11.12.1).
    public enum Mode: Sendable {
        /// Globally disabled: the pins go to the processor's INTR and NMI.
        case disabled
        /// Registers in memory.
        case xAPIC
        /// Registers are MSRs.
        case x2APIC
    }
}

// SAFETY: the functions that are documented for any thread touch shared fields with atomic accesses only; the others
// are documented as the owning thread's.
extension APIC: @unchecked Sendable {}

/// Bits of IA32_APIC_BASE (11.4.4, 11.12.1).
public enum APICBase {
    /// Boot-strap processor.
    public static let bootProcessor: UInt64 = 1 << 8
    /// x2APIC mode.
    public static let extended: UInt64 = 1 << 10
    /// Global enable.
    public static let enable: UInt64 = 1 << 11
    /// Where the registers are after power-on.
    public static let defaultAddress: UInt64 = 0xFEE0_0000
}

extension APIC {
    /// State after power-on (11.4.7.1), with one addition: LINT0 of the boot processor passes the 8259A's interrupts
    /// (virtual wire, MultiProcessor Specification 3.6.2.2), as firmware leaves it, so that a kernel that is started
    /// without firmware finds its timer interrupt.
    public func reset(id: UInt32, bootProcessor: Bool) {
        self.id = id
        base = APICBase.defaultAddress | APICBase.enable | (bootProcessor ? APICBase.bootProcessor : 0)
        resetRegisters()
    }

    /// State after INIT (11.4.7.3): the APIC ID, the base address and the mode stay.
    public func initReset() { resetRegisters() }

    /// All registers but the ID and IA32_APIC_BASE.
    func resetRegisters() {
        // SAFETY: the three arrays have eight elements each.
        for word in 0..<8 {
            unsafe apus_atomic_store32(apus_apic_irr(state) + word, 0)
            unsafe apus_atomic_store32(apus_apic_tmr(state) + word, 0)
            unsafe apus_atomic_store32(apus_apic_isr(state) + word, 0)
        }
        taskPriority = 0
        logicalDestination = 0
        destinationFormat = 0xFFFF_FFFF
        spurious = 0xFF
        for entry in 0..<APIC.lvtCount { setLVT(entry, LVT.masked) }
        if base & APICBase.bootProcessor != 0 { setLVT(Int(APUS_LVT_LINT0), LVT.externalInterrupt) }
        // SAFETY: `state` is valid by the initialiser's contract, and these fields are the owning thread's.
        unsafe apus_atomic_store32(apus_apic_esr_shadow(state), 0)
        unsafe state.pointee.esr = 0
        unsafe state.pointee.icr_low = 0
        unsafe state.pointee.icr_high = 0
        unsafe state.pointee.timer_divide = 0
        unsafe state.pointee.timer_initial = 0
        unsafe state.pointee.timer_deadline_ns = 0
        unsafe state.pointee.tsc_deadline = 0
    }

    /// The mode that IA32_APIC_BASE gives. Any thread.
    public var mode: Mode { Mode(base: base) }

    /// Enabled globally and by the spurious-interrupt register: interrupts are accepted. Any thread.
    @inlinable public var isSoftwareEnabled: Bool {
        base & APICBase.enable != 0 && spurious & SpuriousVector.enable != 0
    }
}

extension APIC.Mode {
    /// The mode of a value of IA32_APIC_BASE; the invalid combination counts as disabled.
    init(base: UInt64) {
        self =
            switch (base & APICBase.enable != 0, base & APICBase.extended != 0) {
            case (true, true): APIC.Mode.x2APIC
            case (true, false): APIC.Mode.xAPIC
            default: APIC.Mode.disabled
            }
    }
}

/// Bits of the spurious-interrupt vector register (11.9).
public enum SpuriousVector {
    /// Software enable.
    public static let enable: UInt32 = 1 << 8
    /// Vector, software enable, and the focus bit that does nothing; EOI-broadcast suppression is not offered.
    static let writable: UInt32 = 0x3FF
}

/// Bits of the local vector table (11.5.1).
enum LVT {
    static let masked: UInt32 = 1 << 16
    static let deliveryMode: UInt32 = 7 << 8
    static let nonMaskable: UInt32 = 4 << 8
    static let externalInterrupt: UInt32 = 7 << 8
    static let timerMode: UInt32 = 3 << 17
    static let periodic: UInt32 = 1 << 17
    static let tscDeadline: UInt32 = 2 << 17

    /// The bits that software writes in entry `index` (APUS_LVT_*).
    static func writable(_ index: Int) -> UInt32 {
        switch index {
        case Int(APUS_LVT_TIMER): 0x700FF
        case Int(APUS_LVT_LINT0), Int(APUS_LVT_LINT1): 0x1A7FF
        case Int(APUS_LVT_ERROR): 0x100FF
        default: 0x107FF
        }
    }
    /// Bits that software may set without a fault but that the APIC alone changes: delivery status, remote IRR.
    static func ignored(_ index: Int) -> UInt32 {
        index == Int(APUS_LVT_LINT0) || index == Int(APUS_LVT_LINT1) ? 0x5000 : 0x1000
    }
}
