internal import CCrypto
internal import CLinux
public import HostOS

/// TLS on a socket that does not block, for servers with loops of their own. One thread at a time.
@safe public final class TLSSession {
    /// What a step of the handshake has come to.
    public enum Step: Equatable, Sendable {
        /// It is done.
        case done
        /// It goes on when bytes come, or can be sent.
        case wantsRead
        case wantsWrite
        /// It has failed, and why.
        case failed(String)
    }
    private let credentials: TLSCredentials
    private let session: OpaquePointer
    /// SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN.
    private static let (wantsRead, wantsWrite, system, closed): (Int32, Int32, Int32, Int32) = (2, 3, 5, 6)

    /// The server's side on a descriptor, which stays open until this object has gone. Nil for want of memory, and
    /// for credentials of a client.
    public init?(server credentials: TLSCredentials, descriptor: Int32) {
        guard credentials.isServer, let session = unsafe credentials.makeSession() else { return nil }
        self.credentials = credentials
        unsafe self.session = session
        unsafe _ = apus_SSL_set_fd(session, descriptor)
        unsafe apus_SSL_set_accept_state(session)
    }
    deinit { unsafe apus_SSL_free(session) }

    /// Goes on with the handshake.
    public func shakeHands() -> Step {
        apus_ERR_clear_error()
        let status = unsafe apus_SSL_do_handshake(session)
        if status == 1 { return .done }
        switch unsafe apus_SSL_get_error(session, status) {
        case Self.wantsRead: return .wantsRead
        case Self.wantsWrite: return .wantsWrite
        case Self.system: return .failed("connection closed")
        default: return .failed(TLSCredentials.reason)
        }
    }

    /// Takes bytes that have come.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Descriptor.Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return .moved(0) }
        apus_ERR_clear_error()
        // SAFETY: the caller's buffer has room for its count.
        let moved = unsafe apus_SSL_read(session, base, Int32(clamping: buffer.count))
        return moved > 0 ? .moved(Int(moved)) : outcome(moved)
    }

    /// Sends bytes; after `wouldBlock` the same bytes are to be sent again, wherever they lie then.
    public func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return .moved(0) }
        apus_ERR_clear_error()
        // SAFETY: the caller's buffer has its count of bytes.
        let moved = unsafe apus_SSL_write(session, base, Int32(clamping: buffer.count))
        return moved > 0 ? .moved(Int(moved)) : outcome(moved)
    }

    private func outcome(_ status: Int32) -> Descriptor.Transfer {
        switch unsafe apus_SSL_get_error(session, status) {
        case Self.wantsRead, Self.wantsWrite: .wouldBlock
        case Self.closed: .end
        default: .failed(EIO)
        }
    }
}
