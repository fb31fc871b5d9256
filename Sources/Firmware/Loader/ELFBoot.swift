internal import GuestMemory

/// Boots an ELF file without a note: a 64-bit one in 64-bit mode, a 32-bit one in protected mode. RSI points to a
/// zero page as for a bzImage, which is what a Linux vmlinux wants and others ignore.
enum ELFBoot {
    static func load(_ request: BootRequest, into memory: AddressSpace) throws(LoadError) -> EntryState {
        let file = try ELFFile(file: request.kernel)
        let name = request.kernel.name
        var builder = EntryBuilder(memory: memory, file: name, placement: Placement(request.memory))
        let entry = try file.entryAddress()
        let kernel = try file.loadSegments(into: &builder)
        guard request.modules.count <= 1 else {
            throw .unsupported(file: name, "a kernel without a multiboot or PVH header takes one initial RAM disk")
        }
        let commandLine = try builder.put(commandLine: request.commandLine, limit: 65535)
        var initrd: Range<UInt64> = 0..<0
        if let module = request.modules.first {
            initrd = try builder.loadModule(module.source, below: 1 << 31)
        }
        var parameters = BootParameters()
        // No header of its own: the fields that a kernel reads after its own decompressor (boot.rst, 1.11).
        var header = [UInt8](repeating: 0, count: 0x268 - LinuxHeader.start)
        header.store(little: UInt16(0xAA55), at: 0x1FE - LinuxHeader.start)
        header.store(little: UInt32(0x5372_6448), at: 0x202 - LinuxHeader.start)
        header.store(little: UInt16(0x20C), at: 0x206 - LinuxHeader.start)
        header[0x211 - LinuxHeader.start] = 1
        header.store(little: UInt32(0x7FFF_FFFF), at: 0x22C - LinuxHeader.start)
        parameters.setHeader(header, version: 0x20C)
        parameters.setCommandLine(commandLine)
        parameters.setInitrd(initrd)
        parameters.setMemory(request.memory)
        parameters.setRSDP(request.rsdp?.rawValue ?? 0)
        if request.hasTextScreen { parameters.setTextScreen() }
        let zeroPage = try builder.put(parameters.bytes, alignment: 4096, what: "boot parameters")
        var state = try builder.finish(
            format: .elf, mode: file.is64Bit ? .long64 : .protected32, entry: entry, kernel: kernel, initrd: initrd)
        state.rsi = zeroPage
        return state
    }
}

extension EntryBuilder {
    /// Loads a file to the highest free pages below `limit`.
    mutating func loadModule(_ source: any ImageSource, below limit: UInt64) throws(LoadError) -> Range<UInt64> {
        let count = UInt64(source.count)
        guard count > 0 else { return 0..<0 }
        guard let start = placement.highest(count, below: limit) else {
            throw .initrdDoesNotFit(file: source.name, count: count, available: placement.largest(below: limit))
        }
        try source.load(at: 0, count: count, to: start, in: memory)
        return start..<(start + count)
    }
}
