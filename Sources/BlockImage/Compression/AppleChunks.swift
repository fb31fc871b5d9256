/// Apple's own packings of a DMG image's chunks that are runs of bytes and copies of earlier ones: ADC, and LZVN, which
/// LZFSE's blocks use where they are small. Hostile input ends in nil: each step checks what it takes and what it makes.
enum AppleChunks {
    /// What has been made, never more than was asked for.
    struct Output {
        private(set) var bytes: [UInt8] = []
        let limit: Int

        init(limit: Int) {
            self.limit = limit
            bytes.reserveCapacity(limit)
        }

        /// Room that is left.
        var room: Int { limit - bytes.count }

        /// Adds bytes; false where there is no room.
        mutating func add(_ part: ArraySlice<UInt8>) -> Bool {
            guard part.count <= room else { return false }
            bytes.append(contentsOf: part)
            return true
        }

        /// Repeats `count` bytes from `distance` bytes back, which may be those that this makes.
        mutating func repeats(_ distance: Int, _ count: Int) -> Bool {
            guard distance > 0, distance <= bytes.count, count <= room else { return false }
            var from = bytes.count - distance
            if distance >= count {
                bytes.append(contentsOf: bytes[from..<from + count])
                return true
            }
            for _ in 0..<count {
                bytes.append(bytes[from])
                from += 1
            }
            return true
        }
    }

    /// Exactly `count` bytes of ADC: runs (1xxxxxxx), short copies (00xxxxdd) and long ones (01xxxxxx).
    static func adc(_ input: [UInt8], count: Int) -> [UInt8]? {
        var output = Output(limit: count)
        var at = 0
        while at < input.count && output.room > 0 {
            let head = Int(input[at])
            if head & 0x80 != 0 {
                let end = at + 2 + head & 0x7f
                guard end <= input.count, output.add(input[at + 1..<end]) else { return nil }
                at = end
            } else if head & 0x40 != 0 {
                guard at + 2 < input.count else { return nil }
                let distance = Int(input[at + 1]) << 8 | Int(input[at + 2])
                guard output.repeats(distance + 1, head & 0x3f + 4) else { return nil }
                at += 3
            } else {
                guard at + 1 < input.count else { return nil }
                let distance = (head & 3) << 8 | Int(input[at + 1])
                guard output.repeats(distance + 1, head >> 2 + 3) else { return nil }
                at += 2
            }
        }
        return output.room == 0 ? output.bytes : nil
    }

    /// Adds what a stream of LZVN makes, up to its end; false where it is broken.
    static func lzvn(_ input: ArraySlice<UInt8>, into output: inout Output) -> Bool {
        var (at, last) = (input.startIndex, 0)
        func word(_ place: Int) -> Int? {
            place + 1 < input.endIndex ? Int(input[place]) | Int(input[place + 1]) << 8 : nil
        }
        while at < input.endIndex {
            let code = Int(input[at])
            // How many bytes the operation has, the run behind it, and the copy after that.
            var (size, run, copied) = (1, 0, 0)
            switch code {
            case 0x06: return true
            case 0x0e, 0x16: break
            case 0x1e, 0x26, 0x2e, 0x36, 0x3e, 0x70...0x7f, 0xd0...0xdf: return false
            case 0xa0...0xbf:
                guard at + 2 < input.endIndex, let more = word(at + 1) else { return false }
                (size, run, copied, last) = (3, code >> 3 & 3, ((code & 7) << 2 | more & 3) + 3, more >> 2)
            case 0xe0:
                guard at + 1 < input.endIndex else { return false }
                (size, run) = (2, Int(input[at + 1]) + 16)
            case 0xe1...0xef: run = code & 15
            case 0xf0:
                guard at + 1 < input.endIndex else { return false }
                (size, copied) = (2, Int(input[at + 1]) + 16)
            case 0xf1...0xff: copied = code & 15
            default:
                (run, copied) = (code >> 6, (code >> 3 & 7) + 3)
                if code & 7 == 7 {
                    guard let distance = word(at + 1) else { return false }
                    (size, last) = (3, distance)
                } else if code & 7 != 6 {
                    guard at + 1 < input.endIndex else { return false }
                    (size, last) = (2, (code & 7) << 8 | Int(input[at + 1]))
                }
            }
            at += size
            guard run <= input.endIndex - at, output.add(input[at..<at + run]) else { return false }
            at += run
            if copied > 0, !output.repeats(last, copied) { return false }
        }
        return false
    }
}
