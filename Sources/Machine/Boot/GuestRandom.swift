internal import HostOS
internal import Synchronization

/// Random numbers for the guest: the host's, or with `-seed` a sequence that is the same in every run.
final class GuestRandom: Sendable {
    /// Who takes from it: each has a sequence of its own.
    enum Purpose: UInt64 { case boot = 1, entropyDevice, processor }

    /// The state of the generator; nil: the host's numbers. It is SplitMix64 (Steele, Lea and Flood, 2014), no source of
    /// secrets.
    private let state: Mutex<UInt64?>

    init(seed: UInt64?, _ purpose: Purpose) {
        state = Mutex(seed.map { $0 &+ purpose.rawValue &* 0x9e37_79b9_7f4a_7c15 })
    }

    /// The next number; nil where the host has none.
    func next() -> UInt64? {
        let own = state.withLock { state -> UInt64? in
            guard let last = state else { return nil }
            let place = last &+ 0x9e37_79b9_7f4a_7c15
            state = place
            var mixed = (place ^ place >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            return mixed ^ mixed >> 31
        }
        if let own { return own }
        guard let bytes = try? HostRandom.bytes(8) else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Fills the bytes; false where the host has none.
    @discardableResult
    func fill(_ bytes: inout [UInt8]) -> Bool {
        var word: UInt64 = 0
        for index in bytes.indices {
            if index & 7 == 0 {
                guard let next = next() else { return false }
                word = next
            }
            bytes[index] = UInt8(truncatingIfNeeded: word)
            word >>= 8
        }
        return true
    }
}
