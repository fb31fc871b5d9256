/// The window at 0xA0000, through which the processor reaches the planes (IBM PS/2 Technical Reference, "Video memory
/// read/write operations").
extension VGAModel {
    /// The window's bytes.
    static let windowSize: UInt64 = 0x20000

    private var isChained: Bool { sequencer[Sequencer.memoryMode] & 0x08 != 0 }
    private var isOddEven: Bool { graphics[Graphics.mode] & 0x10 != 0 }

    /// The offset in the selected part of the window; nil where nothing answers.
    @inline(__always)
    private func place(_ offset: UInt64) -> Int? {
        let offset = Int(truncatingIfNeeded: offset)
        guard miscellaneous & 2 != 0 else { return nil }
        switch graphics[Graphics.miscellaneous] >> 2 & 3 {
        case 0: return offset
        case 1: return offset < 0x10000 ? offset + vbe.bankOffset : nil
        case 2: return offset >= 0x10000 && offset < 0x18000 ? offset - 0x10000 : nil
        default: return offset >= 0x18000 ? offset - 0x18000 : nil
        }
    }

    /// Where the window is nothing but a piece of memory: offset in the window, bytes, and offset in memory.
    var directWindow: (start: Int, count: Int, memory: Int)? {
        guard isChained, miscellaneous & 2 != 0, sequencer[Sequencer.mapMask] & 0x0F == 0x0F else { return nil }
        let select = graphics[Graphics.miscellaneous] >> 2 & 3
        guard select == 1 else { return nil }
        return (0, 0x10000, vbe.bankOffset)
    }

    /// A byte that the processor reads at an offset in the window.
    mutating func readWindow(_ offset: UInt64, _ memory: VideoMemory) -> UInt8 {
        guard let place = place(offset) else { return 0xFF }
        if isChained { return memory[place] }
        if isOddEven {
            let plane = Int(graphics[Graphics.readMap] & 2) | place & 1
            return memory[(place & ~1) << 1 | plane]
        }
        latch = memory[planes: place]
        if graphics[Graphics.mode] & 0x08 == 0 {
            return UInt8(truncatingIfNeeded: latch >> (UInt32(graphics[Graphics.readMap]) * 8))
        }
        // Read mode 1: which of the eight pixels have the colour.
        let care = Self.spread(graphics[Graphics.dontCare])
        let different = (latch ^ Self.spread(graphics[Graphics.compare])) & care
        let folded = different | different >> 16
        return ~UInt8(truncatingIfNeeded: folded | folded >> 8)
    }

    /// A byte that the processor writes.
    mutating func writeWindow(_ offset: UInt64, _ value: UInt8, _ memory: VideoMemory) {
        guard let place = place(offset) else { return }
        let mask = sequencer[Sequencer.mapMask]
        if isChained {
            if mask >> UInt8(place & 3) & 1 != 0 { memory[place] = value }
            return
        }
        if isOddEven {
            let plane = Int(graphics[Graphics.readMap] & 2) | place & 1
            if mask >> UInt8(plane) & 1 != 0 { memory[(place & ~1) << 1 | plane] = value }
            return
        }
        let written = Self.spread(mask)
        let old = memory[planes: place]
        memory[planes: place] = old & ~written | combined(value) & written
    }

    /// What the graphics controller makes of a byte and the latch, for all four planes.
    private func combined(_ value: UInt8) -> UInt32 {
        let mode = graphics[Graphics.mode] & 3
        if mode == 1 { return latch }
        var bits = graphics[Graphics.bitMask]
        let count = graphics[Graphics.rotate] & 7
        var data: UInt32
        switch mode {
        case 0:
            let rotated = value >> count | value << ((8 - count) & 7)
            let set = Self.spread(graphics[Graphics.enableSetReset])
            data = UInt32(rotated) &* 0x0101_0101 & ~set | Self.spread(graphics[Graphics.setReset]) & set
        case 2: data = Self.spread(value)
        default:
            bits &= value >> count | value << ((8 - count) & 7)
            data = Self.spread(graphics[Graphics.setReset])
        }
        switch graphics[Graphics.rotate] >> 3 & 3 {
        case 1: data &= latch
        case 2: data |= latch
        case 3: data ^= latch
        default: break
        }
        let mask = UInt32(bits) &* 0x0101_0101
        return data & mask | latch & ~mask
    }

    /// The low four bits as four bytes of all ones or none.
    @inline(__always)
    static func spread(_ bits: UInt8) -> UInt32 {
        let bits = UInt32(bits)
        return ((bits & 1) | (bits & 2) << 7 | (bits & 4) << 14 | (bits & 8) << 21) &* 0xFF
    }
}
