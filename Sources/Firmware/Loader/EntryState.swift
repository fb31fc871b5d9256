internal import GuestMemory

/// How the first processor begins: what a loader left in memory, and the registers that say where.
///
/// Everything not named is as after reset, with interrupts disabled (RFLAGS = 2) and an empty IDT.
public struct EntryState: Equatable, Sendable {
    /// The processor's mode at the entry.
    public enum Mode: Sendable {
        /// Protected mode without paging: flat 4 GiB segments.
        case protected32
        /// 64-bit mode: the first 4 GiB identity-mapped by 2 MiB pages.
        case long64
    }

    /// What kind of kernel was loaded.
    public var format: KernelFormat
    /// The mode to enter in.
    public var mode: Mode
    /// The first instruction's address.
    public var entry: UInt64
    /// RAX.
    public var rax: UInt64 = 0
    /// RBX.
    public var rbx: UInt64 = 0
    /// RSI.
    public var rsi: UInt64 = 0
    /// RSP: the top of a page of stack for kernels that push before they set their own.
    public var rsp: UInt64 = 0
    /// The global descriptor table's address.
    public var gdtBase: UInt64
    /// The root page table's address for CR3; 0 without paging.
    public var pageTableRoot: UInt64

    /// The kernel's extent in memory, for `info` commands and tests.
    public var kernel: Range<UInt64>
    /// The initial RAM disk's extent; empty without one.
    public var initrd: Range<UInt64>

    /// The code segment, `__BOOT_CS` of the Linux boot protocol.
    public static let codeSelector: UInt16 = 0x10
    /// The data segment of DS, ES, SS, FS and GS, `__BOOT_DS`.
    public static let dataSelector: UInt16 = 0x18
    /// The task segment, busy, with base 0 and limit 0x67.
    public static let taskSelector: UInt16 = 0x20

    /// The descriptors at `gdtBase`.
    public var gdt: [UInt64] { Self.descriptors(mode) }
    /// The limit for GDTR.
    public var gdtLimit: UInt16 { UInt16(gdt.count * 8 - 1) }
    /// CR0: PE, ET and NE, with PG in 64-bit mode.
    public var cr0: UInt64 { mode == .long64 ? 0x8000_0031 : 0x31 }
    /// CR4: PAE in 64-bit mode.
    public var cr4: UInt64 { mode == .long64 ? 0x20 : 0 }
    /// EFER: LME and LMA in 64-bit mode.
    public var efer: UInt64 { mode == .long64 ? 0x500 : 0 }

    /// Null, unused, flat code, flat data, and a TSS in two slots (SDM volume 3, 3.4.5 and 8.2.3).
    static func descriptors(_ mode: Mode) -> [UInt64] {
        let code: UInt64 = mode == .long64 ? 0x00AF_9B00_0000_FFFF : 0x00CF_9B00_0000_FFFF
        return [0, 0, code, 0x00CF_9300_0000_FFFF, 0x0000_8B00_0000_0067, 0]
    }
}

/// Writes what every entry needs: descriptors, a stack page and, for 64-bit mode, page tables.
struct EntryBuilder {
    let memory: AddressSpace
    let file: String
    var placement: Placement
    /// Structures for the kernel lie below this address where they can.
    static let lowLimit: UInt64 = 0x9F000

    /// A place for a structure: low memory if there is room, else the lowest place below 4 GiB.
    mutating func place(_ count: UInt64, alignment: UInt64 = 16, what: String) throws(LoadError) -> UInt64 {
        if let start = placement.lowest(count, alignment: alignment, below: Self.lowLimit) { return start }
        if let start = placement.lowest(count, alignment: alignment, below: 1 << 32) { return start }
        throw .noRoom(file: file, what: what, count: count)
    }

    /// Places bytes and writes them.
    mutating func put(_ bytes: [UInt8], alignment: UInt64 = 16, what: String) throws(LoadError) -> UInt64 {
        let start = try place(UInt64(max(bytes.count, 1)), alignment: alignment, what: what)
        try memory.put(bytes, at: start, for: file)
        return start
    }

    /// Places a command line with its terminating zero, at 0x20000 where that is free.
    mutating func put(commandLine: String, limit: Int) throws(LoadError) -> UInt64 {
        let bytes = Array(commandLine.utf8)
        guard bytes.count <= limit else {
            throw .commandLineTooLong(file: file, count: bytes.count, limit: limit)
        }
        if placement.claim(0x20000, UInt64(bytes.count + 1)) {
            try memory.put(bytes + [0], at: 0x20000, for: file)
            return 0x20000
        }
        return try put(bytes + [0], what: "command line")
    }

    /// The entry state with its tables written.
    mutating func finish(
        format: KernelFormat, mode: EntryState.Mode, entry: UInt64, kernel: Range<UInt64>, initrd: Range<UInt64>
    ) throws(LoadError) -> EntryState {
        var gdt: [UInt8] = []
        for descriptor in EntryState.descriptors(mode) { gdt.append(little: descriptor) }
        let gdtBase = try put(gdt, what: "descriptor table")
        let stack = try place(4096, alignment: 4096, what: "stack")
        let root = mode == .long64 ? try put(identityMap: 4) : 0
        return EntryState(
            format: format, mode: mode, entry: entry, rsp: stack + 4096, gdtBase: gdtBase, pageTableRoot: root,
            kernel: kernel, initrd: initrd)
    }

    /// Maps `gibibytes` GiB (at most 512) from 0 onto themselves with 2 MiB pages (SDM volume 3, 4.5): the root, one
    /// pointer table and a directory for each GiB, in consecutive pages.
    private mutating func put(identityMap gibibytes: Int) throws(LoadError) -> UInt64 {
        let root = try place(UInt64(2 + gibibytes) * 4096, alignment: 4096, what: "page tables")
        let presentWritable: UInt64 = 3
        let large: UInt64 = 0x80
        var bytes = [UInt8](repeating: 0, count: (2 + gibibytes) * 4096)
        bytes.store(little: (root + 4096) | presentWritable, at: 0)
        for index in 0..<gibibytes {
            bytes.store(little: (root + UInt64(2 + index) * 4096) | presentWritable, at: 4096 + index * 8)
        }
        for page in 0..<(gibibytes * 512) {
            bytes.store(little: UInt64(page) << 21 | presentWritable | large, at: 8192 + page * 8)
        }
        try memory.put(bytes, at: root, for: file)
        return root
    }
}
