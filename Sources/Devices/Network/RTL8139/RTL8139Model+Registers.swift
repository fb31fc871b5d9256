// Accesses to the registers, byte by byte but for those that work as a whole.
extension RTL8139Model {
    package mutating func read(_ window: Int, _ offset: UInt64, _ size: Int, _ now: UInt64) -> UInt64 {
        ByteLanes.read(offset, size) { readByte(Int($0 & 0xFF), now) }
    }

    private func readByte(_ register: Int, _ now: UInt64) -> UInt8 {
        switch register {
        case Register.command:
            return self[register] & ~Command.bufferEmpty | (isBufferEmpty ? Command.bufferEmpty : 0)
        case Register.timer..<Register.timer + 4:
            return UInt8(truncatingIfNeeded: timer(now) >> UInt32((register & 3) * 8))
        case Register.eeprom:
            return self[register] & 0xC0 | (self[register] & 0xC0 == 0x80 ? eeprom.control : 0)
        // 100 Mbit/s; bit 2 says that there is no link.
        case Register.mediaStatus: return hasLink ? 0x10 : 0x14
        case Register.summary, Register.summary + 1:
            var value: UInt16 = 0
            for index in 0..<4 {
                let status = dword(Register.transmitStatus + index * 4)
                value |= UInt16(status >> 13 & 1) << UInt16(index) | UInt16(status >> 30 & 1) << UInt16(index + 4)
                value |= UInt16(status >> 14 & 1) << UInt16(index + 8) | UInt16(status >> 15 & 1) << UInt16(index + 12)
            }
            return UInt8(truncatingIfNeeded: register == Register.summary ? value : value >> 8)
        // All of 10 and 100, negotiation, its end, link.
        case Register.basicStatus: return hasLink ? 0x2D : 0x09
        case Register.basicStatus + 1: return 0x78
        default: return self[register]
        }
    }

    package mutating func write(
        _ window: Int, _ offset: UInt64, _ size: Int, _ value: UInt64, _ now: UInt64
    ) -> CardEffects {
        var effects = CardEffects()
        var place = Int(offset & 0xFF)
        var left = min(max(size, 1), 8)
        var value = value
        while left > 0 {
            // In the units in which drivers write what works as a whole.
            let width = place & 3 == 0 && left >= 4 ? 4 : place & 1 == 0 && left >= 2 ? 2 : 1
            let part = UInt32(truncatingIfNeeded: value) & (width == 4 ? UInt32.max : (1 << UInt32(width * 8)) - 1)
            writePart(place & 0xFF, part, width, now, &effects)
            value = width == 8 ? 0 : value >> UInt64(width * 8)
            place += width
            left -= width
        }
        return effects
    }

    private mutating func writePart(
        _ register: Int, _ value: UInt32, _ width: Int, _ now: UInt64, _ effects: inout CardEffects
    ) {
        switch register {
        case Register.transmitStatus..<Register.transmitStatus + 16 where width == 4:
            // The driver gives the descriptor away by clearing its OWN bit; results of before go.
            set(register & ~3, value & 0x003F_3FFF)
            effects.transmits = true
        case Register.command:
            writeCommand(UInt8(truncatingIfNeeded: value), &effects)
            if width > 1 { writePart(register + 1, value >> 8, width - 1, now, &effects) }
        case Register.readPointer where width >= 2:
            set(Register.readPointer, UInt16(truncatingIfNeeded: value))
            effects.receives = true
        case Register.mask where width >= 2:
            set(Register.mask, UInt16(truncatingIfNeeded: value) & 0xE17F)
            if width == 4 { causes &= ~UInt16(truncatingIfNeeded: value >> 16) }
            // The end of a driver's turn, in which it has given buffers of the C+ mode without another word.
            effects.receives = true
        case Register.status where width >= 2:
            causes &= ~UInt16(truncatingIfNeeded: value)
            effects.receives = true
        case Register.timer where width == 4:
            timerStart = now
            hasTimedOut = false
        case Register.timerInterrupt where width == 4:
            set(register, value)
            hasTimedOut = false
        case Register.missed where width == 4: set(register, UInt32(0))
        case Register.transmitConfiguration where width == 4:
            set(register, value & 0x0307_07F0 | dword(register) & 0x7CC0_0000)
            effects.transmits = true
        case Register.receiveConfiguration where width == 4:
            set(register, value & 0x0F02_FFFF)
            effects.receives = true
        case Register.receiveBuffer where width == 4: set(register, value & ~3)
        case Register.plusReceive..<Register.plusReceive + 8 where width == 4:
            set(register, register == Register.plusReceive ? value & ~0xFF : value)
            plusReceive = 0
        case Register.transmitAddress..<Register.transmitAddress + 16 where width == 4:
            set(register, value)
            // The same register holds where the ring of the C+ mode is.
            if register < Register.transmitAddress + 8 { plusTransmit = 0 }
        case Register.plusCommand where width >= 2:
            set(register, UInt16(truncatingIfNeeded: value) & 0x00FB)
            effects.receives = true
        default:
            guard width == 1 else {
                let half = width / 2
                writePart(register, value & ((1 << UInt32(half * 8)) - 1), half, now, &effects)
                writePart(register + half, value >> UInt32(half * 8), half, now, &effects)
                return
            }
            writeByte(register, UInt8(truncatingIfNeeded: value), &effects)
        }
    }

    private mutating func writeCommand(_ value: UInt8, _ effects: inout CardEffects) {
        if value & Command.reset != 0 {
            let link = hasLink
            resetSoftly()
            hasLink = link
            return
        }
        self[Register.command] = value & (Command.transmit | Command.receive)
        effects = CardEffects(transmits: true, receives: true)
    }

    private mutating func writeByte(_ register: Int, _ value: UInt8, _ effects: inout CardEffects) {
        // Configuration is open in one mode of the EEPROM's register only. 6.26.
        let isOpen = self[Register.eeprom] & 0xC0 == 0xC0
        switch register {
        case Register.address..<Register.multicast where register < 6:
            bytes[register] = value
        case Register.multicast..<Register.multicast + 8: self[register] = value
        case Register.readPointer, Register.readPointer + 1, Register.mask, Register.mask + 1:
            self[register] = value
            effects.receives = true
        case Register.status, Register.status + 1: self[register] &= ~value
        case Register.eeprom:
            self[register] = value & 0xC0
            if value & 0xC0 == 0x80 { eeprom.set(value) } else { eeprom.set(0) }
            if value & 0xC0 == 0x40 {
                // Loads everything anew.
                for (index, byte) in macAddress.enumerated() { bytes[index] = byte }
                self[register] = 0
            }
        case Register.configuration0, Register.configuration4, Register.configuration5:
            if isOpen { self[register] = value }
        case Register.configuration1: if isOpen { self[register] = value & 0xF3 | 0x0C }
        case Register.configuration3: if isOpen { self[register] = value & 0x40 | 0x01 }
        case 0x5C, 0x5D: self[register] = value
        // Reset and the restart of negotiation are over at once.
        case Register.basicControl: self[register] = value
        case Register.basicControl + 1: self[register] = value & 0x31
        case 0x66, 0x67, 0x70, 0x71, 0xEC: self[register] = value
        case Register.poll:
            if value & 0x40 != 0 || value & 0x80 != 0 { effects.transmits = true }
            if value & 1 != 0 { causes |= Cause.software }
        // DA is none: by it drivers know an RTL8169.
        default: break
        }
    }
}
