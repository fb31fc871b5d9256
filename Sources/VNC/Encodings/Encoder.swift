internal import Display

/// Encodings by number. RFC 6143, 7.7, and the registry of the community's protocol.
enum Encoding {
    static let raw: Int32 = 0
    static let copyRectangle: Int32 = 1
    static let hextile: Int32 = 5
    static let zlib: Int32 = 6
    static let tight: Int32 = 7
    static let zrle: Int32 = 16
    static let cursor: Int32 = -239
    static let desktopSize: Int32 = -223
    static let lastRectangle: Int32 = -224
    static let pointerType: Int32 = -257
    static let extendedKeys: Int32 = -258
    static let lights: Int32 = -261
    static let desktopName: Int32 = -307
    static let extendedDesktopSize: Int32 = -308
    static let alphaCursor: Int32 = -314
    static let extendedMouse: Int32 = -316
    static let extendedClipboard: Int32 = -1_063_131_698

    /// Those that carry pixels.
    static let pictures = [raw, hextile, zlib, tight, zrle]
}

/// The pixels of a rectangle, row after row.
struct PixelBlock {
    let width: Int
    let height: Int
    let pixels: [UInt32]

    /// A part of a picture, without the top bytes of its pixels.
    init(_ picture: borrowing Picture, _ area: PictureRectangle) {
        width = area.width
        height = area.height
        var pixels: [UInt32] = []
        pixels.reserveCapacity(area.width * area.height)
        let (all, stride) = (picture.pixels, picture.width)
        for y in area.y..<(area.y + area.height) {
            let start = y * stride + area.x
            pixels.append(contentsOf: all[start..<(start + area.width)])
        }
        for index in pixels.indices { pixels[index] &= 0xFF_FFFF }
        self.pixels = pixels
    }

    /// A part of a block.
    init(_ block: PixelBlock, x: Int, y: Int, width: Int, height: Int) {
        self.width = width
        self.height = height
        var part: [UInt32] = []
        part.reserveCapacity(width * height)
        for row in y..<(y + height) {
            let start = row * block.width + x
            part.append(contentsOf: block.pixels[start..<(start + width)])
        }
        pixels = part
    }

    /// The different colours in the order of their first pixels; nil where there are more than so many.
    func colours(limit: Int) -> [UInt32]? {
        var found: [UInt32] = []
        var last: UInt32?
        for pixel in pixels where pixel != last {
            last = pixel
            if found.contains(pixel) { continue }
            if found.count == limit { return nil }
            found.append(pixel)
        }
        return found
    }
}

/// What a viewer asked for, and the streams that its encodings go on with from one update to the next.
final class Encoder {
    var translator = PixelTranslator(.native)
    /// The encoding that pixels go out in.
    var encoding = Encoding.raw
    /// JPEG's quality by Tight, 0 to 9; nil for none.
    var quality: Int?
    /// How hard zlib tries, 0 to 9.
    var level = 1 {
        didSet {
            // Only Tight's streams can begin anew; the others keep the level that they began with.
            guard level != oldValue else { return }
            if tight.contains(where: { $0 != nil }) { tightResets = 7 }
            tight = [nil, nil, nil]
        }
    }
    var zlib: ZlibStream?
    var zrle: ZlibStream?
    var tight: [ZlibStream?] = [nil, nil, nil]
    /// Streams of Tight that begin anew: the viewer is told.
    var tightResets: UInt8 = 0
    let jpeg = JPEGCompressor()

    /// Appends a rectangle with its header, or several where the encoding has limits. Returns how many.
    func append(_ area: PictureRectangle, of picture: borrowing Picture, to output: inout [UInt8]) -> Int {
        switch encoding {
        case Encoding.hextile:
            header(area, Encoding.hextile, to: &output)
            appendHextile(PixelBlock(picture, area), to: &output)
            return 1
        case Encoding.zlib:
            header(area, Encoding.zlib, to: &output)
            let stream = zlib ?? ZlibStream(level: level)
            zlib = stream
            var raw: [UInt8] = []
            appendRaw(picture, area, to: &raw)
            packed(raw, stream, to: &output)
            return 1
        case Encoding.zrle:
            header(area, Encoding.zrle, to: &output)
            let stream = zrle ?? ZlibStream(level: level)
            zrle = stream
            packed(runLengths(PixelBlock(picture, area)), stream, to: &output)
            return 1
        case Encoding.tight: return appendTight(picture, area, to: &output)
        default:
            header(area, Encoding.raw, to: &output)
            appendRaw(picture, area, to: &output)
            return 1
        }
    }

    /// A rectangle's header. RFC 6143, 7.6.1.
    func header(_ area: PictureRectangle, _ encoding: Int32, to output: inout [UInt8]) {
        for value in [area.x, area.y, area.width, area.height] {
            output.append(UInt8(truncatingIfNeeded: value >> 8))
            output.append(UInt8(truncatingIfNeeded: value))
        }
        Self.word(UInt32(bitPattern: encoding), to: &output)
    }

    static func word(_ value: UInt32, to output: inout [UInt8]) {
        for shift in [24, 16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    private func packed(_ bytes: [UInt8], _ stream: ZlibStream, to output: inout [UInt8]) {
        let place = output.count
        output += [0, 0, 0, 0]
        stream.pack(bytes, to: &output)
        let count = output.count - place - 4
        for index in 0..<4 { output[place + index] = UInt8(truncatingIfNeeded: count >> (24 - index * 8)) }
    }

    private func appendRaw(_ picture: borrowing Picture, _ area: PictureRectangle, to output: inout [UInt8]) {
        let (pixels, stride) = (picture.pixels, picture.width)
        output.reserveCapacity(output.count + area.width * area.height * translator.bytes)
        for y in area.y..<(area.y + area.height) {
            let row = pixels[(y * stride + area.x)..<(y * stride + area.x + area.width)]
            if translator.isNative {
                // SAFETY: the bytes of the row's own pixels, lowest first as this processor has them.
                unsafe row.withUnsafeBytes { unsafe output.append(contentsOf: $0) }
            } else {
                for pixel in row { translator.append(pixel, to: &output) }
            }
        }
    }
}
