import Firmware
import Testing

@Test func laterEntriesCoverEarlierOnes() {
    var map = MemoryMap()
    map.add(start: 0, count: 100, kind: .ram)
    map.add(start: 40, count: 10, kind: .reserved)
    map.add(start: 100, count: 50, kind: .ram)
    #expect(map.entries.map(\.start) == [0, 40, 50])
    #expect(map.entries.map(\.count) == [40, 10, 100])
    #expect(map.ramBytes == 140)
    map.add(start: 40, count: 10, kind: .ram)
    #expect(map.entries == [MemoryMap.Entry(start: 0, count: 150, kind: .ram)])
    map.add(start: UInt64.max - 1, count: 100, kind: .ram)
    #expect(map.entries.last?.end == UInt64.max)
    #expect(map.e820.count == 40)
}

@Test func boardsSplitMemoryAsTheirChipsetsDo() {
    let gibibyte: UInt64 = 1 << 30
    #expect(PCMemory.pc(ram: 128 << 20) == PCMemory(ram: 128 << 20, lowLimit: 128 << 20))
    #expect(PCMemory.pc(ram: 0xDFF0_0000).high == 0)
    #expect(PCMemory.pc(ram: 4 * gibibyte).low == 3 * gibibyte)
    #expect(PCMemory.pc(ram: 4 * gibibyte).high == gibibyte)
    #expect(PCMemory.q35(ram: 4 * gibibyte).low == 2 * gibibyte)
    #expect(PCMemory.q35(ram: 2 * gibibyte).high == 0)
    let map = PCMemory.pc(ram: 4 * gibibyte).map
    #expect(map.ramBytes == 4 * gibibyte - 0x10_0000 + 0x9FC00)
    #expect(map.entries.last == MemoryMap.Entry(start: 4 * gibibyte, count: gibibyte, kind: .ram))
    #expect(PCMemory.pc(ram: 4 * gibibyte).firmwareMap.entries.count == 2)
    #expect(PCMemory.pc(ram: 0).map.ramBytes == 0)
}

@Test func topOfMemoryIsTakenInPages() {
    var map = PCMemory.pc(ram: 1 << 30).map
    #expect(map.takeTop(count: 5000, below: 1 << 32, kind: .acpi) == (1 << 30) - 8192)
    #expect(map.takeTop(count: 1, below: 1 << 32, kind: .acpi) == (1 << 30) - 12288)
    #expect(map.takeTop(count: 1 << 31, below: 1 << 32, kind: .acpi) == nil)
    #expect(map.takeTop(count: UInt64.max, below: 1 << 32, kind: .acpi) == nil)
}
