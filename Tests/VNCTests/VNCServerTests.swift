import Display
import DisplaySupport
import HostOS
import Synchronization
import Testing

import VNC

/// A server on a port of the kernel's choice.
private final class Bench {
    let canvas: Canvas
    let server: VNCServer
    let input = InputHub()
    let notes: Notes
    let box = EventBox()
    let clipboard = ClipboardHub()

    init(
        _ width: Int = 333, _ height: Int = 200, isAbsolute: Bool = true,
        _ change: (inout VNCConfiguration) -> Void = { _ in }
    ) throws {
        canvas = Canvas(width, height)
        canvas.paint(seed: 1)
        notes = Notes(isAbsolute: isAbsolute)
        input.add(notes as any KeyboardInput)
        input.add(notes as any PointerInput)
        var configuration = VNCConfiguration()
        configuration.listener = .tcp(host: "127.0.0.1", port: 0, last: 0)
        change(&configuration)
        let box = box
        server = try VNCServer(
            configuration, title: "a machine", consoles: [DisplayConsole(screen: Screen(name: "s", source: canvas))],
            input: input, clipboard: clipboard
        ) { event in box.events.withLock { $0.append(event) } }
        try server.start()
    }
    deinit { server.close() }

    var port: UInt16 { UInt16(server.status.service ?? "") ?? 0 }
    func viewer() throws -> TestViewer { try TestViewer(port: port) }
}
private final class EventBox: Sendable {
    let events = Mutex<[VNCEvent]>([])
}

private func number(_ event: VNCEvent) -> Int {
    switch event {
    case .connected: 1
    case .initialized: 2
    case .disconnected: 3
    }
}

@Suite(.serialized) struct VNCServerTests {
    @Test func whatMovedIsCopied() throws {
        let bench = try Bench(320, 240)
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([0, 1])
        try viewer.look()
        bench.canvas.scroll(48)
        viewer.seen = []
        try viewer.look(isIncremental: true)
        #expect(viewer.pixels == bench.canvas.pixels)
        #expect(viewer.seen.contains(1))
        // What is new from top to bottom is not.
        bench.canvas.paint(seed: 9)
        viewer.seen = []
        try viewer.look(isIncremental: true)
        #expect(viewer.pixels == bench.canvas.pixels)
        #expect(!viewer.seen.contains(1))
    }

    @Test(arguments: [-239, -314] as [Int32]) func thePointersShapeIsTold(encoding: Int32) throws {
        let bench = try Bench(64, 48)
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([0, encoding])
        try viewer.look()
        #expect(viewer.pointer == nil)
        var pixels = [UInt32](repeating: 0, count: 10 * 2)
        (pixels[0], pixels[9]) = (0xFF11_2233, 0x4010_1010)
        bench.canvas.setPointer(
            PointerState(stamp: 1, shape: PointerShape(width: 10, height: 2, hotX: 1, hotY: 1, pixels: pixels)))
        try viewer.ask(isIncremental: true)
        #expect(try viewer.update() == [encoding])
        let shape = try #require(viewer.pointer)
        #expect((shape.x, shape.y, shape.width, shape.height) == (1, 1, 10, 2))
        if encoding == -239 {
            #expect(viewer.colour(shape.pixels[0..<4]) == 0x112233)
            #expect(shape.mask == [0x80, 0, 0, 0])
        } else {
            #expect(shape.pixels[0..<4] == [0x11, 0x22, 0x33, 0xFF] && shape.pixels[36..<40] == [0x10, 0x10, 0x10, 0x40])
        }
        bench.canvas.setPointer(PointerState(stamp: 2))
        try viewer.ask(isIncremental: true)
        #expect(try viewer.update() == [encoding])
        #expect(viewer.pointer?.width == 0)
    }

    @Test func textsOfClipboardsAreShared() throws {
        let bench = try Bench(64, 48)
        let (plain, extended) = (try bench.viewer(), try bench.viewer())
        try plain.shakeHands()
        try extended.shakeHands()
        try extended.setEncodings([0, -1_063_131_698])
        // What the server can do.
        #expect(try extended.number(1) == 3)
        try extended.takeText()
        #expect(extended.texts.last == [0x1F, 0, 0, 1, 0, 0x10, 0, 0])
        try plain.send([6, 0, 0, 0, 0, 0, 0, 4] + [0x48, 0xE4, 0x0A, 0x21])
        #expect(try extended.number(1) == 3)
        try extended.takeText()
        #expect(extended.texts.last == [0x08, 0, 0, 1])
        try extended.send([6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFC, 0x02, 0, 0, 1])
        #expect(try extended.number(1) == 3)
        try extended.takeText()
        let provided = try #require(extended.texts.last)
        #expect(provided.prefix(4) == [0x10, 0, 0, 1])
        let text = try extended.inflate(3, Array(provided.dropFirst(4)))
        #expect(text == [0, 0, 0, 7] + Array("Hä\r\n!\0".utf8))
        // And the other way: offered, asked for, given.
        try extended.send([6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFC, 0x08, 0, 0, 1])
        #expect(try extended.number(1) == 3)
        try extended.takeText()
        #expect(extended.texts.last == [0x02, 0, 0, 1])
        let packed = Array(provided.dropFirst(4))
        let count = UInt8(truncatingIfNeeded: -(4 + packed.count))
        try extended.send([6, 0, 0, 0, 0xFF, 0xFF, 0xFF, count, 0x10, 0, 0, 1] + packed)
        #expect(try plain.number(1) == 3)
        try plain.takeText()
        #expect(plain.texts.last == [0x48, 0xE4, 0x0A, 0x21])
        // What is no packed text ends nothing.
        try extended.send([6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xF8, 0x10, 0, 0, 1, 1, 2, 3, 4])
        try extended.look()
    }

    @Test func theGuestHasPartInTheClipboard() throws {
        let bench = try Bench(64, 48)
        let heard = Mutex<[String]>([])
        let guest = bench.clipboard.join { text in heard.withLock { $0.append(text) } }
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([0])
        try viewer.look()
        try viewer.send([6, 0, 0, 0, 0, 0, 0, 4] + [0x48, 0xE4, 0x0A, 0x21])
        #expect(eventually { heard.withLock { $0 } == ["Hä\n!"] })
        bench.clipboard.share("back", from: guest)
        #expect(try viewer.number(1) == 3)
        try viewer.takeText()
        #expect(viewer.texts.last == Array("back".utf8))
        #expect(heard.withLock { $0.count } == 1)
    }

    @Test func aWishForASizeIsAnswered() throws {
        let bench = try Bench(64, 48)
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([0, -308])
        try viewer.look()
        #expect(bench.canvas.wanted == nil)
        let size: [UInt8] = [2, 0, 1, 0x80]
        try viewer.send([251, 0] + size + [1, 0] + [0, 0, 0, 0, 0, 0, 0, 0] + size + [0, 0, 0, 0])
        try viewer.ask(isIncremental: true)
        #expect(try viewer.update() == [-308])
        #expect(bench.canvas.wanted?.width == 512 && bench.canvas.wanted?.height == 384)
    }

    @Test(arguments: [0, 5, 6, 7, 16] as [Int32])
    func everyEncodingShowsThePicture(encoding: Int32) throws {
        let bench = try Bench()
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        #expect(viewer.width == 333 && viewer.height == 200)
        #expect(viewer.name == "a machine")
        try viewer.setEncodings([encoding, -223])

        try viewer.look()
        #expect(viewer.pixels == bench.canvas.pixels)
        #expect(viewer.seen.allSatisfy { $0 == encoding })

        // What changes comes, and it alone; streams go on.
        bench.canvas.set(100, 50, 0xFF00FF)
        bench.canvas.set(332, 199, 0x00FF00)
        try viewer.look(isIncremental: true)
        while viewer.pixels != bench.canvas.pixels { try viewer.look(isIncremental: true) }
        bench.canvas.paint(seed: 7)
        try viewer.look(isIncremental: true)
        while viewer.pixels != bench.canvas.pixels { try viewer.look(isIncremental: true) }
    }

    @Test(arguments: [0, 5, 6, 7, 16] as [Int32])
    func otherPixelsAreTranslated(encoding: Int32) throws {
        let bench = try Bench(100, 90)
        let viewer = try bench.viewer()
        try viewer.shakeHands(version: "003.007")
        try viewer.set(.big16)
        try viewer.setEncodings([encoding])
        try viewer.look()
        let wanted = bench.canvas.pixels
        var wrong = 0
        for (index, shown) in viewer.pixels.enumerated() {
            for shift: UInt32 in [16, 8, 0] {
                let (a, b) = (Int(shown >> shift & 0xFF), Int(wanted[index] >> shift & 0xFF))
                if abs(a - b) > 8 { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    @Test func jpegComesWhereItIsAllowedAndWanted() throws {
        let bench = try Bench { $0.isLossy = true }
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([7, -27])
        try viewer.look()
        #expect(viewer.seen.contains(7))
    }

    @Test func aPasswordIsAskedForAndChecked() throws {
        let bench = try Bench { $0.needsPassword = true }
        // Before one is set nobody is let in.
        #expect(throws: TestViewer.Failed.self) { try bench.viewer().shakeHands() }
        bench.server.setPassword("secret")
        #expect(throws: TestViewer.Failed.self) { try bench.viewer().shakeHands() }
        let viewer = try bench.viewer()
        try viewer.shakeHands { DES.answer($0, password: "secret") }
        try viewer.look()
        #expect(viewer.pixels == bench.canvas.pixels)
        try bench.viewer().shakeHands(version: "003.003") { DES.answer($0, password: "secret") }
        bench.server.setExpiry(0)
        #expect(throws: TestViewer.Failed.self) {
            try bench.viewer().shakeHands { DES.answer($0, password: "secret") }
        }
        #expect(bench.server.status.authentication == "vnc")
    }

    @Test func theCipherIsTheStandards() {
        // FIPS's own example: 0123456789ABCDEF under 133457799BBCDFF1.
        let block: [UInt8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
        let key: [UInt8] = [0x13, 0x34, 0x57, 0x79, 0x9B, 0xBC, 0xDF, 0xF1]
        #expect(DES.encrypt(block: block, key: key) == [0x85, 0xE8, 0x13, 0x54, 0x0F, 0x0A, 0xB4, 0x05])
    }

    @Test func aBrowserSeesTheSamePicture() throws {
        let bench = try Bench { $0.webSocket = .tcp(host: "127.0.0.1", port: 0, last: 0) }
        let port = UInt16(bench.server.status.webSocketService ?? "") ?? 0
        let viewer = try TestViewer(port: port)
        // RFC 6455, 1.3.
        try viewer.send(
            Array(
                ("GET /websockify HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Protocol: binary\r\n\r\n").utf8))
        let answer = String(decoding: try viewer.line([13, 10, 13, 10]), as: UTF8.self)
        #expect(answer.contains("101 Switching"))
        #expect(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        viewer.begin()
        try viewer.shakeHands()
        try viewer.setEncodings([16])
        try viewer.look()
        #expect(viewer.pixels == bench.canvas.pixels)
        let other = try TestViewer(port: port)
        try other.send(Array("GET / HTTP/1.0\r\n\r\n".utf8))
        #expect(other.isHungUp())
    }

    @Test func sizeAndLightsAndPointersAreTold() throws {
        let bench = try Bench()
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.setEncodings([16, -308, -261, -257, -258])
        try viewer.look()
        #expect(viewer.isAbsolute == true)
        #expect(viewer.lights == 0)
        #expect(viewer.seen.contains(-258))
        bench.canvas.resize(500, 40)
        bench.input.leds = 4
        while viewer.width != 500 { try viewer.look(isIncremental: true) }
        while viewer.lights != 4 || viewer.pixels != bench.canvas.pixels { try viewer.look() }
    }

    @Test func keysAndPointersArrive() throws {
        let bench = try Bench(101, 51)
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        for (symbol, isDown) in [(0xFFE1, 1), (0x41, 1), (0x41, 0), (0xFFE1, 0), (0xFF52, 1)] {
            try viewer.send([4, UInt8(isDown), 0, 0, 0, 0, UInt8(symbol >> 8), UInt8(symbol & 0xFF)])
        }
        // QEMU's message of a key: up, symbol, scan code E0 50.
        try viewer.send([255, 0, 0, 1, 0, 0, 0xFF, 0x54, 0, 0, 0, 0xD0])
        try viewer.send([5, 1, 0, 100, 0, 50])
        try viewer.send([5, 8, 0, 50, 0, 0])
        #expect(eventually { bench.notes.events.withLock { $0.last?.buttons == 0 } })
        viewer.hangUp()
        // Who goes leaves no key down.
        #expect(eventually { bench.notes.keys.withLock { $0.count } == 8 })
        let keys = bench.notes.keys.withLock { $0 }
        #expect(Array(keys.prefix(6)) == ["+42", "+30", "-30", "-42", "+200", "+208"])
        #expect(Set(keys.suffix(2)) == ["-200", "-208"])
        let events = bench.notes.events.withLock { $0 }
        #expect(events.contains { $0.x == 32767 && $0.y == 32767 })
        #expect(events.contains { $0.buttons == 1 })
        #expect(events.contains { $0.dz == -1 })
    }

    @Test func aMouseIsToldWays() throws {
        let bench = try Bench(101, 51, isAbsolute: false)
        let viewer = try bench.viewer()
        try viewer.shakeHands()
        try viewer.send([5, 0, 0, 10, 0, 10])
        try viewer.send([5, 4, 0, 13, 0, 8])
        #expect(eventually { bench.notes.events.withLock { $0.last?.buttons == 2 } })
        #expect(bench.notes.events.withLock { $0.contains { $0.dx == 3 && $0.dy == -2 } })
    }

    @Test func aSilentViewerHoldsNobodyUp() throws {
        let bench = try Bench(800, 600)
        let silent = try bench.viewer()
        try silent.shakeHands()
        // It asks for pictures and takes none.
        for _ in 0..<1000 { try silent.ask() }
        let other = try bench.viewer()
        try other.shakeHands()
        for round in 0..<20 {
            bench.canvas.paint(seed: UInt64(round))
            try other.look()
        }
        #expect(other.pixels == bench.canvas.pixels)
        #expect(bench.server.status.viewers.count == 2)
        silent.hangUp()
    }

    @Test func whoAsksToBeAloneIs() throws {
        let bench = try Bench()
        let first = try bench.viewer()
        try first.shakeHands()
        try bench.viewer().shakeHands(isShared: false)
        #expect(first.isHungUp())
        #expect(eventually { bench.box.events.withLock { $0.map(number) }.contains(3) })
        let strict = try Bench { $0.sharing = .forceShared }
        let one = try strict.viewer()
        try one.shakeHands()
        let two = try strict.viewer()
        #expect(throws: (any Error).self) { try two.shakeHands(isShared: false) }
        try one.look()
    }

    @Test func viewersAreCounted() throws {
        let bench = try Bench { $0.connectionLimit = 2 }
        let viewers = try (0..<2).map { _ in try bench.viewer() }
        for viewer in viewers { try viewer.shakeHands() }
        #expect(try bench.viewer().isHungUp())
        #expect(bench.server.status.viewers.allSatisfy { $0.host == "127.0.0.1" && $0.family == "ipv4" })
        for viewer in viewers { viewer.hangUp() }
    }
}
