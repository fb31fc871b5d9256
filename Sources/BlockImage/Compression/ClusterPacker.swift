internal import CZlib
internal import CZstd

/// How a format packs its clusters.
public enum Packing: Sendable {
    /// A raw deflate stream with a window of 4 KiB; what does not shrink is stored as it is.
    case deflate
    /// A zlib stream, whatever its length.
    case zlib
    /// A Zstandard frame; what does not shrink is stored as it is.
    case zstd
}

extension Packing {
    /// `count` bytes of what a packer has packed; nil where it is broken or makes another number of bytes.
    public func unpack(_ input: [UInt8], count: Int) -> [UInt8]? {
        switch self {
        case .deflate: Unpacking.inflate(input, count: count, window: -12)
        case .zlib: Unpacking.inflate(input, count: count, window: 15)
        case .zstd: Unpacking.zstd(input, count: count)
        }
    }
}

/// Packs clusters as formats store them. Keeps the library's state from one to the next: one a thread.
@safe public final class ClusterPacker {
    private let packing: Packing
    private let level: Int32
    private let stream: UnsafeMutablePointer<z_stream>
    private let zstd: OpaquePointer?

    /// A packer of a kind; nil when the library has no memory. `level` is the library's own; nil: its usual one.
    public init?(_ packing: Packing, level: Int32? = nil) {
        self.packing = packing
        self.level = level ?? (packing == .zstd ? 3 : Z_DEFAULT_COMPRESSION)
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        unsafe zstd = packing == .zstd ? ZSTD_createCCtx() : nil
        switch packing {
        case .deflate: if unsafe apus_deflate_init(stream, self.level, -12) != Z_OK { return nil }
        case .zlib: if unsafe apus_deflate_init(stream, self.level, 15) != Z_OK { return nil }
        case .zstd: if unsafe zstd == nil { return nil }
        }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
        unsafe ZSTD_freeCCtx(zstd)
    }

    /// The packed bytes, or nil when they are not fewer.
    public func pack(_ input: [UInt8]) -> [UInt8]? {
        // SAFETY: the array outlives the call.
        unsafe input.withUnsafeBytes { unsafe pack($0) }
    }

    /// The packed bytes, or nil when they are not fewer.
    public func pack(_ input: UnsafeRawBufferPointer) -> [UInt8]? {
        guard input.count > 1, input.count <= 64 << 20 else { return nil }
        var size = 0
        // What deflate cannot shrink grows by less than a thousandth.
        let room = packing == .zlib ? input.count + input.count / 512 + 64 : input.count - 1
        let output = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
            // SAFETY: the libraries write at most the buffer's size and read the input's.
            switch packing {
            case .deflate, .zlib: size = unsafe deflate(input, buffer, room)
            case .zstd:
                let result = unsafe ZSTD_compressCCtx(
                    zstd, buffer.baseAddress, room, input.baseAddress, input.count, level)
                size = ZSTD_isError(result) != 0 ? 0 : result
            }
            filled = size
        }
        return size > 0 ? output : nil
    }

    private func deflate(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableBufferPointer<UInt8>, _ room: Int)
        -> Int
    {
        unsafe deflateReset(stream)
        let source = unsafe input.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = output.baseAddress
        unsafe stream.pointee.avail_out = UInt32(room)
        guard unsafe CZlib.deflate(stream, Z_FINISH) == Z_STREAM_END else { return 0 }
        return unsafe room - Int(stream.pointee.avail_out)
    }
}
