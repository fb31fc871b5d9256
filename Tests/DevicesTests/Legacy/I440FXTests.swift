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

    /// The Q35's: A0000, the segment at the end of memory, and the initial SMBASE, which processors outside of system
    /// management do not find.
    @Test func memoryOfSystemManagement() throws {
        let memory = AddressSpace()
        let ram = try RAMBlock(name: "ram", size: 32 << 20)
        memory.add(FlatView.Range(start: GuestPhysical(0), count: 0xA_0000, block: ram))
        memory.add(FlatView.Range(start: GuestPhysical(0x10_0000), count: 31 << 20, block: ram, offset: 0x10_0000))
        let bridge = I440FX(
            memory: memory, block: ram, chipset: .q35, management: I440FX.SystemManagement(top: 32 << 20, largestSegment: 16))
        func set(_ register: Int, _ value: UInt32) { bridge.function.writeConfiguration(register, size: 1, value: value) }
        func get(_ register: Int) -> UInt32 { bridge.function.readConfiguration(register, size: 1) }
        func isSeen(_ address: UInt64) -> (UInt8, UInt8) {
            (
                memory.view.range(at: GuestPhysical(address)) == nil ? 0 : 1,
                memory.managementView.range(at: GuestPhysical(address)) == nil ? 0 : 1
            )
        }
        #expect(isSeen(0xA_0000) == (0, 0) && isSeen(31 << 20) == (1, 1))
        // Firmware asks how large the segment can be, and whether the initial SMBASE can be hidden.
        bridge.function.writeConfiguration(0x50, size: 2, value: 0xFFFF)
        #expect(bridge.function.readConfiguration(0x50, size: 2) == 16 && get(0x9E) == 0x38)
        set(0x9C, 0xFF)
        #expect(get(0x9C) == 1)
        set(0x9D, 0x0A)
        #expect(isSeen(0xA_0000) == (0, 1) && isSeen(31 << 20) == (1, 1))
        set(0x9E, 0x07)
        #expect(isSeen(31 << 20) == (0, 1) && isSeen(16 << 20) == (0, 1) && isSeen((16 << 20) - 1) == (1, 1))
        set(0x9E, 0x03)
        #expect(isSeen(30 << 20) == (0, 1) && isSeen((30 << 20) - 1) == (1, 1))
        #expect(isSeen(0x3_8000) == (1, 1))
        set(0x9C, 0x02)
        #expect(isSeen(0x3_8000) == (0, 1) && isSeen(0x5_0000) == (1, 1))
        let saved = bridge.exportState()
        set(0x9D, 0x1A)
        for (register, value) in [(0x9D, 0x4A), (0x9E, 0), (0x9C, 0)] as [(Int, UInt32)] { set(register, value) }
        #expect(isSeen(30 << 20) == (0, 1) && isSeen(0x3_8000) == (0, 1) && isSeen(0xA_0000) == (0, 1), "Locked until a reset")
        try bridge.importState(saved)
        #expect(isSeen(30 << 20) == (0, 1) && isSeen(0x3_8000) == (0, 1))
        bridge.reset()
        #expect(isSeen(30 << 20) == (1, 1) && isSeen(0x3_8000) == (1, 1) && isSeen(0xA_0000) == (0, 0))
        #expect(memory.view === memory.managementView)
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
