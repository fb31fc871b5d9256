import TestSupport
import Testing

import SPICE

@Suite struct LZCompressorTests {
    private func check(_ pixels: [UInt32], _ width: Int) throws {
        var compressor = LZCompressor()
        let height = pixels.count / width
        guard let coded = compressor.compress(pixels, width: width, height: height) else { return }
        let (w, h, back) = try LZDecoder.decode(coded)
        #expect(w == width && h == height)
        #expect(back == pixels.map { $0 & 0xFF_FFFF })
    }

    @Test func picturesComeBack() throws {
        // One colour; stripes; a text screen; noise; lengths and distances around the coding's borders.
        try check([UInt32](repeating: 0x12_3456, count: 100_000), 1000)
        try check((0..<64_000).map { UInt32($0 / 7 % 5) &* 0x3_0507 }, 640)
        try check((0..<64_000).map { ($0 % 9 == 0 || $0 / 640 % 16 > 11) ? 0xAA_AAAA : 0 }, 640)
        for period in [8190, 8191, 8192, 8193, 8200, 65_535 + 8190, 65_535 + 8191, 65_535 + 8192, 65_535 + 8193] {
            var numbers = SplitMix64(state: UInt64(period))
            let part = (0..<period).map { _ in UInt32(truncatingIfNeeded: numbers.next()) }
            let whole = part + part
            try check(Array(whole.prefix(whole.count / 10 * 10)), 10)
        }
        for count in [1, 2, 3, 4, 5, 31, 32, 33, 64, 65] {
            try check((0..<UInt32(count)).map { $0 &* 0x01_9283 }, 1)
            try check([UInt32](repeating: 7, count: count), count)
        }
    }

    @Test func runsOfAllLengthsComeBack() throws {
        for length in 1...600 {
            try check([1] + [UInt32](repeating: 2, count: length) + [3, 4, 1, 2, 2, 2, 3, 4], length + 9)
        }
    }

    @Test func whatWouldGrowIsLeftAlone() {
        var numbers = SplitMix64(state: 5)
        var compressor = LZCompressor()
        #expect(compressor.compress([1, 2], width: 2, height: 1) == nil)
        let noise = (0..<10_000).map { _ in UInt32(truncatingIfNeeded: numbers.next()) }
        // Three bytes a pixel and one in 32 are still less than four.
        #expect((compressor.compress(noise, width: 100, height: 100)?.count ?? 0) < 40_000)
    }

    @Test func randomPicturesComeBack() throws {
        for seed in 0..<UInt64(FuzzRounds.times(300)) {
            var numbers = SplitMix64(state: seed)
            let width = Int(numbers.next() % 200) + 1
            let height = Int(numbers.next() % 60) + 1
            let colours = UInt32(numbers.next() % 12) + 1
            var last: UInt32 = 0
            let pixels = (0..<width * height).map { _ -> UInt32 in
                if numbers.next() & 3 == 0 { last = (UInt32(truncatingIfNeeded: numbers.next()) % colours) &* 0x10_1F31 }
                return last
            }
            try check(pixels, width)
        }
    }
}
