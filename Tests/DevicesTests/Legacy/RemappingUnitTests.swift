import DeviceModel
import Devices
import TestSupport
import Testing

/// The DMA-remapping unit that translates nothing.
struct RemappingUnitTests {
    @Test func itOffersNoTranslation() {
        let unit = RemappingUnit(addressBits: 48)
        #expect(unit.read(offset: 0x00, size: 4) == 0x10)
        let capability = unit.read(offset: 0x08, size: 8)
        // No depth of page tables, 48 bits of addresses, one fault record at 0x220.
        #expect(capability >> 8 & 0x1F == 0 && capability >> 16 & 0x3F == 47)
        #expect(capability >> 24 & 0x3FF == 0x22 && capability >> 40 & 0xFF == 0)
        let extended = unit.read(offset: 0x10, size: 8)
        #expect(extended & 0x0E == 0 && extended >> 8 & 0x3FF == 0xF)
        // Translation does not become enabled; the root table's address is taken.
        unit.write(offset: 0x20, size: 8, value: 0x1_2345_6000)
        unit.write(offset: 0x18, size: 4, value: 0xC000_0000)
        #expect(unit.read(offset: 0x1C, size: 4) == 0x4000_0000)
        #expect(unit.read(offset: 0x20, size: 8) == 0x1_2345_6000)
    }

    @Test func invalidationsAreDoneAtOnce() {
        let unit = RemappingUnit(addressBits: 39)
        unit.write(offset: 0x28, size: 8, value: 1 << 63 | 2 << 61)
        #expect(unit.read(offset: 0x28, size: 8) == 2 << 61 | 2 << 59)
        unit.write(offset: 0xF8, size: 8, value: 1 << 63 | 1 << 60)
        #expect(unit.read(offset: 0xF8, size: 8) == 1 << 60 | 1 << 57)
        unit.reset()
        #expect(unit.read(offset: 0xF8, size: 8) == 0)
    }

    @Test func nonsenseKeepsItsWordAndItsStateComesBack() throws {
        for seed in 0..<UInt64(FuzzRounds.times(60)) {
            var numbers = SplitMix64(state: seed)
            let unit = RemappingUnit(addressBits: 39)
            for _ in 0..<200 {
                let word = numbers.next()
                let (offset, size) = (
                    word % 0x1000 & ~(word >> 60 & 3 == 0 ? 0 : 3), [1, 2, 4, 8][Int(word >> 32 & 3)]
                )
                if word >> 40 & 1 == 0 {
                    unit.write(offset: offset, size: size, value: numbers.next())
                } else {
                    _ = unit.read(offset: offset, size: size)
                }
            }
            #expect(unit.read(offset: 0x1C, size: 4) & ~0x4000_0000 == 0)
            #expect(unit.read(offset: 0x28, size: 8) >> 63 == 0 && unit.read(offset: 0xF8, size: 8) >> 63 == 0)
            let other = RemappingUnit(addressBits: 39)
            try other.importState(unit.exportState())
            for offset in stride(from: UInt64(0), to: 0x1000, by: 4) {
                #expect(other.read(offset: offset, size: 4) == unit.read(offset: offset, size: 4))
            }
        }
        var forged = RemappingUnit(addressBits: 39).exportState()
        forged.set("registers", [UInt8](repeating: 0xFF, count: 0x230))
        let unit = RemappingUnit(addressBits: 39)
        try unit.importState(forged)
        #expect(unit.read(offset: 0x1C, size: 4) == 0x4000_0000 && unit.read(offset: 0, size: 4) == 0x10)
        forged.set("registers", [UInt8](repeating: 0, count: 3))
        #expect(throws: DeviceStateError.self) { try unit.importState(forged) }
    }
}
