import DeviceModel
import Devices
import TestSupport
import Testing

/// Firmware's look at processors that come and go.
@Suite struct ProcessorHotplugTests {
    private let bus = Bus()
    private let control: ProcessorHotplugControl

    init() {
        control = ProcessorHotplugControl(present: 2, apicIDs: [0, 2, 4, 6]) { _ in }
        control.attachRegisters(to: bus, at: 0xCD8)
    }

    private func select(_ processor: UInt32) { bus.write(0xCD8, size: 4, value: UInt64(processor)) }
    private var status: UInt64 { bus.read(0xCDC, size: 1) }
    private var data: UInt64 { bus.read(0xCE0, size: 4) }
    private func command(_ number: UInt64) { bus.write(0xCDD, size: 1, value: number) }

    /// As OVMF counts: the selector comes back while there is such a processor.
    @Test func processorsAreCounted() {
        command(0)
        #expect(bus.read(0xCD8, size: 4) == 0)
        var present: [UInt64] = []
        for processor in 0..<8 as Range<UInt32> {
            select(processor)
            guard processor == 0 || data == UInt64(processor) else { break }
            present.append(status)
        }
        #expect(present == [1, 1, 0, 0])
        select(4)
        #expect(data == 0 && status == 0)
        select(.max)
        command(0)
        #expect(data == 0 && status == 0)
    }

    @Test func eventsAndIdentifiersAreFound() {
        #expect(control.insert(3))
        control.requestEject(1)
        select(0)
        command(0)
        #expect(data == 1 && status == 5)
        select(2)
        command(0)
        #expect(data == 3 && status == 3)
        command(3)
        #expect(data == 6)
        // The guest's ACPI methods take the events, firmware does not.
        bus.write(0xCDC, size: 1, value: 6)
        #expect(status == 3)
        bus.add(control, start: 0xA00, count: ProcessorHotplugControl.count, name: "acpi")
        #expect(bus.read(0xA40, size: 4) == 0x1_0004 && status == 1)
    }

    @Test func randomPokesDoNoHarm() {
        var random = SplitMix64(state: 9)
        for _ in 0..<FuzzRounds.times(20_000) {
            let bits = random.next()
            let (offset, size) = (bits % 12, [1, 2, 4, 8][Int(bits >> 8 & 3)])
            bus.write(0xCD8 + offset, size: size, value: bits >> 16 & 1 == 0 ? bits >> 60 : random.next())
            _ = bus.read(0xCD8 + bits >> 20 % 12, size: size)
            if bits >> 32 & 0xFF == 0 { _ = control.insert(Int(bits >> 40 & 7)) }
            if bits >> 32 & 0xFF == 1 { control.reset() }
        }
    }
}
