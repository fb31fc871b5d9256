import Display
import TestSupport
import Testing

import VNC

/// What viewers say that no viewer says.
@Suite struct HostileViewerTests {

    @Test func noiseEndsInMessagesOrAViolation() {
        for seed in 0..<UInt64(FuzzRounds.times(2000)) {
            var numbers = SplitMix64(state: seed)
            var parser = ClientMessageParser()
            parser.hasExtendedMouse = seed & 1 == 0
            var count = 0
            do throws(ProtocolViolation) {
                for _ in 0..<40 {
                    var bytes = (0..<Int(numbers.next() % 40)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                    // Most begin as a message does, with small numbers.
                    if !bytes.isEmpty { bytes[0] = [0, 2, 3, 4, 5, 6, 251, 255][Int(numbers.next() & 7)] }
                    for index in bytes.indices.dropFirst() where numbers.next() & 3 != 0 { bytes[index] &= 1 }
                    parser.append(bytes)
                    while try parser.next() != nil { count += 1 }
                }
            } catch {}
            #expect(count <= 1600)
        }
    }

    @Test func noiseInAWebSocketEnds() {
        for seed in 0..<UInt64(FuzzRounds.times(500)) {
            var numbers = SplitMix64(state: seed)
            var socket = WebSocket()
            _ = socket.receive(
                Array(
                    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
                        .utf8))
            for _ in 0..<30 {
                let bytes = (0..<Int(numbers.next() % 60)).map { _ in
                    UInt8(truncatingIfNeeded: numbers.next()) & (numbers.next() & 1 == 0 ? 0xFF : 0x8F)
                }
                if socket.receive(bytes).ends { break }
            }
        }
        var long = WebSocket()
        #expect(long.receive([UInt8](repeating: 65, count: 9000)).ends)
        var unmasked = WebSocket()
        let hello = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
        #expect(!unmasked.receive(Array(hello.utf8)).ends)
        #expect(unmasked.receive([0x82, 0x01, 0x00]).ends)
    }

    @Test(arguments: [
        [9], [255, 2], [6, 0, 0, 0, 0x40, 0, 0, 0], [2, 0, 0xFF, 0xFF],
        [0, 0, 0, 0, 7, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
        [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 99, 8, 0, 0, 0, 0],
        [0, 0, 0, 0, 8, 8, 0, 1, 0, 255, 0, 255, 0, 255, 0, 0, 200, 0, 0, 0],
        [0, 0, 0, 0, 32, 24, 0, 1, 0, 200, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0],
    ] as [[UInt8]])
    func impossibleMessagesAreViolations(bytes: [UInt8]) {
        var parser = ClientMessageParser()
        parser.append(bytes)
        #expect(throws: ProtocolViolation.self) { try parser.next() }
    }

    @Test func wholeMessagesComeOutOfPieces() throws {
        var parser = ClientMessageParser()
        var messages: [ClientMessage] = []
        let stream: [UInt8] = [
            4, 1, 0, 0, 0, 0, 0xFF, 0x0D, 2, 0, 0, 2, 0, 0, 0, 16, 0xFF, 0xFF, 0xFF, 0x21, 3, 1, 0, 1, 0, 2, 0, 3, 0, 4, 6,
            0, 0, 0, 0, 0, 0, 2, 0x68, 0x69, 5, 3, 0, 7, 0, 8,
        ]
        for byte in stream {
            parser.append([byte])
            while let message = try parser.next() { messages.append(message) }
        }
        #expect(
            messages == [
                .key(symbol: 0xFF0D, isDown: true), .encodings([16, -223]),
                .update(isIncremental: true, x: 1, y: 2, width: 3, height: 4), .cutText([0x68, 0x69]),
                .pointer(buttons: 3, x: 7, y: 8),
            ])
    }
}
