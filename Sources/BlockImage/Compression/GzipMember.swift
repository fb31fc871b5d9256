internal import CZlib

/// A member of a gzip file (RFC 1952), unpacked only to see that it is whole.
public enum GzipMember {
    /// What comes of looking.
    public enum Finding: Equatable, Sendable {
        /// It is whole, and this long.
        case whole(count: Int)
        /// The input ends before it does.
        case truncated
        /// It is none, or its checksum is wrong.
        case broken
    }

    /// Looks at the member that begins at `start`.
    public static func examine(_ input: [UInt8], from start: Int = 0) -> Finding {
        guard start >= 0, start < input.count, input.count - start <= Int(UInt32.max) else { return .truncated }
        var stream = unsafe z_stream()
        // 15 for the largest window, and 16 for gzip's form.
        guard unsafe apus_inflate_init(&stream, 31) == Z_OK else { return .broken }
        defer { unsafe inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: 1 << 16)
        return unsafe input.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return .truncated }
            unsafe stream.next_in = UnsafeMutablePointer(mutating: base + start)
            unsafe stream.avail_in = UInt32(source.count - start)
            while true {
                // SAFETY: zlib reads and writes at most the counts given; what it writes is not wanted.
                let status = unsafe output.withUnsafeMutableBufferPointer { buffer in
                    unsafe stream.next_out = buffer.baseAddress
                    unsafe stream.avail_out = UInt32(buffer.count)
                    return unsafe CZlib.inflate(&stream, Z_NO_FLUSH)
                }
                if status == Z_STREAM_END { return unsafe .whole(count: source.count - start - Int(stream.avail_in)) }
                if status == Z_OK { continue }
                return status == Z_BUF_ERROR ? .truncated : .broken
            }
        }
    }
}
