import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

@Suite struct FlashTests {
    private static let base: UInt64 = 0xFFC0_0000

    private func make(_ disk: FakeDisk) throws -> (chip: CFIFlash, memory: AddressSpace) {
        let memory = try makeMemory()
        let chip = try CFIFlash(
            name: "system.flash1", start: GuestPhysical(Self.base), memory: memory, backend: disk,
            scheduler: InlineScheduler())
        return (chip, memory)
    }

    @Test func isMemoryWhileItIsRead() throws {
        let (chip, memory) = try make(FakeDisk(sectors: 64))
        let range = try #require(memory.view.range(at: GuestPhysical(Self.base)))
        #expect(range.count == 32768 && !range.writable && range.block === chip.block)
        #expect(try memory.load(GuestPhysical(Self.base + 512 * 9), as: UInt8.self) == 9)
        chip.write(offset: 5, size: 1, value: 0x70)
        #expect(memory.view.range(at: GuestPhysical(Self.base)) == nil)
        #expect(chip.read(offset: 100, size: 1) == 0x80)
        chip.write(offset: 5, size: 1, value: 0xFF)
        #expect(memory.view.range(at: GuestPhysical(Self.base)) != nil)
    }

    /// How UEFI tells flash from ROM and RAM.
    @Test func isDetected() throws {
        let (chip, _) = try make(FakeDisk(sectors: 64))
        chip.write(offset: 513, size: 1, value: 0x50)
        #expect(chip.read(offset: 513, size: 1) == 1)
        chip.write(offset: 513, size: 1, value: 0x70)
        #expect(chip.read(offset: 513, size: 1) == 0)
        chip.write(offset: 0, size: 1, value: 0x98)
        #expect((0x10..<0x13).map { chip.read(offset: $0, size: 1) } == [0x51, 0x52, 0x59])
        chip.write(offset: 0, size: 1, value: 0x90)
        #expect(chip.read(offset: 0, size: 1) == 0x89)
    }

    @Test func writesThrough() throws {
        let disk = FakeDisk(sectors: 64)
        let (chip, memory) = try make(disk)
        for (offset, value) in [(UInt64(4100), UInt64(0xAB)), (4101, 0xCD)] {
            chip.write(offset: offset, size: 1, value: 0x10)
            chip.write(offset: offset, size: 1, value: value)
        }
        chip.write(offset: 0, size: 1, value: 0xFF)
        #expect(try memory.bytes(GuestPhysical(Self.base + 4099), count: 4) == [8, 0xAB, 0xCD, 8])
        #expect(disk.bytes(4099..<4103) == [8, 0xAB, 0xCD, 8])
        chip.write(offset: 4100, size: 1, value: 0x20)
        chip.write(offset: 4100, size: 1, value: 0xD0)
        #expect(disk.bytes(4095..<4097) == [7, 0xFF] && disk.bytes(8191..<8193) == [0xFF, 16])
        #expect(disk.log.allSatisfy { $0.hasPrefix("read") || $0.hasSuffix(" 4096") })
        // A buffered program of three bytes.
        for (offset, value) in [(UInt64(0), UInt64(0xE8)), (0, 2), (16, 1), (17, 2), (18, 3), (0, 0xD0)] {
            chip.write(offset: offset, size: 1, value: value)
        }
        #expect(disk.bytes(15..<20) == [0, 1, 2, 3, 0])
    }

    @Test func readOnlyChipsRefuse() throws {
        let disk = FakeDisk(sectors: 64, isReadOnly: true)
        let (chip, _) = try make(disk)
        chip.write(offset: 0, size: 1, value: 0x40)
        chip.write(offset: 0, size: 1, value: 0x55)
        #expect(chip.read(offset: 0, size: 1) == 0x90, "Ready, and a program error")
        #expect(disk.bytes(0..<1) == [0])
    }

    @Test func stateMoves() throws {
        let (chip, _) = try make(FakeDisk(sectors: 64))
        chip.write(offset: 9, size: 1, value: 0x40)
        let saved = chip.exportState()
        let disk = FakeDisk(sectors: 64)
        let (twin, _) = try make(disk)
        try twin.importState(saved)
        twin.resume()
        twin.write(offset: 9, size: 1, value: 0x77)
        #expect(disk.bytes(9..<10) == [0x77])
    }

    /// The image is the other machine's until this one runs.
    @Test func whatComesIsWrittenWhenItRuns() throws {
        let (chip, _) = try make(FakeDisk(sectors: 64))
        let disk = FakeDisk(sectors: 64)
        let (twin, _) = try make(disk)
        let before = disk.bytes(0..<32768)
        try twin.importState(chip.exportState())
        // The bytes came with memory.
        unsafe twin.block.base.storeBytes(of: 0x5A, toByteOffset: 4100, as: UInt8.self)
        twin.pause()
        twin.halt()
        #expect(disk.bytes(0..<32768) == before)
        twin.resume()
        #expect(disk.bytes(4099..<4102) == [8, 0x5A, 8])
    }

    @Test func nonsense() throws {
        let (chip, memory) = try make(FakeDisk(sectors: 64))
        var random = SplitMix64(state: 11)
        let commands: [UInt64] = [0x10, 0x20, 0x28, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xD0, 0xE8, 0xFF]
        for round in 0..<FuzzRounds.times(20_000) {
            let offset = random.next() % 40_000
            let size = [1, 2, 4, 8][Int(random.next() % 4)]
            let command = commands[Int(random.next() % UInt64(commands.count))]
            chip.write(offset: offset, size: size, value: random.next() % 2 == 0 ? command : random.next())
            _ = chip.read(offset: offset, size: size)
            if round % 512 == 0 { try chip.importState(chip.exportState()) }
        }
        chip.reset()
        #expect(memory.view.range(at: GuestPhysical(Self.base)) != nil)
    }
}
