import Foundation

/// Programs and kernels of a few instructions, with the headers that make them run.
enum FlatGuest {
    private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe Array($0) }
    }

    /// A multiboot 1 kernel of 32-bit code, loaded at 1 MiB.
    static func multiboot(_ code: [UInt8]) -> Data {
        let (magic, flags): (UInt32, UInt32) = (0x1BAD_B002, 0x1_0000)
        let (base, end) = (UInt32(0x10_0000), UInt32(0x10_0000 + 32 + code.count))
        // Header, load, end of data, end of memory, and entry addresses.
        let header = [magic, flags, 0 &- magic &- flags, base, base, end, end, base + 32]
        return Data(header.flatMap { bytes($0) } + code)
    }

    /// An ELF program of 64-bit code for Linux.
    static func program(_ code: [UInt8]) -> [UInt8] {
        let (base, headers) = (UInt64(0x40_0000), UInt64(64 + 56))
        let size = headers + UInt64(code.count)
        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        file += bytes(UInt16(2)) + bytes(UInt16(62)) + bytes(UInt32(1))  // executable, x86-64
        file += bytes(base + headers) + bytes(UInt64(64)) + bytes(UInt64(0)) + bytes(UInt32(0))
        file += bytes(UInt16(64)) + bytes(UInt16(56)) + bytes(UInt16(1))  // one program header
        file += bytes(UInt16(64)) + bytes(UInt16(0)) + bytes(UInt16(0))
        file += bytes(UInt32(1)) + bytes(UInt32(5))  // loaded, read and execute
        file += bytes(UInt64(0)) + bytes(base) + bytes(base) + bytes(size) + bytes(size) + bytes(UInt64(4096))
        return file + code
    }
}
