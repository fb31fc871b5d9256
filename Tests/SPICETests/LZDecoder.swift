/// Decodes what clients decode of an `LZ_RGB` image: written from the coding's description, apart from the compressor.
enum LZDecoder {
    struct Broken: Error {}

    static func decode(_ bytes: [UInt8]) throws -> (width: Int, height: Int, pixels: [UInt32]) {
        var place = 0
        func byte() throws -> Int {
            guard place < bytes.count else { throw Broken() }
            place += 1
            return Int(bytes[place - 1])
        }
        func word() throws -> Int { try (0..<4).reduce(0) { value, _ in try value << 8 | byte() } }
        guard try word() == 0x2020_5A4C, try word() == 0x1_0001, try word() == 8 else { throw Broken() }
        let (width, height) = (try word(), try word())
        guard try word() == width * 4, try word() == 1 else { throw Broken() }
        var pixels: [UInt32] = []
        while pixels.count < width * height {
            let control = try byte()
            if control < 32 {
                for _ in 0...control {
                    let (blue, green, red) = (try byte(), try byte(), try byte())
                    pixels.append(UInt32(red << 16 | green << 8 | blue))
                }
                continue
            }
            var length = control >> 5
            if length == 7 {
                while true {
                    let more = try byte()
                    length += more
                    if more < 255 { break }
                }
            }
            let low = try byte()
            var distance = ((control & 31) << 8) + low
            if control & 31 == 31, low == 255 {
                let high = try byte()
                distance = (high << 8) + (try byte()) + 8191
            }
            guard distance < pixels.count else { throw Broken() }
            for _ in 0..<length { pixels.append(pixels[pixels.count - distance - 1]) }
        }
        guard pixels.count == width * height, place == bytes.count else { throw Broken() }
        return (width, height, pixels)
    }
}
