import Firmware
import GuestMemory
import Testing

private func request(_ image: [UInt8], _ guest: TestGuest) -> BootRequest {
    BootRequest(kernel: ByteImage(name: "vmlinuz", bytes: image), memory: guest.map)
}

@Test func linux64BitEntry() throws {
    let guest = try TestGuest(ram: 64 << 20)
    let body = (0..<8000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    var boot = request(SyntheticKernel.linux(body: body), guest)
    boot.commandLine = "console=ttyS0 quiet"
    boot.modules = [BootModule(source: ByteImage(name: "initrd", bytes: [UInt8](repeating: 0x5A, count: 10000)))]
    boot.rsdp = GuestPhysical(0xE0000)
    boot.seed = [1, 2, 3, 4]

    let state = try KernelLoader.load(boot, into: guest.memory)

    #expect(state.format == .linux)
    #expect(state.mode == .long64)
    #expect(state.entry == 0x100_0200)
    #expect(state.kernel == 0x100_0000..<0x110_0000)
    #expect(try guest.bytes(0x100_0000, body.count) == body)
    let zeroPage = state.rsi
    #expect(try guest.load32(zeroPage + 0x202) == 0x5372_6448)
    #expect(try guest.bytes(zeroPage + 0x210, 1) == [0xFF])
    #expect(try guest.load32(zeroPage + 0x228) == 0x20000)
    #expect(try guest.text(0x20000) == "console=ttyS0 quiet")
    #expect(try guest.load64(zeroPage + 0x70) == 0xE0000)
    #expect(try guest.load32(zeroPage + 0x21C) == 10000)
    let initrd = UInt64(try guest.load32(zeroPage + 0x218))
    #expect(initrd & 4095 == 0)
    #expect(initrd == state.initrd.lowerBound)
    #expect(initrd + 10000 <= 64 << 20 && initrd + 10000 + 4096 > 64 << 20)
    #expect(try guest.bytes(initrd, 10000).allSatisfy { $0 == 0x5A })
    // The map in the zero page is the one of the request.
    #expect(try guest.bytes(zeroPage + 0x1E8, 1) == [UInt8(guest.map.entries.count)])
    #expect(try guest.bytes(zeroPage + 0x2D0, guest.map.e820.count) == guest.map.e820)
    // The seed is the only setup_data.
    let node = try guest.load64(zeroPage + 0x250)
    #expect(try guest.load64(node) == 0)
    #expect(try guest.load32(node + 8) == 9)
    #expect(try guest.load32(node + 12) == 4)
    #expect(try guest.bytes(node + 16, 4) == [1, 2, 3, 4])
}

@Test func identityMapAndDescriptors() throws {
    let guest = try TestGuest(ram: 64 << 20)
    let state = try KernelLoader.load(request(SyntheticKernel.linux(), guest), into: guest.memory)

    for address: UInt64 in [0, 0x20_0000, 0x100_0200, 0xFEE0_0000, 0xFFFF_FFFF] {
        let root = try guest.load64(state.pageTableRoot + (address >> 39) * 8)
        #expect(root & 3 == 3)
        let pointer = try guest.load64((root & ~0xFFF) + (address >> 30 & 511) * 8)
        #expect(pointer & 3 == 3)
        let page = try guest.load64((pointer & ~0xFFF) + (address >> 21 & 511) * 8)
        #expect(page == (address & ~0x1F_FFFF) | 0x83)
    }
    #expect(try guest.load64(state.gdtBase + UInt64(EntryState.codeSelector)) == 0x00AF_9B00_0000_FFFF)
    #expect(try guest.load64(state.gdtBase + UInt64(EntryState.dataSelector)) == 0x00CF_9300_0000_FFFF)
    #expect(state.gdtLimit == 47)
    #expect(state.cr0 & 0x8000_0001 == 0x8000_0001)
}

@Test func linux32BitEntryByWishAndByNeed() throws {
    let guest = try TestGuest(ram: 64 << 20)
    var wish = request(SyntheticKernel.linux(), guest)
    wish.prefers32BitEntry = true
    let need = request(SyntheticKernel.linux(extendedFlags: 0), guest)

    for boot in [wish, need] {
        let state = try KernelLoader.load(boot, into: guest.memory)
        #expect(state.mode == .protected32)
        #expect(state.entry == 0x100_0000)
        #expect(state.pageTableRoot == 0)
        #expect(try guest.load64(state.gdtBase + UInt64(EntryState.codeSelector)) == 0x00CF_9B00_0000_FFFF)
    }
}

@Test func whatNeedsLongModeIsRefusedWithoutIt() throws {
    let guest = try TestGuest(ram: 64 << 20)
    var boot = request(SyntheticKernel.linux(), guest)
    boot.hasLongMode = false
    let error = #expect(throws: LoadError.self) { try KernelLoader.load(boot, into: guest.memory) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("no long mode ('lm')"))
    var other = request(SyntheticKernel.linux(extendedFlags: 0), guest)
    other.hasLongMode = false
    #expect(try KernelLoader.load(other, into: guest.memory).mode == .protected32)
}

@Test func oldProtocolsLoadAt1MiB() throws {
    let guest = try TestGuest(ram: 64 << 20)
    let state = try KernelLoader.load(
        request(SyntheticKernel.linux(version: 0x204, preferred: 0x100_0000), guest), into: guest.memory)
    #expect(state.entry == 0x10_0000)
    #expect(state.mode == .protected32)
}

@Test func linuxErrorsSayWhatIsWrong() throws {
    let guest = try TestGuest(ram: 16 << 20)
    func failure(_ image: [UInt8], _ change: (inout BootRequest) -> Void = { _ in }) -> LoadError? {
        var boot = request(image, guest)
        change(&boot)
        do throws(LoadError) { _ = try KernelLoader.load(boot, into: guest.memory) } catch { return error }
        return nil
    }
    let small = SyntheticKernel.linux(preferred: 0x10_0000)

    #expect(failure([]) == .notAKernel(file: "vmlinuz"))
    #expect(failure([UInt8](repeating: 0, count: 9000)) == .notAKernel(file: "vmlinuz"))
    #expect(failure(Array(small.prefix(0x210))) == .truncated(file: "vmlinuz", size: 0x210, needed: 0x212))
    #expect(
        failure(Array(small.dropLast(1000)))
            == .truncated(
                file: "vmlinuz", size: small.count - 1000, needed: UInt64(small.count)))
    #expect(
        failure(SyntheticKernel.linux(version: 0x203))?.description
            == "'vmlinuz' cannot be booted: its boot protocol 2.3 is older than 2.4, the oldest that is known")
    #expect(
        failure(SyntheticKernel.linux(loadFlags: 0))?.description.contains("zImage") == true)
    #expect(
        failure(SyntheticKernel.linux(preferred: 0x100_0000))
            == .doesNotFit(file: "vmlinuz", needed: 0x10_0000, at: 0x100_0000, available: 0))
    #expect(
        failure(SyntheticKernel.linux(preferred: 0x10_0000, initSize: 32 << 20))?.description
            == "'vmlinuz' needs 33554432 bytes of memory at 0x100000, but the guest has 15728640 there")
    #expect(
        failure(small) { $0.commandLine = String(repeating: "x", count: 2048) }
            == .commandLineTooLong(file: "vmlinuz", count: 2048, limit: 2047))
    let initrd = ByteImage(name: "initrd", bytes: [UInt8](repeating: 1, count: 15 << 20))
    #expect(
        failure(small) { $0.modules = [BootModule(source: initrd)] }
            == .initrdDoesNotFit(file: "initrd", count: 15 << 20, available: 14 << 20))
    #expect(
        failure(small) { $0.memory = MemoryMap() }
            == .doesNotFit(file: "vmlinuz", needed: 0x10_0000, at: 0x10_0000, available: 0))
}

@Test func initrdStaysBelowTheKernelsLimitAndReservedMemory() throws {
    let guest = try TestGuest(ram: 64 << 20)
    var map = guest.map
    let taken = map.takeTop(count: 0x10000, below: 1 << 32, kind: .acpi)
    let reserved = try #require(taken)
    #expect(reserved == (64 << 20) - 0x10000)
    var boot = BootRequest(
        kernel: ByteImage(name: "k", bytes: SyntheticKernel.linux(initrdMaximum: 0x1FF_FFFF)), memory: map)
    boot.modules = [BootModule(source: ByteImage(name: "i", bytes: [UInt8](repeating: 9, count: 5000)))]
    #expect(try KernelLoader.load(boot, into: guest.memory).initrd.lowerBound == 0x1FF_E000)
    boot.kernel = ByteImage(name: "k", bytes: SyntheticKernel.linux())
    #expect(try KernelLoader.load(boot, into: guest.memory).initrd.lowerBound == reserved - 0x2000)
}

@Test func memoryThatTheMapPromisesButIsNotThere() throws {
    let guest = try TestGuest(ram: 16 << 20)
    var boot = request(SyntheticKernel.linux(), guest)
    boot.memory = PCMemory.pc(ram: 64 << 20).map
    #expect(throws: LoadError.self) { try KernelLoader.load(boot, into: guest.memory) }
}
