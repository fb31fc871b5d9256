/// The commands of `etc/table-loader`, 128 bytes each, little-endian: how a firmware allocates and links files of
/// fw_cfg (QEMU's BIOS linker/loader interface).
struct TableLoaderScript {
    /// Where a file is to be allocated.
    enum Zone: UInt8 {
        /// Anywhere below 4 GiB.
        case high = 1
        /// 0xE0000 to 0xFFFFF, where an operating system searches.
        case fSegment = 2
    }

    private(set) var bytes: [UInt8] = []

    private mutating func command(_ code: UInt32, _ operands: [UInt8]) {
        bytes.append(little: code)
        bytes += operands
        bytes += [UInt8](repeating: 0, count: 124 - operands.count)
    }

    private static func file(_ name: String) -> [UInt8] {
        let name = Array(name.utf8.prefix(55))
        return name + [UInt8](repeating: 0, count: 56 - name.count)
    }

    mutating func allocate(_ file: String, alignment: UInt32, zone: Zone) {
        var operands = Self.file(file)
        operands.append(little: alignment)
        command(1, operands + [zone.rawValue])
    }

    /// Adds the address of file `target` to the pointer at `offset` of `file`.
    mutating func addPointer(in file: String, to target: String, offset: UInt32, size: UInt8) {
        var operands = Self.file(file) + Self.file(target)
        operands.append(little: offset)
        command(2, operands + [size])
    }

    /// Sets the byte at `offset` so that the range sums to zero.
    mutating func addChecksum(in file: String, offset: UInt32, start: UInt32, count: UInt32) {
        var operands = Self.file(file)
        operands.append(little: offset)
        operands.append(little: start)
        operands.append(little: count)
        command(3, operands)
    }
}
