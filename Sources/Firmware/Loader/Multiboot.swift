internal import GuestMemory

/// A multiboot 1 header (Multiboot Specification 0.6.96, 3.1).
struct MultibootHeader {
    static let magic: UInt32 = 0x1BAD_B002
    /// Where the header was found in the file.
    let offset: Int
    let flags: UInt32
    /// `header_addr`, `load_addr`, `load_end_addr`, `bss_end_addr`, `entry_addr`, where flag 16 says they are valid.
    let addresses: [UInt32]?

    /// The first place in a file's first 8 KiB, aligned to 4 bytes, with the magic and a right checksum.
    static func offset(in prefix: [UInt8]) -> Int? {
        var offset = 0
        while let magic = prefix.load(little: UInt32.self, at: offset),
            let flags = prefix.load(little: UInt32.self, at: offset + 4),
            let checksum = prefix.load(little: UInt32.self, at: offset + 8)
        {
            if magic == Self.magic && magic &+ flags &+ checksum == 0 { return offset }
            offset += 4
        }
        return nil
    }

    init(file: any ImageSource, prefix: [UInt8]) throws(LoadError) {
        guard let offset = Self.offset(in: prefix) else { throw .notAKernel(file: file.name) }
        self.offset = offset
        flags = prefix.load(little: UInt32.self, at: offset + 4) ?? 0
        // Of the bits that a loader must know: 0 page-aligned modules, 1 memory information, 2 a video mode, which a
        // kernel without one survives.
        let unknown = flags & 0xFFF8
        guard unknown == 0 else {
            throw .unsupported(file: file.name, "its multiboot header asks for unknown features \(hex(unknown))")
        }
        guard flags & 1 << 16 != 0 else {
            addresses = nil
            return
        }
        let raw = try file.bytes(at: UInt64(offset + 12), count: 20)
        addresses = (0..<5).map { raw.load(little: UInt32.self, at: $0 * 4) ?? 0 }
    }
}

/// Boots a multiboot 1 kernel: EAX = 0x2BADB002, EBX = the information structure, flat protected mode (3.2).
enum MultibootBoot {
    static func load(
        _ request: BootRequest, prefix: [UInt8], into memory: AddressSpace
    ) throws(LoadError) -> EntryState {
        let header = try MultibootHeader(file: request.kernel, prefix: prefix)
        var builder = EntryBuilder(
            memory: memory, file: request.kernel.name, placement: Placement(request.memory))
        let kernel: Range<UInt64>
        let entry: UInt64
        if let addresses = header.addresses {
            (kernel, entry) = try loadFlat(request.kernel, header: header, addresses: addresses, builder: &builder)
        } else {
            guard ELFFile.isPresent(prefix) else {
                throw .unsupported(
                    file: request.kernel.name, "its multiboot header gives no addresses and it is not an ELF file")
            }
            let file = try ELFFile(file: request.kernel)
            guard !file.is64Bit else {
                throw .unsupported(
                    file: request.kernel.name, "multiboot enters in 32-bit mode, and it is a 64-bit ELF file")
            }
            entry = try file.entryAddress()
            kernel = try file.loadSegments(into: &builder)
        }
        let (information, first) = try MultibootInformation.put(request, kernel: kernel, builder: &builder)
        var state = try builder.finish(
            format: .multiboot, mode: .protected32, entry: entry, kernel: kernel, initrd: first)
        state.rax = 0x2BAD_B002
        state.rbx = information
        return state
    }

    /// Loads by the header's own addresses (the "a.out kludge").
    private static func loadFlat(
        _ file: any ImageSource, header: MultibootHeader, addresses: [UInt32], builder: inout EntryBuilder
    ) throws(LoadError) -> (Range<UInt64>, UInt64) {
        let place = UInt64(addresses[0])
        let start = UInt64(addresses[1])
        guard start <= place, place - start <= UInt64(header.offset) else {
            throw .malformed(
                file: file.name,
                "its multiboot load address \(hex(start)) does not fit its header's address \(hex(place))")
        }
        let fileOffset = UInt64(header.offset) - (place - start)
        let rest = UInt64(file.count) - fileOffset
        var loadEnd = UInt64(addresses[2])
        if loadEnd == 0 { loadEnd = start + rest }
        guard loadEnd >= start else {
            throw .malformed(
                file: file.name, "its multiboot load ends at \(hex(loadEnd)), before its start \(hex(start))")
        }
        guard loadEnd - start <= rest else {
            throw .truncated(file: file.name, size: file.count, needed: fileOffset + (loadEnd - start))
        }
        let end = max(loadEnd, UInt64(addresses[3]))
        guard end > start, builder.placement.claim(start, end - start) else {
            throw .doesNotFit(
                file: file.name, needed: end - start, at: start, available: builder.placement.available(at: start))
        }
        let entry = UInt64(addresses[4])
        guard entry >= start, entry < end else {
            throw .malformed(file: file.name, "its multiboot entry \(hex(entry)) lies outside of what is loaded")
        }
        try file.load(at: fileOffset, count: loadEnd - start, to: start, in: builder.memory)
        try builder.memory.clear(loadEnd, count: end - loadEnd, for: file.name)
        return (start..<end, entry)
    }
}
