extension TestViewer {
    func hextile(_ x: Int, _ y: Int, _ w: Int, _ h: Int) throws {
        var (ground, ink) = (UInt32(0), UInt32(0))
        func pixel() throws -> UInt32 { colour(try take(format.bytes)[...]) }
        for top in stride(from: 0, to: h, by: 16) {
            for left in stride(from: 0, to: w, by: 16) {
                let (tw, th) = (min(16, w - left), min(16, h - top))
                let kind = try take(1)[0]
                if kind & 1 != 0 {
                    try fill(x + left, y + top, tw, th, try take(tw * th * format.bytes), size: format.bytes)
                    continue
                }
                if kind & 2 != 0 { ground = try pixel() }
                if kind & 4 != 0 { ink = try pixel() }
                for row in 0..<th { for column in 0..<tw { try put(x + left + column, y + top + row, ground) } }
                guard kind & 8 != 0 else { continue }
                for _ in 0..<(try number(1)) {
                    let shade = kind & 16 != 0 ? try pixel() : ink
                    let place = try take(2)
                    for row in 0...Int(place[1] & 15) {
                        for column in 0...Int(place[1] >> 4) {
                            try put(
                                x + left + Int(place[0] >> 4) + column, y + top + Int(place[0] & 15) + row, shade)
                        }
                    }
                }
            }
        }
    }

    func zrle(_ x: Int, _ y: Int, _ w: Int, _ h: Int) throws {
        let data = try inflate(1, try take(try number(4)))
        var place = 0
        func byte() throws -> UInt8 {
            guard place < data.count else { throw Failed(description: "ZRLE ends early") }
            place += 1
            return data[place - 1]
        }
        func pixel() throws -> UInt32 {
            place += format.compact
            guard place <= data.count else { throw Failed(description: "ZRLE ends early") }
            return colour(data[(place - format.compact)..<place])
        }
        func length() throws -> Int {
            var sum = 1
            while true {
                let next = try byte()
                sum += Int(next)
                if next != 255 { return sum }
            }
        }
        for top in stride(from: 0, to: h, by: 64) {
            for left in stride(from: 0, to: w, by: 64) {
                let (tw, th) = (min(64, w - left), min(64, h - top))
                let kind = Int(try byte())
                var tile: [UInt32] = []
                switch kind {
                case 0: while tile.count < tw * th { tile.append(try pixel()) }
                case 1: tile = [UInt32](repeating: try pixel(), count: tw * th)
                case 2...16:
                    let palette = try (0..<kind).map { _ in try pixel() }
                    let bits = kind == 2 ? 1 : kind <= 4 ? 2 : 4
                    for _ in 0..<th {
                        var (word, left) = (UInt8(0), 0)
                        for _ in 0..<tw {
                            if left == 0 { (word, left) = (try byte(), 8) }
                            left -= bits
                            tile.append(palette[Int(word >> UInt8(left)) & (1 << bits - 1)])
                        }
                    }
                case 128:
                    while tile.count < tw * th {
                        let shade = try pixel()
                        tile += [UInt32](repeating: shade, count: try length())
                    }
                case 130...255:
                    let palette = try (0..<(kind - 128)).map { _ in try pixel() }
                    while tile.count < tw * th {
                        let index = try byte()
                        let shade = palette[Int(index & 0x7F)]
                        tile += [UInt32](repeating: shade, count: index & 0x80 != 0 ? try length() : 1)
                    }
                default: throw Failed(description: "ZRLE tile \(kind)")
                }
                guard tile.count == tw * th else { throw Failed(description: "ZRLE tile of \(tile.count)") }
                for (index, shade) in tile.enumerated() { try put(x + left + index % tw, y + top + index / tw, shade) }
            }
        }
        guard place == data.count else { throw Failed(description: "ZRLE goes on") }
    }

    func tight(_ x: Int, _ y: Int, _ w: Int, _ h: Int) throws {
        let control = try take(1)[0]
        for stream in 0..<4 where control >> UInt8(stream) & 1 != 0 { forget(10 + stream) }
        func pixel() throws -> UInt32 { tightColour(try take(format.tight)[...]) }
        func length() throws -> Int {
            var (sum, shift) = (0, 0)
            while true {
                let next = try number(1)
                sum |= (shift == 14 ? next : next & 0x7F) << shift
                shift += 7
                if next & 0x80 == 0 || shift > 14 { return sum }
            }
        }
        func body(_ count: Int) throws -> [UInt8] {
            if count < 12 { return try take(count) }
            let data = try inflate(10 + Int(control >> 4 & 3), try take(try length()))
            guard data.count == count else { throw Failed(description: "Tight: \(data.count), not \(count)") }
            return data
        }
        func paint(_ shades: [UInt32]) throws {
            for (index, shade) in shades.enumerated() { try put(x + index % w, y + index / w, shade) }
        }
        switch control >> 4 {
        case 8: try paint([UInt32](repeating: try pixel(), count: w * h))
        case 9:
            let data = try take(try length())
            guard data.starts(with: [0xFF, 0xD8]) else { throw Failed(description: "no JPEG") }
        case 0...7:
            guard control & 0x40 != 0 else {
                let data = try body(w * h * format.tight)
                return try paint(
                    (0..<(w * h)).map { tightColour(data[($0 * format.tight)..<($0 * format.tight + format.tight)]) })
            }
            guard try take(1) == [1] else { throw Failed(description: "Tight: a filter that is no palette") }
            let palette = try (0..<(try number(1) + 1)).map { _ in try pixel() }
            if palette.count == 2 {
                let data = try body((w + 7) / 8 * h)
                try paint(
                    (0..<(w * h)).map { index in
                        let (column, row) = (index % w, index / w)
                        return palette[Int(data[row * ((w + 7) / 8) + column / 8] >> UInt8(7 - column % 8) & 1)]
                    })
            } else {
                try paint(try body(w * h).map { palette[Int($0)] })
            }
        default: throw Failed(description: "Tight: control \(control)")
        }
    }

    private func tightColour(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        format.tight == 3 ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : colour(bytes)
    }
}
