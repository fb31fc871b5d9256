import HostOS
import Network
import Synchronization
import TestSupport
import Testing

/// A folder of a test, which goes with it.
final class Folder: Sendable {
    let path: String
    init() throws { path = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-net-") }
    deinit { HostFile.removeTree(path) }
    func socket(_ name: String) throws -> SocketAddress { try SocketAddress.unix("\(path)/\(name)") }
}

/// Waits for something that another thread brings about, generously.
func waits(for condition: () -> Bool) -> Bool {
    let end = HostClock.monotonic + 120_000_000_000
    let pause = Bell()
    while !condition() {
        if HostClock.monotonic > end { return false }
        pause.wait(nanoseconds: 1_000_000)
    }
    return true
}

func frame(_ count: Int, _ byte: UInt8 = 7) -> [UInt8] {
    [UInt8](repeating: 0xFF, count: 6) + Card.mac + [8, 0] + [UInt8](repeating: byte, count: count - 14)
}

@Suite struct StreamTests {
    private func pair(headers: Bool = false) throws -> (StreamNetwork, StreamNetwork, Card, Card) {
        let (one, two) = try DescriptorPair.sockets()
        let first = try StreamNetwork(.connected(one), name: "one", hasHeaders: headers)
        let second = try StreamNetwork(.connected(two), name: "two", hasHeaders: headers)
        let cards = (Card(), Card())
        first.setReceiver(cards.0)
        second.setReceiver(cards.1)
        try #require(waits { first.isConnected && second.isConnected })
        return (first, second, cards.0, cards.1)
    }

    @Test func framesGoBothWaysWhole() throws {
        let (first, second, one, two) = try pair()
        for size in [14, 60, 1514, 9014, 65549] { first.send(frame(size)) }
        first.flush()
        second.send(frame(99))
        second.flush()
        for size in [14, 60, 1514, 9014, 65549] { #expect(two.take { $0.count == size } == frame(size)) }
        #expect(one.take { $0.count == 99 } != nil)
        first.stop()
        second.stop()
    }

    @Test func theFramingIsQEMUs() throws {
        let (raw, other) = try DescriptorPair.sockets()
        let network = try StreamNetwork(.connected(other), name: "s")
        let card = Card()
        network.setReceiver(card)
        try #require(waits { network.isConnected })
        let sent = frame(100)
        network.send(sent)
        network.flush()
        var seen: [UInt8] = []
        _ = waits {
            _ = raw.wait(for: [.read], milliseconds: 100)
            seen += (try? raw.readAvailable(limit: 1000)) ?? []
            return seen.count >= 104
        }
        #expect(seen == [0, 0, 0, 100] + sent)
        // In pieces, two frames at a time.
        for byte in [0, 0, 0, 100] + sent + [0, 0, 0, 20] + frame(20) { try raw.writeAll([byte]) }
        #expect(card.take { $0 == sent } != nil && card.take { $0 == frame(20) } != nil)
        network.stop()
    }

    @Test(arguments: [[0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0, 2, 0, 0]] as [[UInt8]])
    func impossibleLengthsEndTheConnection(_ head: [UInt8]) throws {
        let (raw, other) = try DescriptorPair.sockets()
        let gone = Atomic(false)
        let network = try StreamNetwork(.connected(other), name: "s") { change in
            if change == .disconnected { gone.store(true, ordering: .releasing) }
        }
        let card = Card()
        network.setReceiver(card)
        try raw.writeAll(head + [UInt8](repeating: 1, count: 100))
        #expect(waits { gone.load(ordering: .acquiring) })
        #expect(card.frames.isEmpty && !network.isConnected)
        network.stop()
    }

    @Test func aPeerThatStopsReadingCostsOnlyFrames() throws {
        let (raw, other) = try DescriptorPair.sockets()
        let network = try StreamNetwork(.connected(other), name: "s")
        let card = Card()
        network.setReceiver(card)
        try #require(waits { network.isConnected })
        var refused = 0
        for _ in 0..<5000 {
            if !network.send(frame(1514)) { refused += 1 }
            network.flush()
        }
        #expect(refused > 0, "The queue has an end")
        // The other direction goes on.
        try raw.writeAll([0, 0, 0, 20] + frame(20))
        #expect(card.take { $0.count == 20 } != nil)
        network.stop()
    }

    @Test func aReceiverWithoutRoomHoldsTheStream() throws {
        let (first, second, _, two) = try pair()
        two.setRoom(3)
        for byte in 0..<20 { first.send(frame(100, UInt8(byte))) }
        first.flush()
        #expect(waits { two.frames.count == 3 })
        two.setRoom(100)
        second.receiverReady()
        #expect(waits { two.frames.count == 20 } && !two.overrun)
        #expect(two.frames.map { $0[20] } == (0..<20).map { UInt8($0) })
        first.stop()
        second.stop()
    }

    @Test func listenersTakePeersOneAfterTheOtherAndClientsComeBack() throws {
        let folder = try Folder()
        let address = try folder.socket("s")
        let client = try StreamNetwork(.connect([address]), name: "client", reconnect: 10_000_000)
        let cards = (Card(), Card())
        client.setReceiver(cards.0)
        for _ in 0..<2 {
            let server = try StreamNetwork(.listen(address), name: "server")
            server.setReceiver(cards.1)
            try #require(waits { server.isConnected && client.isConnected })
            client.send(frame(33))
            client.flush()
            #expect(cards.1.take { $0.count == 33 } != nil)
            server.stop()
            try #require(waits { !client.isConnected })
        }
        client.stop()
    }

    @Test func aClientWithoutAnotherTryFailsAtOnce() throws {
        let folder = try Folder()
        let address = try folder.socket("nobody")
        #expect(throws: HostError.self) { try StreamNetwork(.connect([address]), name: "client") }
    }

    @Test func headersCarryWhatIsLeftToDo() throws {
        let (first, second, _, two) = try pair(headers: true)
        #expect(first.offloads.contains(.tcp4))
        let whole = segment(payload: 5000)
        let offload = segmentOffload(size: 1000)
        unsafe whole.withUnsafeBytes { _ = unsafe first.transmit($0, offload) }
        first.flush()
        // The card takes complete packets only: it gets five.
        #expect(waits { two.frames.count == 5 })
        for packet in two.frames { expectValid(packet, payload: 1000) }
        first.stop()
        second.stop()
    }

    @Test func randomBytesNeverHarm() throws {
        var generator = FixedGenerator(seed: 1)
        for _ in 0..<FuzzRounds.times(20) {
            let (raw, other) = try DescriptorPair.sockets()
            let network = try StreamNetwork(.connected(other), name: "s", hasHeaders: Bool.random(using: &generator))
            network.setReceiver(Card())
            var bytes: [UInt8] = []
            for _ in 0..<20 {
                let size = Int.random(in: 0..<200, using: &generator)
                bytes += [0, 0, 0, UInt8(size)]
                bytes += (0..<Int.random(in: 0...size, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            }
            try? raw.writeAll(bytes)
            Socket.shutDown(raw)
            network.stop()
        }
    }
}

/// Numbers that are the same in every run.
struct FixedGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state = state &* 6364136223846793005 &+ 1442695040888963407
        return state ^ state >> 29
    }
}
