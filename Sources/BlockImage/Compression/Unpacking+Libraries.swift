internal import CBzip2
internal import CLZMA

// Packings that only DMG images have, by libraries that are opened when the first such chunk is read.
extension Unpacking {
    /// Why bytes could not be unpacked.
    enum Fault: Error {
        /// They are not what they should be.
        case broken
        /// The library of that name cannot be opened.
        case missing(String)
    }

    /// What a stream's dictionary may take: that of the highest level of compression, and a little.
    private static let dictionaryLimit: UInt64 = 96 << 20

    /// Exactly `count` bytes of a bzip2 stream.
    static func bzip2(_ input: [UInt8], count: Int) throws(Fault) -> [UInt8] {
        guard count > 0, let size = UInt32(exactly: input.count), var made = UInt32(exactly: count) else {
            throw .broken
        }
        var status: Int32 = 0
        let output = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // SAFETY: the library reads and writes at most the counts given; both arrays outlive the call.
            unsafe input.withUnsafeBytes { source in
                unsafe status = apus_bzip2_unpack(source.baseAddress, size, buffer.baseAddress, &made)
            }
            filled = status == 0 ? Int(made) : 0
        }
        if status == 1 { throw .missing("libbz2.so.1.0") }
        guard output.count == count else { throw .broken }
        return output
    }

    /// Exactly `count` bytes of an .xz stream, whose dictionary is no larger than level 9's.
    static func lzma(_ input: [UInt8], count: Int) throws(Fault) -> [UInt8] {
        guard count > 0 else { throw .broken }
        var status: Int32 = 0
        let output = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var made = count
            // SAFETY: as above.
            unsafe input.withUnsafeBytes { source in
                unsafe status = apus_lzma_unpack(
                    source.baseAddress, source.count, buffer.baseAddress, &made, dictionaryLimit)
            }
            filled = status == 0 ? made : 0
        }
        if status == -1 { throw .missing("liblzma.so.5") }
        guard output.count == count else { throw .broken }
        return output
    }
}
