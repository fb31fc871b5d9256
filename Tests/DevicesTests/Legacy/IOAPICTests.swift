import DeviceModel
import Devices
import TestSupport
import Testing

@Suite struct IOAPICTests {
    private let cpu = RecordedMessages()
    private let ioapic: IOAPIC

    init() { ioapic = IOAPIC(sink: cpu) }

    private func set(_ register: UInt64, _ value: UInt32) {
        ioapic.write(offset: 0, size: 4, value: register)
        ioapic.write(offset: 0x10, size: 4, value: UInt64(value))
    }
    private func get(_ register: UInt64) -> UInt32 {
        ioapic.write(offset: 0, size: 4, value: register)
        return UInt32(truncatingIfNeeded: ioapic.read(offset: 0x10, size: 4))
    }
    private func route(_ input: Int, _ low: UInt32, destination: UInt8 = 0, extended: UInt8 = 0) {
        set(0x11 + 2 * UInt64(input), UInt32(destination) << 24 | UInt32(extended) << 17)
        set(0x10 + 2 * UInt64(input), low)
    }
    private func end(_ vector: UInt8) { ioapic.write(offset: 0x40, size: 4, value: UInt64(vector)) }

    @Test func identification() {
        #expect(get(1) == 0x0017_0020)
        set(0, 0x0500_0000)
        #expect(get(0) == 0x0500_0000)
        #expect(get(2) == 0x0500_0000)
        #expect((0..<24).allSatisfy { get(0x10 + 2 * UInt64($0)) == 0x0001_0000 })
        #expect(get(0x40) == 0)
    }

    @Test func edgeSendsOneMessage() {
        route(4, 0x0000_0034, destination: 2)
        ioapic.setLine(4, level: true)
        ioapic.setLine(4, level: true)
        ioapic.setLine(4, level: false)
        #expect(cpu.messages == [.init(address: 0xFEE0_2000, data: 0x34)])
        ioapic.setLine(4, level: true)
        #expect(cpu.messages.count == 2)
    }

    @Test func messageFields() {
        route(1, 0x0000_0931, destination: 0x81, extended: 0x55)
        ioapic.setLine(1, level: true)
        #expect(cpu.messages == [.init(address: 0xFEE8_1AAC, data: 0x0131)])
    }

    @Test func levelWaitsForTheEnd() {
        route(10, 0x0000_A041)
        ioapic.setLine(10, level: true)
        #expect(cpu.messages == [.init(address: 0xFEE0_0000, data: 0xC041)])
        #expect(get(0x24) == 0x0000_E041)
        ioapic.setLine(10, level: false)
        ioapic.setLine(10, level: true)
        #expect(cpu.messages.count == 1)
        ioapic.endOfInterrupt(vector: 0x42)
        #expect(cpu.messages.count == 1)
        ioapic.endOfInterrupt(vector: 0x41)
        #expect(cpu.messages.count == 2)
        ioapic.setLine(10, level: false)
        end(0x41)
        #expect(cpu.messages.count == 2)
        #expect(get(0x24) == 0x0000_A041)
    }

    @Test func maskedLevelComesWhenUnmasked() {
        route(10, 0x0001_8041)
        ioapic.setLine(10, level: true)
        #expect(cpu.messages.isEmpty)
        route(10, 0x0000_8041)
        #expect(cpu.messages.count == 1)
    }

    @Test func maskedEdgeIsKeptWhileItsLineIsUp() {
        route(3, 0x0001_0033)
        ioapic.setLine(3, level: true)
        ioapic.setLine(3, level: false)
        #expect(cpu.messages.isEmpty)
        route(3, 0x0000_0033)
        #expect(cpu.messages.isEmpty)
        route(3, 0x0001_0033)
        ioapic.setLine(3, level: true)
        route(3, 0x0000_0033)
        #expect(cpu.messages.count == 1)
        route(3, 0x0000_0033)
        #expect(cpu.messages.count == 1)
    }

    @Test func switchToEdgeForgetsTheEnd() {
        route(10, 0x0000_8041)
        ioapic.setLine(10, level: true)
        set(0x24, 0x0001_0041)
        #expect(get(0x24) == 0x0001_0041)
        set(0x24, 0x0000_8041)
        #expect(cpu.messages.count == 2)
    }

    @Test func readOnlyBits() {
        set(0x10, 0xFFFF_FFFF)
        #expect(get(0x10) == 0x0001_AFFF)
        set(0x11, 0xFFFF_FFFF)
        #expect(get(0x11) == 0xFFFE_0000)
    }

    @Test func awaitsEnd() {
        route(5, 0x8055)
        #expect(ioapic.awaitsEnd(of: 0x55))
        #expect(!ioapic.awaitsEnd(of: 0x56))
    }

    @Test func globalInterrupts() {
        let pic = RecordedLines()
        let global = GlobalInterrupts(pic: pic, ioapic: ioapic)
        route(2, 0x20)
        route(20, 0x8040)
        global.setLine(0, level: true)
        global.setLine(20, level: true)
        #expect(pic.level(0))
        #expect(!pic.level(20))
        #expect(cpu.messages.map(\.data) == [0x20, 0xC040])
    }

    @Test func stateRoundTripWithRemoteIRR() throws {
        route(10, 0x8041, destination: 3)
        route(3, 0x0001_0033)
        ioapic.setLine(10, level: true)
        ioapic.setLine(3, level: true)
        let otherCPU = RecordedMessages()
        let other = IOAPIC(sink: otherCPU)
        try other.importState(ioapic.exportState())
        #expect(other.exportState() == ioapic.exportState())
        #expect(otherCPU.messages.isEmpty)
        cpu.clear()
        for chip in [ioapic, other] {
            chip.endOfInterrupt(vector: 0x41)
            chip.write(offset: 0, size: 4, value: 0x16)
            chip.write(offset: 0x10, size: 4, value: 0x33)
        }
        #expect(cpu.messages.count == 2)
        #expect(cpu.messages == otherCPU.messages)
    }

    /// A handler that does not release its line gets it back at once, but not without end: what it has interrupted goes
    /// on between, as it does with a chip that takes its time.
    @Test func aLineThatNobodyReleasesLeavesTime() throws {
        let clock = ManualClock()
        let ioapic = IOAPIC(sink: cpu, clock: clock)
        ioapic.write(offset: 0, size: 4, value: 0x24)
        ioapic.write(offset: 0x10, size: 4, value: 0xA041)
        ioapic.setLine(10, level: true)
        for round in 1..<1000 {
            #expect(cpu.messages.count == round)
            ioapic.endOfInterrupt(vector: 0x41)
        }
        #expect(cpu.messages.count == 1000)
        ioapic.endOfInterrupt(vector: 0x41)
        ioapic.setLine(10, level: true)
        #expect(cpu.messages.count == 1000, "It waits")
        // A machine that is saved meanwhile sends it when it goes on.
        let otherCPU = RecordedMessages()
        let other = IOAPIC(sink: otherCPU, clock: clock)
        try other.importState(ioapic.exportState())
        #expect(otherCPU.messages.isEmpty)
        other.resume()
        #expect(otherCPU.messages.count == 1)
        clock.advance(by: 2_000_000)
        #expect(cpu.messages.count == 1001)
        // A line that was released in between starts anew.
        ioapic.endOfInterrupt(vector: 0x41)
        ioapic.setLine(10, level: false)
        ioapic.endOfInterrupt(vector: 0x41)
        ioapic.setLine(10, level: true)
        #expect(cpu.messages.count == 1003)
    }

    @Test func randomPokes() throws {
        var random = SplitMix64(state: 5)
        for _ in 0..<200 {
            poke(
                ioapic, offsets: [0, 0, 0x10, 0x10, 0x40, 0x44, 0xFFC], clock: ManualClock(), seed: random.next(),
                count: 500)
            ioapic.setLine(Int(random.next() % 26) - 1, level: random.next() & 1 == 0)
            ioapic.endOfInterrupt(vector: UInt8(truncatingIfNeeded: random.next()))
        }
        #expect(!cpu.messages.isEmpty)
        try ioapic.importState(ioapic.exportState())
    }
}
