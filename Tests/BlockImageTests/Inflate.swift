import BlockImage

/// A small inflater (RFC 1951) for tests: the module leaves compression to its user.
struct Inflate {
    private let input: [UInt8]
    private var position = 0
    private var output: [UInt8] = []

    static let cluster: QCow2Inflate = { compression, input, count in
        guard compression == .zlib else { return nil }
        var inflate = Inflate(input: input)
        guard inflate.run(limit: count), inflate.output.count == count else { return nil }
        return inflate.output
    }

    private init(input: [UInt8]) { self.input = input }

    private mutating func bits(_ count: Int) -> Int {
        var value = 0
        for index in 0..<count {
            let byte = position / 8
            if byte < input.count { value |= Int(input[byte] >> UInt8(position % 8) & 1) << index }
            position += 1
        }
        return value
    }

    private struct Code {
        var counts = [Int](repeating: 0, count: 16)
        var symbols: [Int] = []
        init(_ lengths: [Int]) {
            for length in lengths { counts[length] += 1 }
            counts[0] = 0
            symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        }
    }

    private mutating func symbol(_ code: Code) -> Int? {
        var value = 0
        var first = 0
        var index = 0
        for length in 1..<16 {
            value |= bits(1)
            let count = code.counts[length]
            if value - first < count { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        return nil
    }

    private mutating func run(limit: Int) -> Bool {
        while true {
            let isLast = bits(1) == 1
            switch bits(2) {
            case 0:
                position = (position + 7) / 8 * 8
                let count = bits(16)
                _ = bits(16)
                guard output.count + count <= limit else { return false }
                for _ in 0..<count { output.append(UInt8(bits(8))) }
            case 1:
                let lengths = (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
                guard block(Code(lengths), Code([Int](repeating: 5, count: 30)), limit) else { return false }
            case 2:
                let (literals, distances, sizes) = (bits(5) + 257, bits(5) + 1, bits(4) + 4)
                var lengths = [Int](repeating: 0, count: 19)
                let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
                for index in 0..<sizes { lengths[order[index]] = bits(3) }
                let code = Code(lengths)
                var all: [Int] = []
                while all.count < literals + distances {
                    guard let next = symbol(code) else { return false }
                    switch next {
                    case 16: all += [Int](repeating: all.last ?? 0, count: 3 + bits(2))
                    case 17: all += [Int](repeating: 0, count: 3 + bits(3))
                    case 18: all += [Int](repeating: 0, count: 11 + bits(7))
                    default: all.append(next)
                    }
                }
                guard all.count == literals + distances else { return false }
                guard block(Code(Array(all[..<literals])), Code(Array(all[literals...])), limit) else { return false }
            default: return false
            }
            if isLast { return true }
            guard position <= input.count * 8 else { return false }
        }
    }

    private mutating func block(_ literals: Code, _ distances: Code, _ limit: Int) -> Bool {
        while position <= input.count * 8 {
            guard let next = symbol(literals) else { return false }
            if next < 256 {
                guard output.count < limit else { return false }
                output.append(UInt8(next))
                continue
            }
            if next == 256 { return true }
            let code = next - 257
            guard code < 29 else { return false }
            let extra = code < 8 || code == 28 ? 0 : (code - 4) / 4
            let length =
                code == 28 ? 258 : code < 8 ? 3 + code : 3 + ((4 + (code - 4) % 4) << extra) + bits(extra)
            guard let far = symbol(distances), far < 30 else { return false }
            let more = far < 4 ? 0 : (far - 2) / 2
            let distance = far < 4 ? 1 + far : 1 + ((2 + far % 2) << more) + bits(more)
            guard distance <= output.count, output.count + length <= limit else { return false }
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
        return false
    }
}
