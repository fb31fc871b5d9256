import DeviceModel
import Devices
import Display
import GuestMemory
import TestSupport
import Testing

/// A VGA on buses of its own.
private struct Bench {
    let clock = ManualClock()
    let io = Bus()
    let bus = Bus()
    let space = AddressSpace()
    let vga: VGA

    init(memory: Int = 1 << 20) throws {
        vga = try VGA(memory: memory, space: space, clock: clock)
        vga.attach(io: io, memory: bus)
    }
    func out(_ port: UInt64, _ value: UInt64, size: Int = 1) { io.write(port, size: size, value: value) }
    /// Index and data in one access, as firmware does.
    func set(_ port: UInt64, _ index: UInt64, _ value: UInt64) { out(port, value << 8 | index, size: 2) }
    func vbe(_ index: UInt64, _ value: UInt64) {
        out(0x1CE, index, size: 2)
        out(0x1CF, value, size: 2)
    }
    func vbe(_ index: UInt64) -> UInt64 {
        out(0x1CE, index, size: 2)
        return io.read(0x1CF, size: 2)
    }
    /// What the processor writes: to memory that is mapped, or to the window's device.
    func store(_ offset: UInt64, _ value: UInt8) {
        let address = GuestPhysical(VGA.window + offset)
        if space.view.range(at: address) != nil {
            try? space.store(address, value)
        } else {
            bus.write(address.rawValue, size: 1, value: UInt64(value))
        }
    }
    func load(_ offset: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: bus.read(VGA.window + offset, size: 1)) }
    var picture: Picture { Screen(name: "", source: vga).picture }

    func colour(_ index: UInt64, _ red: UInt64, _ green: UInt64, _ blue: UInt64) {
        out(0x3C8, index)
        for part in [red, green, blue] { out(0x3C9, part) }
    }
    /// Registers that all modes share: colour ports, window open, sixteen colours that are their own numbers, on.
    func common(graphics: Bool, columns: UInt64, lines: UInt64, maximumScan: UInt64, offset: UInt64) {
        out(0x3C2, 0x63)
        set(0x3D4, 0x11, 0)
        for (index, value) in [
            (0x01, columns - 1), (0x07, (lines - 1) >> 7 & 2 | (lines - 1) >> 3 & 0x40 | 0x10), (0x09, maximumScan | 0x40),
            (0x0C, 0), (0x0D, 0), (0x12, (lines - 1) & 0xFF), (0x13, offset), (0x17, 0xE3), (0x18, 0xFF),
        ] as [(UInt64, UInt64)] { set(0x3D4, index, value) }
        set(0x3C4, 1, 1)
        set(0x3C4, 2, 0x0F)
        set(0x3CE, 8, 0xFF)
        _ = io.read(0x3DA, size: 1)
        for index: UInt64 in 0..<16 {
            out(0x3C0, index)
            out(0x3C0, index)
        }
        for (index, value) in [(0x10, graphics ? 1 : 0), (0x12, 0x0F), (0x14, 0), (0x20, 0)] as [(UInt64, UInt64)] {
            out(0x3C0, index)
            if index < 0x20 { out(0x3C0, value) }
        }
        for index: UInt64 in 0..<16 { colour(index, index, index * 2, 0x3F - index) }
    }
    /// The colour that `common` gives to a number.
    static func shown(_ index: UInt32) -> UInt32 {
        func wide(_ value: UInt32) -> UInt32 { value << 2 | value >> 4 }
        return wide(index) << 16 | wide(index * 2) << 8 | wide(0x3F - index)
    }
}

/// Eight pixels of the second row.
private func row(_ picture: Picture, _ x: Int) -> [UInt32] { (0..<8).map { picture.pixel(x + $0, 1) } }
private func shown(_ indexes: [UInt32]) -> [UInt32] { indexes.map { Bench.shown($0) } }

@Suite struct VGATests {
    @Test func textShowsGlyphsOfTheGuestsFont() throws {
        let bench = try Bench()
        bench.common(graphics: false, columns: 4, lines: 32, maximumScan: 15, offset: 2)
        bench.set(0x3D4, 0x0A, 13)
        bench.set(0x3D4, 0x0B, 14)
        bench.set(0x3D4, 0x0F, 5)
        // The font of character 1: a diagonal, by plane 2 alone.
        bench.set(0x3C4, 2, 4)
        bench.set(0x3C4, 4, 6)
        bench.set(0x3CE, 5, 0)
        bench.set(0x3CE, 6, 4)
        for line: UInt64 in 0..<16 { bench.store(32 + line, 0x80 >> UInt8(line & 7)) }
        bench.set(0x3C4, 2, 3)
        bench.set(0x3C4, 4, 2)
        bench.set(0x3CE, 5, 0x10)
        bench.set(0x3CE, 6, 0x0E)
        bench.bus.write(0xB8000 + 2, size: 2, value: 0x1E01)
        #expect(bench.bus.read(0xB8002, size: 2) == 0x1E01)

        let picture = bench.picture

        #expect((picture.width, picture.height) == (32, 32))
        for y in 0..<16 {
            for x in 0..<8 {
                let wanted = Bench.shown(x == y & 7 ? 14 : 1)
                #expect(picture.pixel(8 + x, y) == wanted)
            }
        }
        // The cursor stands in the second row's second column, whose attribute is black on black.
        #expect(picture.pixel(8, 28) == Bench.shown(0))
        #expect(picture.pixel(8, 29) == Bench.shown(0))
        bench.bus.write(0xB8000 + 11, size: 1, value: 0x07)
        let after = bench.picture
        #expect(after.pixel(8, 29) == Bench.shown(7))
        #expect(after.pixel(8, 31) == Bench.shown(0))
    }

    @Test func planesWriteAndReadInEveryMode() throws {
        let bench = try Bench()
        bench.common(graphics: true, columns: 80, lines: 480, maximumScan: 0, offset: 40)
        bench.set(0x3C4, 4, 6)
        bench.set(0x3CE, 6, 5)
        // Write mode 2: colour 9 where the bit mask lets it.
        bench.set(0x3CE, 5, 2)
        bench.set(0x3CE, 8, 0xF0)
        _ = bench.load(80)
        bench.store(80, 9)
        // Write mode 0 with set and reset: colour 6 over the other half.
        bench.set(0x3CE, 5, 0)
        bench.set(0x3CE, 0, 6)
        bench.set(0x3CE, 1, 0x0F)
        bench.set(0x3CE, 8, 0x0F)
        _ = bench.load(80)
        bench.store(80, 0)
        let picture = bench.picture
        #expect((picture.width, picture.height) == (640, 480))
        #expect(row(picture, 0) == shown([9, 9, 9, 9, 6, 6, 6, 6]))

        // Read mode 0 by plane, read mode 1 by colour.
        bench.set(0x3CE, 4, 0)
        #expect(bench.load(80) == 0xF0)
        bench.set(0x3CE, 4, 1)
        #expect(bench.load(80) == 0x0F)
        bench.set(0x3CE, 5, 8)
        bench.set(0x3CE, 2, 9)
        bench.set(0x3CE, 7, 0x0F)
        #expect(bench.load(80) == 0xF0)
        // Write mode 1 copies the latch; mode 3 takes the byte as a mask.
        bench.set(0x3CE, 5, 1)
        bench.store(81, 0x55)
        #expect(row(bench.picture, 8) == shown([9, 9, 9, 9, 6, 6, 6, 6]))
        bench.set(0x3CE, 5, 3)
        bench.set(0x3CE, 8, 0xFF)
        bench.set(0x3CE, 0, 3)
        _ = bench.load(82)
        bench.store(82, 0x81)
        #expect(row(bench.picture, 16) == shown([3, 0, 0, 0, 0, 0, 0, 3]))
        // XOR with the latch, rotated by one.
        bench.set(0x3CE, 5, 0)
        bench.set(0x3CE, 1, 0)
        bench.set(0x3CE, 3, 0x19)
        _ = bench.load(82)
        bench.store(82, 0x03)
        #expect(row(bench.picture, 16) == shown([12, 0, 0, 0, 0, 0, 0, 12]))
    }

    @Test func mode13IsMappedAndEachPixelIsAByte() throws {
        let bench = try Bench()
        bench.common(graphics: true, columns: 80, lines: 400, maximumScan: 0x41, offset: 40)
        #expect(bench.space.view.range(at: GuestPhysical(0xA0000)) == nil)
        bench.set(0x3C4, 4, 0x0E)
        bench.set(0x3CE, 5, 0x40)
        bench.set(0x3CE, 6, 5)
        #expect(bench.space.view.range(at: GuestPhysical(0xA0000))?.block === bench.vga.block)
        bench.colour(200, 0x3F, 0, 1)
        bench.store(320 * 2 + 7, 200)

        let picture = bench.picture
        #expect((picture.width, picture.height) == (640, 400))
        #expect(picture.pixel(14, 4) == 0xFF_0004)
        #expect(picture.pixel(15, 5) == 0xFF_0004)
        #expect(picture.pixel(16, 4) == Bench.shown(0))
        #expect(picture.pixel(14, 6) == Bench.shown(0))
        // Without the chain nothing is mapped.
        bench.set(0x3C4, 4, 6)
        #expect(bench.space.view.range(at: GuestPhysical(0xA0000)) == nil)
    }

    @Test(arguments: [8, 15, 16, 24, 32] as [UInt64])
    func linearModesShowTheirPixels(depth: UInt64) throws {
        let bench = try Bench()
        bench.common(graphics: true, columns: 80, lines: 400, maximumScan: 0, offset: 40)
        #expect(bench.vbe(0) == 0xB0C5)
        #expect(bench.vbe(10) == 16)
        bench.vbe(4, 0)
        for (index, value): (UInt64, UInt64) in [(1, 320), (2, 200), (3, depth), (4, 0x41)] { bench.vbe(index, value) }
        #expect(bench.vbe(6) == 320)
        bench.vbe(6, 400)
        bench.vbe(8, 8)
        bench.vbe(9, 2)
        let bytes = (depth + 7) / 8
        let place = ((2 + 3) * 400 + 8 + 5) * bytes
        let (value, wanted): (UInt32, UInt32) =
            switch depth {
            case 8: (4, Bench.shown(4))
            case 15: (0x7C1F, 0xFF_00FF)
            case 16: (0xF81F, 0xFF_00FF)
            default: (0x12_3456, 0x12_3456)
            }
        for index in 0..<bytes {
            bench.store(place + index, UInt8(truncatingIfNeeded: value >> UInt32(index * 8)))
        }
        let picture = bench.picture
        #expect((picture.width, picture.height) == (320, 200))
        #expect(picture.pixel(5, 3) == wanted)
        #expect(picture.pixel(6, 3) != wanted)
        #expect(picture.pixel(5, 4) != wanted)
    }

    @Test func largestModesAreCutToTheMemory() throws {
        let bench = try Bench()
        bench.vbe(4, 2)
        #expect([bench.vbe(1), bench.vbe(2), bench.vbe(3)] == [16000, 12000, 32])
        bench.vbe(4, 0)
        for (index, value): (UInt64, UInt64) in [(1, 1600), (2, 1200), (3, 32), (4, 1)] { bench.vbe(index, value) }
        #expect(bench.vbe(2) == (1 << 20) / 6400)
        bench.vbe(9, 60000)
        #expect(bench.vbe(9) == 0)
    }

    @Test func aStateContinuesInAnotherAdapter() throws {
        let bench = try Bench()
        bench.common(graphics: true, columns: 80, lines: 400, maximumScan: 0x41, offset: 40)
        bench.set(0x3C4, 4, 0x0E)
        bench.set(0x3CE, 5, 0x40)
        bench.set(0x3CE, 6, 5)
        for offset: UInt64 in 0..<1000 { bench.store(offset * 37, UInt8(truncatingIfNeeded: offset)) }
        let other = try Bench()
        try other.vga.importState(bench.vga.exportState())
        // Memory goes its own way.
        #expect(other.vga.ownMemory.map(\.size) == [1 << 20])
        // SAFETY: both blocks have that size.
        unsafe other.vga.block.base.copyMemory(from: bench.vga.block.base, byteCount: 1 << 20)
        #expect(other.picture.pixels == bench.picture.pixels)
        #expect(other.space.view.range(at: GuestPhysical(0xA0000)) != nil)
        #expect(other.vga.exportState() == bench.vga.exportState())
        var broken = bench.vga.exportState()
        broken.set("palette", [1, 2])
        #expect(throws: DeviceStateError.self) { try other.vga.importState(broken) }
    }

    @Test func randomPokesEndInSomePicture() throws {
        let ports: [UInt64] = Array(0x3B4...0x3DA) + Array(repeating: 0x3C4, count: 8) + Array(repeating: 0x3D4, count: 8)
        for seed in 0..<UInt64(FuzzRounds.times(4)) {
            let bench = try Bench()
            let screen = Screen(name: "", source: bench.vga)
            var random = SplitMix64(state: seed)
            for _ in 0..<6 {
                poke(bench.vga, offsets: ports, clock: bench.clock, seed: random.next(), count: 3000)
                for _ in 0..<40 { bench.vbe(random.next() % 12, random.next() & (random.next() & 1 == 0 ? 0xFF : 0xFFFF)) }
                for _ in 0..<500 {
                    let address = 0xA0000 + random.next() % 0x20000
                    bench.bus.write(address, size: 4, value: random.next() & 0xFFFF_FFFF)
                    _ = bench.bus.read(address ^ 1, size: 8)
                }
                let picture = screen.picture
                #expect(picture.width > 0 && picture.pixels.count == picture.width * picture.height)
            }
            let saved = bench.vga.exportState()
            try bench.vga.importState(saved)
            #expect(bench.vga.exportState() == saved)
            bench.vga.reset()
        }
    }
}
