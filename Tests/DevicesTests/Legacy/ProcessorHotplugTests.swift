import DeviceModel
import Devices
import Synchronization
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

    /// The guest hands over whom firmware is to eject, by its ACPI methods or by firmware's own registers.
    @Test func firmwareEjectsWhomTheGuestHandsOver() throws {
        final class Ejected: Sendable { let all = Mutex<[Int]>([]) }
        let ejected = Ejected()
        let control = ProcessorHotplugControl(present: 3, apicIDs: [0, 2, 4, 6]) { processor in
            ejected.all.withLock { $0.append(processor) }
        }
        let bus = Bus()
        control.attachRegisters(to: bus, at: 0xCD8)
        bus.add(control, start: 0xA00, count: ProcessorHotplugControl.count, name: "acpi")
        bus.write(0xA44, size: 4, value: 0x8000_0003)
        #expect(ejected.all.withLock { $0 } == [], "That is firmware's")
        let twin = ProcessorHotplugControl(present: 3, apicIDs: [0, 2, 4, 6]) { _ in }
        try twin.importState(control.exportState())
        #expect(twin.exportState() == control.exportState())
        bus.write(0xCD8, size: 4, value: 0)
        bus.write(0xCDD, size: 1, value: 0)
        #expect(bus.read(0xCE0, size: 4) == 2 && bus.read(0xCDC, size: 1) == 0x11)
        bus.write(0xCDC, size: 1, value: 8)
        #expect(ejected.all.withLock { $0 } == [2])
        control.remove(2)
        #expect(bus.read(0xCDC, size: 1) == 0)
        // Who is not there can neither be handed over nor ejected, and who came in its place is not handed over.
        for value in [8, 16] as [UInt64] { bus.write(0xCDC, size: 1, value: value) }
        bus.write(0xA44, size: 4, value: 0x8000_0003)
        #expect(control.insert(2) && bus.read(0xCDC, size: 1) == 3)
        bus.write(0xCDC, size: 1, value: 16)
        #expect(bus.read(0xCDC, size: 1) == 0x13 && ejected.all.withLock { $0 } == [2])
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
