public import HostOS

/// What ends a connection: after it no byte of the stream can be trusted.
public enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The length word is below the header's or above the protocol's limit.
    case length(UInt32)
    /// A frame says that it has more descriptors than are allowed.
    case descriptorCount(UInt32)
    /// A descriptor was announced and a byte came without one.
    case missingDescriptor
    /// More descriptors came than any frame announced.
    case unexpectedDescriptors
    /// Bytes came ahead of the layer that keeps the connection secret.
    case unsecured

    /// One line, with the number at fault.
    public var description: String {
        switch self {
        case .length(let length): "A frame says that it has \(length) bytes"
        case .descriptorCount(let count): "A frame says that it has \(count) descriptors"
        case .missingDescriptor: "A frame came without the descriptors that it announced"
        case .unsecured: "Bytes came before the connection was secured"
        case .unexpectedDescriptors: "Descriptors came that no frame announced"
        }
    }
}

/// Cuts a stream of bytes into frames. Takes memory for what came, not for what was announced.
///
/// After a frame with descriptors, the stream holds one byte for each, outside the frame's length; the kernel hands
/// the descriptors over with those bytes, but may join a byte to plain ones before it. So they are only counted.
public struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    /// How far `buffer` was used.
    private var start = 0
    private var arrived: [Descriptor] = []

    /// A decoder at the beginning of a stream.
    public init() {}

    /// How many bytes wait for the rest of their frame.
    public var pendingBytes: Int { buffer.count - start }

    /// Takes what one receive gave.
    public mutating func feed(_ bytes: some Collection<UInt8>, descriptors: [Descriptor] = []) {
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 16)
            start = 0
        } else if start > 1 << 16 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
        arrived += descriptors
    }

    /// The next whole frame; nil until more bytes come. After an error the decoder is of no more use.
    public mutating func next() throws(FrameError) -> Frame? {
        guard pendingBytes >= 4 else { return nil }
        let length = word(at: start)
        guard length >= UInt32(RPCLimits.header), length <= UInt32(RPCLimits.message) else {
            throw FrameError.length(length)
        }
        guard pendingBytes >= Int(length) else {
            // What came with a frame that is not whole cannot be more than it and the next may have.
            if arrived.count > 2 * RPCLimits.descriptors { throw FrameError.unexpectedDescriptors }
            return nil
        }
        var reader = XDRReader(buffer, at: start + 4)
        guard let header = try? RPCHeader(from: &reader) else { throw FrameError.length(length) }
        let end = start + Int(length)
        guard Frame.carriesDescriptors(header.type) else {
            defer { start = end }
            return Frame(header, payload: Array(buffer[start + RPCLimits.header..<end]))
        }
        return try frameWithDescriptors(header, end)
    }

    private mutating func frameWithDescriptors(_ header: RPCHeader, _ end: Int) throws(FrameError) -> Frame? {
        let body = start + RPCLimits.header
        guard end - body >= 4 else { throw FrameError.length(UInt32(end - start)) }
        let count = word(at: body)
        guard count <= UInt32(RPCLimits.descriptors) else { throw FrameError.descriptorCount(count) }
        guard buffer.count - end >= Int(count) else { return nil }
        guard arrived.count >= Int(count) else { throw FrameError.missingDescriptor }
        let own = Array(arrived.prefix(Int(count)))
        arrived.removeFirst(Int(count))
        defer { start = end + Int(count) }
        return Frame(header, payload: Array(buffer[body + 4..<end]), descriptors: own)
    }

    private func word(at offset: Int) -> UInt32 {
        buffer[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
