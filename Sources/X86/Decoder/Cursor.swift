/// A bounded reader of instruction bytes.
@safe struct Cursor {
    /// The first byte of the instruction.
    let base: UnsafeRawPointer
    /// How many bytes may be read, at most 15.
    let limit: Int
    /// How many bytes have been read.
    var position = 0

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) throws(DecodeError) {
        guard let base = bytes.baseAddress else { throw .truncated }
        // SAFETY: reads are checked against `limit`; the owner keeps the buffer alive while the cursor is used.
        unsafe self.base = base
        limit = min(bytes.count, Decoder.maximumLength)
    }

    /// The error of an instruction that needs more bytes than `limit`.
    @inline(__always)
    var exhausted: DecodeError { limit < Decoder.maximumLength ? .truncated : .tooLong }

    /// The next byte without reading it; 0 where there is none.
    @inline(__always)
    var peek: UInt8 {
        // SAFETY: the position is below the limit, which is at most the buffer's count.
        position < limit ? unsafe base.load(fromByteOffset: position, as: UInt8.self) : 0
    }

    /// Reads a little-endian integer of the type's size.
    @inline(__always)
    mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(DecodeError) -> T {
        let size = MemoryLayout<T>.size
        guard limit &- position >= size else { throw exhausted }
        // SAFETY: `size` bytes from the position on are within the buffer.
        let value = unsafe base.loadUnaligned(fromByteOffset: position, as: type)
        position &+= size
        return T(littleEndian: value)
    }

    /// Reads a byte and sign-extends it.
    @inline(__always)
    mutating func signedByte() throws(DecodeError) -> Int64 { Int64(try read(Int8.self)) }

    /// Reads 1, 2, 4 or 8 bytes and sign-extends them.
    @inline(__always)
    mutating func signed(size: UInt8) throws(DecodeError) -> Int64 {
        switch size {
        case 1: Int64(try read(Int8.self))
        case 2: Int64(try read(Int16.self))
        case 4: Int64(try read(Int32.self))
        default: try read(Int64.self)
        }
    }
}
