/// Tiles of 64 by 64 as palettes and runs, before zlib. RFC 6143, 7.7.6.
extension Encoder {
    func runLengths(_ block: PixelBlock) -> [UInt8] {
        var output: [UInt8] = []
        for y in stride(from: 0, to: block.height, by: 64) {
            for x in stride(from: 0, to: block.width, by: 64) {
                let tile = PixelBlock(
                    block, x: x, y: y, width: min(64, block.width - x), height: min(64, block.height - y))
                appendTile(tile, to: &output)
            }
        }
        return output
    }

    private func appendTile(_ tile: PixelBlock, to output: inout [UInt8]) {
        var runs = 0
        var singles = 0
        var index = 0
        while index < tile.pixels.count {
            let length = Self.run(tile.pixels, from: index)
            if length == 1 { singles += 1 } else { runs += 1 }
            index += length
        }
        let size = translator.compactOffset == nil ? translator.bytes : 3
        let raw = tile.pixels.count * size
        let plain = (runs + singles) * (size + 1)
        guard let colours = tile.colours(limit: 127) else {
            if plain < raw { appendPlainRuns(tile, to: &output) } else { appendPixels(tile, to: &output) }
            return
        }
        if colours.count == 1 {
            output.append(1)
            translator.appendCompact(colours[0], to: &output)
            return
        }
        let palette = colours.count * size
        let indexed = palette + runs * 2 + singles
        let bits = colours.count <= 2 ? 1 : colours.count <= 4 ? 2 : 4
        let packed = colours.count <= 16 ? palette + (tile.width * bits + 7) / 8 * tile.height : Int.max
        switch min(raw, plain, indexed, packed) {
        case packed: appendPacked(tile, colours, bits: bits, to: &output)
        case indexed: appendIndexedRuns(tile, colours, to: &output)
        case plain: appendPlainRuns(tile, to: &output)
        default: appendPixels(tile, to: &output)
        }
    }

    private static func run(_ pixels: [UInt32], from start: Int) -> Int {
        var end = start + 1
        while end < pixels.count, pixels[end] == pixels[start] { end += 1 }
        return end - start
    }

    private static func appendLength(_ length: Int, to output: inout [UInt8]) {
        var rest = length - 1
        while rest >= 255 {
            output.append(255)
            rest -= 255
        }
        output.append(UInt8(rest))
    }

    private func appendPixels(_ tile: PixelBlock, to output: inout [UInt8]) {
        output.append(0)
        for pixel in tile.pixels { translator.appendCompact(pixel, to: &output) }
    }

    private func appendPlainRuns(_ tile: PixelBlock, to output: inout [UInt8]) {
        output.append(128)
        var index = 0
        while index < tile.pixels.count {
            let length = Self.run(tile.pixels, from: index)
            translator.appendCompact(tile.pixels[index], to: &output)
            Self.appendLength(length, to: &output)
            index += length
        }
    }

    private func appendIndexedRuns(_ tile: PixelBlock, _ colours: [UInt32], to output: inout [UInt8]) {
        output.append(UInt8(128 + colours.count))
        for colour in colours { translator.appendCompact(colour, to: &output) }
        var index = 0
        while index < tile.pixels.count {
            let length = Self.run(tile.pixels, from: index)
            let number = UInt8(colours.firstIndex(of: tile.pixels[index]) ?? 0)
            output.append(length == 1 ? number : number | 0x80)
            if length > 1 { Self.appendLength(length, to: &output) }
            index += length
        }
    }

    private func appendPacked(_ tile: PixelBlock, _ colours: [UInt32], bits: Int, to output: inout [UInt8]) {
        output.append(UInt8(colours.count))
        for colour in colours { translator.appendCompact(colour, to: &output) }
        for y in 0..<tile.height {
            var (byte, used) = (UInt8(0), 0)
            for x in 0..<tile.width {
                let number = colours.firstIndex(of: tile.pixels[y * tile.width + x]) ?? 0
                byte = byte << UInt8(bits) | UInt8(number)
                used += bits
                if used == 8 {
                    output.append(byte)
                    (byte, used) = (0, 0)
                }
            }
            if used > 0 { output.append(byte << UInt8(8 - used)) }
        }
    }
}
