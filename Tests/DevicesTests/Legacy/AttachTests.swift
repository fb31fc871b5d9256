import DeviceModel
import Devices
import Testing

/// The devices at their places on a PC's buses.
@Suite struct AttachTests {
    @Test func platformDevicesAnswerAtTheirPorts() {
        let clock = ManualClock()
        let lines = RecordedLines()
        let (ports, memory) = (Bus(), Bus())
        let pic = LegacyPIC { _ in }
        pic.attach(to: ports)
        IntervalTimer(clock: clock, line: InterruptLine(sink: lines, number: 0)).attach(to: ports)
        RealTimeClock(clock: clock, line: InterruptLine(sink: lines, number: 8)).attach(to: ports)
        KeyboardController(
            clock: clock, keyboardLine: InterruptLine(sink: lines, number: 1),
            mouseLine: InterruptLine(sink: lines, number: 12), onReset: {}
        ).attach(to: ports)
        SerialPort(name: "serial0", clock: clock, line: InterruptLine(sink: lines, number: 4), backend: nil)
            .attach(to: ports, base: SerialPort.ports[0])
        IOAPIC(sink: RecordedMessages()).attach(to: memory)
        HPET(clock: clock, interrupts: lines, messages: RecordedMessages()).attach(to: memory)

        ports.write(0x21, size: 1, value: 0xFB)
        ports.write(0xA1, size: 1, value: 0xFF)
        ports.write(0x4D1, size: 1, value: 0x0C)
        #expect(ports.read(0x21, size: 1) == 0xFB)
        #expect(ports.read(0xA1, size: 1) == 0xFF)
        #expect(ports.read(0x4D0, size: 2) == 0x0C00)
        ports.write(0x43, size: 1, value: 0x36)
        ports.write(0x43, size: 1, value: 0xE2)
        #expect(ports.read(0x40, size: 1) == 0xF6)
        ports.write(0x61, size: 1, value: 0x01)
        #expect(ports.read(0x61, size: 1) & 0x0F == 0x01)
        // The index and the data port in one access.
        ports.write(0x70, size: 2, value: 0x5F40)
        #expect(ports.read(0x71, size: 1) == 0x5F)
        #expect(ports.read(0x64, size: 1) == 0x10)
        #expect(ports.read(0x92, size: 1) == 0x02)
        #expect(ports.read(0x3FD, size: 1) == 0x60)
        memory.write(0xFEC0_0000, size: 4, value: 1)
        #expect(memory.read(0xFEC0_0010, size: 4) == 0x0017_0020)
        #expect(memory.read(0xFED0_0000, size: 8) >> 32 == 10_000_000)
    }

    @Test func timerToProcessorThroughThePIC() {
        let clock = ManualClock()
        let output = Recorded<Bool>()
        let pic = LegacyPIC { output.note($0) }
        let pit = IntervalTimer(clock: clock, line: InterruptLine(sink: pic, number: 0))
        for (port, value): (UInt64, UInt64) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xFE)] {
            pic.write(offset: port, size: 1, value: value)
        }
        for (port, value): (UInt64, UInt64) in [(0x43, 0x34), (0x40, 0xA9), (0x40, 0x04)] {
            pit.write(offset: port, size: 1, value: value)
        }
        var ticks = 0
        for _ in 0..<1000 {
            clock.advance(by: 100_000)
            if output.values.last == true {
                ticks += 1
                #expect(pic.acknowledge() == 0x20)
                pic.write(offset: 0x20, size: 1, value: 0x20)
            }
        }
        #expect(99...101 ~= ticks)
    }
}
