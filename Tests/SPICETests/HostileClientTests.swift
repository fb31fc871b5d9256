import DisplaySupport
import HostOS
import TestSupport
import Testing

import SPICE

/// What clients say that no client says.
@Suite(.serialized) struct HostileClientTests {
    @Test func noiseInLinksEnds() {
        for seed in 0..<UInt64(FuzzRounds.times(3000)) {
            var numbers = SplitMix64(state: seed)
            func byte() -> UInt8 { numbers.next() & 1 == 0 ? 0 : UInt8(truncatingIfNeeded: numbers.next()) }
            var header = TestClient.words(0x5144_4552, 2, 2) + (0..<4).map { _ in byte() }
            if numbers.next() & 7 == 0 { header[Int(numbers.next() % 16)] = byte() }
            _ = try? Link.size(of: header)
            let message = (0..<Int(numbers.next() % 60)).map { _ in byte() }
            if let request = try? Link.request(message) { #expect(request.own.count <= message.count / 4) }
        }
    }

    @Test(arguments: [
        [1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 18, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF], [1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0],
    ] as [[UInt8]])
    func capabilitiesOutsideOfTheMessageAreRefused(counts: [UInt8]) {
        #expect(throws: Link.Result.invalidData) { try Link.request([0, 0, 0, 0, 1, 0] + counts + [1, 2, 3, 4]) }
    }

    @Test func agentsStreamsInAnyPiecesPassAsAWhole() {
        for seed in 0..<UInt64(FuzzRounds.times(500)) {
            var numbers = SplitMix64(state: seed)
            var stream: [UInt8] = []
            var expected: [UInt8] = []
            var holds = 0
            for _ in 0..<10 {
                let type = UInt32(numbers.next() % 5)
                let data = (0..<Int(numbers.next() % 70)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                let message = TestClient.words(1, type, 0, 0, UInt32(data.count)) + data
                stream += message
                if type < 3 { expected += message }
                if type == 4 { holds += 1 }
            }
            var filter = AgentFilter { $0 == 3 ? .drop : $0 == 4 ? .hold : .pass }
            var passed: [UInt8] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int(numbers.next() % 50) + 1)
                rest = rest.dropFirst(piece.count)
                let result = filter.take(piece)
                passed += result.passed
                holds -= result.held.count
            }
            #expect(passed == expected && holds == 0 && filter.isBetweenMessages, "seed \(seed)")
        }
    }

    @Test func randomMessagesNeverEndTheServer() throws {
        let bench = try Bench()
        bench.agent.setGuestOpen(true)
        let kinds: [ChannelKind] = [.main, .display, .inputs, .cursor, .port, .playback]
        for seed in 0..<UInt64(FuzzRounds.times(60)) {
            var numbers = SplitMix64(state: seed)
            let (main, session, _) = try bench.main()
            let kind = kinds[Int(numbers.next() % UInt64(kinds.count))]
            let client = kind == .main ? main : try bench.open(kind, session)
            do {
                for _ in 0..<60 {
                    let types: [UInt16] = [1, 2, 3, 6, 101, 102, 103, 104, 105, 106, 107, 108, 111, 112, 113, 114, 201]
                    let type = types[Int(numbers.next() % 17)]
                    let body = (0..<Int(numbers.next() % 40)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                    try client.send(type, body)
                }
                // A length that lies, and the end of all.
                try client.send([101, 0] + TestClient.words(UInt32(truncatingIfNeeded: numbers.next()) | 1 << 28))
            } catch {}
            Socket.shutDown(client.socket)
        }
        // It is as it was.
        let (main, session, _) = try bench.main()
        let display = try bench.open(.display, session)
        try display.send(101, [UInt8](repeating: 0, count: 14))
        var shown = ShownSurface()
        try shown.follow(display) { $0.pixels == bench.canvas.pixels }
        Socket.shutDown(main.socket)
        #expect(eventually { bench.server.status.channels.isEmpty })
    }
}
