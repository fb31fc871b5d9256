/// Tiles of 16 by 16, each a background with rectangles on it. RFC 6143, 7.7.4.
extension Encoder {
    private enum Part {
        static let raw: UInt8 = 1
        static let background: UInt8 = 2
        static let foreground: UInt8 = 4
        static let rectangles: UInt8 = 8
        static let coloured: UInt8 = 16
    }

    func appendHextile(_ block: PixelBlock, to output: inout [UInt8]) {
        var background: UInt32?
        for y in stride(from: 0, to: block.height, by: 16) {
            for x in stride(from: 0, to: block.width, by: 16) {
                let tile = PixelBlock(
                    block, x: x, y: y, width: min(16, block.width - x), height: min(16, block.height - y))
                appendTile(tile, &background, to: &output)
            }
        }
    }

    private func appendTile(_ tile: PixelBlock, _ background: inout UInt32?, to output: inout [UInt8]) {
        let size = tile.width * tile.height * translator.bytes
        let colours = tile.colours(limit: 24)
        guard let colours else { return appendRawTile(tile, &background, to: &output) }
        // The first of two colours may as well be the ground as the other; what is already the ground costs nothing.
        let ground = background.flatMap { colours.contains($0) ? $0 : nil } ?? Self.commonest(tile, colours)
        let isNew = ground != background
        guard colours.count > 1 else {
            output.append(isNew ? Part.background : 0)
            if isNew { translator.append(ground, to: &output) }
            background = ground
            return
        }
        let ink = colours.count == 2 ? colours.first { $0 != ground } : nil
        var body: [UInt8] = []
        if isNew { translator.append(ground, to: &body) }
        if let ink { translator.append(ink, to: &body) }
        let place = body.count
        body.append(0)
        let count = appendRectangles(tile, ground, isColoured: ink == nil, limit: size, to: &body)
        guard let count, body.count < size else { return appendRawTile(tile, &background, to: &output) }
        body[place] = UInt8(count)
        output.append(
            (isNew ? Part.background : 0) | Part.rectangles | (ink == nil ? Part.coloured : Part.foreground))
        output += body
        background = ground
    }

    private func appendRawTile(_ tile: PixelBlock, _ background: inout UInt32?, to output: inout [UInt8]) {
        output.append(Part.raw)
        for pixel in tile.pixels { translator.append(pixel, to: &output) }
        // After a raw tile the ground is unknown.
        background = nil
    }

    private static func commonest(_ tile: PixelBlock, _ colours: [UInt32]) -> UInt32 {
        var counts = [Int](repeating: 0, count: colours.count)
        for pixel in tile.pixels { if let index = colours.firstIndex(of: pixel) { counts[index] += 1 } }
        let most = counts.indices.max { counts[$0] < counts[$1] } ?? 0
        return colours[most]
    }

    /// Appends what is not ground as rectangles: as wide as they go, then as high. Nil where they are too many.
    private func appendRectangles(
        _ tile: PixelBlock, _ ground: UInt32, isColoured: Bool, limit: Int, to body: inout [UInt8]
    ) -> Int? {
        var done = [Bool](repeating: false, count: tile.pixels.count)
        var count = 0
        for y in 0..<tile.height {
            for x in 0..<tile.width {
                let place = y * tile.width + x
                let colour = tile.pixels[place]
                guard colour != ground, !done[place] else { continue }
                var width = 1
                while x + width < tile.width, tile.pixels[place + width] == colour, !done[place + width] { width += 1 }
                var height = 1
                rows: while y + height < tile.height {
                    let start = place + height * tile.width
                    for offset in 0..<width where tile.pixels[start + offset] != colour || done[start + offset] {
                        break rows
                    }
                    height += 1
                }
                for row in 0..<height { for column in 0..<width { done[place + row * tile.width + column] = true } }
                count += 1
                guard count <= 255, body.count < limit else { return nil }
                if isColoured { translator.append(colour, to: &body) }
                body.append(UInt8(x << 4 | y))
                body.append(UInt8((width - 1) << 4 | (height - 1)))
            }
        }
        return count
    }
}
