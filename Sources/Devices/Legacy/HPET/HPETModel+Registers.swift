extension HPETModel {
    /// The 64-bit register at `offset`, a multiple of 8.
    func register(_ offset: UInt64, _ now: UInt64) -> UInt64 {
        switch offset {
        case 0x000:
            // Revision 1, a 64-bit counter, legacy replacement, Intel; the tick in femtoseconds.
            return tickLength * 1_000_000 << 32 | 0x8086 << 16 | 1 << 15 | 1 << 13
                | UInt64(Self.timers - 1) << 8 | 0x01
        case 0x010: return (enabled ? 1 : 0) | (legacy ? 2 : 0)
        case 0x020: return status
        case 0x0F0: return counter(now)
        case 0x100..<(0x100 + 0x20 * UInt64(Self.timers)):
            let timer = timer[Int(offset - 0x100) / 0x20]
            switch offset & 0x18 {
            case 0x00: return timer.config | Config.capabilities | UInt64(routes) << 32
            case 0x08: return timer.config & Config.mode32 != 0 ? timer.comparator & 0xFFFF_FFFF : timer.comparator
            case 0x10: return timer.message
            default: return 0
            }
        default: return 0
        }
    }

    /// A write of the bytes of `mask` of the register at `offset`, a multiple of 8. The caller has called `tick`.
    mutating func write(_ offset: UInt64, _ value: UInt64, mask: UInt64, _ now: UInt64) {
        switch offset {
        case 0x010:
            let new = (enabled ? 1 : 0) | (legacy ? 2 : 0) & ~mask | value & mask
            setEnabled(mask & 1 != 0 ? value & 1 != 0 : enabled, now)
            legacy = mask & 2 != 0 ? new & 2 != 0 : legacy
        case 0x020: status &= ~(value & mask)
        case 0x0F0:
            base = counter(now) & ~mask | value & mask
            startedAt = now
            lastTick = now
            for number in 0..<Self.timers { timer[number].done = false }
        case 0x100..<(0x100 + 0x20 * UInt64(Self.timers)):
            let number = Int(offset - 0x100) / 0x20
            switch offset & 0x18 {
            case 0x00: setConfig(number, value, mask)
            case 0x08: setComparator(number, value, mask)
            case 0x10: timer[number].message = timer[number].message & ~mask | value & mask
            default: break
            }
        default: break
        }
    }

    private mutating func setEnabled(_ on: Bool, _ now: UInt64) {
        guard on != enabled else { return }
        base = counter(now)
        startedAt = now
        lastTick = now
        enabled = on
    }

    private mutating func setConfig(_ number: Int, _ value: UInt64, _ mask: UInt64) {
        let old = timer[number].config
        var new = (old & ~mask | value & mask) & Config.writable
        // A route that the board does not wire is not taken.
        if routes & 1 << UInt32(new >> 9 & 31) == 0 { new = new & ~(31 << 9) | old & (31 << 9) }
        timer[number].config = new
        if new & Config.mode32 != 0 {
            timer[number].comparator &= 0xFFFF_FFFF
            timer[number].period &= 0xFFFF_FFFF
        }
        if new & Config.level == 0 || new & Config.message != 0 { status &= ~(1 << UInt64(number)) }
    }

    private mutating func setComparator(_ number: Int, _ value: UInt64, _ mask: UInt64) {
        let wide = timer[number].config & Config.mode32 == 0
        // The high half does not exist in 32-bit mode.
        let mask = wide ? mask : mask & 0xFFFF_FFFF
        guard mask != 0 else { return }
        let periodic = timer[number].config & Config.periodic != 0
        if !periodic || timer[number].config & Config.setsValue != 0 {
            timer[number].comparator = timer[number].comparator & ~mask | value & mask
        }
        if periodic { timer[number].period = timer[number].period & ~mask | value & mask }
        timer[number].config &= ~Config.setsValue
        timer[number].done = false
    }
}
