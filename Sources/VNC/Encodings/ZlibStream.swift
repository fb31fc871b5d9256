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
}
