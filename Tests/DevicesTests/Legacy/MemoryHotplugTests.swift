import DeviceModel
import Devices
import Synchronization
import Testing

/// The controller of memory modules, as the ACPI tables' methods use it.
@Suite struct MemoryHotplugTests {
    private final class Record: Sendable {
        let ejected = Mutex<[Int]>([])
        let reports = Mutex<[MemoryHotplugControl.Report]>([])
    }
    private let record = Record()
    private let module = MemoryHotplugControl.Module(address: 0x1_4000_0000, size: 0x2_1000_0000, node: 3)

    private func make(slots: Int = 4) -> MemoryHotplugControl {
        let record = record
        return MemoryHotplugControl(
            slots: slots, onEject: { slot in record.ejected.withLock { $0.append(slot) } },
            onReport: { report in record.reports.withLock { $0.append(report) } })
    }
    private func words(_ control: MemoryHotplugControl, _ slot: UInt64) -> [UInt64] {
        control.write(offset: 0, size: 4, value: slot)
        return stride(from: UInt64(0), to: 24, by: 4).map { control.read(offset: $0, size: 4) }
    }

    @Test func aModuleIsToldSeenAndLetGo() {
        let control = make()
        control.insert(module, slot: 2, quiet: false)
        #expect(words(control, 0) == [0, 0, 0, 0, 0, 0])
        #expect(words(control, 2) == [0x4000_0000, 1, 0x1000_0000, 2, 3, 1 | 2])
        control.write(offset: 0x14, size: 4, value: 2)
        #expect(control.read(offset: 0x14, size: 4) == 1)
        control.requestEject(2)
        #expect(control.read(offset: 0x14, size: 4) == 1 | 4)
        control.write(offset: 0x14, size: 4, value: 4)
        #expect(record.ejected.withLock { $0 } == [])
        control.write(offset: 0x04, size: 4, value: 3)
        control.write(offset: 0x08, size: 4, value: 0x80)
        let reports = record.reports.withLock { $0 }
        #expect(reports.map(\.slot) == [2] && reports.map(\.event) == [3] && reports.map(\.status) == [0x80])
        #expect(control.reports.map(\.status) == [0, 0, 0x80, 0])
        control.write(offset: 0x14, size: 4, value: 8)
        #expect(record.ejected.withLock { $0 } == [2])
        control.remove(2)
        #expect(words(control, 2) == [0, 0, 0, 0, 0, 0])
        control.write(offset: 0x14, size: 4, value: 8)
        #expect(record.ejected.withLock { $0 } == [2], "an empty slot ejects nothing")
    }

    @Test func oneFromTheStartIsNotToldOf() {
        let control = make()
        control.insert(module, slot: 0, quiet: true)
        #expect(words(control, 0)[5] == 1)
        // What was on its way is forgotten by a reset; the module stays.
        control.requestEject(0)
        control.reset()
        #expect(words(control, 0)[5] == 1)
    }

    @Test func itsStateMovesOnlyToTheSameModules() throws {
        let (control, same, other) = (make(), make(), make())
        control.insert(module, slot: 1, quiet: false)
        same.insert(module, slot: 1, quiet: true)
        control.write(offset: 0, size: 4, value: 1)
        let saved = control.exportState()
        try same.importState(saved)
        #expect(same.exportState() == saved)
        #expect(same.read(offset: 0x14, size: 4) == 3)
        #expect(throws: DeviceStateError.self) { try other.importState(saved) }
        #expect(throws: DeviceStateError.self) { try make(slots: 5).importState(saved) }
    }

    @Test func noAccessDoesHarm() {
        let control = make(slots: 1 << 20)
        control.insert(module, slot: -1, quiet: false)
        control.insert(module, slot: 1 << 30, quiet: false)
        control.insert(module, slot: 255, quiet: false)
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<50_000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let (offset, size) = (random >> 20 & 31, 1 << Int(random >> 30 & 3))
            if random >> 40 & 1 == 0 {
                _ = control.read(offset: offset, size: size)
            } else {
                control.write(offset: offset, size: size, value: random >> 41 & 1 == 0 ? random : random & 0x1FF)
            }
        }
        #expect(record.ejected.withLock { $0.allSatisfy { $0 == 255 } })
    }
}
