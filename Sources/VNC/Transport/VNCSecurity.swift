public import HostOS

/// What puts TLS on viewers' connections: certificates, which the machine has. Any thread.
public protocol VNCSecurity: AnyObject, Sendable {
    /// TLS on a socket whose handshake has not begun; nil where there can be none.
    func makeSession(_ socket: Descriptor) -> (any VNCSecureSession)?
}

/// TLS on one socket. Used on the server's thread alone.
public protocol VNCSecureSession: AnyObject {
    /// Goes on with the handshake: true once it is done. Throws where it has failed.
    func shakeHands() throws(VNCError) -> (isDone: Bool, wantsWrite: Bool)
    /// Takes bytes that have come, and sends bytes, as a socket does.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Descriptor.Transfer
    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer
}
