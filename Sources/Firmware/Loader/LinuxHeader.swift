/// The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
///
/// Offsets are those of the file; the header begins at 0x1F1 in the file and in the zero page alike.
struct LinuxHeader {
    /// Where the header begins.
    static let start = 0x1F1
    /// Bytes that hold any header: a jump byte can put the end at most 0x202 + 255 in.
    static let prefix = 0x202 + 256

    /// `version`: 0x020C is 2.12.
    let version: UInt16
    /// The raw header, from 0x1F1.
    let raw: [UInt8]
    /// Where the protected-mode kernel begins in the file.
    let kernelOffset: UInt64
    /// Its bytes in the file: all that follows the set-up sectors.
    let kernelCount: UInt64
    /// Where it is loaded.
    let loadAddress: UInt64
    /// Bytes of memory that it needs there before it has read its memory map.
    let memoryCount: UInt64
    /// The highest address of the initial RAM disk's last byte.
    let initrdMaximum: UInt64
    /// The longest command line without its terminating zero.
    let commandLineLimit: Int
    /// It has a 64-bit entry at 0x200.
    let has64BitEntry: Bool
    /// The zero page, the command line and the initial RAM disk may lie above 4 GiB.
    let above4GiB: Bool

    /// Whether a file's first bytes claim to be a bzImage or an older Linux kernel.
    static func isPresent(_ prefix: [UInt8]) -> Bool {
        prefix.load(little: UInt32.self, at: 0x202) == 0x5372_6448  // "HdrS"
    }

    /// Reads and checks the header of a file whose first bytes are `prefix`.
    init(file: any ImageSource, prefix: [UInt8]) throws(LoadError) {
        let name = file.name
        func field<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) throws(LoadError) -> T {
            guard let value = prefix.load(little: type, at: offset) else {
                throw .truncated(
                    file: name, size: file.count, needed: UInt64(offset + T.bitWidth / 8))
            }
            return value
        }
        guard try field(UInt16.self, 0x1FE) == 0xAA55 else {
            throw .malformed(file: name, "a Linux kernel's boot sector ends with 0xaa55 at byte 0x1fe")
        }
        version = try field(UInt16.self, 0x206)
        // Older kernels are zImages or lack the fields that make them relocatable; 2.04 came with Linux 2.6.14.
        guard version >= 0x204 else {
            throw .unsupported(
                file: name,
                "its boot protocol \(version >> 8).\(version & 0xFF) is older than 2.4, the oldest that is known")
        }
        guard try field(UInt8.self, 0x211) & 1 != 0 else {
            throw .unsupported(file: name, "it is a zImage, which loads below 1 MiB; only a bzImage can be booted")
        }
        let end = 0x202 + Int(try field(UInt8.self, 0x201))
        let leastEnd = version >= 0x20C ? 0x268 : version >= 0x20A ? 0x264 : version >= 0x206 ? 0x23C : 0x22C
        guard end >= leastEnd else {
            throw .malformed(
                file: name,
                "its header ends at \(hex(end)), before the fields of boot protocol \(version >> 8).\(version & 0xFF)")
        }
        guard end <= prefix.count else { throw .truncated(file: name, size: file.count, needed: UInt64(end)) }
        raw = Array(prefix[Self.start..<end])

        let sectors = try field(UInt8.self, 0x1F1)
        let setup = (UInt64(sectors == 0 ? 4 : sectors) + 1) * 512
        let paragraphs = try field(UInt32.self, 0x1F4)
        guard paragraphs > 0 else { throw .malformed(file: name, "its protected-mode kernel is empty (syssize is 0)") }
        // The size in paragraphs is rounded up; the file need not be padded.
        guard UInt64(file.count) + 15 >= setup + UInt64(paragraphs) * 16, UInt64(file.count) > setup else {
            throw .truncated(file: name, size: file.count, needed: setup + UInt64(paragraphs) * 16)
        }
        kernelOffset = setup
        kernelCount = UInt64(file.count) - setup

        let preferred: UInt64 = version >= 0x20A ? try field(UInt64.self, 0x258) : 0
        loadAddress = preferred != 0 ? preferred : 0x10_0000
        let initial: UInt64 = version >= 0x20A ? UInt64(try field(UInt32.self, 0x260)) : 0
        memoryCount = max(initial, kernelCount)
        initrdMaximum = UInt64(try field(UInt32.self, 0x22C))
        commandLineLimit = version >= 0x206 ? Int(try field(UInt32.self, 0x238)) : 255
        let loadFlags: UInt16 = version >= 0x20C ? try field(UInt16.self, 0x236) : 0
        has64BitEntry = loadFlags & 1 != 0
        above4GiB = loadFlags & 2 != 0
    }
}
