/// The Data Encryption Standard (FIPS 46-3) for one block: what the password's challenge is answered with.
///
/// It protects little, as the protocol has it; who needs more takes TLS.
package enum DES {
    /// A viewer's answer to a challenge: each half and quarter enciphered by the password's first eight bytes, whose
    /// bits stand in reverse (RFC 6143, 7.2.2).
    package static func answer(_ challenge: [UInt8], password: String) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 8)
        for (index, byte) in password.utf8.prefix(8).enumerated() {
            key[index] = (0..<8).reduce(0) { $0 | (byte >> UInt8($1) & 1) << UInt8(7 - $1) }
        }
        let keys = schedule(word(key))
        return stride(from: 0, to: challenge.count - challenge.count % 8, by: 8).flatMap { start in
            bytes(encrypt(word(Array(challenge[start..<(start + 8)])), keys))
        }
    }

    package static func encrypt(block: [UInt8], key: [UInt8]) -> [UInt8] { bytes(encrypt(word(block), schedule(word(key)))) }

    private static func word(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    private static func bytes(_ word: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - UInt64($0) * 8)) }
    }

    /// Takes bits by their numbers in a table, 1 for the highest of `width`.
    private static func permute(_ value: UInt64, _ table: [UInt8], width: Int) -> UInt64 {
        table.reduce(0) { $0 << 1 | value >> UInt64(width - Int($1)) & 1 }
    }

    private static func schedule(_ key: UInt64) -> [UInt64] {
        let chosen = permute(key, choice1, width: 64)
        var (c, d) = (chosen >> 28, chosen & 0xFFF_FFFF)
        return (0..<16).map { round in
            for _ in 0..<(round == 0 || round == 1 || round == 8 || round == 15 ? 1 : 2) {
                c = (c << 1 | c >> 27) & 0xFFF_FFFF
                d = (d << 1 | d >> 27) & 0xFFF_FFFF
            }
            return permute(c << 28 | d, choice2, width: 56)
        }
    }

    private static func encrypt(_ block: UInt64, _ keys: [UInt64]) -> UInt64 {
        let start = permute(block, initial, width: 64)
        var (left, right) = (start >> 32, start & 0xFFFF_FFFF)
        for key in keys {
            let mixed = permute(right, expansion, width: 32) ^ key
            var substituted: UInt64 = 0
            for box in 0..<8 {
                let six = Int(mixed >> UInt64(42 - box * 6) & 0x3F)
                let place = (six & 0x20 | (six & 1) << 4 | six >> 1 & 0x0F)
                substituted = substituted << 4 | UInt64(boxes[box * 64 + place])
            }
            (left, right) = (right, left ^ permute(substituted, permutation, width: 32))
        }
        return permute(right << 32 | left, final, width: 64)
    }

    // The standard's tables, row by row.
    private static let initial: [UInt8] = [58, 60, 62, 64, 57, 59, 61, 63].flatMap { (first: UInt8) -> [UInt8] in
        (0..<8).map { (step: UInt8) -> UInt8 in first - step * 8 }
    }
    private static let final: [UInt8] = (0..<8).flatMap { (row: UInt8) -> [UInt8] in
        let firsts: [UInt8] = [40, 8, 48, 16, 56, 24, 64, 32]
        return firsts.map { (first: UInt8) -> UInt8 in first - row }
    }
    private static let expansion: [UInt8] = (0..<48).map { (index: Int) -> UInt8 in
        let place = index / 6 * 4 + index % 6
        return UInt8((place + 31) % 32 + 1)
    }
    private static let permutation: [UInt8] = [
        16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11,
        4, 25,
    ]
    private static let choice1: [UInt8] = [
        57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63,
        55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
    ]
    private static let choice2: [UInt8] = [
        14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55,
        30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
    ]
    private static let boxes: [UInt8] = [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
        4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
        0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
        13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
        10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
        4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
        9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
        1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
        7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
    ]
}
