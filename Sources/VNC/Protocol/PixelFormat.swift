/// How a viewer wants its pixels. RFC 6143, 7.4.
package struct PixelFormat: Equatable {
    var bitsPerPixel: Int
    var depth: Int
    var isBigEndian: Bool
    var isTrueColour: Bool
    var redMax: Int
    var greenMax: Int
    var blueMax: Int
    var redShift: Int
    var greenShift: Int
    var blueShift: Int

    /// What the server's pictures are.
    static let native = PixelFormat(
        bitsPerPixel: 32, depth: 24, isBigEndian: false, isTrueColour: true, redMax: 255, greenMax: 255, blueMax: 255,
        redShift: 16, greenShift: 8, blueShift: 0)

    var bytes: [UInt8] {
        var bytes: [UInt8] = [UInt8(bitsPerPixel), UInt8(depth), isBigEndian ? 1 : 0, isTrueColour ? 1 : 0]
        for most in [redMax, greenMax, blueMax] { bytes += [UInt8(most >> 8), UInt8(most & 0xFF)] }
        for shift in [redShift, greenShift, blueShift, 0, 0, 0] { bytes.append(UInt8(shift)) }
        return bytes
    }
}

extension PixelFormat {
    /// The format of a viewer's sixteen bytes; nil for one that cannot be.
    init?(_ bytes: ArraySlice<UInt8>) {
        let b = Array(bytes)
        guard b.count >= 16, [8, 16, 32].contains(b[0]) else { return nil }
        func wide(_ index: Int) -> Int { Int(b[index]) << 8 | Int(b[index + 1]) }
        self.init(
            bitsPerPixel: Int(b[0]), depth: Int(b[1]), isBigEndian: b[2] != 0, isTrueColour: b[3] != 0,
            redMax: wide(4), greenMax: wide(6), blueMax: wide(8), redShift: Int(b[10]), greenShift: Int(b[11]),
            blueShift: Int(b[12]))
        guard isTrueColour else {
            // A map of colours: three bits of red and green each, two of blue, as the server then sets it.
            guard bitsPerPixel == 8 else { return nil }
            (redMax, greenMax, blueMax, redShift, greenShift, blueShift) = (7, 7, 3, 0, 3, 6)
            return
        }
        for (most, shift) in [(redMax, redShift), (greenMax, greenShift), (blueMax, blueShift)] {
            guard most > 0, most & (most + 1) == 0, shift < bitsPerPixel, most << shift < 1 << bitsPerPixel else {
                return nil
            }
        }
    }
}

/// Translates the server's pixels to a viewer's.
struct PixelTranslator {
    let format: PixelFormat
    /// Bytes of a pixel.
    let bytes: Int
    /// Whether a viewer takes the server's pixels as they are.
    let isNative: Bool
    /// Whether compressed pixels have three bytes, and where these start in the four (RFC 6143, 7.7.5).
    let compactOffset: Int?
    /// Whether Tight's pixels are red, green and blue.
    let isTightRGB: Bool
    private let red: [UInt32]
    private let green: [UInt32]
    private let blue: [UInt32]

    init(_ format: PixelFormat) {
        self.format = format
        bytes = format.bitsPerPixel / 8
        var plain = format
        plain.depth = 24
        isNative = plain == .native
        func table(_ most: Int, _ shift: Int) -> [UInt32] {
            (0..<256).map { level in
                let value = UInt32((level * most + 127) / 255) << UInt32(shift)
                guard format.isBigEndian else { return value }
                return format.bitsPerPixel == 16 ? value.byteSwapped >> 16 : format.bitsPerPixel == 32
                    ? value.byteSwapped : value
            }
        }
        red = table(format.redMax, format.redShift)
        green = table(format.greenMax, format.greenShift)
        blue = table(format.blueMax, format.blueShift)
        let used =
            format.redMax << format.redShift | format.greenMax << format.greenShift
            | format.blueMax << format.blueShift
        if format.isTrueColour, format.bitsPerPixel == 32, format.depth <= 24, used < 1 << 24 {
            compactOffset = format.isBigEndian ? 1 : 0
        } else if format.isTrueColour, format.bitsPerPixel == 32, format.depth <= 24, used & 0xFF == 0 {
            compactOffset = format.isBigEndian ? 0 : 1
        } else {
            compactOffset = nil
        }
        isTightRGB =
            format.isTrueColour && format.bitsPerPixel == 32 && format.depth == 24 && format.redMax == 255
            && format.greenMax == 255 && format.blueMax == 255
    }

    /// A pixel's value, its first byte on the wire lowest.
    @inline(__always)
    func value(_ pixel: UInt32) -> UInt32 {
        if isNative { return pixel & 0xFF_FFFF }
        return red[Int(pixel >> 16 & 0xFF)] | green[Int(pixel >> 8 & 0xFF)] | blue[Int(pixel & 0xFF)]
    }

    /// Appends a pixel.
    @inline(__always)
    func append(_ pixel: UInt32, to output: inout [UInt8]) {
        var value = value(pixel)
        for _ in 0..<bytes {
            output.append(UInt8(truncatingIfNeeded: value))
            value >>= 8
        }
    }

    /// Appends a pixel as ZRLE has it.
    @inline(__always)
    func appendCompact(_ pixel: UInt32, to output: inout [UInt8]) {
        guard let compactOffset else { return append(pixel, to: &output) }
        let value = value(pixel) >> UInt32(compactOffset * 8)
        output.append(UInt8(truncatingIfNeeded: value))
        output.append(UInt8(truncatingIfNeeded: value >> 8))
        output.append(UInt8(truncatingIfNeeded: value >> 16))
    }

    /// Appends a pixel as Tight has it.
    @inline(__always)
    func appendTight(_ pixel: UInt32, to output: inout [UInt8]) {
        guard isTightRGB else { return append(pixel, to: &output) }
        output.append(UInt8(truncatingIfNeeded: pixel >> 16))
        output.append(UInt8(truncatingIfNeeded: pixel >> 8))
        output.append(UInt8(truncatingIfNeeded: pixel))
    }
}
