internal import CZlib

/// A zlib stream that lasts as long as its viewer, flushed after each piece.
@safe final class ZlibStream {
    private let stream: UnsafeMutablePointer<z_stream>
    private let isReady: Bool

    /// A stream of a level, 0 to 9.
    init(level: Int) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // SAFETY: the structure stays where it is until `deinit`.
        isReady = unsafe apus_deflate_init(stream, Int32(min(max(level, 0), 9)), 15) == Z_OK
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Appends what the bytes are packed to. Nothing comes where memory is short.
    func pack(_ bytes: [UInt8], to output: inout [UInt8]) {
        guard isReady, !bytes.isEmpty else { return }
        var chunk = [UInt8](repeating: 0, count: 32768)
        unsafe bytes.withUnsafeBufferPointer { source in
            // SAFETY: zlib reads the source and writes the chunk within the lengths that it is told.
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe stream.pointee.avail_in = UInt32(source.count)
            while true {
                let left = unsafe chunk.withUnsafeMutableBufferPointer { target -> Int in
                    unsafe stream.pointee.next_out = target.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(target.count)
                    _ = unsafe deflate(stream, Z_SYNC_FLUSH)
                    return unsafe Int(stream.pointee.avail_out)
                }
                output += chunk[..<(chunk.count - left)]
                if left > 0 { break }
            }
        }
    }

    /// What bytes were packed from, as far as they go; nil for those that are damaged, and for more than `limit`.
    static func unpack(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
        var source = bytes
        var state = unsafe z_stream()
        return unsafe withUnsafeMutablePointer(to: &state) { stream -> [UInt8]? in
            // SAFETY: the stream stays where it is, and zlib is told the lengths of both buffers.
            guard unsafe apus_inflate_init(stream, 15) == Z_OK else { return nil }
            defer { unsafe _ = inflateEnd(stream) }
            return unsafe source.withUnsafeMutableBufferPointer { source -> [UInt8]? in
                unsafe stream.pointee.next_in = source.baseAddress
                unsafe stream.pointee.avail_in = UInt32(source.count)
                var result: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 32768)
                while true {
                    let (status, left) = unsafe chunk.withUnsafeMutableBufferPointer { target -> (Int32, Int) in
                        unsafe stream.pointee.next_out = target.baseAddress
                        unsafe stream.pointee.avail_out = UInt32(target.count)
                        let status = unsafe inflate(stream, Z_SYNC_FLUSH)
                        return unsafe (status, Int(stream.pointee.avail_out))
                    }
                    result += chunk[..<(chunk.count - left)]
                    guard result.count <= limit else { return nil }
                    switch status {
                    case Z_STREAM_END: return result
                    case Z_OK where left == 0: continue
                    case Z_OK, Z_BUF_ERROR: return result
                    default: return nil
                    }
                }
            }
        }
    }
}
