// Accesses to the registers. SDM chapter 13.
extension E1000Model {
    private typealias Register = E1000Register

    /// A driver's read of the dword at an offset; a multiple of 4.
    package mutating func read(_ offset: UInt32) -> UInt32 {
        switch offset {
        case Register.status: return status
        case Register.eepromControl: return eeprom.control
        case Register.mdiControl: return phy.mdi
        case Register.interruptCause:
            // Reading acknowledges everything.
            defer { causes = 0 }
            return causes
        case Register.interruptCauseSet, Register.interruptMaskClear: return 0
        case Register.interruptMaskSet: return mask
        case Self.firstStatistic...Self.lastStatistic: return takeStatistic(offset)
        case 0x0004: return self[Register.control]
        case 0..<UInt32(Self.wordCount * 4): return self[offset]
        default: return 0
        }
    }

    private var status: UInt32 {
        var value =
            E1000Status.fullDuplex | E1000Status.speed1000 | E1000Status.detectedSpeed1000 | E1000Status.clockOK
        if hasLink { value |= E1000Status.linkUp }
        return value
    }

    /// A driver's write of the dword at an offset, a multiple of 4.
    package mutating func write(_ offset: UInt32, _ value: UInt32) -> CardEffects {
        var effects = CardEffects()
        switch offset {
        case Register.control, 0x0004: effects.receives = setControl(value)
        case Register.eepromControl: eeprom.setControl(value)
        case Register.eepromRead: self[offset] = eeprom.fetch(value)
        case Register.mdiControl:
            let (interrupts, renegotiates) = phy.setMDI(value, hasLink: hasLink)
            if interrupts { causes |= E1000Cause.mdioDone }
            if renegotiates && hasLink { causes |= E1000Cause.linkChange }
        case Register.interruptCause: causes &= ~value
        case Register.interruptCauseSet: causes |= value & E1000Cause.all
        case Register.interruptMaskSet: mask |= value & E1000Cause.all
        case Register.interruptMaskClear: mask &= ~value
        case Register.extendedControl:
            self[offset] = value & Register.writable(offset) & ~Self.eepromReset
        case Register.transmitControl, Register.transmitTail:
            self[offset] = value & Register.writable(offset)
            effects.transmits = true
        case Register.receiveControl, Register.receiveTail:
            self[offset] = value & Register.writable(offset)
            effects.receives = true
        case Register.transmitDelay, Register.receiveDelay:
            self[offset] = value & Register.writable(offset)
            if value & Self.flush != 0 { flushDelay(offset) }
        case 0..<UInt32(Self.wordCount * 4):
            let writable = writable(offset)
            if writable != 0 { self[offset] = value & writable }
        default: break
        }
        return effects
    }

    /// The bits of a register that keep what is written.
    func writable(_ offset: UInt32) -> UInt32 {
        let known = Register.writable(offset)
        return known == 0 && isExpress ? UInt32.max : known
    }

    /// Loads the EEPROM again, which changes nothing here. SDM 13.4.5.
    private static let eepromReset: UInt32 = 1 << 13
    /// Ends a delay at once. SDM 13.4.30.
    private static let flush: UInt32 = 1 << 31

    private mutating func flushDelay(_ register: UInt32) {
        if register == Register.transmitDelay, transmitDelay.due != nil {
            transmitDelay = Delay()
            causes |= E1000Cause.transmitWritten
        } else if register == Register.receiveDelay, receiveDelay.due != nil {
            receiveDelay = Delay()
            causes |= E1000Cause.receiveTimer
        }
    }

    private mutating func setControl(_ value: UInt32) -> Bool {
        if value & E1000Control.phyReset != 0 { phy.reset(id: isExpress ? 0x0CB1 : 0x0C20) }
        if value & E1000Control.reset != 0 {
            resetController()
            return false
        }
        self[Register.control] = value & ~(E1000Control.reset | E1000Control.phyReset)
        return true
    }
}
