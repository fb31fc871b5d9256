import Glibc
import RPCWire
import Testing

/// Numbers that look random and are the same in every run (SplitMix64).
private struct Random {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}

/// How often: `make fuzz` multiplies it.
private let rounds: Int = {
    // SAFETY: nothing in the tests changes the environment.
    guard let text = unsafe getenv("APUS_FUZZ_ROUNDS") else { return 1 }
    return unsafe max(1, Int(String(cString: text)) ?? 1)
}()

@Suite("Hostile frames")
struct HostileFrameTests {
    @Test("Random payloads of every procedure end in a value or a defined error, and values come back the same")
    func hostilePayloads() throws {
        var random = Random(state: 1)
        var values = 0
        for entry in RPCProgram.remote.procedures.entries {
            for round in 0..<rounds * 8 {
                // Mostly small words, as counts, flags and kinds are: else hardly anything gets past the first field.
                let words = random.below(24)
                var bytes: [UInt8] = []
                for _ in 0..<words {
                    bytes += round % 4 == 0 ? random.bytes(4) : [0, 0, 0, UInt8(random.below(9))]
                }
                for reply in [false, true] {
                    var reader = XDRReader(bytes)
                    guard let value = try? Remote.payload(entry.number, reply: reply, from: &reader) else { continue }
                    values += 1
                    var writer = XDRWriter()
                    try value.write(to: &writer)
                    var again = XDRReader(writer.bytes)
                    let copy = try #require(try Remote.payload(entry.number, reply: reply, from: &again))
                    #expect(again.remaining == 0)
                    var second = XDRWriter()
                    try copy.write(to: &second)
                    #expect(second.bytes == writer.bytes)
                }
            }
        }
        #expect(values > 456)
    }

    @Test("Random streams never make the decoder hold more than came")
    func hostileStreams() {
        var random = Random(state: 2)
        for _ in 0..<rounds * 200 {
            var decoder = FrameDecoder()
            var fed = 0
            stream: for _ in 0..<20 {
                var part = random.bytes(random.below(64))
                if random.below(2) == 0 {
                    part =
                        Frame(
                            RPCHeader(program: .remote, procedure: 1, type: .call, serial: 1), payload: part
                        ).bytes
                    if random.below(3) == 0, !part.isEmpty { part[random.below(part.count)] ^= 1 << random.below(8) }
                }
                decoder.feed(part)
                fed += part.count
                while true {
                    do {
                        guard try decoder.next() != nil else { break }
                    } catch {
                        break stream
                    }
                }
                #expect(decoder.pendingBytes <= fed)
            }
        }
    }
}
