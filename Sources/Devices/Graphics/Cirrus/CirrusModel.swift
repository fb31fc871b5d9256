internal import DeviceModel

/// The registers of a Cirrus Logic GD5446 around those of a VGA. A pure model; memory is handed in. (Cirrus Logic,
/// CL-GD5446 Technical Reference Manual.)
struct CirrusModel: Sendable {
    enum Sequencer {
        static let unlock = 0x06
        static let mode = 0x07
        static let cursorX = 0x10
        static let cursorY = 0x11
        static let cursor = 0x12
        static let pattern = 0x13
    }
    enum Graphics {
        static let bank0 = 0x09
        static let bank1 = 0x0A
        static let extensions = 0x0B
    }
    private enum CRTC {
        static let startExtension = 0x1B
        static let overlay = 0x1D
        static let identification = 0x27
    }

    var vga: VGAModel
    /// The extended registers by index: sequencer, graphics, CRTC. Those of the VGA are in `vga`.
    var sequencer = [UInt8](repeating: 0, count: 32)
    var graphics = [UInt8](repeating: 0, count: 64)
    var crtc = [UInt8](repeating: 0, count: 64)
    var sequencerIndex: UInt8 = 0
    var graphicsIndex: UInt8 = 0
    /// Reads of 3C6 before the hidden register of the DAC answers there.
    private var hiddenReads = 0
    var hiddenDAC: UInt8 = 0
    /// The cursor's place.
    var cursor: (x: Int, y: Int) = (0, 0)
    /// The cursor's two colours, red, green and blue each.
    var cursorColours = [UInt8](repeating: 0, count: 6)
    var blitter = CirrusBlitter()
    let memorySize: Int

    init(memory: Int) {
        vga = VGAModel(memory: memory)
        memorySize = memory
        sequencer[Sequencer.unlock] = 0x0F
        sequencer[0x0F] = 0x98
        sequencer[0x15] = memory >= 4 << 20 ? 4 : 3
        sequencer[0x17] = 0x20
        sequencer[0x18] = 0x0F
        sequencer[0x1F] = 0x2D
        crtc[CRTC.identification] = 0xB8
    }

    // MARK: Ports

    mutating func readPort(_ port: UInt64, now: UInt64) -> UInt8 {
        if port != 0x3C6 { hiddenReads = 0 }
        switch port {
        case 0x3C4: return sequencerIndex
        case 0x3C5: return readSequencer()
        case 0x3C6:
            hiddenReads += 1
            guard hiddenReads == 5 else { return vga.readPort(port, now: now) }
            hiddenReads = 0
            return hiddenDAC
        case 0x3CE: return graphicsIndex
        case 0x3CF: return readGraphics(Int(graphicsIndex))
        case 0x3B5, 0x3D5:
            let index = Int(vga.crtcIndex & 63)
            guard index >= 0x19, isInPlace(port) else { return vga.readPort(port, now: now) }
            switch index {
            // The attribute controller's state and index.
            case 0x24: return vga.attributeIsData ? 0x80 : 0
            case 0x26: return vga.attributeIndex & 0x3F
            default: return crtc[index]
            }
        default: return vga.readPort(port, now: now)
        }
    }
    /// Whether the CRTC answers at a port: its place depends on whether it is in colour.
    private func isInPlace(_ port: UInt64) -> Bool { (port & 0xFFF0 == 0x3D0) == (vga.miscellaneous & 1 != 0) }

    /// True where a blit is to be started.
    mutating func writePort(_ port: UInt64, _ value: UInt8) -> Bool {
        switch port {
        case 0x3C4: sequencerIndex = value
        case 0x3C5: writeSequencer(value)
        case 0x3C6 where hiddenReads == 4: hiddenDAC = value
        case 0x3C9 where sequencer[Sequencer.cursor] & 2 != 0: writeCursorColour(value)
        case 0x3CE: graphicsIndex = value & 63
        case 0x3CF:
            hiddenReads = 0
            return writeGraphics(Int(graphicsIndex), value)
        case 0x3B5, 0x3D5:
            let index = Int(vga.crtcIndex & 63)
            guard index >= 0x19, isInPlace(port) else {
                vga.writePort(port, value)
                break
            }
            if [0x19, 0x1A, 0x1B, 0x1C, 0x1D].contains(index) { crtc[index] = value }
        default: vga.writePort(port, value)
        }
        hiddenReads = 0
        return false
    }

    private func readSequencer() -> UInt8 {
        let index = Int(sequencerIndex & 31)
        switch index {
        case 0...4: return vga.sequencer[index]
        case Sequencer.cursorX: return UInt8(truncatingIfNeeded: cursor.x >> 3)
        case Sequencer.cursorY: return UInt8(truncatingIfNeeded: cursor.y >> 3)
        default: return sequencer[index]
        }
    }

    private mutating func writeSequencer(_ value: UInt8) {
        let index = Int(sequencerIndex & 31)
        switch index {
        case 0...4:
            vga.sequencerIndex = UInt8(index)
            vga.writePort(0x3C5, value)
        case 5: break
        case Sequencer.unlock: sequencer[index] = value & 0x17 == 0x12 ? 0x12 : 0x0F
        // The index's upper bits are the place's lower ones.
        case Sequencer.cursorX: cursor.x = Int(value) << 3 | Int(sequencerIndex >> 5)
        case Sequencer.cursorY: cursor.y = Int(value) << 3 | Int(sequencerIndex >> 5)
        case 0x15, 0x0F: break
        case 0x17: sequencer[index] = sequencer[index] & 0x38 | value & 0xC7
        default: sequencer[index] = value
        }
    }

    private mutating func writeCursorColour(_ value: UInt8) {
        // 0 is the background's, 15 the foreground's.
        let place = vga.dacWriteIndex & 15 == 0 ? 0 : 3
        cursorColours[place + Int(vga.dacPart % 3)] = value & 0x3F
        vga.dacPart += 1
        guard vga.dacPart >= 3 else { return }
        vga.dacPart = 0
        vga.dacWriteIndex &+= 1
    }

    func readGraphics(_ index: Int) -> UInt8 {
        switch index {
        // The colours have eight bits here.
        case 0, 1: graphics[index]
        case 2...8: vga.graphics[index]
        case 0x31: blitter.isWaiting ? graphics[index] | 0x09 : graphics[index] & ~0x09
        case 0..<64: graphics[index]
        default: 0xFF
        }
    }

    /// True where a blit is to be started.
    mutating func writeGraphics(_ index: Int, _ value: UInt8) -> Bool {
        guard 0..<64 ~= index else { return false }
        switch index {
        case 0, 1:
            graphics[index] = value
            vga.graphicsIndex = UInt8(index)
            vga.writePort(0x3CF, value)
        case 2...8:
            vga.graphicsIndex = UInt8(index)
            vga.writePort(0x3CF, value)
            if index == 5 { graphics[5] = value & 7 }
        case 0x21, 0x25, 0x27: graphics[index] = value & 0x1F
        case 0x23: graphics[index] = value & 0x07
        case 0x2A, 0x2E:
            graphics[index] = value & 0x3F
            // A write of the destination's last byte starts where that is asked for.
            if index == 0x2A, graphics[0x31] & 0x80 != 0 { return true }
        case 0x31:
            let before = graphics[index]
            graphics[index] = value & 0x84
            if before & 4 != 0, value & 4 == 0 { blitter.stop() }
            return value & 2 != 0
        default: graphics[index] = value
        }
        return false
    }

    // MARK: The window

    var isPacked: Bool { sequencer[Sequencer.mode] & 1 != 0 }

    /// Where a byte of the window of 64 KiB lies in memory: by one bank or two.
    func bankOffset(_ offset: Int) -> Int {
        let extensions = graphics[Graphics.extensions]
        let isSecond = extensions & 1 != 0 && offset >= 0x8000
        let bank = Int(graphics[isSecond ? Graphics.bank1 : Graphics.bank0])
        let start = extensions & 0x20 != 0 ? bank << 14 : bank << 12
        return start + (isSecond ? offset - 0x8000 : offset)
    }

    mutating func readWindow(_ offset: UInt64, _ memory: VideoMemory) -> UInt8 {
        guard isPacked || usesBanks else { return vga.readWindow(offset, memory) }
        guard offset < 0x10000 else { return 0xFF }
        return memory[scaled(bankOffset(Int(offset)))]
    }

    mutating func writeWindow(_ offset: UInt64, _ value: UInt8, _ memory: VideoMemory) {
        guard isPacked || usesBanks else { return vga.writeWindow(offset, value, memory) }
        guard offset < 0x10000 else { return }
        writeMemory(scaled(bankOffset(Int(offset))), value, memory)
    }
    private var usesBanks: Bool { graphics[Graphics.bank0] != 0 || graphics[Graphics.bank1] != 0 }

    /// With addressing by eight a byte of the processor's stands for eight of memory.
    private func scaled(_ place: Int) -> Int {
        let extensions = graphics[Graphics.extensions]
        return extensions & 0x14 == 0x14 ? place << 4 : extensions & 2 != 0 ? place << 3 : place
    }

    /// A byte that the processor writes: itself, or as eight pixels in the extended modes 4 and 5.
    private func writeMemory(_ place: Int, _ value: UInt8, _ memory: VideoMemory) {
        let mode = graphics[5] & 7
        guard graphics[Graphics.extensions] & 4 != 0, mode == 4 || mode == 5 else {
            memory[place] = value
            return
        }
        let isWide = graphics[Graphics.extensions] & 0x14 == 0x14
        for bit in 0..<8 {
            let isSet = value >> UInt8(7 - bit) & 1 != 0
            guard isSet || mode == 5 else { continue }
            let low = graphics[isSet ? 1 : 0]
            if isWide {
                memory[place + bit * 2] = low
                memory[place + bit * 2 + 1] = graphics[isSet ? 0x11 : 0x10]
            } else {
                memory[place + bit] = low
            }
        }
    }

    // MARK: The picture

    /// Bits of a pixel of the packed modes.
    private var depth: Int {
        switch sequencer[Sequencer.mode] & 0x0E {
        case 0x02, 0x06: hiddenDAC & 0x0F == 1 || hiddenDAC & 0xC0 == 0xC0 && hiddenDAC & 1 != 0 ? 16 : 15
        case 0x04: 24
        case 0x08: 32
        default: 8
        }
    }

    /// The VGA to draw: in packed modes one whose linear mode is that of these registers.
    var shown: VGAModel {
        guard isPacked else { return vga }
        var model = vga
        let overflow = Int(vga.crtc[VGAModel.CRTC.overflow])
        let width = (Int(vga.crtc[VGAModel.CRTC.horizontalEnd]) + 1) * 8
        let height =
            Int(vga.crtc[VGAModel.CRTC.verticalEnd]) | (overflow & 2) << 7 | (overflow & 0x40) << 3
        let more = Int(crtc[CRTC.startExtension])
        let start =
            (Int(vga.crtc[VGAModel.CRTC.startHigh]) << 8 | Int(vga.crtc[VGAModel.CRTC.startLow]) | (more & 1) << 16
                | (more & 0x0C) << 15 | (Int(crtc[CRTC.overlay]) & 0x80) << 12) * 4
        let stride = (Int(vga.crtc[VGAModel.CRTC.offset]) | (more & 0x10) << 4) * 8
        model.showLinear(
            width: width, height: height + 1, depth: depth, stride: max(stride, 8), start: start & (memorySize - 1))
        return model
    }

    /// The hardware cursor where it shows: its place, size, and rows of two planes.
    func cursorImage(_ memory: VideoMemory) -> (size: Int, rows: [(mask: UInt64, data: UInt64)])? {
        let attributes = sequencer[Sequencer.cursor]
        guard attributes & 1 != 0 else { return nil }
        let isLarge = attributes & 4 != 0
        let size = isLarge ? 64 : 32
        let pattern = Int(sequencer[Sequencer.pattern])
        let base = memorySize - 16 * 1024 + (isLarge ? (pattern & 0x3C) * 256 : (pattern & 0x3F) * 256)
        func row(_ place: Int) -> UInt64 {
            (0..<size / 8).reduce(0) { $0 << 8 | UInt64(memory[place + $1]) }
        }
        return (
            size,
            (0..<size).map { line in
                // Of the large one both planes of a row lie side by side, of the small one after the other.
                isLarge
                    ? (row(base + line * 16), row(base + line * 16 + 8)) : (row(base + line * 4), row(base + 128 + line * 4))
            }
        )
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = vga.exportState()
        saved.set("cirrus-sequencer", [sequencerIndex] + sequencer)
        saved.set("cirrus-graphics", [graphicsIndex] + graphics)
        saved.set("cirrus-crtc", crtc)
        saved.set("cirrus-dac", [hiddenDAC, UInt8(hiddenReads)] + cursorColours)
        saved.set("cirrus-cursor", UInt32(cursor.x) | UInt32(cursor.y) << 16)
        saved.set("cirrus-blitter", [blitter.exportState()])
        return saved
    }
    init(_ saved: DeviceState, memory: Int) throws(DeviceStateError) {
        self.init(memory: memory)
        vga = try VGAModel(saved, memory: memory)
        let sequencer = try saved.bytes("cirrus-sequencer", count: 33)
        (sequencerIndex, self.sequencer) = (sequencer[0], Array(sequencer[1...]))
        let graphics = try saved.bytes("cirrus-graphics", count: 65)
        (graphicsIndex, self.graphics) = (graphics[0] & 63, Array(graphics[1...]))
        crtc = try saved.bytes("cirrus-crtc", count: 64)
        let dac = try saved.bytes("cirrus-dac", count: 8)
        (hiddenDAC, hiddenReads, cursorColours) = (dac[0], Int(min(dac[1], 4)), Array(dac[2...]))
        let place: UInt32 = try saved.integer("cirrus-cursor")
        cursor = (Int(place & 0x7FF), Int(place >> 16 & 0x7FF))
        try blitter.importState(try saved.list("cirrus-blitter", count: 1)[0])
    }
}
