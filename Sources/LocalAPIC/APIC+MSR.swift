internal import CEngine

extension APIC {
    /// The MSRs of x2APIC mode.
    public static let msrRange: ClosedRange<UInt32> = 0x800...0x83F

    /// RDMSR of an x2APIC register, 0x800...0x83F (11.12.1.2). Nil is #GP(0): not in x2APIC mode, no such register,
    /// or one that is only written. `now` is the virtual time in nanoseconds.
    public func readMSR(_ number: UInt32, now: UInt64) -> UInt64? {
        guard mode == Mode.x2APIC, APIC.msrRange.contains(number) else { return nil }
        let offset = (number & 0x3F) << 4
        guard let low = register(offset, now: now) else { return nil }
        guard offset == APICRegister.interruptCommandLow else { return UInt64(low) }
        return UInt64(icrHigh) << 32 | UInt64(low)
    }

    /// WRMSR of an x2APIC register. Nil is #GP(0): not in x2APIC mode, no such register, one that is only read, or a
    /// reserved bit set. `now` is the virtual time in nanoseconds, `tsc` the guest's time-stamp counter.
    public func writeMSR(_ number: UInt32, value: UInt64, now: UInt64, tsc: UInt64) -> Effect? {
        guard mode == Mode.x2APIC, APIC.msrRange.contains(number) else { return nil }
        let offset = (number & 0x3F) << 4
        guard value & ~APIC.acceptedBits(offset) == 0 else { return nil }
        let low = UInt32(truncatingIfNeeded: value)
        switch offset {
        case APICRegister.endOfInterrupt:
            return endOfInterrupt()
        case APICRegister.taskPriority:
            taskPriority = UInt8(truncatingIfNeeded: low)
            return Effect.nothing
        case APICRegister.interruptCommandLow:
            icrLow = low & APIC.icrWritable
            icrHigh = UInt32(truncatingIfNeeded: value >> 32)
            return sendCommand(destination: icrHigh, isWide: true)
        case APICRegister.selfIPI:
            if low < 16 { recordError(APICError.sendIllegalVector) } else { post(vector: UInt8(low)) }
            return Effect.nothing
        default:
            return writeShared(offset, value: low, now: now, tsc: tsc)
        }
    }

    /// The bits that a WRMSR may set without #GP.
    private static func acceptedBits(_ offset: UInt32) -> UInt64 {
        if let entry = APICRegister.lvtIndex(offset) { return UInt64(LVT.writable(entry) | LVT.ignored(entry)) }
        return switch offset {
        case APICRegister.taskPriority, APICRegister.selfIPI: 0xFF
        case APICRegister.spurious: UInt64(SpuriousVector.writable)
        case APICRegister.interruptCommandLow: 0xFFFF_FFFF_0000_0000 | UInt64(icrWritable | 1 << 12)
        case APICRegister.timerInitial: 0xFFFF_FFFF
        case APICRegister.timerDivide: 0xB
        default: 0  // EOI and ESR take zero only; the rest is refused afterwards
        }
    }

    /// WRMSR of IA32_APIC_BASE (11.4.4, 11.12.5). False is #GP(0): a reserved bit, or a change of mode that is not
    /// allowed. Registers are reset where the APIC is disabled; entering x2APIC mode keeps them but for the ICR's
    /// high half and the logical destination. The caller then maps the register page by `base` and `mode`.
    ///
    /// `physicalBits` is the width of physical addresses, 12...52; `offersX2APIC` says whether CPUID shows x2APIC.
    public func writeBase(_ value: UInt64, physicalBits: Int, offersX2APIC: Bool, initialID: UInt32? = nil) -> Bool {
        let width = UInt64(min(max(physicalBits, 32), 52))
        var allowed = ((1 << width) &- 0x1000) | APICBase.enable | APICBase.bootProcessor
        if offersX2APIC { allowed |= APICBase.extended }
        guard value & ~allowed == 0 else { return false }
        let isEnabled = value & APICBase.enable != 0
        let isExtended = value & APICBase.extended != 0
        guard isEnabled || !isExtended else { return false }
        let old = mode
        switch (old, isEnabled, isExtended) {
        case (Mode.disabled, true, true), (Mode.x2APIC, true, false): return false
        default: break
        }
        base = value
        // What software wrote to the ID register is gone with the registers, and x2APIC's cannot be written.
        if let initialID, mode != old { id = initialID }
        if old != Mode.disabled && !isEnabled { resetRegisters() }
        if old == Mode.xAPIC && isExtended {
            logicalDestination = 0
            icrHigh = 0
        }
        return true
    }
}
