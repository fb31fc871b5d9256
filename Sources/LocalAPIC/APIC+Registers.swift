internal import CEngine

/// Offsets of the registers in the APIC's page (11.4.1, table 11-1). The MSR of x2APIC mode is 0x800 + offset / 16.
public enum APICRegister {
    /// APIC ID.
    public static let id: UInt32 = 0x020
    /// Version.
    public static let version: UInt32 = 0x030
    /// Task priority.
    public static let taskPriority: UInt32 = 0x080
    /// Arbitration priority: absent since Pentium 4, reads as zero.
    public static let arbitrationPriority: UInt32 = 0x090
    /// Processor priority.
    public static let processorPriority: UInt32 = 0x0A0
    /// End of interrupt.
    public static let endOfInterrupt: UInt32 = 0x0B0
    /// Remote read: absent since Pentium 4, reads as zero.
    public static let remoteRead: UInt32 = 0x0C0
    /// Logical destination.
    public static let logicalDestination: UInt32 = 0x0D0
    /// Destination format.
    public static let destinationFormat: UInt32 = 0x0E0
    /// Spurious-interrupt vector.
    public static let spurious: UInt32 = 0x0F0
    /// First of eight words: vectors in service.
    public static let inService: UInt32 = 0x100
    /// First of eight words: vectors that are level-triggered.
    public static let triggerMode: UInt32 = 0x180
    /// First of eight words: vectors requested.
    public static let interruptRequest: UInt32 = 0x200
    /// Error status.
    public static let errorStatus: UInt32 = 0x280
    /// Local vector table: corrected machine checks.
    public static let lvtCMCI: UInt32 = 0x2F0
    /// Interrupt command, low half; in x2APIC mode all 64 bits.
    public static let interruptCommandLow: UInt32 = 0x300
    /// Interrupt command, high half.
    public static let interruptCommandHigh: UInt32 = 0x310
    /// Local vector table: timer, thermal, performance, LINT0, LINT1 and error follow each other.
    public static let lvtTimer: UInt32 = 0x320
    /// The last of these, the error entry.
    public static let lvtError: UInt32 = 0x370
    /// Timer: initial count.
    public static let timerInitial: UInt32 = 0x380
    /// Timer: current count.
    public static let timerCurrent: UInt32 = 0x390
    /// Timer: divide configuration.
    public static let timerDivide: UInt32 = 0x3E0
    /// Self IPI, in x2APIC mode only.
    public static let selfIPI: UInt32 = 0x3F0

    /// The local vector table's entry at an offset.
    static func lvtIndex(_ offset: UInt32) -> Int? {
        switch offset {
        case lvtCMCI: Int(APUS_LVT_CMCI)
        case lvtTimer...lvtError: Int(offset &- lvtTimer) >> 4
        default: nil
        }
    }
}

extension APIC {
    /// What the version register shows: an integrated APIC (14H) with seven entries in its vector table (11.4.8).
    static let version: UInt32 = 0x0006_0014

    /// A 32-bit read of the register page in xAPIC mode. `offset` is that in the page; `now` is the virtual time in
    /// nanoseconds, which the current count follows. What there is not reads as zero and is an error of the ESR.
    public func read(offset: UInt32, now: UInt64) -> UInt32 {
        guard offset & 15 == 0, let value = register(offset, now: now) else {
            recordError(APICError.illegalRegister)
            return 0
        }
        return value
    }

    /// A 32-bit write of the register page in xAPIC mode. `now` is the virtual time in nanoseconds, `tsc` the guest's
    /// time-stamp counter. What there is not is an error of the ESR.
    public func write(offset: UInt32, value: UInt32, now: UInt64, tsc: UInt64) -> Effect {
        switch offset {
        case APICRegister.endOfInterrupt:
            return endOfInterrupt()
        case APICRegister.taskPriority:
            taskPriority = UInt8(truncatingIfNeeded: value)
        case APICRegister.logicalDestination:
            logicalDestination = value & 0xFF00_0000
        case APICRegister.destinationFormat:
            destinationFormat = value | 0x0FFF_FFFF
        case APICRegister.interruptCommandHigh:
            icrHigh = value & 0xFF00_0000
        case APICRegister.interruptCommandLow:
            icrLow = value & APIC.icrWritable
            return sendCommand(destination: icrHigh >> 24, isWide: false)
        case APICRegister.id:
            // Processors since the Pentium 4 keep it; those before, and hypervisors, let software change it.
            id = value >> 24
        case APICRegister.version, APICRegister.processorPriority,
            APICRegister.arbitrationPriority, APICRegister.remoteRead, APICRegister.timerCurrent,
            APICRegister.inService..<APICRegister.errorStatus where offset & 15 == 0:
            break  // read-only
        default:
            guard let effect = writeShared(offset, value: value, now: now, tsc: tsc) else {
                recordError(APICError.illegalRegister)
                return Effect.nothing
            }
            return effect
        }
        return Effect.nothing
    }

    /// A register as both modes read it; nil where there is none. `offset` is a multiple of 16.
    func register(_ offset: UInt32, now: UInt64) -> UInt32? {
        if let entry = APICRegister.lvtIndex(offset) { return lvt(entry) }
        let isX2 = mode == Mode.x2APIC
        switch offset {
        case APICRegister.id: return isX2 ? id : id << 24
        case APICRegister.version: return APIC.version
        case APICRegister.taskPriority: return UInt32(taskPriority)
        case APICRegister.processorPriority: return UInt32(processorPriority)
        case APICRegister.logicalDestination: return isX2 ? APIC.x2LogicalID(id) : logicalDestination
        case APICRegister.spurious: return spurious
        case APICRegister.inService..<APICRegister.errorStatus: return vectorWord(offset)
        case APICRegister.errorStatus: return errors
        case APICRegister.interruptCommandLow: return icrLow
        case APICRegister.timerInitial: return timerInitial
        case APICRegister.timerCurrent: return currentCount(now: now)
        case APICRegister.timerDivide: return timerDivide
        case APICRegister.arbitrationPriority, APICRegister.remoteRead, APICRegister.endOfInterrupt:
            return isX2 ? nil : 0
        case APICRegister.destinationFormat: return isX2 ? nil : destinationFormat
        case APICRegister.interruptCommandHigh: return isX2 ? nil : icrHigh
        default: return nil
        }
    }

    /// A write that both modes do alike, with reserved bits taken away; nil where there is no such register.
    func writeShared(_ offset: UInt32, value: UInt32, now: UInt64, tsc: UInt64) -> Effect? {
        switch offset {
        case APICRegister.spurious:
            writeSpurious(value)
        case APICRegister.errorStatus:
            latchErrors()
        case APICRegister.timerInitial:
            return writeInitialCount(value, now: now)
        case APICRegister.timerDivide:
            return writeDivide(value, now: now)
        case APICRegister.lvtTimer:
            return writeTimerEntry(value, now: now, tsc: tsc)
        default:
            guard let entry = APICRegister.lvtIndex(offset) else { return nil }
            setLVT(entry, maskedByEnable(value & LVT.writable(entry)))
        }
        return Effect.nothing
    }

    /// Entries of the vector table stay masked while the APIC is disabled by software (11.4.7.2).
    func maskedByEnable(_ entry: UInt32) -> UInt32 {
        spurious & SpuriousVector.enable == 0 ? entry | LVT.masked : entry
    }

    private func writeSpurious(_ value: UInt32) {
        spurious = value & SpuriousVector.writable
        guard spurious & SpuriousVector.enable == 0 else { return }
        for entry in 0..<APIC.lvtCount { setLVT(entry, lvt(entry) | LVT.masked) }
    }
}

extension APIC {
    /// Bits of the ICR's low half that keep what is written; the delivery status (12) is always idle.
    static let icrWritable: UInt32 = 0x000C_CFFF

    /// Sends what stands in the ICR (11.6.1). A message to this processor alone is requested here.
    func sendCommand(destination: UInt32, isWide: Bool) -> Effect {
        guard let message = InterruptMessage(icrLow: icrLow, destination: destination, isWide: isWide) else {
            return Effect.nothing
        }
        switch message.deliveryMode {
        case InterruptMessage.DeliveryMode.fixed, InterruptMessage.DeliveryMode.lowestPriority:
            guard message.vector >= 16 else {
                recordError(APICError.sendIllegalVector)
                return Effect.nothing
            }
            guard message.shorthand != InterruptMessage.Shorthand.selfOnly else {
                post(vector: message.vector)
                return Effect.nothing
            }
        default:
            break
        }
        return Effect.interprocessorInterrupt(message)
    }
}
