internal import HostOS
internal import SASL
internal import SystemPackage

/// What waits to be sent, in order: bytes, and descriptors that each travel with one byte of their own.
struct FrameOutput {
    private enum Item {
        case bytes([UInt8])
        case descriptor(Descriptor)
    }

    private var items: [Item] = []
    private var first = 0
    /// How much of the first item is sent.
    private var offset = 0
    /// Bytes that wait.
    private(set) var count = 0

    /// What bytes go through that are appended from now on.
    var layer: SASLSession?
    private var failure: Int32?

    var isEmpty: Bool { first == items.count && failure == nil }

    mutating func append(_ frame: Frame) {
        var bytes = frame.bytes
        if let layer {
            guard let secured = try? layer.encode(bytes) else {
                failure = Errno.ioError.rawValue
                return
            }
            bytes = secured
        }
        items.append(.bytes(bytes))
        count += bytes.count
        guard Frame.carriesDescriptors(frame.header.type) else { return }
        for descriptor in frame.descriptors {
            items.append(.descriptor(descriptor))
            count += 1
        }
    }

    /// Sends what the kernel takes now. `moved(0)`: everything is sent.
    mutating func flush(to transport: FrameTransport) -> Descriptor.Transfer {
        if let failure { return Descriptor.Transfer.failed(failure) }
        while first < items.count {
            switch items[first] {
            case .bytes(let bytes):
                let result = send(bytes, transport)
                guard case .moved = result else { return result }
            case .descriptor(let descriptor):
                do throws(HostError) {
                    try transport.pass(descriptor)
                    count -= 1
                    advance()
                } catch {
                    return error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable
                        ? Descriptor.Transfer.wouldBlock : Descriptor.Transfer.failed(error.errno.rawValue)
                }
            }
        }
        return Descriptor.Transfer.moved(0)
    }

    private mutating func send(_ bytes: [UInt8], _ transport: FrameTransport) -> Descriptor.Transfer {
        // SAFETY: the array lives for the call, and the offset is within it.
        let result = unsafe bytes.withUnsafeBytes { buffer in
            unsafe transport.send(UnsafeRawBufferPointer(rebasing: buffer.dropFirst(offset)))
        }
        guard case .moved(let moved) = result else { return result }
        offset += moved
        count -= moved
        if offset == bytes.count { advance() }
        return result
    }

    private mutating func advance() {
        offset = 0
        first += 1
        if first == items.count || first > 256 {
            items.removeFirst(first)
            first = 0
        }
    }

    static func error(_ number: Int32) -> HostError { HostError("use a client's connection", Errno(rawValue: number)) }
}
