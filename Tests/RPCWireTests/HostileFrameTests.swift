import RPCWire
import TestSupport
import Testing

extension SplitMix64 {
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}

@Suite("Hostile frames")
struct HostileFrameTests {
    @Test("Random payloads of every procedure end in a value or a defined error, and values come back the same")
    func hostilePayloads() throws {
        var random = SplitMix64(state: 1)
        var values = 0
        for entry in RPCProgram.remote.procedures.entries {
            for round in 0..<FuzzRounds.times(8) {
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
        var random = SplitMix64(state: 2)
        for _ in 0..<FuzzRounds.times(200) {
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
