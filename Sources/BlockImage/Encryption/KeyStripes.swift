/// The anti-forensic splitter of LUKS ("LUKS1 On-Disk Format Specification", 1.2.3, section 2.4): a key in many
/// stripes, of which every one is needed.
enum KeyStripes {
    /// The stripes of a key, random but for the last. nil: no randomness, or no such digest.
    static func split(_ key: [UInt8], count: Int, hash: String) -> [UInt8]? {
        guard var stripes = Crypto.random(key.count * (count - 1)) else { return nil }
        guard let last = gather(stripes[...], key.count, hash) else { return nil }
        stripes += zip(last, key).map { $0 ^ $1 }
        return stripes
    }

    /// The key of stripes.
    static func merge(_ stripes: [UInt8], keyCount: Int, hash: String) -> [UInt8]? {
        guard let last = gather(stripes.dropLast(keyCount), keyCount, hash) else { return nil }
        return zip(last, stripes.suffix(keyCount)).map { $0 ^ $1 }
    }

    private static func gather(_ stripes: ArraySlice<UInt8>, _ count: Int, _ hash: String) -> [UInt8]? {
        var block = [UInt8](repeating: 0, count: count)
        var at = stripes.startIndex
        while at < stripes.endIndex {
            for index in 0..<count { block[index] ^= stripes[at + index] }
            guard let next = diffuse(block, hash) else { return nil }
            block = next
            at += count
        }
        return block
    }

    /// Every piece of a digest's length becomes the digest of its number and itself.
    private static func diffuse(_ block: [UInt8], _ hash: String) -> [UInt8]? {
        guard let length = Crypto.digestLength(hash) else { return nil }
        var result: [UInt8] = []
        var number: UInt32 = 0
        while result.count < block.count {
            var piece = [UInt8](repeating: 0, count: 4)
            piece.store(number, at: 0)
            piece += block[result.count..<min(result.count + length, block.count)]
            guard let digest = Crypto.hash(hash, piece) else { return nil }
            result += digest.prefix(block.count - result.count)
            number += 1
        }
        return result
    }
}
