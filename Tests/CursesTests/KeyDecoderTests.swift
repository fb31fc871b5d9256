import Curses
import TestSupport
import Testing

struct KeyDecoderTests {
    /// The keys of a text, with the wait after its end.
    private func keys(_ text: String) -> [TypedKey] {
        var decoder = KeyDecoder()
        var keys: [TypedKey] = []
        for byte in Array(text.utf8) { if let key = decoder.take(byte) { keys.append(key) } }
        if decoder.isWaiting, let key = decoder.flush() { keys.append(key) }
        #expect(!decoder.isWaiting)
        return keys
    }

    @Test(
        arguments: [
            ("a", [0x1E]), ("A", [0x2A, 0x1E]), ("~", [0x2A, 0x29]), ("'", [0x28]), ("\"", [0x2A, 0x28]), (",", [0x33]),
            ("\r", [0x1C]), ("\n", [0x1C]), ("\u{7F}", [0x0E]), ("\t", [0x0F]), ("\u{1B}[Z", [0x2A, 0x0F]),
            ("\u{3}", [0x1D, 0x2E]), ("\u{0}", [0x1D, 0x39]), ("\u{1C}", [0x1D, 0x2B]), ("\u{1F}", [0x1D, 0x2A, 0x0C]),
            ("\u{1B}", [0x01]), ("\u{1B}x", [0x38, 0x2D]), ("\u{1B}X", [0x38, 0x2A, 0x2D]),
            ("\u{1B}\u{1B}", [0x38, 0x01]),
            ("\u{1B}[", [0x38, 0x1A]), ("\u{1B}O", [0x38, 0x2A, 0x18]), ("\u{1B}\u{18}", [0x1D, 0x38, 0x2D]),
            // Arrows and their block: in either mode of the cursor keys, of xterm, the VT220 and rxvt.
            ("\u{1B}[A", [0xC8]), ("\u{1B}OB", [0xD0]), ("\u{1B}[1;5D", [0x1D, 0xCB]),
            ("\u{1B}\u{1B}[C", [0x38, 0xCD]),
            ("\u{1B}[H", [0xC7]), ("\u{1B}[4~", [0xCF]), ("\u{1B}[3~", [0xD3]), ("\u{1B}[3;5~", [0x1D, 0xD3]),
            ("\u{1B}[2$", [0x2A, 0xD2]), ("\u{1B}[6^", [0x1D, 0xD1]),
            // Function keys of xterm, the VT220 and the Linux console.
            ("\u{1B}OP", [0x3B]), ("\u{1B}[11~", [0x3B]), ("\u{1B}[[A", [0x3B]), ("\u{1B}[[E", [0x3F]),
            ("\u{1B}[15~", [0x3F]),
            ("\u{1B}[17~", [0x40]), ("\u{1B}[21~", [0x44]), ("\u{1B}[23~", [0x57]), ("\u{1B}[24~", [0x58]),
            ("\u{1B}[1;3S", [0x38, 0x3E]), ("\u{1B}[24;7~", [0x1D, 0x38, 0x58]),
        ] as [(String, [UInt8])])
    func oneKeyIsOneChord(text: String, chord: [UInt8]) {
        #expect(keys(text).map(\.chord) == [chord])
    }

    @Test func keysFollowOneAnother() {
        #expect(keys("a\u{1B}[A\u{1B}OPb\u{1B}1").map(\.symbol) == [0x61, 0xFF52, 0xFFBE, 0x62, 0x31])
        // What no key sends is passed over: characters beyond ASCII, answers of the terminal's, unknown sequences.
        #expect(keys("é€😀x\u{1B}[?62;c\u{1B}[>1;2cy\u{1B}[99~\u{1B}[200~z\u{E9}").map(\.symbol) == [0x78, 0x79, 0x7A])
        // A character that is cut short does not swallow what comes behind it.
        var decoder = KeyDecoder()
        #expect([0xE2, 0x82, 0x61].compactMap { decoder.take($0) }.map(\.symbol) == [0x61])
    }

    @Test func whereNothingFollowsIsForTheCallerToSay() {
        var decoder = KeyDecoder()
        #expect(decoder.take(0x1B) == nil)
        #expect(decoder.isWaiting)
        #expect(decoder.flush() == TypedKey(symbol: 0xFF1B))
        #expect(!decoder.isWaiting)
        #expect(decoder.take(0x5B) == TypedKey(symbol: 0x5B))
    }

    @Test func noiseMakesKeysAndNothingElse() {
        for seed in 0..<UInt64(FuzzRounds.times(400)) {
            var numbers = SplitMix64(state: seed)
            var decoder = KeyDecoder()
            var count = 0
            for _ in 0..<300 {
                let word = numbers.next()
                // Most are bytes of sequences.
                let byte =
                    word & 3 == 0
                    ? UInt8(truncatingIfNeeded: word >> 8) : Array("\u{1B}[O0123;~$^A".utf8)[Int(word >> 8) % 12]
                if let key = decoder.take(byte) {
                    count += 1
                    #expect(key.chord?.isEmpty != true)
                }
                if word >> 32 & 31 == 0 { _ = decoder.flush() }
            }
            _ = decoder.flush()
            #expect(!decoder.isWaiting && count <= 300)
        }
    }
}
