import Firmware
import GuestMemory
import Testing

private typealias Segment = SyntheticKernel.Segment

private func load(
    _ image: [UInt8], _ guest: TestGuest, _ change: (inout BootRequest) -> Void = { _ in }
) throws -> EntryState {
    var boot = BootRequest(kernel: ByteImage(name: "kernel", bytes: image), memory: guest.map)
    change(&boot)
    return try KernelLoader.load(boot, into: guest.memory)
}

private func failure(_ image: [UInt8], _ guest: TestGuest) -> LoadError? {
    do throws(LoadError) {
        _ = try KernelLoader.load(
            BootRequest(kernel: ByteImage(name: "kernel", bytes: image), memory: guest.map), into: guest.memory)
    } catch { return error }
    return nil
}

@Test func pvhStartInformation() throws {
    let guest = try TestGuest(ram: 32 << 20)
    let image = SyntheticKernel.elf(
        wide: true, entry: 0xFFFF_FFFF_8010_0000,
        segments: [
            Segment(physical: 0x10_0000, bytes: [1, 2, 3, 4], memoryCount: 0x2000),
            Segment(type: 4, physical: 0, bytes: SyntheticKernel.pvhNote(entry: 0x10_1000)),
        ])
    try guest.memory.write(GuestPhysical(0x10_0004), bytes: [0xEE])

    let state = try load(image, guest) { boot in
        boot.commandLine = "hello"
        boot.rsdp = GuestPhysical(0xF0000)
        boot.modules = [
            BootModule(source: ByteImage(name: "m0", bytes: [7, 7])),
            BootModule(source: ByteImage(name: "m1", bytes: [8]), commandLine: "one"),
        ]
    }

    #expect(state.format == .pvh)
    #expect(state.mode == .protected32)
    #expect(state.entry == 0x10_1000)
    #expect(try guest.bytes(0x10_0000, 6) == [1, 2, 3, 4, 0, 0])
    let info = state.rbx
    #expect(try guest.load32(info) == 0x336E_C578)
    #expect(try guest.load32(info + 4) == 1)
    #expect(try guest.load32(info + 12) == 2)
    #expect(try guest.text(guest.load64(info + 24)) == "hello")
    #expect(try guest.load64(info + 32) == 0xF0000)
    let map = try guest.load64(info + 40)
    #expect(try guest.load32(info + 48) == UInt32(guest.map.entries.count))
    #expect(try guest.load64(map + 8) == guest.map.entries[0].count)
    #expect(try guest.load32(map + 16) == 1)
    let modules = try guest.load64(info + 16)
    #expect(try guest.bytes(guest.load64(modules), 2) == [7, 7])
    #expect(try guest.load64(modules + 8) == 2)
    #expect(try guest.bytes(guest.load64(modules + 32), 1) == [8])
    #expect(try guest.text(guest.load64(modules + 48)) == "one")
}

@Test func plainELFEntersInItsOwnMode() throws {
    let guest = try TestGuest(ram: 32 << 20)
    let high = SyntheticKernel.elf(
        wide: true, entry: 0xFFFF_FFFF_8020_0010,
        segments: [
            Segment(physical: 0x20_0000, virtual: 0xFFFF_FFFF_8020_0000, bytes: [UInt8](repeating: 1, count: 64))
        ])
    let low = SyntheticKernel.elf(
        wide: false, entry: 0x20_0004, segments: [Segment(physical: 0x20_0000, bytes: [1, 2, 3, 4, 5])])

    let wide = try load(high, guest) { $0.commandLine = "a=b" }

    #expect(wide.format == .elf)
    #expect(wide.mode == .long64)
    #expect(wide.entry == 0x20_0010)
    #expect(try guest.text(UInt64(guest.load32(wide.rsi + 0x228))) == "a=b")
    #expect(try guest.load32(wide.rsi + 0x202) == 0x5372_6448)
    let narrow = try load(low, guest)
    #expect(narrow.mode == .protected32)
    #expect(narrow.entry == 0x20_0004)
}

@Test func structuresAvoidAKernelInLowMemory() throws {
    let guest = try TestGuest(ram: 32 << 20)
    let image = SyntheticKernel.elf(
        wide: false, entry: 0x1000, segments: [Segment(physical: 0x1000, bytes: [UInt8](repeating: 7, count: 0x9E000))])
    let state = try load(image, guest) { $0.commandLine = "x" }
    #expect(try guest.bytes(0x1000, 0x9E000).allSatisfy { $0 == 7 })
    #expect(state.rsi >= 0x10_0000)
    #expect(state.gdtBase >= 0x9F000)
}

@Test func elfErrorsSayWhatIsWrong() throws {
    let guest = try TestGuest(ram: 16 << 20)
    func one(_ segment: Segment, entry: UInt64 = 0x10_0000) -> [UInt8] {
        SyntheticKernel.elf(wide: true, entry: entry, segments: [segment])
    }
    let good = one(Segment(physical: 0x10_0000, bytes: [1, 2, 3, 4]))

    #expect(failure(Array(good.prefix(20)), guest) == .truncated(file: "kernel", size: 20, needed: 32))
    #expect(failure(Array(good.prefix(64)), guest) == .truncated(file: "kernel", size: 64, needed: 120))
    #expect(failure(Array(good.dropLast(2)), guest) == .truncated(file: "kernel", size: 122, needed: 124))
    #expect(
        failure(one(Segment(physical: 0x10_0000, bytes: [1]), entry: 5), guest)
            == .malformed(file: "kernel", "its entry 0x5 lies in none of its segments"))
    #expect(
        failure(one(Segment(physical: 0x10_0000, bytes: [1], memoryCount: 1 << 40)), guest)
            == .doesNotFit(file: "kernel", needed: 1 << 40, at: 0x10_0000, available: 15 << 20))
    #expect(
        failure(one(Segment(physical: 0x10_0000, bytes: [1, 2], memoryCount: 1)), guest)?.description
            == "'kernel' is malformed: a segment of 2 bytes is to be loaded to 1 bytes")
    #expect(
        failure(
            one(Segment(physical: UInt64.max - 2, bytes: [1], memoryCount: 16), entry: UInt64.max - 1), guest)
            == .doesNotFit(file: "kernel", needed: 16, at: UInt64.max - 2, available: 0))
    var arm = good
    arm[18] = 183
    #expect(failure(arm, guest)?.description.contains("ELF machine 183") == true)
    var big = good
    big[5] = 2
    #expect(failure(big, guest)?.description.contains("little-endian") == true)
}

@Test func multibootByELF() throws {
    let guest = try TestGuest(ram: 32 << 20)
    let code = SyntheticKernel.multibootHeader(flags: 3) + [UInt8](repeating: 0x90, count: 100)
    let image = SyntheticKernel.elf(
        wide: false, entry: 0x10_000C, segments: [Segment(physical: 0x10_0000, bytes: code, memoryCount: 0x3000)])

    let state = try load(image, guest) { boot in
        boot.commandLine = "-v"
        boot.modules = [
            BootModule(source: ByteImage(name: "a", bytes: [1, 2, 3]), commandLine: "a one"),
            BootModule(source: ByteImage(name: "b", bytes: [UInt8](repeating: 4, count: 5000)), commandLine: "b two"),
        ]
    }

    #expect(state.format == .multiboot)
    #expect(state.rax == 0x2BAD_B002)
    #expect(state.entry == 0x10_000C)
    let info = state.rbx
    #expect(try guest.load32(info) == 0x24D)
    #expect(try guest.load32(info + 4) == 639)
    #expect(try guest.load32(info + 8) == 31 << 10)
    #expect(try guest.text(UInt64(guest.load32(info + 16))) == "kernel -v")
    #expect(try guest.load32(info + 20) == 2)
    let modules = UInt64(try guest.load32(info + 24))
    let first = UInt64(try guest.load32(modules))
    #expect(first == 0x10_3000)
    #expect(try guest.bytes(first, 3) == [1, 2, 3])
    #expect(try guest.load32(modules + 4) == UInt32(first) + 3)
    #expect(try guest.text(UInt64(guest.load32(modules + 8))) == "a one")
    let second = UInt64(try guest.load32(modules + 16))
    #expect(second & 4095 == 0)
    #expect(try guest.bytes(second, 5000).allSatisfy { $0 == 4 })
    #expect(try guest.load32(info + 44) == UInt32(guest.map.entries.count * 24))
    let map = UInt64(try guest.load32(info + 48))
    #expect(try guest.load32(map) == 20)
    #expect(try guest.load64(map + 4) == 0)
}

@Test func multibootByItsOwnAddresses() throws {
    let guest = try TestGuest(ram: 32 << 20)
    let prefix = [UInt8](repeating: 0xAB, count: 16)
    let header = SyntheticKernel.multibootHeader(
        flags: 1 << 16, addresses: [0x20_0008, 0x20_0000, 0x20_0040, 0x20_1000, 0x20_0028])
    let image = prefix + header + [UInt8](repeating: 0xCD, count: 200)
    try guest.memory.write(GuestPhysical(0x20_0040), bytes: [1, 2, 3])

    let state = try load(image, guest)

    #expect(state.entry == 0x20_0028)
    #expect(state.kernel == 0x20_0000..<0x20_1000)
    #expect(try guest.bytes(0x20_0000, 64) == Array(image[8..<72]))
    #expect(try guest.bytes(0x20_0040, 3) == [0, 0, 0])
}

@Test func multibootErrorsSayWhatIsWrong() throws {
    let guest = try TestGuest(ram: 16 << 20)
    func flat(_ addresses: [UInt32]) -> [UInt8] {
        SyntheticKernel.multibootHeader(flags: 1 << 16, addresses: addresses) + [UInt8](repeating: 0, count: 100)
    }
    #expect(failure(SyntheticKernel.multibootHeader(flags: 0x10), guest)?.description.contains("0x10") == true)
    #expect(failure(SyntheticKernel.multibootHeader(flags: 0), guest)?.description.contains("no addresses") == true)
    #expect(
        failure(SyntheticKernel.multibootHeader(flags: 1 << 16), guest)
            == .truncated(file: "kernel", size: 12, needed: 32))
    #expect(failure(flat([0x10_0000, 0x20_0000, 0, 0, 0]), guest)?.description.contains("does not fit") == true)
    #expect(
        failure(flat([0x10_0000, 0x10_0000, 0x20_0000, 0, 0x10_0000]), guest)
            == .truncated(file: "kernel", size: 132, needed: 1 << 20))
    #expect(
        failure(flat([0x10_0000, 0x10_0000, 0, 0xFFFF_FFFF, 0x10_0000]), guest)
            == .doesNotFit(file: "kernel", needed: 0xFFEF_FFFF, at: 0x10_0000, available: 15 << 20))
    #expect(failure(flat([0x10_0000, 0x10_0000, 0, 0, 0x20_0000]), guest)?.description.contains("entry") == true)
    let wide = SyntheticKernel.elf(
        wide: true, entry: 0x10_0000,
        segments: [Segment(physical: 0x10_0000, bytes: SyntheticKernel.multibootHeader(flags: 0))])
    #expect(failure(wide, guest)?.description.contains("64-bit") == true)
}

@Test func moduleListSplitsAtSingleCommas() {
    let parsed = KernelLoader.parseModules("a x y, b,c,,d -z=1,,2,")
    #expect(parsed.map(\.file) == ["a", "b", "c,d"])
    #expect(parsed.map(\.commandLine) == ["a x y", "b", "c,d -z=1,2"])
}
