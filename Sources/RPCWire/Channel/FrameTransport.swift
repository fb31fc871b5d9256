public import HostOS
public import TLS

/// What carries the bytes of a channel: a socket, plain or with TLS on it.
public struct FrameTransport: Sendable {
    /// The socket, for events, options and credentials. In non-blocking mode.
    public let socket: Descriptor
    private let session: TLSSession?

    /// A plain socket.
    public init(_ socket: Descriptor) {
        self.socket = socket
        session = nil
    }

    /// A socket on which a handshake was done.
    public init(_ socket: Descriptor, _ session: TLSSession) {
        self.socket = socket
        self.session = session
    }

    /// Whether nobody on the way can read along.
    public var isSecret: Bool { session != nil }

    /// Takes what is there, and descriptors that came with it.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        guard let session else { return unsafe Socket.receive(socket, into: buffer) }
        // SAFETY: the caller's buffer is valid for the call.
        return (unsafe session.receive(into: buffer), [])
    }

    /// Hands over what fits.
    public func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        // SAFETY: the caller's buffer is valid for the call.
        if let session { unsafe session.send(buffer) } else { unsafe Socket.send(socket, buffer) }
    }

    /// Passes a descriptor with a byte of its own; over TLS there is only the byte.
    func pass(_ descriptor: Descriptor) throws(HostError) {
        guard let session else { return try Socket.send(socket, [0], passing: descriptor) }
        let byte: [UInt8] = [0]
        // SAFETY: the array lives for the call.
        if case .failed(let reason) = unsafe byte.withUnsafeBytes({ unsafe session.send($0) }) {
            throw FrameOutput.error(reason)
        }
    }

    /// Ends both directions.
    public func shutDown() {
        session?.sayGoodbye()
        Socket.shutDown(socket)
    }
}
