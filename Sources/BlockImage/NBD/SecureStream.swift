internal import CLinux
public import HostOS

/// A connected stream socket with TLS on it, for those whose protocol is not NBD's. One thread may read while another
/// writes.
public final class SecureStream: Sendable {
    private let socket: NBDSecureSocket

    /// Does the handshake on a socket on which nothing else is under way. With certificates a server's must be for
    /// `host`. Blocks, at most until `deadline` on the monotonic clock, in nanoseconds.
    public init(
        _ socket: Descriptor, _ credentials: TLSCredentials, host: String?, deadline: UInt64
    ) throws(BlockError) {
        do throws(NBDFailure) {
            self.socket = try NBDSecureSocket(NBDSocket(socket), credentials, host: host, deadline: deadline)
        } catch { throw .message("\(error)") }
    }

    /// Takes what is there.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Descriptor.Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return .moved(0) }
        // SAFETY: the caller's buffer.
        return unsafe socket.receive(into: base, count: buffer.count)
    }

    /// Hands over what fits. After `wouldBlock` the same bytes have to come again.
    public func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return .moved(0) }
        // SAFETY: the library only reads the caller's buffer.
        let piece = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: base), iov_len: buffer.count)
        return unsafe socket.send([piece])
    }
}
