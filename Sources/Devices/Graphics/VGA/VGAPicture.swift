internal import Display

/// Draws what a VGA shows. Made of the registers of one moment; memory is read while it draws.
struct VGAPicture {
    let model: VGAModel
    let memory: VideoMemory
    private let colours: [UInt32]

    init(_ model: VGAModel, _ memory: VideoMemory) {
        self.model = model
        self.memory = memory
        let isWide = model.vbe.usesWideDAC
        colours = (0..<256).map { index in
            func part(_ offset: Int) -> UInt32 {
                let value = UInt32(model.palette[index * 3 + offset])
                return isWide ? value : value << 2 | value >> 4
            }
            return part(0) << 16 | part(1) << 8 | part(2)
        }
    }

    /// Draws everything.
    func draw(into picture: inout Picture) {
        guard isShown else {
            picture.fill(0)
            return
        }
        if model.vbe.isOn {
            picture.resize(width: model.vbe.width, height: model.vbe.height)
            if model.vbe.depth == 4 {
                drawPlanes(&picture, start: model.vbe.start, stride: model.vbe.stride, repeats: 1, doubled: false)
            } else {
                drawLinear(&picture)
            }
        } else if model.graphics[VGAModel.Graphics.miscellaneous] & 1 == 0 {
            drawText(&picture)
        } else {
            drawGraphics(&picture)
        }
    }

    // MARK: What the registers say

    /// The attribute controller shows nothing while its palette is open, nor the sequencer in its pause.
    var isShown: Bool {
        model.attributeIndex & 0x20 != 0 && model.sequencer[VGAModel.Sequencer.clocking] & 0x20 == 0
    }
    var verticalEnd: Int {
        let overflow = Int(model.crtc[VGAModel.CRTC.overflow])
        return Int(model.crtc[VGAModel.CRTC.verticalEnd]) | (overflow & 0x02) << 7 | (overflow & 0x40) << 3
    }
    private var lineCompare: Int {
        let overflow = Int(model.crtc[VGAModel.CRTC.overflow])
        let maximum = Int(model.crtc[VGAModel.CRTC.maximumScan])
        return Int(model.crtc[VGAModel.CRTC.lineCompare]) | (overflow & 0x10) << 4 | (maximum & 0x40) << 3
    }
    var start: Int {
        Int(model.crtc[VGAModel.CRTC.startHigh]) << 8 | Int(model.crtc[VGAModel.CRTC.startLow])
    }
    var stride: Int { Int(model.crtc[VGAModel.CRTC.offset]) << 3 }
    var characters: Int { Int(model.crtc[VGAModel.CRTC.horizontalEnd]) + 1 }

    /// The colours of the sixteen palette registers.
    private var sixteen: [UInt32] {
        let mode = model.attribute[VGAModel.Attribute.mode]
        let select = model.attribute[VGAModel.Attribute.colourSelect]
        return (0..<16).map { index in
            let value = model.attribute[index]
            let place = mode & 0x80 != 0 ? value & 0x0F | (select & 0x0F) << 4 : value & 0x3F | (select & 0x0C) << 4
            return colours[Int(place & model.dacMask)]
        }
    }

    // MARK: Modes without planes

    private func drawLinear(_ picture: inout Picture) {
        let (width, depth) = (model.vbe.width, model.vbe.depth)
        var raw = [UInt8](repeating: 0, count: width * ((depth + 7) / 8))
        var row = [UInt32](repeating: 0, count: width)
        for y in 0..<picture.height {
            let offset = model.vbe.start + y * model.vbe.stride
            if depth == 32, let pixels = unsafe memory.pixels(at: offset, count: width) {
                // SAFETY: as many pixels as the picture is wide, for it has the mode's size.
                unsafe picture.setRow(y, from: pixels)
                continue
            }
            memory.copy(from: offset, into: &raw, count: raw.count)
            for x in 0..<width { row[x] = pixel(raw, x, depth) }
            picture.setRow(y, row)
        }
    }

    private func pixel(_ raw: [UInt8], _ x: Int, _ depth: Int) -> UInt32 {
        switch depth {
        case 8: return colours[Int(raw[x] & model.dacMask)]
        case 15, 16:
            let value = UInt32(raw[x * 2]) | UInt32(raw[x * 2 + 1]) << 8
            let (blue, rest) = (value & 0x1F, value >> 5)
            func wide(_ value: UInt32) -> UInt32 { value << 3 | value >> 2 }
            if depth == 15 { return wide(rest >> 5 & 0x1F) << 16 | wide(rest & 0x1F) << 8 | wide(blue) }
            let green = rest & 0x3F
            return wide(rest >> 6) << 16 | (green << 2 | green >> 4) << 8 | wide(blue)
        default:
            let place = x * ((depth + 7) / 8)
            return UInt32(raw[place]) | UInt32(raw[place + 1]) << 8 | UInt32(raw[place + 2]) << 16
        }
    }

    // MARK: VGA's graphics

    private func drawGraphics(_ picture: inout Picture) {
        let maximum = model.crtc[VGAModel.CRTC.maximumScan]
        let repeats = (Int(maximum & 0x1F) + 1) << Int(maximum >> 7)
        let isHalved = model.sequencer[VGAModel.Sequencer.clocking] & 0x08 != 0
        let shift = model.graphics[VGAModel.Graphics.mode] >> 5 & 3
        picture.resize(width: characters * 8 * (isHalved && shift < 2 ? 2 : 1), height: verticalEnd + 1)
        if shift >= 2 {
            drawBytes(&picture, repeats: repeats)
        } else {
            drawPlanes(&picture, start: start * 4, stride: stride, repeats: repeats, doubled: isHalved)
        }
    }

    /// Visits the rows of a picture with the offsets in memory at which they start.
    private func eachRow(
        _ height: Int, start: Int, stride: Int, repeats: Int, _ body: (_ y: Int, _ offset: Int, _ isNew: Bool) -> Void
    ) {
        let mode = model.crtc[VGAModel.CRTC.mode]
        let bit = 14 + Int(mode >> 6 & 1)
        let split = model.vbe.isOn ? Int.max : lineCompare
        var (first, from) = (start, 0)
        var last = -1
        for y in 0..<height {
            let line = (y - from) / repeats
            var offset = first + line * stride
            if !model.vbe.isOn, mode & 3 != 3 {
                // Lines of a CGA picture take turns between two or four parts of memory.
                let groups = (mode & 1 == 0 ? 2 : 1) * (mode & 2 == 0 ? 2 : 1)
                let scans = max(1, repeats >> Int(model.crtc[VGAModel.CRTC.maximumScan] >> 7))
                let double = max(1, repeats / scans)
                let scan = (y - from) / double
                offset = first + scan / max(scans, 1) * stride
                let row = scan % max(scans, 1) % groups
                if mode & 1 == 0 { offset = offset & ~(1 << bit) | (row & 1) << bit }
                if mode & 2 == 0 { offset = offset & ~(1 << (bit + 1)) | (row >> 1 & 1) << (bit + 1) }
            }
            body(y, offset, offset != last)
            last = offset
            if y == split { (first, from) = (0, y + 1) }
        }
    }

    /// Mode 13h and its kin: a byte a pixel, each shown twice.
    private func drawBytes(_ picture: inout Picture, repeats: Int) {
        let width = picture.width
        var raw = [UInt8](repeating: 0, count: width / 2 + 1)
        var row = [UInt32](repeating: 0, count: width)
        eachRow(picture.height, start: start * 4, stride: stride, repeats: repeats) { y, offset, isNew in
            if isNew {
                memory.copy(from: offset, into: &raw, count: raw.count)
                for x in 0..<width { row[x] = colours[Int(raw[x / 2] & model.dacMask)] }
            }
            picture.setRow(y, row)
        }
    }

    /// Sixteen colours by four planes, and CGA's four colours by two bits.
    private func drawPlanes(_ picture: inout Picture, start: Int, stride: Int, repeats: Int, doubled: Bool) {
        let (width, palette) = (picture.width, sixteen)
        let isCGA = model.graphics[VGAModel.Graphics.mode] & 0x20 != 0
        let enable = VGAModel.spread(model.attribute[0x12] & 0x0F)
        let pixels = doubled ? width / 2 : width
        var raw = [UInt8](repeating: 0, count: (pixels + 7) / 8 * 4)
        var row = [UInt32](repeating: 0, count: width)
        eachRow(picture.height, start: start, stride: stride, repeats: repeats) { y, offset, isNew in
            if isNew {
                memory.copy(from: offset, into: &raw, count: raw.count)
                for x in 0..<pixels {
                    let place = x / 8 * 4
                    let planes =
                        (UInt32(raw[place]) | UInt32(raw[place + 1]) << 8 | UInt32(raw[place + 2]) << 16
                            | UInt32(raw[place + 3]) << 24) & enable
                    let colour: UInt32
                    if isCGA {
                        // The even planes hold the left four pixels of each byte pair, two bits each.
                        let odd = UInt32(x & 4) * 2
                        let shift = UInt32(6 - (x & 3) * 2)
                        colour = planes >> (odd + shift) & 3 | (planes >> (16 + odd + shift) & 3) << 2
                    } else {
                        let bits = planes >> UInt32(7 - x & 7)
                        colour = bits & 1 | bits >> 7 & 2 | bits >> 14 & 4 | bits >> 21 & 8
                    }
                    if doubled {
                        row[x * 2] = palette[Int(colour)]
                        row[x * 2 + 1] = palette[Int(colour)]
                    } else {
                        row[x] = palette[Int(colour)]
                    }
                }
            }
            picture.setRow(y, row)
        }
    }

    // MARK: Text

    private func drawText(_ picture: inout Picture) {
        let clocking = model.sequencer[VGAModel.Sequencer.clocking]
        let (wide, cell) = (clocking & 1 == 0 ? 9 : 8, Int(model.crtc[VGAModel.CRTC.maximumScan] & 0x1F) + 1)
        let double = clocking & 0x08 != 0 ? 2 : 1
        let scans = cell << Int(model.crtc[VGAModel.CRTC.maximumScan] >> 7)
        picture.resize(width: characters * wide * double, height: verticalEnd + 1)
        let (palette, attributes) = (sixteen, model.attribute[VGAModel.Attribute.mode])
        let blinks = attributes & 0x08 != 0
        let fonts = model.sequencer[VGAModel.Sequencer.fonts]
        let (fontA, fontB) = (
            Self.fontOffset(fonts >> 3 & 4 | fonts >> 2 & 3), Self.fontOffset(fonts >> 2 & 4 | fonts & 3)
        )
        let cursor = cursorLines
        var row = [UInt32](repeating: 0, count: picture.width)
        for y in 0..<picture.height {
            let (line, scan) = (y / scans, y % scans * cell / scans)
            for column in 0..<characters {
                let place = start + line * (stride / 4) + column
                let planes = memory[planes: place]
                let (code, attribute) = (Int(planes & 0xFF), UInt8(truncatingIfNeeded: planes >> 8))
                let font = attribute & 8 != 0 ? fontA : fontB
                var bits = UInt32(UInt8(truncatingIfNeeded: memory[planes: font + code * 32 + scan] >> 16)) << 1
                // The ninth dot of line graphics goes on with the eighth.
                if attributes & 4 != 0 && code & 0xE0 == 0xC0 { bits |= bits >> 1 & 1 }
                let ink = palette[Int(attribute & 0x0F)]
                let paper = palette[Int(attribute >> 4 & (blinks ? 7 : 15))]
                if let cursor, cursor.place == place, cursor.lines.contains(scan) { bits = 0x1FF }
                let left = column * wide * double
                for dot in 0..<(wide * double) {
                    row[left + dot] = bits >> UInt32(8 - dot / double) & 1 != 0 ? ink : paper
                }
            }
            picture.setRow(y, row)
        }
    }

    /// Where in plane 2 a font is.
    private static func fontOffset(_ select: UInt8) -> Int {
        Int(select & 3) * 0x4000 + (select & 4 != 0 ? 0x2000 : 0)
    }

    var cursorLines: (place: Int, lines: ClosedRange<Int>)? {
        let first = model.crtc[VGAModel.CRTC.cursorStart]
        let (top, bottom) = (Int(first & 0x1F), Int(model.crtc[VGAModel.CRTC.cursorEnd] & 0x1F))
        guard first & 0x20 == 0, top <= bottom else { return nil }
        let place = Int(model.crtc[VGAModel.CRTC.cursorHigh]) << 8 | Int(model.crtc[VGAModel.CRTC.cursorLow])
        return (place, top...bottom)
    }
}
