internal import CZlib

/// Pictures as files.
public enum PictureFile {
    /// Portable pixmap, binary, 8 bits a colour.
    public static func ppm(_ picture: Picture) -> [UInt8] {
        var bytes = Array("P6\n\(picture.width) \(picture.height)\n255\n".utf8)
        bytes.reserveCapacity(bytes.count + picture.pixels.count * 3)
        for pixel in picture.pixels { append(pixel, to: &bytes) }
        return bytes
    }

    /// Portable Network Graphics (W3C, third edition), RGB with 8 bits a colour.
    public static func png(_ picture: Picture) -> [UInt8] {
        var raw: [UInt8] = []
        raw.reserveCapacity(picture.pixels.count * 3 + picture.height)
        for y in 0..<picture.height {
            raw.append(0)  // Filter type "none".
            for pixel in picture.pixels[(y * picture.width)..<((y + 1) * picture.width)] { append(pixel, to: &raw) }
        }
        var size = compressBound(UInt(raw.count))
        var packed = [UInt8](repeating: 0, count: Int(size))
        // SAFETY: the lengths are the arrays' own.
        let status = unsafe compress2(&packed, &size, raw, UInt(raw.count), 6)
        // Memory is all that can be short.
        packed = status == Z_OK ? Array(packed.prefix(Int(size))) : []

        var bytes: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        appendChunk("IHDR", word(picture.width) + word(picture.height) + [8, 2, 0, 0, 0], to: &bytes)
        appendChunk("IDAT", packed, to: &bytes)
        appendChunk("IEND", [], to: &bytes)
        return bytes
    }

    private static func append(_ pixel: UInt32, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: pixel >> 16))
        bytes.append(UInt8(truncatingIfNeeded: pixel >> 8))
        bytes.append(UInt8(truncatingIfNeeded: pixel))
    }
    private static func word(_ value: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
    private static func appendChunk(_ type: String, _ data: [UInt8], to bytes: inout [UInt8]) {
        bytes += word(data.count)
        let body = Array(type.utf8) + data
        bytes += body
        // SAFETY: the length is the array's own.
        bytes += word(Int(unsafe crc32(0, body, UInt32(body.count))))
    }
}
