internal import CTurboJPEG
internal import Display

/// Fills, palettes, plain pixels and JPEG. (The community's RFB protocol, "Tight encoding".)
extension Encoder {
    /// Widest and largest rectangle, so that viewers can keep small buffers.
    private static let widest = 2048
    private static let largest = 65536
    /// From so many pixels on JPEG is worth its header.
    private static let smallestJPEG = 256

    private enum Stream {
        static let pixels = 0
        static let bits = 1
        static let palette = 2
    }

    func appendTight(_ picture: borrowing Picture, _ area: PictureRectangle, to output: inout [UInt8]) -> Int {
        var count = 0
        for x in stride(from: 0, to: area.width, by: Self.widest) {
            let width = min(Self.widest, area.width - x)
            let rows = max(1, Self.largest / width)
            for y in stride(from: 0, to: area.height, by: rows) {
                let part = PictureRectangle(
                    x: area.x + x, y: area.y + y, width: width, height: min(rows, area.height - y))
                header(part, Encoding.tight, to: &output)
                appendPart(PixelBlock(picture, part), to: &output)
                count += 1
            }
        }
        return count
    }

    private func appendPart(_ block: PixelBlock, to output: inout [UInt8]) {
        let limit = translator.bytes == 1 ? 2 : min(256, max(2, block.pixels.count / 96))
        let colours = block.colours(limit: limit)
        if let colours, colours.count == 1 {
            output.append(0x80)
            translator.appendTight(colours[0], to: &output)
            return
        }
        if let colours {
            var data: [UInt8] = []
            let stream = colours.count == 2 ? Stream.bits : Stream.palette
            if colours.count == 2 { appendBits(block, colours, to: &data) } else { appendIndices(block, colours, to: &data) }
            output.append(control(stream) | 0x40)
            output.append(1)
            output.append(UInt8(colours.count - 1))
            for colour in colours { translator.appendTight(colour, to: &output) }
            packed(data, stream, to: &output)
            return
        }
        if let quality, translator.isTightRGB, block.pixels.count >= Self.smallestJPEG,
            let picture = jpeg.compress(block, quality: quality)
        {
            output.append(0x90)
            Self.appendCompactLength(picture.count, to: &output)
            output += picture
            return
        }
        var data: [UInt8] = []
        data.reserveCapacity(block.pixels.count * 3)
        for pixel in block.pixels { translator.appendTight(pixel, to: &data) }
        output.append(control(Stream.pixels))
        packed(data, Stream.pixels, to: &output)
    }

    /// The control byte of a stream, which tells which streams begin anew.
    private func control(_ stream: Int) -> UInt8 {
        defer { tightResets = 0 }
        return UInt8(stream << 4) | tightResets
    }

    private func packed(_ data: [UInt8], _ number: Int, to output: inout [UInt8]) {
        // What is shorter than 12 bytes goes as it is.
        guard data.count >= 12 else {
            output += data
            return
        }
        let stream = tight[number] ?? ZlibStream(level: level)
        tight[number] = stream
        var bytes: [UInt8] = []
        stream.pack(data, to: &bytes)
        Self.appendCompactLength(bytes.count, to: &output)
        output += bytes
    }

    private static func appendCompactLength(_ count: Int, to output: inout [UInt8]) {
        output.append(UInt8(count & 0x7F) | (count > 0x7F ? 0x80 : 0))
        guard count > 0x7F else { return }
        output.append(UInt8(count >> 7 & 0x7F) | (count > 0x3FFF ? 0x80 : 0))
        if count > 0x3FFF { output.append(UInt8(count >> 14 & 0xFF)) }
    }

    private func appendBits(_ block: PixelBlock, _ colours: [UInt32], to data: inout [UInt8]) {
        for y in 0..<block.height {
            for start in stride(from: 0, to: block.width, by: 8) {
                var byte: UInt8 = 0
                for x in start..<min(start + 8, block.width) where block.pixels[y * block.width + x] != colours[0] {
                    byte |= 0x80 >> UInt8(x - start)
                }
                data.append(byte)
            }
        }
    }

    private func appendIndices(_ block: PixelBlock, _ colours: [UInt32], to data: inout [UInt8]) {
        var (last, index): (UInt32?, UInt8) = (nil, 0)
        for pixel in block.pixels {
            if pixel != last {
                last = pixel
                index = UInt8(colours.firstIndex(of: pixel) ?? 0)
            }
            data.append(index)
        }
    }
}

/// libjpeg-turbo's compressor, where the host has it.
@safe final class JPEGCompressor {
    private var handle: UnsafeMutableRawPointer?
    private var isTried = false

    deinit { unsafe apus_jpeg_close(handle) }

    /// A picture of a quality from 0 to 9, or nil where none can be made.
    func compress(_ block: PixelBlock, quality: Int) -> [UInt8]? {
        if !isTried {
            isTried = true
            unsafe handle = apus_jpeg_open()
        }
        guard let handle = unsafe handle else { return nil }
        // As other servers have the ten steps.
        let percent = [15, 29, 41, 42, 62, 77, 79, 86, 92, 100][min(max(quality, 0), 9)]
        var count = apus_jpeg_bound(Int32(block.width), Int32(block.height))
        var target = [UInt8](repeating: 0, count: Int(count))
        // SAFETY: the target has room for any picture of that size, and the pixels are as many as the size says.
        let status = unsafe apus_jpeg_compress(
            handle, block.pixels, Int32(block.width), Int32(block.width * 4), Int32(block.height), &target, &count,
            quality >= 8 ? 0 : 2, Int32(percent))
        return status == 0 ? Array(target.prefix(Int(count))) : nil
    }
}
