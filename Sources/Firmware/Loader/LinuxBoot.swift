internal import GuestMemory

/// Loads a bzImage as a boot loader of type 0xFF does, past its real-mode part (boot.rst, "32-bit Boot Protocol" and
/// "64-bit Boot Protocol").
enum LinuxBoot {
    static func load(
        _ request: BootRequest, prefix: [UInt8], into memory: AddressSpace
    ) throws(LoadError) -> EntryState {
        let header = try LinuxHeader(file: request.kernel, prefix: prefix)
        let name = request.kernel.name
        var builder = EntryBuilder(memory: memory, file: name, placement: Placement(request.memory))
        // Its 32-bit entry would halt without a word.
        guard request.hasLongMode || !header.has64BitEntry else {
            throw .unsupported(
                file: name, "it is for 64-bit processors, and this processor model has no long mode ('lm')")
        }
        let mode: EntryState.Mode = header.has64BitEntry && !request.prefers32BitEntry ? .long64 : .protected32
        let start = header.loadAddress

        // The identity map and 32-bit pointers end at 4 GiB.
        guard start < 1 << 32, builder.placement.claim(start, header.memoryCount) else {
            throw .doesNotFit(
                file: name, needed: header.memoryCount, at: start, available: builder.placement.available(at: start))
        }
        let commandLine = try builder.put(commandLine: request.commandLine, limit: header.commandLineLimit)
        let zeroPage = try builder.place(4096, alignment: 4096, what: "boot parameters")
        let seed = try request.seed.isEmpty ? 0 : builder.put(BootParameters.seedNode(request.seed), what: "seed")
        let initrd = try loadInitrd(request, header: header, memory: memory, placement: &builder.placement)

        try request.kernel.load(at: header.kernelOffset, count: header.kernelCount, to: start, in: memory)
        var parameters = BootParameters()
        parameters.setHeader(header.raw, version: header.version)
        parameters.setCommandLine(commandLine)
        parameters.setInitrd(initrd)
        parameters.setSetupData(seed, version: header.version)
        parameters.setMemory(request.memory)
        parameters.setRSDP(request.rsdp?.rawValue ?? 0)
        parameters.setCodeStart(start)
        if request.hasTextScreen { parameters.setTextScreen() }
        try memory.put(parameters.bytes, at: zeroPage, for: name)

        var state = try builder.finish(
            format: .linux, mode: mode, entry: mode == .long64 ? start + 0x200 : start,
            kernel: start..<(start + header.memoryCount), initrd: initrd)
        state.rsi = zeroPage
        return state
    }

    /// As high as the kernel allows; above 4 GiB only for a kernel that reads the upper address halves and only where
    /// there is no room below.
    private static func loadInitrd(
        _ request: BootRequest, header: LinuxHeader, memory: AddressSpace, placement: inout Placement
    ) throws(LoadError) -> Range<UInt64> {
        guard request.modules.count <= 1 else {
            throw .unsupported(file: request.kernel.name, "a Linux kernel takes one initial RAM disk")
        }
        guard let source = request.modules.first?.source, source.count > 0 else { return 0..<0 }
        let count = UInt64(source.count)
        let limit = header.initrdMaximum + 1
        var start = placement.highest(count, below: limit)
        if start == nil && header.above4GiB { start = placement.highest(count, below: 1 << 46) }
        guard let start else {
            throw .initrdDoesNotFit(
                file: source.name, count: count,
                available: placement.largest(below: header.above4GiB ? 1 << 46 : limit))
        }
        try source.load(at: 0, count: count, to: start, in: memory)
        return start..<(start + count)
    }
}
