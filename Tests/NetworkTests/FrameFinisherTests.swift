import Network
import TestSupport
import Testing

/// A TCP segment over IPv4 whose checksum field holds the pseudo header's sum, as drivers make it.
func segment(payload: Int, flags: UInt8 = 0x18) -> [UInt8] {
    let data = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let (from, to): ([UInt8], [UInt8]) = ([10, 0, 2, 15], [10, 0, 2, 2])
    var tcp: [UInt8] = big16(1000) + big16(80) + [0, 0, 0, 5] + [0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]
    var sum = 6 + tcp.count + data.count
    for word in stride(from: 0, to: 8, by: 2) { sum += read16(from + to, word) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    tcp.replaceSubrange(16..<18, with: big16(sum))
    return ethernet(type: 0x0800, ipv4(6, from: from, to: to, tcp + data))
}

func segmentOffload(size: UInt16) -> FrameOffload {
    var offload = FrameOffload()
    offload.flags = 1
    offload.segment = FrameOffload.Segment.tcp4
    offload.payload = size
    offload.checksumStart = 34
    offload.checksumOffset = 16
    return offload
}

/// Expects both checksums and lengths of a TCP packet over IPv4 to be right.
func expectValid(_ packet: [UInt8], payload: Int) {
    #expect(checksum(Array(packet[14..<34])) == 0)
    #expect(read16(packet, 16) == packet.count - 14)
    let tcp = Array(packet[34...])
    let pseudo = Array(packet[26..<34]) + [0, 6] + big16(tcp.count)
    #expect(checksum(pseudo + tcp) == 0)
    #expect(packet.count == 54 + payload)
}

@Suite struct FrameFinisherTests {
    private func packets(_ frame: [UInt8], _ offload: FrameOffload) -> [[UInt8]]? {
        var (copy, scratch) = (frame, [UInt8](repeating: 0, count: FrameFinisher.mostBytes))
        var packets: [[UInt8]] = []
        let isFrame = unsafe copy.withUnsafeMutableBytes { bytes in
            unsafe scratch.withUnsafeMutableBytes { scratch in
                unsafe FrameFinisher.forEachPacket(bytes, offload, scratch: scratch) { packets.append(unsafe Array($0)) }
            }
        }
        return isFrame ? packets : nil
    }

    @Test func aChecksumIsFinished() throws {
        var offload = segmentOffload(size: 0)
        offload.segment = FrameOffload.Segment.none
        for count in [0, 1, 7, 1000, 1001] {
            let made = try #require(packets(segment(payload: count), offload))
            try #require(made.count == 1)
            expectValid(made[0], payload: count)
        }
    }

    @Test func segmentsFallIntoValidPackets() throws {
        let made = try #require(packets(segment(payload: 3500, flags: 0x99), segmentOffload(size: 1000)))
        #expect(made.map(\.count) == [1054, 1054, 1054, 554])
        for (place, packet) in made.enumerated() {
            expectValid(packet, payload: min(1000, 3500 - place * 1000))
            #expect(read16(packet, 40) == 5 + place * 1000)
            #expect(read16(packet, 18) == 1 + place, "Each has an identification of its own")
        }
        #expect(made.map { $0[47] } == [0x90, 0x10, 0x10, 0x19], "CWR with the first, FIN and PSH with the last")
        #expect(made.flatMap { $0[54...] } == Array(segment(payload: 3500)[54...]))
    }

    @Test func wholeSegmentsAreOneValidPacket() throws {
        var frame = segment(payload: 40000)
        let isFrame = unsafe frame.withUnsafeMutableBytes {
            unsafe FrameFinisher.finishWhole($0, segmentOffload(size: 1448))
        }
        #expect(isFrame)
        expectValid(frame, payload: 40000)
    }

    @Test func offloadsThatDoNotFitAreRefused() {
        let frame = segment(payload: 2000)
        func refuses(_ change: (inout FrameOffload) -> Void, _ frame: [UInt8]) -> Bool {
            var offload = segmentOffload(size: 1000)
            change(&offload)
            return packets(frame, offload) == nil
        }
        #expect(refuses({ $0.payload = 0 }, frame) && refuses({ $0.payload = 1 }, frame))
        #expect(refuses({ $0.checksumStart = 0xFFFF }, frame) && refuses({ $0.checksumStart = 0 }, frame))
        #expect(refuses({ $0.checksumOffset = 0xFFFF }, frame) && refuses({ $0.segment = 3 }, frame))
        #expect(refuses({ $0.segment = FrameOffload.Segment.tcp6 }, frame) && refuses({ $0.flags = 0 }, frame))
        #expect(refuses({ _ in }, Array(frame[..<40])) && refuses({ _ in }, []))
        #expect(refuses({ $0.payload = 65535 }, frame), "A packet must fit")
    }

    @Test func randomFramesNeverHarm() {
        var generator = FixedGenerator(seed: 7)
        for _ in 0..<FuzzRounds.times(3000) {
            var frame = segment(payload: Int.random(in: 0..<3000, using: &generator))
            for _ in 0..<Int.random(in: 0..<6, using: &generator) {
                frame[Int.random(in: 0..<54, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            frame = Array(frame.prefix(Int.random(in: 0...frame.count, using: &generator)))
            var offload = segmentOffload(size: UInt16.random(in: 0...1500, using: &generator))
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: offload.checksumStart = UInt16.random(in: 0...0xFFFF, using: &generator)
            case 1: offload.checksumOffset = UInt16.random(in: 0...0xFFFF, using: &generator)
            case 2: offload.segment = UInt8.random(in: 0...0xFF, using: &generator)
            case 3: offload.flags = UInt8.random(in: 0...3, using: &generator)
            default: break
            }
            let made = packets(frame, offload) ?? []
            #expect(made.reduce(0) { $0 + $1.count } <= frame.count * 4 + 100)
        }
    }
}
