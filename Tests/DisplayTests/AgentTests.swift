import Display
import TestSupport
import Testing

/// The display's side of a guest's agent, by messages as the agent makes them (SPICE's vd_agent.h).
@Suite struct AgentTests {
    private static func bytes(_ numbers: UInt32...) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32($0 * 8)) } }
    }
    /// A message in one chunk of the display's port.
    private static func message(_ type: UInt32, _ data: [UInt8], port: UInt32 = 1) -> [UInt8] {
        bytes(port, UInt32(data.count + 20), 1, type, 0, 0, UInt32(data.count)) + data
    }
    private static let demand: UInt32 = 1 << 5
    private static let selection: UInt32 = 1 << 6
    private static let twoCharacters: UInt32 = 1 << 9
    private static let counted: UInt32 = 1 << 17

    /// A session whose guest can do what the bits say.
    private static func session(_ abilities: UInt32, mouse: Bool = false) -> AgentSession {
        var session = AgentSession(clipboard: true, mouse: mouse)
        _ = session.setOpen(true)
        _ = session.receive(message(6, bytes(0, abilities)))
        return session
    }

    @Test func bothSayWhatTheyCan() {
        var session = AgentSession(clipboard: true, mouse: true)
        #expect(session.receive(Self.message(6, Self.bytes(1, 0x60))) == [], "Nobody has opened the port")
        let own = Self.demand | Self.selection | Self.counted | 1
        #expect(session.setOpen(true) == [.send(Self.message(6, Self.bytes(1, own)))])
        // The guest asks for an answer, and can be told the pointer's places.
        #expect(
            session.receive(Self.message(6, Self.bytes(1, Self.demand | 1)))
                == [.send(Self.message(6, Self.bytes(0, own))), .takesPointer(true)])
        #expect(session.setOpen(false) == [.takesPointer(false)])
    }

    @Test func aTextOfTheGuestsIsAskedForAndShared() {
        var session = Self.session(Self.demand | Self.selection)
        #expect(session.receive(Self.message(7, Self.bytes(0, 2, 1))) == [.send(Self.message(8, Self.bytes(0, 1)))])
        let text = Array("größer\n".utf8)
        #expect(session.receive(Self.message(4, Self.bytes(0, 1) + text)) == [.share("größer\n")])
        // Pictures alone, and the guest's other selections, are its own.
        #expect(session.receive(Self.message(7, Self.bytes(0, 2))) == [])
        #expect(session.receive(Self.message(7, Self.bytes(1, 1))) == [])
        #expect(session.receive(Self.message(4, Self.bytes(1, 1) + text)) == [])
    }

    @Test func aTextOfAViewersIsGivenWhenItIsAskedFor() {
        var session = Self.session(Self.demand | Self.selection | Self.counted | Self.twoCharacters)
        #expect(
            session.receive(Self.message(8, Self.bytes(0, 1))) == [.send(Self.message(4, Self.bytes(0, 0)))],
            "There is none")
        #expect(session.offer("a\nb") == [.send(Self.message(7, Self.bytes(0, 0, 1)))])
        #expect(session.offer("c\nd") == [.send(Self.message(7, Self.bytes(0, 1, 1)))])
        #expect(
            session.receive(Self.message(8, Self.bytes(0, 1)))
                == [.send(Self.message(4, Self.bytes(0, 1) + Array("c\r\nd".utf8)))])
        // From then on the guest has it.
        #expect(session.receive(Self.message(7, Self.bytes(0, 5, 1))).count == 1)
        #expect(session.receive(Self.message(8, Self.bytes(0, 1))) == [.send(Self.message(4, Self.bytes(0, 0)))])
        #expect(session.receive(Self.message(4, Self.bytes(0, 1) + Array("e\r\nf".utf8))) == [.share("e\nf")])
    }

    @Test func whatWasCopiedBeforeTheAgentCameIsOffered() {
        var session = AgentSession(clipboard: true, mouse: false)
        #expect(session.offer("early") == [])
        _ = session.setOpen(true)
        #expect(session.receive(Self.message(6, Self.bytes(0, Self.demand))) == [.send(Self.message(7, Self.bytes(1)))])
        #expect(
            session.receive(Self.message(8, Self.bytes(1))) == [
                .send(Self.message(4, Self.bytes(1) + Array("early".utf8)))
            ])
    }

    @Test func longTextsComeAndGoInChunks() {
        let text = String(repeating: "0123456789", count: 1000)
        var session = Self.session(Self.demand)
        _ = session.offer(text)
        guard case .send(let encoded)? = session.receive(Self.message(8, Self.bytes(1))).first else {
            Issue.record("The text does not come")
            return
        }
        #expect(encoded.count == 20 + 4 + 10000 + 5 * 8)
        var other = Self.session(Self.demand)
        var effects: [AgentSession.Effect] = []
        for start in stride(from: 0, to: encoded.count, by: 7) {
            effects += other.receive(Array(encoded[start..<min(start + 7, encoded.count)]))
        }
        #expect(effects == [.share(text)])
    }

    @Test func wrongPortsProtocolsAndSizesArePassedOver() {
        var session = Self.session(Self.demand)
        let text = Self.message(4, Self.bytes(1, 0x6968))
        let unknown = Self.bytes(1, 24, 2, 4, 0, 0, 4, 7)
        let endless = Self.bytes(1, 20, 1, 4, 0, 0, 0x7FFF_FFFF) + Self.bytes(1, 0)
        #expect(session.receive(Self.message(4, Self.bytes(1, 7), port: 2) + unknown + text) == [.share("hi\0")])
        #expect(session.receive(endless) == [])
        // What follows belongs to the message that is too long, and is forgotten with the session.
        #expect(session.receive(text) == [])
        _ = session.setOpen(true)
        _ = session.receive(Self.message(6, Self.bytes(0, Self.demand)))
        #expect(session.receive(text) == [.share("hi\0")])
    }

    @Test func thePointerIsToldInPixels() {
        #expect(Self.session(Self.demand).point(x: 1, y: 2, buttons: 0) == [])
        let session = Self.session(1, mouse: true)
        #expect(
            session.point(x: 640, y: 480, buttons: 1 | 2) == [
                .send(Self.message(1, Self.bytes(640, 480, 0b1010) + [0]))
            ])
    }

    @Test func nonsenseIsTakenByTheByte() {
        var random = SplitMix64(state: 12)
        for _ in 0..<FuzzRounds.times(300) {
            var session = Self.session(UInt32(truncatingIfNeeded: random.next()), mouse: true)
            var bytes: [UInt8] = []
            for _ in 0..<1 + random.next() % 8 {
                let data = (0..<random.next() % 60).map { _ in UInt8(truncatingIfNeeded: random.next() % 4) }
                bytes += Self.message(UInt32(random.next() % 12), data, port: UInt32(1 + random.next() % 5 / 4))
            }
            for _ in 0..<random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            var (whole, pieces) = (session, session)
            let effects = whole.receive(bytes)
            var others: [AgentSession.Effect] = []
            for byte in bytes { others += pieces.receive([byte]) }
            #expect(effects == others)
            _ = session.offer("x")
        }
    }

    @Test func membersOfAClipboardHearEachOther() {
        let hub = ClipboardHub()
        final class Heard: @unchecked Sendable { var texts: [String] = [] }
        let (one, other) = (Heard(), Heard())
        let first = hub.join { one.texts.append($0) }
        let second = hub.join { other.texts.append($0) }
        hub.share("a", from: first)
        #expect(one.texts == [] && other.texts == ["a"])
        #expect(hub.text(for: second) == "a" && hub.text(for: first) == nil)
        hub.share(String(repeating: "x", count: ClipboardHub.limit + 1), from: first)
        #expect(other.texts == ["a"], "Too long")
        hub.leave(second)
        hub.share("b", from: first)
        #expect(other.texts == ["a"])
    }
}
