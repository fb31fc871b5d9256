import DeviceModel
import Devices
import TestSupport
import Testing

@Suite struct LegacyPICTests {
    private let output = Recorded<Bool>()
    private let pic: LegacyPIC

    init() {
        let output = output
        pic = LegacyPIC { output.note($0) }
    }

    private func out(_ port: UInt64, _ value: UInt8) { pic.write(offset: port, size: 1, value: UInt64(value)) }
    private func `in`(_ port: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: pic.read(offset: port, size: 1)) }
    private var level: Bool { output.values.last ?? false }
    private func raise(_ line: Int) { pic.setLine(line, level: true) }
    private func lower(_ line: Int) { pic.setLine(line, level: false) }

    /// As a PC's firmware does: vectors 20 and 28.
    private func initialize(icw4: UInt8 = 0x01, icw4Second: UInt8 = 0x01) {
        for (port, last, base, wiring) in [
            (UInt64(0x20), icw4, UInt8(0x20), UInt8(0x04)), (0xA0, icw4Second, 0x28, 0x02),
        ] {
            out(port, 0x11)
            out(port + 1, base)
            out(port + 1, wiring)
            out(port + 1, last)
        }
    }

    @Test func vectorOfBothChips() {
        initialize()
        raise(3)
        #expect(level)
        #expect(pic.acknowledge() == 0x23)
        #expect(!level)
        out(0x20, 0x20)
        raise(12)
        #expect(level)
        #expect(pic.acknowledge() == 0x2C)
        out(0x20, 0x0B)
        out(0xA0, 0x0B)
        #expect(`in`(0x20) == 0x04)
        #expect(`in`(0xA0) == 0x10)
    }

    @Test func masksHoldRequestsBack() {
        initialize()
        out(0x21, 0x08)
        raise(3)
        #expect(!level)
        #expect(`in`(0x20) == 0x08, "the request register shows it")
        #expect(`in`(0x21) == 0x08)
        out(0x21, 0x00)
        #expect(level)
    }

    @Test func prioritiesNest() {
        initialize()
        raise(4)
        #expect(pic.acknowledge() == 0x24)
        raise(5)
        #expect(!level, "less urgent than the one in service")
        raise(1)
        #expect(level)
        #expect(pic.acknowledge() == 0x21)
        out(0x20, 0x20)
        #expect(!level)
        out(0x20, 0x20)
        #expect(pic.acknowledge() == 0x25)
    }

    @Test func specificEnd() {
        initialize()
        raise(4)
        _ = pic.acknowledge()
        out(0x20, 0x65)
        out(0x20, 0x0B)
        #expect(`in`(0x20) == 0x10)
        out(0x20, 0x64)
        #expect(`in`(0x20) == 0)
    }

    @Test func rotationOnEnd() {
        initialize()
        raise(0)
        #expect(pic.acknowledge() == 0x20)
        out(0x20, 0xA0)
        // Line 0 is the least urgent now.
        lower(0)
        raise(0)
        raise(7)
        #expect(pic.acknowledge() == 0x27)
        out(0x20, 0x20)
        #expect(pic.acknowledge() == 0x20)
    }

    @Test func setPriority() {
        initialize()
        out(0x20, 0xC4)
        raise(1)
        raise(6)
        #expect(pic.acknowledge() == 0x26)
        out(0x20, 0xE6)
        raise(5)
        #expect(pic.acknowledge() == 0x21, "line 7 leads, so 1 comes before 5")
    }

    @Test func automaticEndAndRotation() {
        initialize(icw4: 0x03)
        raise(2 + 1)
        #expect(pic.acknowledge() == 0x23)
        out(0x20, 0x0B)
        #expect(`in`(0x20) == 0)
        out(0x20, 0x80)
        raise(0)
        #expect(pic.acknowledge() == 0x20)
        lower(0)
        raise(0)
        raise(1)
        #expect(pic.acknowledge() == 0x21)
        #expect(pic.acknowledge() == 0x20)
    }

    @Test func specialMaskLetsLessUrgentThrough() {
        initialize()
        raise(3)
        _ = pic.acknowledge()
        raise(6)
        #expect(!level)
        out(0x21, 0x08)
        #expect(!level)
        out(0x20, 0x68)
        #expect(level)
        #expect(pic.acknowledge() == 0x26)
        out(0x20, 0x48)
        out(0x20, 0x20)
    }

    @Test func levelTriggeredLinesAskAgain() {
        initialize()
        out(0x4D1, 0xFF)
        out(0x4D0, 0xFF)
        #expect(`in`(0x4D0) == 0xF8)
        #expect(`in`(0x4D1) == 0xDE)
        raise(11)
        #expect(pic.acknowledge() == 0x2B)
        out(0xA0, 0x20)
        out(0x20, 0x20)
        #expect(level, "the line is still up")
        lower(11)
        #expect(!level)
    }

    @Test func edgeTriggeredLinesAskOnce() {
        initialize()
        raise(5)
        #expect(pic.acknowledge() == 0x25)
        out(0x20, 0x20)
        #expect(!level)
        raise(5)
        #expect(!level)
        lower(5)
        raise(5)
        #expect(level)
    }

    @Test func spuriousRequests() {
        initialize()
        #expect(pic.acknowledge() == 0x27)
        out(0x20, 0x0B)
        #expect(`in`(0x20) == 0)
        // The second chip's request goes away between the cycles: line 2 stays in service on the first.
        out(0x4D1, 0x02)
        raise(9)
        lower(9)
        #expect(!level)
    }

    @Test func cascadeWithAutomaticEndServesBoth() {
        initialize(icw4Second: 0x03)
        raise(8)
        raise(10)
        #expect(pic.acknowledge() == 0x28)
        out(0x20, 0x20)
        #expect(level)
        #expect(pic.acknowledge() == 0x2A)
    }

    @Test func specialFullyNestedLetsTheSecondChipNest() {
        initialize(icw4: 0x11)
        raise(12)
        #expect(pic.acknowledge() == 0x2C)
        raise(9)
        #expect(level)
        #expect(pic.acknowledge() == 0x29)
    }

    @Test func poll() {
        initialize()
        raise(4)
        out(0x20, 0x0C)
        #expect(`in`(0x20) == 0x84)
        #expect(!level)
        out(0x20, 0x0C)
        #expect(`in`(0x20) == 0)
        #expect(`in`(0x20) == 0)
    }

    @Test func initializationForgetsEdges() {
        initialize()
        raise(3)
        initialize()
        #expect(!level)
        lower(3)
        raise(3)
        #expect(level)
    }

    @Test func stateRoundTripWithInterruptInService() throws {
        initialize()
        raise(3)
        _ = pic.acknowledge()
        raise(6)
        raise(14)
        let other = LegacyPIC { _ in }
        try other.importState(pic.exportState())
        #expect(other.exportState() == pic.exportState())
        for chip in [pic, other] { chip.write(offset: 0x20, size: 1, value: 0x20) }
        #expect(pic.acknowledge() == other.acknowledge())
        for chip in [pic, other] {
            chip.write(offset: 0xA0, size: 1, value: 0x20)
            chip.write(offset: 0x20, size: 1, value: 0x20)
        }
        #expect(pic.acknowledge() == 0x26)
        #expect(other.acknowledge() == 0x26)
    }

    @Test func badStateIsRefused() {
        var state = pic.exportState()
        guard case .list(var chips)? = state.fields["chips"] else { return #expect(Bool(false)) }
        chips[0].set("highest", 8)
        state.set("chips", chips)
        #expect(throws: DeviceStateError.self) { try pic.importState(state) }
    }

    @Test func randomPokes() throws {
        var random = SplitMix64(state: 7)
        let ports: [UInt64] = [0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x22]
        for _ in 0..<200 {
            poke(pic, offsets: ports, clock: ManualClock(), seed: random.next(), count: 500)
            pic.setLine(Int(random.next() % 18) - 1, level: random.next() & 1 == 0)
            if level { _ = pic.acknowledge() }
        }
        try pic.importState(pic.exportState())
    }
}
