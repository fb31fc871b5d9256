/// Apple's LZFSE, for reading: a row of blocks, each raw, of LZVN, or of runs and copies whose numbers are packed by
/// finite state entropy, which is read backwards from its end. Hostile input ends in nil.
enum LZFSE {
    private enum Magic {
        static let end: UInt32 = 0x2478_7662
        static let raw: UInt32 = 0x2d78_7662
        static let lzvn: UInt32 = 0x6e78_7662
        static let packed: UInt32 = 0x3278_7662
    }

    /// The alphabets: lengths of runs, lengths of copies, distances, bytes.
    private static let symbols = (runs: 20, copies: 20, distances: 64, bytes: 256)
    private static let states = (runs: 64, copies: 64, distances: 256, bytes: 1024)
    private static let maximumRunBytes = 40_000
    private static let maximumCopies = 10_000

    private static let runBits: [UInt8] = [UInt8](repeating: 0, count: 16) + [2, 3, 5, 8]
    private static let copyBits: [UInt8] = [UInt8](repeating: 0, count: 16) + [3, 5, 8, 11]
    private static let distanceBits: [UInt8] = (0..<64).map { UInt8($0 / 4) }

    /// Exactly `count` bytes.
    static func unpack(_ input: [UInt8], count: Int) -> [UInt8]? {
        var output = AppleChunks.Output(limit: count)
        var at = 0
        while at + 4 <= input.count {
            let size: Int
            switch input.littleEndian(UInt32.self, at: at) {
            case Magic.end: return output.room == 0 ? output.bytes : nil
            case Magic.raw:
                size = Int(input.littleEndian(UInt32.self, at: at + 4))
                guard size <= input.count - at - 8, output.add(input[at + 8..<at + 8 + size]) else { return nil }
                at += 8 + size
            case Magic.lzvn:
                size = Int(input.littleEndian(UInt32.self, at: at + 8))
                guard size <= input.count - at - 12,
                    AppleChunks.lzvn(input[at + 12..<at + 12 + size], into: &output)
                else { return nil }
                at += 12 + size
            case Magic.packed:
                guard let end = block(input, at, &output) else { return nil }
                at = end
            default: return nil
            }
        }
        return nil
    }

    /// What the head of a block says.
    private struct Head {
        var runBytes, copies, runBytesSize, copiesSize, size: Int
        var byteStart, copyStart: Int
        var byteStates: [Int]
        var runState, copyState, distanceState: Int

        init(_ input: [UInt8], _ at: Int) {
            let fields = (0..<3).map { input.littleEndian(UInt64.self, at: at + 8 + 8 * $0) }
            func field(_ index: Int, _ shift: UInt64, _ width: UInt64) -> Int {
                Int(fields[index] >> shift & (1 << width - 1))
            }
            (runBytes, runBytesSize, copies) = (field(0, 0, 20), field(0, 20, 20), field(0, 40, 20))
            (byteStart, copyStart) = (field(0, 60, 3) - 7, field(1, 60, 3) - 7)
            byteStates = [field(1, 0, 10), field(1, 10, 10), field(1, 20, 10), field(1, 30, 10)]
            (copiesSize, size) = (field(1, 40, 20), field(2, 0, 32))
            (runState, copyState, distanceState) = (field(2, 32, 10), field(2, 42, 10), field(2, 52, 10))
        }
    }

    /// One block at `at`; where it ends.
    private static func block(_ input: [UInt8], _ at: Int, _ output: inout AppleChunks.Output) -> Int? {
        guard input.count - at >= 32 else { return nil }
        let head = Head(input, at)
        guard head.size >= 32, head.size <= input.count - at,
            head.runBytesSize + head.copiesSize <= input.count - at - head.size, head.runBytes <= maximumRunBytes,
            head.runBytes % 4 == 0, (1...maximumCopies).contains(head.copies),
            let counts = frequencies(input[at + 32..<at + head.size])
        else { return nil }
        let (a, b, c) = (symbols.runs, symbols.runs + symbols.copies, counts.count - symbols.bytes)
        guard var runs = StateTable(counts[..<a], states.runs, runBits, head.runState),
            var copies = StateTable(counts[a..<b], states.copies, copyBits, head.copyState),
            var distances = StateTable(counts[b..<c], states.distances, distanceBits, head.distanceState),
            let letters = StateTable(counts[c...], states.bytes, nil, 0),
            head.byteStates.allSatisfy({ $0 < states.bytes })
        else { return nil }
        let middle = at + head.size + head.runBytesSize
        let end = middle + head.copiesSize
        guard
            let bytes = self.bytes(
                letters, head, BackwardBits(input, at + head.size, middle, head.byteStart)),
            var bits = BackwardBits(input, middle, end, head.copyStart)
        else { return nil }
        var (taken, distance) = (0, 0)
        for _ in 0..<head.copies {
            guard let run = runs.next(&bits), let copied = copies.next(&bits), let newer = distances.next(&bits),
                run + copied > 0, run <= bytes.count - taken, output.add(bytes[taken..<taken + run])
            else { return nil }
            taken += run
            if newer != 0 { distance = newer }
            if copied > 0, !output.repeats(distance, copied) { return nil }
        }
        return end
    }

    /// The bytes of all runs of a block: four states take turns.
    private static func bytes(_ table: StateTable, _ head: Head, _ bits: BackwardBits?) -> [UInt8]? {
        guard var bits = bits else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(head.runBytes)
        var turns = head.byteStates.map { table.starting(at: $0) }
        for index in 0..<head.runBytes {
            guard let byte = turns[index & 3].next(&bits) else { return nil }
            result.append(UInt8(truncatingIfNeeded: byte))
        }
        return result
    }

    /// How often each symbol of the four alphabets is there: numbers in a prefix code, lowest bits first.
    private static func frequencies(_ input: ArraySlice<UInt8>) -> [Int]? {
        let count = symbols.runs + symbols.copies + symbols.distances + symbols.bytes
        guard !input.isEmpty else { return [Int](repeating: 0, count: count) }
        var result: [Int] = []
        result.reserveCapacity(count)
        var (bits, width): (UInt32, Int) = (0, 0)
        var at = input.startIndex
        for _ in 0..<count {
            while width <= 16 && at < input.endIndex {
                bits |= UInt32(input[at]) << UInt32(width)
                width += 8
                at += 1
            }
            let (value, size) = frequency(bits)
            guard size <= width else { return nil }
            result.append(value)
            bits >>= UInt32(size)
            width -= size
        }
        // No byte is left but what fills the last one.
        return width < 8 && at == input.endIndex ? result : nil
    }

    /// The number that the lowest bits are the code of, and how many they are.
    private static func frequency(_ bits: UInt32) -> (value: Int, size: Int) {
        switch bits & 31 {
        case let low where low & 3 == 0: (0, 2)
        case let low where low & 3 == 2: (1, 2)
        case let low where low & 7 == 1: (2, 3)
        case let low where low & 7 == 5: (3, 3)
        case 0x03, 0x0b, 0x13, 0x1b: (4 + Int(bits & 31) >> 3, 5)
        case 0x07, 0x17: (8 + Int(bits >> 4 & 0xf), 8)
        default: (24 + Int(bits >> 4 & 0x3ff), 14)
        }
    }

    /// Bits that are taken from the end of bytes to their beginning.
    struct BackwardBits {
        private let bytes: [UInt8]
        private let start: Int
        /// How many bits are left.
        private var left: Int

        /// The bits of `start..<end`, of whose last byte `unused` (0 to -7) are none.
        init?(_ bytes: [UInt8], _ start: Int, _ end: Int, _ unused: Int) {
            (self.bytes, self.start, left) = (bytes, start, (end - start) * 8 + unused)
            guard unused <= 0, left >= 0 else { return nil }
        }

        /// The next number of `count` bits, at most 32.
        mutating func take(_ count: Int) -> Int? {
            guard count <= left else { return nil }
            guard count > 0 else { return 0 }
            left -= count
            var value: UInt64 = 0
            let last = (left + count - 1) / 8
            for place in stride(from: last, through: left / 8, by: -1) {
                value = value << 8 | UInt64(bytes[start + place])
            }
            return Int(value >> UInt64(left % 8) & (1 << UInt64(count) - 1))
        }
    }

    /// A decoder of one alphabet: each state says a symbol's value, and with the next bits the next state.
    struct StateTable {
        private struct Row {
            var base: Int32 = 0
            var next: Int16 = 0
            /// Bits of the state, and of the value.
            var bits: UInt8 = 0
            var more: UInt8 = 0
        }

        private var rows: [Row]
        private var state: Int

        /// A table of `count` states for symbols of so many frequencies, whose values have `widths` bits more each;
        /// without widths a symbol is its own value. Nil: the numbers do not go together.
        init?(_ frequencies: ArraySlice<Int>, _ count: Int, _ widths: [UInt8]?, _ state: Int) {
            guard state < count, frequencies.reduce(0, +) <= count else { return nil }
            self.state = state
            rows = []
            rows.reserveCapacity(count)
            var base: Int32 = 0
            for (symbol, frequency) in frequencies.enumerated() {
                let more = widths?[symbol] ?? 0
                if frequency > 0 {
                    let shift = (0...10).first { frequency << $0 >= count } ?? 0
                    let wide = (2 * count) >> shift - frequency
                    for index in 0..<frequency {
                        let isWide = index < wide
                        let next =
                            isWide ? (frequency + index) << shift - count : (index - wide) << (shift - 1)
                        rows.append(
                            Row(
                                base: widths == nil ? Int32(symbol) : base, next: Int16(next),
                                bits: UInt8(isWide ? shift : shift - 1), more: more))
                    }
                }
                base += 1 << Int32(more)
            }
            rows += [Row](repeating: Row(), count: count - rows.count)
        }

        /// The same table in another state.
        func starting(at state: Int) -> StateTable {
            var copy = self
            copy.state = state
            return copy
        }

        /// The value of this state; goes to the next one.
        mutating func next(_ bits: inout BackwardBits) -> Int? {
            let row = rows[state]
            guard let taken = bits.take(Int(row.bits) + Int(row.more)) else { return nil }
            let following = Int(row.next) + taken >> Int(row.more)
            guard following < rows.count else { return nil }
            state = following
            return Int(row.base) + taken & (1 << Int(row.more) - 1)
        }
    }
}
