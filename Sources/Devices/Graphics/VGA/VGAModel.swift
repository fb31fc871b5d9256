/// The registers of a VGA (IBM PS/2 Technical Reference, "Video subsystem") with Bochs's extensions, and what the
/// processor's accesses to its window do. A pure model; memory is handed in.
struct VGAModel: Sendable {
    /// Numbers of registers behind an index.
    enum Sequencer {
        static let clocking = 1
        static let mapMask = 2
        static let fonts = 3
        static let memoryMode = 4
    }
    enum Graphics {
        static let setReset = 0
        static let enableSetReset = 1
        static let compare = 2
        static let rotate = 3
        static let readMap = 4
        static let mode = 5
        static let miscellaneous = 6
        static let dontCare = 7
        static let bitMask = 8
    }
    enum CRTC {
        static let horizontalEnd = 0x01
        static let overflow = 0x07
        static let maximumScan = 0x09
        static let cursorStart = 0x0A
        static let cursorEnd = 0x0B
        static let startHigh = 0x0C
        static let startLow = 0x0D
        static let cursorHigh = 0x0E
        static let cursorLow = 0x0F
        static let retraceEnd = 0x11
        static let verticalEnd = 0x12
        static let offset = 0x13
        static let mode = 0x17
        static let lineCompare = 0x18
    }
    enum Attribute {
        static let mode = 0x10
        static let colourSelect = 0x14
    }

    var miscellaneous: UInt8 = 0
    var featureControl: UInt8 = 0
    var sequencerIndex: UInt8 = 0
    var sequencer = [UInt8](repeating: 0, count: 8)
    var graphicsIndex: UInt8 = 0
    var graphics = [UInt8](repeating: 0, count: 16)
    var crtcIndex: UInt8 = 0
    var crtc = [UInt8](repeating: 0, count: 64)
    var attributeIndex: UInt8 = 0
    /// The next write to 3C0 is data.
    var attributeIsData = false
    var attribute = [UInt8](repeating: 0, count: 32)
    var dacMask: UInt8 = 0xFF
    /// What 3C7 reads: 3 while colours are read, 0 while they are written.
    var dacState: UInt8 = 0
    var dacReadIndex: UInt8 = 0
    var dacWriteIndex: UInt8 = 0
    var dacPart: UInt8 = 0
    var dacPending: [UInt8] = [0, 0, 0]
    /// Red, green and blue of 256 colours, as written.
    var palette = [UInt8](repeating: 0, count: 768)
    /// What the last read of the window left behind: a byte of each plane.
    var latch: UInt32 = 0
    var vbe: BochsDisplay
    var vbeIndex: UInt16 = 0

    /// The state after power-on of an adapter with so many bytes of memory.
    init(memory: Int) { vbe = BochsDisplay(memory: memory) }

    // MARK: Ports

    /// Whether the registers that have two places are at 3Dx (colour) now.
    private var isColour: Bool { miscellaneous & 1 != 0 }

    /// A byte read from a port 3B0 to 3DF at a time in nanoseconds.
    mutating func readPort(_ port: UInt64, now: UInt64) -> UInt8 {
        if (port & 0xFFF0 == 0x3B0 && isColour) || (port & 0xFFF0 == 0x3D0 && !isColour) { return 0xFF }
        switch port {
        case 0x3C0: return attributeIsData ? 0 : attributeIndex
        case 0x3C1: return attribute[Int(attributeIndex & 0x1F)]
        // The monitor is there; no interrupt of the retrace.
        case 0x3C2: return 0x10
        case 0x3C4: return sequencerIndex
        case 0x3C5: return sequencer[Int(sequencerIndex & 7)]
        case 0x3C6: return dacMask
        case 0x3C7: return dacState
        case 0x3C8: return dacWriteIndex
        case 0x3C9:
            let value = palette[Int(dacReadIndex) * 3 + Int(dacPart)]
            dacPart += 1
            if dacPart == 3 {
                dacPart = 0
                dacReadIndex &+= 1
            }
            return value
        case 0x3CA: return featureControl
        case 0x3CC: return miscellaneous
        case 0x3CE: return graphicsIndex
        case 0x3CF: return graphics[Int(graphicsIndex & 15)]
        case 0x3B4, 0x3D4: return crtcIndex
        case 0x3B5, 0x3D5: return crtc[Int(crtcIndex & 63)]
        case 0x3BA, 0x3DA:
            attributeIsData = false
            return Self.status(now)
        default: return 0xFF
        }
    }

    /// Input status 1: a picture of 70 Hz with 449 lines, of which 400 show.
    private static func status(_ now: UInt64) -> UInt8 {
        let frame: UInt64 = 14_285_714
        let place = now % frame
        let line = frame / 449
        if place >= line * 412 { return place < line * 440 ? 0x09 : 0x01 }
        if place >= line * 400 { return 0x01 }
        return place % line >= line * 4 / 5 ? 0x01 : 0
    }

    /// A byte written to a port 3B0 to 3DF.
    mutating func writePort(_ port: UInt64, _ value: UInt8) {
        if (port & 0xFFF0 == 0x3B0 && isColour) || (port & 0xFFF0 == 0x3D0 && !isColour) { return }
        switch port {
        case 0x3C0:
            if attributeIsData { writeAttribute(value) } else { attributeIndex = value & 0x3F }
            attributeIsData.toggle()
        case 0x3C2: miscellaneous = value & ~0x10
        case 0x3C4: sequencerIndex = value & 7
        case 0x3C5: sequencer[Int(sequencerIndex)] = value & Self.sequencerMasks[Int(sequencerIndex)]
        case 0x3C6: dacMask = value
        case 0x3C7:
            dacReadIndex = value
            (dacPart, dacState) = (0, 3)
        case 0x3C8:
            dacWriteIndex = value
            (dacPart, dacState) = (0, 0)
        case 0x3C9: writeColour(value)
        case 0x3CE: graphicsIndex = value & 15
        case 0x3CF: graphics[Int(graphicsIndex)] = value & Self.graphicsMasks[Int(graphicsIndex)]
        case 0x3B4, 0x3D4: crtcIndex = value
        case 0x3B5, 0x3D5: writeCRTC(value)
        case 0x3BA, 0x3DA: featureControl = value & 0x10
        default: break
        }
    }

    private static let sequencerMasks: [UInt8] = [0x03, 0x3D, 0x0F, 0x3F, 0x0E, 0, 0, 0xFF]
    private static let graphicsMasks: [UInt8] = [
        0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF, 0, 0, 0, 0, 0, 0, 0,
    ]

    private mutating func writeAttribute(_ value: UInt8) {
        let index = Int(attributeIndex & 0x1F)
        switch index {
        case 0..<16: attribute[index] = value & 0x3F
        case Attribute.mode: attribute[index] = value & 0xEF
        case 0x11: attribute[index] = value
        case 0x12: attribute[index] = value & 0x3F
        case 0x13, Attribute.colourSelect: attribute[index] = value & 0x0F
        default: break
        }
    }

    private mutating func writeCRTC(_ value: UInt8) {
        let index = Int(crtcIndex)
        guard index < 0x19 else { return }
        if crtc[CRTC.retraceEnd] & 0x80 != 0, index <= CRTC.overflow {
            // Protected, but for the ninth bit of the line comparison.
            if index == CRTC.overflow { crtc[index] = crtc[index] & ~0x10 | value & 0x10 }
            return
        }
        crtc[index] = value
    }

    private mutating func writeColour(_ value: UInt8) {
        dacPending[Int(dacPart)] = value
        dacPart += 1
        guard dacPart == 3 else { return }
        dacPart = 0
        let mask: UInt8 = vbe.usesWideDAC ? 0xFF : 0x3F
        for part in 0..<3 { palette[Int(dacWriteIndex) * 3 + part] = dacPending[part] & mask }
        dacWriteIndex &+= 1
    }

    // MARK: Bochs's extensions

    /// A register of Bochs's extensions is written. True where memory is to be cleared.
    mutating func writeVBE(_ index: Int, _ value: UInt16) -> Bool {
        let effect = vbe.write(index, value)
        if effect.switchedOn { followVBE() }
        return effect.clears
    }

    /// Shows a picture without planes, as an adapter with other registers for it says.
    mutating func showLinear(width: Int, height: Int, depth: Int, stride: Int, start: Int) {
        vbe.show(width: width, height: height, depth: depth, stride: stride, start: start)
    }

    /// Sets the legacy registers as a mode without planes has them: drivers expect to find these.
    private mutating func followVBE() {
        graphics[Graphics.miscellaneous] = graphics[Graphics.miscellaneous] & ~0x0C | 0x05
        crtc[CRTC.mode] |= 3
        crtc[CRTC.offset] = UInt8(truncatingIfNeeded: vbe.stride >> 3)
        crtc[CRTC.horizontalEnd] = UInt8(truncatingIfNeeded: (vbe.width >> 3) - 1)
        let last = vbe.height - 1
        crtc[CRTC.verticalEnd] = UInt8(truncatingIfNeeded: last)
        crtc[CRTC.overflow] =
            crtc[CRTC.overflow] & ~0x42 | UInt8(last >> 7 & 0x02) | UInt8(last >> 3 & 0x40) | 0x10
        crtc[CRTC.lineCompare] = 0xFF
        crtc[CRTC.maximumScan] = crtc[CRTC.maximumScan] & ~0x9F | 0x40
        if vbe.depth == 4 {
            graphics[Graphics.mode] &= ~0x60
            sequencer[Sequencer.memoryMode] &= ~0x08
        } else {
            graphics[Graphics.mode] = graphics[Graphics.mode] & ~0x60 | 0x40
            sequencer[Sequencer.memoryMode] |= 0x08
            sequencer[Sequencer.mapMask] |= 0x0F
        }
        sequencer[Sequencer.clocking] &= ~0x08
    }
}
