import Display
import DisplaySupport
import Foundation
import HostOS
import Synchronization
import Testing

import SPICE

@Suite(.serialized) struct SPICEServerTests {
    // MARK: The picture

    @Test(arguments: [SPICEConfiguration.Compression.autoGLZ, .off])
    func thePictureArrivesAndFollows(compression: SPICEConfiguration.Compression) throws {
        let bench = try Bench { $0.compression = compression }
        let (main, session, _) = try bench.main()
        let display = try bench.open(.display, session)
        try display.send(101, [UInt8](repeating: 0, count: 14))
        var shown = ShownSurface()
        try shown.follow(display) { $0.pixels == bench.canvas.pixels }
        #expect(shown.width == 333 && shown.height == 200)
        #expect(shown.forms[compression == .off ? 101 : 0] == nil, "\(shown.forms)")
        for step in 0..<30 {
            bench.canvas.set(step * 11, step * 6, UInt32(step) * 0x07_0301)
            if step % 10 == 9 { bench.canvas.paint(seed: UInt64(step)) }
        }
        try shown.follow(display) { $0.pixels == bench.canvas.pixels }
        bench.canvas.resize(100, 50)
        try shown.follow(display) { $0.width == 100 && $0.pixels == bench.canvas.pixels }
        _ = main
    }

    @Test func aClientThatDoesNotReadHoldsNothingUp() throws {
        let bench = try Bench { $0.compression = .off }
        let (main, session, _) = try bench.main()
        let display = try bench.open(.display, session)
        try display.send(101, [UInt8](repeating: 0, count: 14))
        // It takes nothing while pictures change; in the end it has the last of them.
        for seed in 0..<60 {
            bench.canvas.paint(seed: UInt64(seed))
            _ = bench.server.status
            usleep(20_000)
        }
        var shown = ShownSurface()
        try shown.follow(display) { $0.pixels == bench.canvas.pixels }
        #expect((shown.forms[0] ?? 0) < 60 * 40)
        _ = main
    }

    @Test func thePointersShapeArrives() throws {
        let bench = try Bench()
        bench.canvas.setPointer(
            PointerState(
                stamp: 1,
                shape: PointerShape(width: 2, height: 1, hotX: 1, hotY: 0, pixels: [0xFF01_0203, 0x8004_0506])))
        let (main, session, _) = try bench.main()
        let cursor = try bench.open(.cursor, session)
        let first = try cursor.next(101)
        #expect(first[8] == 1 && Array(first[9...10]) == [0, 0])
        // The shape's head: a number of its own, kind, size and hot spot; then the pixels.
        #expect(Array(first[19...]) == [0, 2, 0, 1, 0, 1, 0, 0, 0, 3, 2, 1, 0xFF, 6, 5, 4, 0x80])
        bench.canvas.setPointer(PointerState(stamp: 2, shape: nil))
        #expect(try cursor.next().type == 105)
        _ = main
    }

    // MARK: A machine that moves

    @Test func aClientIsSentAfterItsMachine() throws {
        let bench = try Bench()
        let (main, session, _) = try bench.main()
        // What was said of a journey that came to nothing does not hold for the next.
        bench.server.setDestination(SPICEDestination(host: "elsewhere", port: 1, tlsPort: 0))
        bench.server.machineStays()
        bench.server.machineMoved()
        bench.server.setDestination(SPICEDestination(host: "other", port: 5901, tlsPort: 0, subject: "CN=a"))
        #expect(!bench.server.status.hasMoved)
        bench.server.machineMoved()
        let message = try main.next(111)
        #expect(Array(message.prefix(4)) == [0x0D, 0x17, 0, 0])
        #expect(Array(message[4...]) == TestClient.words(6, 20, 5, 26) + Array("other\0CN=a\0".utf8))
        #expect(bench.server.status.hasMoved)
        #expect(eventually { bench.events.all.withLock { $0.last == .migrated } })
        // Once is enough, and a machine of which nobody said where it goes sends nobody away.
        bench.server.machineMoved()
        try main.send(3, [])
        #expect(bench.events.all.withLock { $0.filter { $0 == .migrated }.count } == 1)
        _ = session
    }

    // MARK: Keys and pointers

    @Test func keysArrive() throws {
        let bench = try Bench()
        let (main, session, _) = try bench.main()
        let inputs = try bench.open(.inputs, session)
        #expect(try inputs.next(101) == [0, 0])
        // A; the right Ctrl key, in one word and as bytes; Pause; what is no key.
        for code in [0x1E, 0x1DE0, 0x45_1DE1] as [UInt32] { try inputs.send(101, TestClient.words(code)) }
        for code in [0x9E, 0x9DE0, 0xC5_9DE1, 0, 0x80] as [UInt32] { try inputs.send(102, TestClient.words(code)) }
        try inputs.send(104, [0xE0, 0x4B, 0xE0, 0xCB])
        #expect(
            eventually { bench.notes.keys.withLock { $0.count == 8 } }
                && bench.notes.keys.withLock { $0 } == ["+30", "+157", "+198", "-30", "-157", "-198", "+203", "-203"],
            "\(bench.notes.keys.withLock { $0 })")
        // Lights that differ are switched by their keys, and told when the guest has switched them.
        try inputs.send(103, [4, 0])
        #expect(eventually { bench.notes.keys.withLock { $0.suffix(2) == ["+58", "-58"] } })
        bench.input.leds = 4
        #expect(try inputs.next(102) == [4, 0])
        // What is held when the client goes is let go.
        try inputs.send(101, TestClient.words(0x2A))
        #expect(eventually { bench.notes.keys.withLock { $0.last == "+42" } })
        Socket.shutDown(inputs.socket)
        #expect(eventually { bench.notes.keys.withLock { $0.last == "-42" } })
        _ = main
    }

    @Test func placesReachATablet() throws {
        let bench = try Bench()
        let (main, session, first) = try bench.main()
        #expect(TestClient.number(first, 8) == 3 && TestClient.number(first, 12) == 2)
        #expect(bench.server.status.mouseMode == "client")
        let inputs = try bench.open(.inputs, session)
        for x in [0, 166, 332, 9999] as [UInt32] { try inputs.send(112, TestClient.words(x, 199) + [0, 0, 0]) }
        _ = try inputs.next(111)
        try inputs.send(113, [1, 1, 0])
        try inputs.send(114, [1, 0, 0])
        try inputs.send(113, [5, 0, 0])
        #expect(eventually { bench.notes.events.withLock { $0.count == 7 } })
        let events = bench.notes.events.withLock { $0 }
        #expect(events.prefix(4).map(\.x) == [0, 166 * 32767 / 332, 32767, 32767] && events[3].y == 32767)
        #expect(events[4].buttons == 1 && events[5].buttons == 0 && events[6].dz == 1)
        _ = main
    }

    @Test func waysReachAMouse() throws {
        let bench = try Bench(isAbsolute: false)
        let (main, session, first) = try bench.main()
        #expect(TestClient.number(first, 8) == 1 && TestClient.number(first, 12) == 1)
        let inputs = try bench.open(.inputs, session)
        let back = UInt32(bitPattern: -7)
        try inputs.send(111, TestClient.words(5, back) + [4, 0])
        #expect(eventually { bench.notes.events.withLock { $0.count == 2 } })
        let events = bench.notes.events.withLock { $0 }
        #expect(events[0].buttons == 2 && events[1].dx == 5 && events[1].dy == -7)
        // A place means nothing to a mouse.
        try inputs.send(112, TestClient.words(9, 9) + [4, 0, 0])
        try inputs.send(111, TestClient.words(1, 1) + [4, 0])
        #expect(eventually { bench.notes.events.withLock { $0.last?.dx == 1 } })
        #expect(bench.notes.events.withLock { $0.count } == 3)
        // A tablet comes: the client may say places from now on.
        bench.input.add(Notes(isAbsolute: true) as any PointerInput)
        #expect(try main.next(105) == [3, 0, 1, 0])
        try main.send(105, [2, 0])
        #expect(try main.next(105) == [3, 0, 2, 0])
    }

    // MARK: Who may

    /// A password as clients encrypt it.
    private func ticket(_ password: String, _ key: [UInt8]) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let names = ["key", "text", "ticket"].map { folder.appendingPathComponent($0).path }
        try Data(key).write(to: URL(fileURLWithPath: names[0]))
        try Data(Array(password.utf8) + [0]).write(to: URL(fileURLWithPath: names[1]))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = [
            "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", names[0], "-in", names[1], "-out", names[2],
            "-pkeyopt", "rsa_padding_mode:oaep",
        ]
        try process.run()
        process.waitUntilExit()
        return Array(try Data(contentsOf: URL(fileURLWithPath: names[2])))
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/openssl"), "needs openssl"))
    func passwordsCount() throws {
        let bench = try Bench { $0.needsNoTicket = false }
        func attempt(_ password: String) throws -> Link.Result {
            let client = try TestClient(port: bench.port)
            #expect(try client.ask(.main) == .ok)
            return try client.show(try ticket(password, client.key))
        }
        // None is set: nobody comes in.
        #expect(try attempt("") == .permissionDenied)
        try bench.server.setPassword("a secret")
        #expect(try attempt("a secret") == .ok)
        #expect(try attempt("a secrex") == .permissionDenied)
        #expect(try attempt("a secret ") == .permissionDenied)
        #expect(try attempt("") == .permissionDenied)
        let noise = try TestClient(port: bench.port)
        #expect(try noise.ask(.main) == .ok)
        #expect(try noise.show([UInt8](repeating: 77, count: 128)) == .permissionDenied)
        bench.server.setExpiry(1)
        #expect(try attempt("a secret") == .permissionDenied)
        bench.server.setExpiry(nil)
        #expect(try attempt("a secret") == .ok)
        // Who has the machine's word needs none.
        let pair = try DescriptorPair.sockets()
        try bench.server.add(pair.0, skipsAuthentication: true, isSecure: false)
        let handed = TestClient(pair.1)
        #expect(try handed.ask(.main) == .ok)
        #expect(try handed.show() == .ok)
        #expect(throws: SPICEError.self) { try bench.server.setPassword("x", .fail) }
        try bench.server.setPassword("x", .disconnect)
        #expect(eventually { bench.server.status.channels.isEmpty })
    }

    @Test func linksThatAskForTooMuchAreRefused() throws {
        let bench = try Bench { $0.protections = [.cursor: .tls] }
        let (main, session, _) = try bench.main()
        func result(_ kind: ChannelKind, _ channel: UInt8 = 0, session: UInt32) throws -> Link.Result {
            let client = try TestClient(port: bench.port)
            let asked = try client.ask(kind, channel, session: session)
            return asked == .ok ? try client.show() : asked
        }
        #expect(try result(.display, session: session &+ 1) == .badConnectionID)
        #expect(try result(.display, session: 0) == .badConnectionID)
        #expect(try result(.display, 1, session: session) == .channelNotAvailable)
        #expect(try result(.smartcard, session: session) == .channelNotAvailable)
        #expect(try result(.cursor, session: session) == .needSecured)
        let other = try TestClient(port: bench.port)
        try other.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        #expect(TestClient.number(try other.take(20), 16) == 2)
        // The next client takes the place of the first.
        let (second, _, _) = try bench.main()
        #expect(throws: TestClient.Failed.self) { while true { _ = try main.next() } }
        let kinds = bench.events.all.withLock { $0 }.map { event in
            switch event {
            case .connected: 1
            case .initialized: 2
            case .disconnected: 3
            case .migrated: 4
            }
        }
        #expect(kinds.prefix(2) == [1, 2] && kinds.contains(3))
        _ = second
    }

    @Test func theChannelsAreTold() throws {
        let bench = try Bench()
        let (main, _, _) = try bench.main()
        try main.send(104)
        let list = try main.next(104)
        let pairs = stride(from: 4, to: list.count, by: 2).map { [list[$0], list[$0 + 1]] }
        #expect(TestClient.number(list, 0) == pairs.count)
        #expect(pairs == [[3, 0], [2, 0], [4, 0], [5, 0], [10, 0]])
    }
}
