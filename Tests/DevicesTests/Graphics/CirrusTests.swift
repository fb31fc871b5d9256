import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing

@Suite struct CirrusTests {
    private struct Machine {
        let bench: PCIBench
        let card: CirrusVGA
        init() throws {
            bench = try PCIBench()
            card = try CirrusVGA(space: bench.memory, clock: bench.clock)
            card.attach(io: bench.io, memory: bench.mmio)
            try bench.attach(try #require(card.function))
        }
        func set(_ port: UInt64, _ index: UInt8, _ value: UInt8) {
            bench.io.write(port, size: 1, value: UInt64(index))
            bench.io.write(port + 1, size: 1, value: UInt64(value))
        }
        func get(_ port: UInt64, _ index: UInt8) -> UInt8 {
            bench.io.write(port, size: 1, value: UInt64(index))
            return UInt8(truncatingIfNeeded: bench.io.read(port + 1, size: 1))
        }
        /// A word at an offset of its memory, as the processor reaches it: mapped, or by the device.
        func pixel(_ offset: UInt64) throws -> UInt32 {
            let place = try #require(bench.windows[0]).start + offset
            return (try? bench.memory.load(GuestPhysical(place), as: UInt32.self)) ?? bench.read(offset)
        }
        func store(_ offset: UInt64, _ value: UInt32) throws {
            let place = try #require(bench.windows[0]).start + offset
            try bench.memory.store(GuestPhysical(place), value)
        }
        /// 640 by 480 with so many bits, and a picture that shows.
        func mode(_ sequencer: UInt8, hidden: UInt8, stride: Int) {
            bench.io.write(0x3C2, size: 1, value: 0xE3)
            set(0x3C4, 6, 0x12)
            set(0x3C4, 1, 1)
            set(0x3C4, 7, sequencer)
            set(0x3D4, 0x11, 0)
            set(0x3D4, 1, 79)
            set(0x3D4, 0x12, 0xDF)
            set(0x3D4, 7, 0x02)
            set(0x3D4, 0x13, UInt8(stride / 8 & 0xFF))
            set(0x3D4, 0x1B, stride / 8 > 255 ? 0x12 : 0x02)
            for _ in 0..<4 { _ = bench.io.read(0x3C6, size: 1) }
            bench.io.write(0x3C6, size: 1, value: UInt64(hidden))
            _ = bench.io.read(0x3DA, size: 1)
            bench.io.write(0x3C0, size: 1, value: 0x20)
        }
        /// A blit by the registers' window.
        func blit(
            width: Int, height: Int, target: Int, source: Int = 0, pitch: Int = 640, mode: UInt8, operation: UInt8 = 0x0D,
            more: UInt8 = 0
        ) {
            let base: UInt64 = 0x100
            bench.write(base + 8, UInt32(width - 1) | UInt32(height - 1) << 16, window: 1)
            bench.write(base + 0x0C, UInt32(pitch) | UInt32(pitch) << 16, window: 1)
            bench.write(base + 0x10, UInt32(target), window: 1)
            bench.write(base + 0x14, UInt32(source), window: 1)
            bench.write(base + 0x18, UInt32(mode) | UInt32(operation) << 16 | UInt32(more) << 24, window: 1)
            bench.write(base + 0x40, 2, window: 1, size: 1)
        }
    }

    @Test func identity() throws {
        let machine = try Machine()
        #expect(machine.card.function?.readConfiguration(0, size: 4) == 0x00B8_1013)
        machine.bench.io.write(0x3C2, size: 1, value: 0xE3)
        #expect(machine.get(0x3D4, 0x27) == 0xB8)
        machine.set(0x3C4, 6, 0)
        #expect(machine.get(0x3C4, 6) == 0x0F)
        machine.set(0x3C4, 6, 0x12)
        #expect(machine.get(0x3C4, 6) == 0x12)
        #expect(machine.bench.mmio.ranges.contains { $0.name == "cirrus-linear" })
    }

    @Test func packedPictures() throws {
        let machine = try Machine()
        machine.mode(0x09, hidden: 0xC5, stride: 2560)
        try machine.store(0, 0x00AB_CDEF)
        try machine.store(2560 * 479 + 639 * 4, 0x0012_3456)
        var picture = Picture(width: 8, height: 8)
        machine.card.draw(into: &picture)
        #expect(picture.width == 640 && picture.height == 480)
        #expect(picture.pixel(0, 0) == 0xABCDEF && picture.pixel(639, 479) == 0x123456 && picture.pixel(1, 0) == 0)
        // 16 bits of colour.
        machine.mode(0x07, hidden: 0xC1, stride: 1280)
        try machine.store(0, 0xF800_001F)
        machine.card.draw(into: &picture)
        #expect(picture.pixel(0, 0) == 0x0000FF && picture.pixel(1, 0) == 0xFF0000)
    }

    @Test func banks() throws {
        let machine = try Machine()
        machine.mode(0x01, hidden: 0, stride: 640)
        machine.set(0x3CE, 6, 5)
        machine.set(0x3CE, 0x0B, 0x20)
        machine.set(0x3CE, 9, 4)
        machine.bench.mmio.write(0xA0010, size: 4, value: 0x1122_3344)
        #expect(try machine.pixel(4 << 14 | 0x10) == 0x1122_3344)
        #expect(machine.bench.mmio.read(0xA0010, size: 4) == 0x1122_3344)
    }

    @Test func blits() throws {
        let machine = try Machine()
        machine.mode(0x01, hidden: 0, stride: 640)
        for index in 0..<UInt64(16) { try machine.store(index * 4, UInt32(index) &* 0x0101_0101) }
        machine.blit(width: 64, height: 1, target: 6400, mode: 0)
        #expect(try (0..<UInt64(16)).allSatisfy { try machine.pixel(6400 + $0 * 4) == UInt32($0) &* 0x0101_0101 })
        // Over itself, from the end.
        machine.blit(width: 60, height: 1, target: 63, source: 59, mode: 1)
        #expect(try machine.pixel(4) == 0 && machine.pixel(60) == 0x0E0E_0E0E)
        // Exclusive or.
        machine.blit(width: 4, height: 1, target: 6404, source: 6404, mode: 0, operation: 0x59)
        #expect(try machine.pixel(6404) == 0)
        // One colour on a rectangle.
        machine.set(0x3CE, 1, 0x5A)
        machine.blit(width: 4, height: 2, target: 12800, mode: 0xC0, more: 4)
        #expect(try machine.pixel(12800) == 0x5A5A_5A5A && machine.pixel(13440) == 0x5A5A_5A5A)
        #expect(try machine.pixel(14080) == 0)
        // Bits become colours.
        machine.set(0x3CE, 0, 0x11)
        try machine.store(20000, 0x0000_00A5)
        machine.blit(width: 8, height: 1, target: 19200, source: 20000, mode: 0x80)
        #expect(try machine.pixel(19200) == 0x115A_115A && machine.pixel(19204) == 0x5A11_5A11)
    }

    @Test func bytesOfTheProcessor() throws {
        let machine = try Machine()
        machine.mode(0x01, hidden: 0, stride: 640)
        #expect(machine.bench.memory.view.range(at: GuestPhysical(machine.bench.windows[0]?.start ?? 0)) != nil)
        machine.blit(width: 4, height: 2, target: 6400, mode: 4)
        #expect(machine.bench.read(0x140, window: 1, size: 1) & 1 == 1)
        #expect(
            machine.bench.memory.view.range(at: GuestPhysical(machine.bench.windows[0]?.start ?? 0)) == nil,
            "What is written goes to the engine")
        machine.bench.write(0, 0x0403_0201)
        let saved = machine.card.exportState()
        machine.bench.write(0x1000, 0x0807_0605)
        #expect(machine.bench.read(0x140, window: 1, size: 1) & 1 == 0)
        #expect(try machine.pixel(6400) == 0x0403_0201 && machine.pixel(7040) == 0x0807_0605)
        // In the middle, on another.
        let twin = try Machine()
        try twin.card.importState(saved)
        #expect(twin.card.exportState() == saved)
        twin.bench.write(0, 0x0807_0605)
        #expect(try twin.pixel(7040) == 0x0807_0605)
    }

    @Test func theCursor() throws {
        let machine = try Machine()
        machine.mode(0x09, hidden: 0xC5, stride: 2560)
        let pattern: UInt64 = (4 << 20) - 16384
        try machine.store(pattern, 0x0000_0080)
        try machine.store(pattern + 128, 0x0000_0080)
        machine.set(0x3C4, 0x12, 3)
        machine.bench.io.write(0x3C8, size: 1, value: 15)
        for part in [63, 0, 63] as [UInt64] { machine.bench.io.write(0x3C9, size: 1, value: part) }
        machine.set(0x3C4, 0x10 | 3 << 5, 2)
        machine.set(0x3C4, 0x11, 1)
        var picture = Picture(width: 8, height: 8)
        machine.card.draw(into: &picture)
        #expect(picture.pixel(19, 8) == 0xFC00FC && picture.pixel(20, 8) == 0)
    }

    @Test func randomPokesDoNoHarm() throws {
        let machine = try Machine()
        machine.mode(0x01, hidden: 0, stride: 640)
        var picture = Picture(width: 8, height: 8)
        let registers: [UInt64] = (0x100..<0x142).map { UInt64($0) } + [4, 5, 6, 0xE, 0xF, 0x14, 0x15]
        var blits = 0
        try machine.bench.poke(registers, seed: 61, rounds: 20_000) { bits in
            machine.set([0x3C4, 0x3CE, 0x3D4][Int(bits % 3)], UInt8(bits >> 8 & 63), UInt8(bits >> 16 & 0xFF))
            // Small ones, because a whole screen takes its time.
            machine.bench.write(0x108, UInt32(truncatingIfNeeded: bits >> 20) & 0x000F_003F, window: 1)
            blits += 1
            if blits % 64 == 0 { machine.card.draw(into: &picture) }
        }
        machine.card.reset()
        #expect(machine.get(0x3C4, 6) == 0x0F)
    }

    @Test func ramFramebuffers() throws {
        let memory = try makeMemory()
        let file = Recorded<[UInt8]>()
        let framebuffer = RAMFramebuffer(memory: memory) { file.values.last }
        var picture = Picture(width: 8, height: 8)
        framebuffer.draw(into: &picture)
        func description(_ address: UInt32, _ width: UInt32, _ height: UInt32, _ stride: UInt32) -> [UInt8] {
            ([0, address, 0x3432_5258, 0, width, height, stride] as [UInt32]).flatMap { value in
                (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - $0 * 8)) }
            }
        }
        file.note(description(0x10_0000, 32, 16, 128))
        try memory.store(GuestPhysical(0x10_0000 + 128 + 4), UInt32(0x00C0_FFEE))
        framebuffer.draw(into: &picture)
        #expect(picture.width == 32 && picture.height == 16 && picture.pixel(1, 1) == 0xC0FFEE)
        for bad in [
            description(0x10_0000, 0, 16, 128), description(0x10_0000, 20000, 16, 0),
            description(0x10_0000, 32, 16, 8), [], description(0xFFFF_0000, 32, 16, 128),
        ] {
            file.note(bad)
            framebuffer.draw(into: &picture)
            #expect(picture.pixel(1, 1) == 0)
        }
    }
}
