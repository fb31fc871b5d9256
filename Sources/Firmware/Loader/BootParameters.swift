/// Linux's `struct boot_params`, the zero page (Documentation/arch/x86/zero-page.rst).
struct BootParameters {
    private(set) var bytes = [UInt8](repeating: 0, count: 4096)

    /// The zero page holds this many E820 entries.
    static let e820Limit = 128

    /// Copies the kernel's own header and names the boot loader: type 0xFF, no id assigned.
    mutating func setHeader(_ raw: [UInt8], version: UInt16) {
        bytes.store(raw, at: LinuxHeader.start)
        bytes[0x210] = 0xFF
        // LOADED_HIGH stays; CAN_USE_HEAP and the heap are for the real-mode part alone.
        bytes[0x211] &= ~0x80
        bytes.store(little: UInt32(0), at: 0x250)
    }

    /// `cmd_line_ptr` with its upper half.
    mutating func setCommandLine(_ address: UInt64) {
        bytes.store(little: UInt32(truncatingIfNeeded: address), at: 0x228)
        bytes.store(little: UInt32(truncatingIfNeeded: address >> 32), at: 0x0C8)
    }

    /// `ramdisk_image` and `ramdisk_size` with their upper halves.
    mutating func setInitrd(_ extent: Range<UInt64>) {
        let count = extent.upperBound - extent.lowerBound
        bytes.store(little: UInt32(truncatingIfNeeded: extent.lowerBound), at: 0x218)
        bytes.store(little: UInt32(truncatingIfNeeded: extent.lowerBound >> 32), at: 0x0C0)
        bytes.store(little: UInt32(truncatingIfNeeded: count), at: 0x21C)
        bytes.store(little: UInt32(truncatingIfNeeded: count >> 32), at: 0x0C4)
    }

    /// The head of the list of `setup_data`, known since protocol 2.09.
    mutating func setSetupData(_ address: UInt64, version: UInt16) {
        guard version >= 0x209 else { return }
        bytes.store(little: address, at: 0x250)
    }

    /// `e820_table`; what a kernel cannot be told of it does without.
    mutating func setMemory(_ map: MemoryMap) {
        let count = min(map.entries.count, Self.e820Limit)
        bytes[0x1E8] = UInt8(count)
        bytes.store(Array(map.e820.prefix(count * 20)), at: 0x2D0)
        // alt_mem_k: KiB above 1 MiB, for kernels that look there.
        let above = map.entries.first { $0.kind == .ram && $0.start <= 0x10_0000 && $0.end > 0x10_0000 }
        bytes.store(little: UInt32(clamping: ((above?.end ?? 0x10_0000) - 0x10_0000) >> 10), at: 0x1E0)
    }

    /// `acpi_rsdp_addr`, read since Linux 4.20; older kernels search for the RSDP.
    mutating func setRSDP(_ address: UInt64) { bytes.store(little: address, at: 0x070) }

    /// `code32_start`: where the loader put the kernel.
    mutating func setCodeStart(_ address: UInt64) {
        bytes.store(little: UInt32(truncatingIfNeeded: address), at: 0x214)
    }

    /// `screen_info` of a VGA in text mode 3 with 80 columns, 25 lines and a font of 16 lines.
    mutating func setTextScreen() {
        bytes[0x06] = 3
        bytes[0x07] = 80
        bytes[0x0E] = 25
        bytes[0x0F] = 1
        bytes.store(little: UInt16(16), at: 0x10)
    }

    /// A `setup_data` node of type SETUP_RNG_SEED: bytes from the host for the kernel's random pool.
    static func seedNode(_ seed: [UInt8]) -> [UInt8] {
        var node: [UInt8] = []
        node.append(little: UInt64(0))
        node.append(little: UInt32(9))
        node.append(little: UInt32(seed.count))
        return node + seed
    }
}
