import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

@Suite struct I440FXTests {
    /// RAM of zeroes, and a ROM of 0x5A at 0xE0000 to 0xFFFFF.
    private struct Bench {
        let memory = AddressSpace()
        let bridge: I440FX

        init() throws {
            let ram = try RAMBlock(name: "ram", size: 2 << 20)
            memory.add(FlatView.Range(start: GuestPhysical(0), count: 0xA_0000, block: ram))
            memory.add(
                FlatView.Range(start: GuestPhysical(0x10_0000), count: 0x10_0000, block: ram, offset: 0x10_0000))
            let rom = try RAMBlock(name: "rom", size: 0x2_0000)
            let writer = AddressSpace()
            writer.add(FlatView.Range(start: GuestPhysical(0), count: 0x2_0000, block: rom))
            try writer.write(GuestPhysical(0), bytes: [UInt8](repeating: 0x5A, count: 0x2_0000))
            memory.add(
                FlatView.Range(start: GuestPhysical(0xE_0000), count: 0x2_0000, block: rom, writable: false))
            bridge = I440FX(memory: memory, block: ram)
        }
        func set(_ register: Int, _ value: UInt32) {
            bridge.function.writeConfiguration(register, size: 1, value: value)
        }
        func byte(_ address: UInt64) -> UInt8? { try? memory.load(GuestPhysical(address), as: UInt8.self) }
        func write(_ address: UInt64, _ value: UInt8) -> Bool {
            (try? memory.write(GuestPhysical(address), bytes: [value])) != nil
        }
    }

    @Test func shadowing() throws {
        let bench = try Bench()
        #expect(bench.byte(0xC_0000) == nil && bench.byte(0xE_0000) == 0x5A && bench.byte(0xF_FFFF) == 0x5A)
        bench.set(0x59, 0x30)
        #expect(bench.byte(0xF_0000) == 0 && bench.write(0xF_0000, 0x77) && bench.byte(0xE_FFFF) == 0x5A)
        bench.set(0x59, 0x10)
        #expect(bench.byte(0xF_0000) == 0x77 && !bench.write(0xF_0000, 1), "Written, then protected")
        bench.set(0x59, 0)
        #expect(bench.byte(0xF_0000) == 0x5A)
        // Each half of a register is a segment of 16 KiB.
        bench.set(0x5B, 0x31)
        #expect(bench.byte(0xC_7FFF) == nil && bench.byte(0xC_8000) == 0 && !bench.write(0xC_8000, 1))
        #expect(bench.write(0xC_C000, 9) && bench.byte(0xC_FFFF) == 0 && bench.byte(0xD_0000) == nil)
        bench.bridge.shadowAll()
        #expect(bench.write(0xE_4000, 3) && bench.byte(0xC_C000) == 9 && bench.byte(0xF_0000) == 0x77)
        bench.bridge.reset()
        #expect(bench.byte(0xC_C000) == nil && bench.byte(0xF_0000) == 0x5A)
    }

    @Test func systemManagementMemory() throws {
        let bench = try Bench()
        #expect(bench.byte(0xA_0000) == nil)
        bench.set(0x72, 0x4A)
        #expect(bench.write(0xA_0000, 1) && bench.write(0xB_FFFF, 2))
        bench.set(0x72, 0x5A)
        #expect(bench.byte(0xA_0000) == nil && bench.bridge.function.readConfiguration(0x72, size: 1) == 0x1A)
        bench.set(0x72, 0x4A)
        #expect(bench.byte(0xA_0000) == nil, "Locked until a reset")
        #expect(bench.bridge.function.readConfiguration(0x72, size: 1) == 0x1A)
        bench.bridge.reset()
        bench.set(0x72, 0x4A)
        #expect(bench.byte(0xA_0000) == 1)
    }

    @Test func stateMoves() throws {
        let bench = try Bench()
        bench.set(0x5A, 0x33)
        bench.set(0x72, 0x1A)
        let twin = try Bench()
        twin.set(0x5C, 0x33)
        try twin.bridge.importState(bench.bridge.exportState())
        #expect(twin.byte(0xC_0000) == 0 && twin.byte(0xD_0000) == nil)
        #expect(twin.bridge.exportState() == bench.bridge.exportState())
    }

    @Test func randomPokesDoNoHarm() throws {
        let bench = try Bench()
        var random = SplitMix64(state: 5)
        for _ in 0..<FuzzRounds.times(20_000) {
            let bits = random.next()
            let register = bits & 3 == 0 ? 0x72 : 0x58 + Int(bits >> 8 & 7)
            bench.bridge.function.writeConfiguration(
                register, size: [1, 2, 4][Int(bits >> 16) % 3], value: UInt32(truncatingIfNeeded: bits >> 32))
            if bits & 0xFFF0 == 0 { bench.bridge.reset() }
        }
        bench.bridge.reset()
        #expect(bench.memory.view.ranges.count == 3 && bench.byte(0xE_0000) == 0x5A)
    }
}
