internal import HostOS

/// What carries the bytes of a connection, without waiting.
protocol ClientTransport: AnyObject {
    /// To wait for.
    var descriptor: Descriptor { get }
    /// What is there, with descriptors that came along.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor])
    /// Hands over what fits.
    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer
    /// Passes a descriptor with one byte.
    func pass(_ descriptor: Descriptor) throws(HostError)
    /// What the other end's program said before it ended, where there is one.
    var lastWords: String? { get }
}

/// A socket as it is.
final class SocketTransport: ClientTransport {
    let descriptor: Descriptor

    init(_ socket: Descriptor) { descriptor = socket }

    var lastWords: String? { nil }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        // SAFETY: the caller's buffer is valid for the call.
        unsafe Socket.receive(descriptor, into: buffer)
    }

    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        // SAFETY: as above.
        unsafe Socket.send(descriptor, buffer)
    }

    func pass(_ passed: Descriptor) throws(HostError) { try Socket.send(descriptor, [0], passing: passed) }
}
