import DeviceModel
import DisplaySupport
import HostOS
import Synchronization
import Testing

import SPICE

/// The guest's agent, ports and sound.
@Suite(.serialized) struct PortTests {
    /// A message of an agent's.
    private func message(_ type: UInt32, _ data: [UInt8]) -> [UInt8] {
        TestClient.words(1, type, 0, 0, UInt32(data.count)) + data
    }
    private func chunk(_ port: UInt32, _ bytes: [UInt8]) -> [UInt8] {
        TestClient.words(port, UInt32(bytes.count)) + bytes
    }
    private func agentOpens(_ bench: Bench, _ main: TestClient) throws {
        bench.agent.setGuestOpen(true)
        #expect(try main.next(115) == TestClient.words(10))
        try main.send(106, TestClient.words(1000))
    }

    @Test func theAgentAndTheClientTalk() throws {
        let bench = try Bench()
        let (main, _, first) = try bench.main()
        #expect(TestClient.number(first, 16) == 0)
        try agentOpens(bench, main)
        // What belongs to the server does not go on; the rest goes in pieces of at most 2 KiB.
        let long = message(6, (0..<5000).map { UInt8(truncatingIfNeeded: $0) })
        bench.agent.write(chunk(2, [1, 2, 3]) + chunk(1, Array(long.prefix(2048))))
        for byte in chunk(1, Array(long.dropFirst(2048))) { bench.agent.write([byte]) }
        var got: [UInt8] = []
        while got.count < long.count {
            let piece = try main.next(109)
            #expect(piece.count <= 2048)
            got += piece
        }
        #expect(got == long)
        // And back; each message gives its token back.
        let answer = message(6, [9, 9, 9])
        try main.send(107, Array(answer.prefix(7)))
        try main.send(107, Array(answer.dropFirst(7)))
        #expect(TestClient.number(try main.next(110), 0) + (TestClient.number(try main.next(110), 0)) == 2)
        let expected = chunk(1, answer)
        #expect(eventually { bench.agentHeard.taken.count >= expected.count })
        #expect(bench.agentHeard.taken == expected)
        // The agent hears when the client goes.
        Socket.shutDown(main.socket)
        #expect(eventually { bench.agentHeard.taken.suffix(28) == chunk(2, message(13, [])) })
    }

    @Test func whatIsNotSharedStaysWhereItIs() throws {
        let bench = try Bench {
            $0.hasCopyPaste = false
            $0.hasFileTransfer = false
        }
        let (main, _, _) = try bench.main()
        try agentOpens(bench, main)
        bench.agent.write(chunk(1, message(7, [1, 0, 0, 0]) + message(4, [1]) + message(6, [2])))
        #expect(try main.next(109) == message(6, [2]))
        for type in [4, 8, 10, 12] as [UInt32] { try main.send(107, message(type, [1, 2, 3])) }
        try main.send(107, message(6, [3]))
        #expect(eventually { bench.agentHeard.taken == chunk(1, message(6, [3])) })
    }

    @Test func sizesOfWindowsReachTheAdapter() throws {
        let bench = try Bench()
        let (main, _, _) = try bench.main()
        try agentOpens(bench, main)
        try main.send(107, message(2, TestClient.words(1, 0, 600, 800, 32, 0, 0)))
        #expect(eventually { bench.canvas.wanted.map { $0 == (800, 600) } ?? false })
        #expect(bench.agentHeard.taken.isEmpty)
    }

    @Test func aClientThatComesInTheMiddleHearsWholeMessages() throws {
        let bench = try Bench()
        bench.agent.setGuestOpen(true)
        let long = message(6, [UInt8](repeating: 7, count: 3000))
        bench.agent.write(chunk(1, Array(long.prefix(1000))))
        let (main, _, first) = try bench.main()
        #expect(TestClient.number(first, 16) == 1)
        try main.send(106, TestClient.words(10))
        bench.agent.write(chunk(1, Array(long.dropFirst(1000)) + message(6, [5])))
        #expect(try main.next(109) == message(6, [5]))
    }

    @Test func tokensHoldTheAgentBack() throws {
        let bench = try Bench()
        let (main, _, _) = try bench.main()
        bench.agent.setGuestOpen(true)
        _ = try main.next(115)
        let piece = chunk(1, message(6, [UInt8](repeating: 1, count: 2000)))
        for _ in 0..<300 { bench.agent.write(piece) }
        #expect(eventually { bench.agent.isCongested })
        try main.send(106, TestClient.words(1000))
        for _ in 0..<300 { _ = try main.next(109) }
        #expect(eventually { !bench.agent.isCongested })
        // More than it may send ends the session.
        bench.agentHeard.room.withLock { $0 = 0 }
        #expect(throws: (any Error).self) {
            for _ in 0..<2000 { try main.send(107, [UInt8](repeating: 0, count: 2048)) }
            while true { _ = try main.next() }
        }
    }

    @Test func theAgentIsToldWhereThePointerIs() throws {
        let bench = try Bench(isAbsolute: false)
        let (main, session, _) = try bench.main()
        try agentOpens(bench, main)
        #expect(try main.next(105) == [3, 0, 1, 0])
        try main.send(105, [2, 0])
        _ = try main.next(105)
        let inputs = try bench.open(.inputs, session)
        try inputs.send(112, TestClient.words(12, 34) + [1, 0, 0])
        try inputs.send(113, [5, 1, 0])
        func state(_ buttons: UInt32) -> [UInt8] { chunk(2, message(1, TestClient.words(12, 34, buttons) + [0])) }
        #expect(eventually { bench.agentHeard.taken == state(2) + state(2 | 1 << 5) + state(2) })
        // Its port closes: ways again.
        bench.agent.setGuestOpen(false)
        _ = try main.next(108)
        #expect(try main.next(105) == [1, 0, 1, 0])
    }

    @Test func portsCarryBytesBothWays() throws {
        let bench = try Bench()
        let (main, session, _) = try bench.main()
        #expect(!bench.named.isConnected)
        let port = try bench.open(.port, session)
        let first = try port.next(201)
        #expect(TestClient.number(first, 0) == 17 && TestClient.number(first, 4) == 9 && first[8] == 0)
        #expect(Array(first[9...]) == Array("org.example.port".utf8) + [0])
        #expect(eventually { bench.heard.events.withLock { $0 } == [.opened] } && bench.named.isConnected)
        bench.named.setGuestOpen(true)
        #expect(try port.next(202) == [0])
        let data = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        bench.named.write(data)
        var got: [UInt8] = []
        while got.count < data.count { got += try port.next(101) }
        #expect(got == data)
        // A guest that takes nothing stops the client, and loses nothing.
        bench.heard.room.withLock { $0 = 0 }
        for start in stride(from: 0, to: data.count, by: 60_000) {
            try port.send(101, Array(data[start..<min(start + 60_000, data.count)]))
        }
        try port.send(201, [2])
        for _ in 0..<20 {
            bench.heard.room.withLock { $0 = 50_000 }
            bench.named.acceptInput()
            if eventually({ bench.heard.taken.count == data.count || bench.heard.room.withLock { $0 } == 0 }),
                bench.heard.taken.count == data.count { break }
        }
        #expect(bench.heard.taken == data)
        #expect(eventually { bench.heard.events.withLock { $0 } == [.opened, .breakReceived] })
        Socket.shutDown(port.socket)
        #expect(eventually { bench.heard.events.withLock { $0.last } == .closed } && !bench.named.isConnected)
        _ = main
    }

    @Test func soundArrives() throws {
        let bench = try Bench()
        let (main, session, _) = try bench.main()
        let playback = try bench.open(.playback, session)
        #expect(Array(try playback.next(102)[4...]) == [1, 0])
        bench.audio.play([1, -1, 2, -2])
        let start = try playback.next(103)
        #expect(TestClient.number(start, 0) == 2 && start[4] == 1 && TestClient.number(start, 6) == 48000)
        #expect(Array(try playback.next(101)[4...]) == [1, 0, 255, 255, 2, 0, 254, 255])
        bench.audio.stop()
        #expect(try playback.next().type == 104)
        _ = main
    }
}
