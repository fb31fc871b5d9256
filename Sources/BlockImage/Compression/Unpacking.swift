internal import CZlib
internal import CZstd

/// Unpacking of what formats compress, into a size that is known beforehand: hostile input cannot make it grow.
enum Unpacking {
    /// One cluster of qcow2; nil when the input is broken or does not fill it. Input may go on after its end.
    static func cluster(_ compression: QCow2Header.Compression, _ input: [UInt8], count: Int) -> [UInt8]? {
        switch compression {
        case .zlib: inflate(input, count: count, window: -12)
        case .zstd: zstd(input, count: count)
        }
    }

    /// `count` bytes of a deflate stream: raw with a negative window, of zlib's format with a positive one. With
    /// `mayBeShort`, what a stream that ends earlier lacks is zero.
    static func inflate(_ input: [UInt8], count: Int, window: Int32, mayBeShort: Bool = false) -> [UInt8]? {
        guard count > 0, input.count <= Int(UInt32.max), count <= Int(UInt32.max) else { return nil }
        var stream = unsafe z_stream()
        guard unsafe apus_inflate_init(&stream, window) == Z_OK else { return nil }
        defer { unsafe inflateEnd(&stream) }
        var isWhole = false
        let output = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // SAFETY: zlib reads and writes at most the counts given; both arrays outlive the call.
            unsafe input.withUnsafeBufferPointer { source in
                unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
                unsafe stream.avail_in = UInt32(source.count)
                unsafe stream.next_out = buffer.baseAddress
                unsafe stream.avail_out = UInt32(count)
                let status = unsafe CZlib.inflate(&stream, Z_FINISH)
                // A packed cluster's stated length is rounded up: it ends when the output is full.
                let left = unsafe Int(stream.avail_out)
                isWhole = left == 0 && (status == Z_STREAM_END || status == Z_BUF_ERROR || status == Z_OK)
                if mayBeShort && status == Z_STREAM_END && left > 0 {
                    unsafe buffer[(count - left)...].update(repeating: 0)
                    isWhole = true
                }
            }
            filled = isWhole ? count : 0
        }
        return isWhole ? output : nil
    }

    /// Exactly `count` bytes of a Zstandard frame.
    static func zstd(_ input: [UInt8], count: Int) -> [UInt8]? {
        guard count > 0, let context = unsafe ZSTD_createDCtx() else { return nil }
        defer { unsafe ZSTD_freeDCtx(context) }
        var isWhole = false
        let result = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // SAFETY: the library reads and writes at most the sizes given; both arrays outlive the calls.
            unsafe input.withUnsafeBytes { source in
                var output = unsafe ZSTD_outBuffer(dst: buffer.baseAddress, size: count, pos: 0)
                var packed = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
                while unsafe output.pos < count {
                    let (read, written) = unsafe (packed.pos, output.pos)
                    let status = unsafe ZSTD_decompressStream(context, &output, &packed)
                    if ZSTD_isError(status) != 0 { break }
                    // Nothing went in or out: the input ends too early.
                    if unsafe packed.pos == read && output.pos == written { break }
                }
                isWhole = unsafe output.pos == count
            }
            filled = isWhole ? count : 0
        }
        return isWhole ? result : nil
    }
}
