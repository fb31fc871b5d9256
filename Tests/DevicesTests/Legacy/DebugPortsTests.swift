import DeviceModel
import Devices
import Testing

@Suite struct DebugPortsTests {
    private let bus = Bus()

    @Test func debugExitStatus() {
        let codes = Recorded<UInt32>()
        let exit = DebugExit { codes.note($0) }
        exit.attach(to: bus, base: 0xF4, count: 4)
        bus.write(0xF4, size: 4, value: 0x10)
        bus.write(0xF5, size: 1, value: 0)
        bus.write(0xF4, size: 4, value: 0xFFFF_FFFF)
        #expect(codes.values == [0x21, 0x01, 0xFFFF_FFFF])
        #expect(bus.read(0xF4, size: 1) == 0)
    }

    @Test func debugConsole() {
        let host = RecordedCharacters()
        DebugConsole(backend: host).attach(to: bus, port: 0x402)
        for byte in Array("hi".utf8) { bus.write(0x402, size: 1, value: UInt64(byte)) }
        #expect(host.written == Array("hi".utf8))
        #expect(bus.read(0x402, size: 1) == 0xE9)
    }

    @Test func panicEvents() {
        let events = Recorded<UInt8>()
        PVPanic { events.note($0.rawValue) }.attach(to: bus)
        #expect(bus.read(0x505, size: 1) == 3)
        bus.write(0x505, size: 1, value: 1)
        bus.write(0x505, size: 1, value: 0xFC)
        bus.write(0x505, size: 1, value: 2)
        #expect(events.values == [1, 2])
    }

    @Test func postCode() throws {
        let latch = POSTCodeLatch()
        latch.attach(to: bus)
        bus.write(0x80, size: 1, value: 0x55)
        #expect(latch.code == 0x55)
        let other = POSTCodeLatch()
        try other.importState(latch.exportState())
        #expect(other.code == 0x55)
    }

    @Test func resetControl() throws {
        let resets = Recorded<Int>()
        let control = ResetControl { resets.note(1) }
        control.attach(to: bus)
        bus.write(0xCF9, size: 1, value: 0x02)
        #expect(resets.values.isEmpty)
        bus.write(0xCF9, size: 1, value: 0x06)
        #expect(resets.values.count == 1)
        #expect(bus.read(0xCF9, size: 1) == 0x06)
        let other = ResetControl {}
        try other.importState(control.exportState())
        #expect(other.read(offset: 0, size: 1) == 0x06)
        control.reset()
        bus.write(0xCF9, size: 1, value: 0x0E)
        #expect(resets.values.count == 2)
    }

    @Test func randomPokes() {
        let clock = ManualClock()
        let host = RecordedCharacters()
        for device: any BusDevice in [
            DebugExit { _ in }, DebugConsole(backend: host), PVPanic { _ in }, POSTCodeLatch(), ResetControl {},
        ] {
            poke(device, offsets: [0, 1, 2], clock: clock, seed: 17)
        }
        #expect(host.written.count <= 100_000)
    }
}
