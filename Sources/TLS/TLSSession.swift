internal import CCrypto
internal import CLinux
public import HostOS
internal import Synchronization

/// TLS on one socket, which stays its owner's. It never waits. Any thread; one may receive while another sends.
@safe public final class TLSSession: @unchecked Sendable {
    // Sendable: the session is used under the lock alone.
    private let credentials: TLSCredentials
    private let session: OpaquePointer
    private let lock = Mutex(())

    /// SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN.
    private static let (wantsRead, wantsWrite, system, closed): (Int32, Int32, Int32, Int32) = (2, 3, 5, 6)
    /// XN_FLAG_RFC2253 without XN_FLAG_DN_REV and ASN1_STRFLGS_ESC_MSB: the parts are in the certificate's order, as
    /// QEMU has them (by GnuTLS), and letters beyond ASCII are UTF-8.
    private static let nameFormat: UInt = 0x0101_0313
    /// SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name.
    private static let (setName, hostName): (Int32, Int) = (55, 0)

    /// How far a handshake is.
    public enum Handshake: Sendable {
        /// Both ends have proved who they are.
        case done
        /// It goes on when the socket can be read, or written.
        case wantsRead, wantsWrite
    }

    /// A session on a connected socket in non-blocking mode, which lives longer. With certificates a client's other end
    /// must be `host`, and prove it.
    public init(_ descriptor: Int32, _ credentials: TLSCredentials, host: String?) throws(TLSError) {
        guard let session = unsafe credentials.makeSession() else { throw TLSError("TLS has no memory") }
        self.credentials = credentials
        unsafe self.session = session
        unsafe _ = apus_SSL_set_fd(session, descriptor)
        guard !credentials.isServer else {
            unsafe apus_SSL_set_accept_state(session)
            return
        }
        unsafe apus_SSL_set_connect_state(session)
        if credentials.hasCertificates && credentials.verifies {
            guard let host else { throw TLSError("No hostname for certificate validation") }
            guard unsafe apus_SSL_set1_host(session, host) == 1 else { throw TLSError("Bad hostname '\(host)'") }
            var name = Array(host.utf8CString)
            // SAFETY: the library copies the text.
            unsafe _ = name.withUnsafeMutableBytes {
                unsafe apus_SSL_ctrl(session, Self.setName, Self.hostName, $0.baseAddress)
            }
        }
    }

    deinit { unsafe apus_SSL_free(session) }

    /// Goes on with the handshake. An error is its end.
    public func shakeHands() throws(TLSError) -> Handshake {
        let (status, reason, words) = lock.withLock { _ -> (Int32, Int32, String) in
            apus_ERR_clear_error()
            let status = unsafe apus_SSL_do_handshake(session)
            if status == 1 { return (1, 0, "") }
            let reason = unsafe apus_SSL_get_error(session, status)
            return (status, reason, reason == Self.system ? "connection closed" : TLSCredentials.reason)
        }
        if status == 1 { return .done }
        if reason == Self.wantsRead { return .wantsRead }
        if reason == Self.wantsWrite { return .wantsWrite }
        throw TLSError("TLS handshake failed: \(words)")
    }

    /// Does the whole handshake on the socket, which is `descriptor`, by the monotonic clock's `deadline`. Blocks.
    public func shakeHands(on descriptor: Int32, until deadline: UInt64?) throws(TLSError) {
        while true {
            let state = try shakeHands()
            if case .done = state { return }
            guard deadline.map({ HostClock.monotonic < $0 }) ?? true else {
                throw TLSError("The other end takes too long")
            }
            var wantsWrite = false
            if case .wantsWrite = state { wantsWrite = true }
            var request = pollfd(fd: descriptor, events: Int16(wantsWrite ? POLLOUT : POLLIN), revents: 0)
            // SAFETY: the request outlives the call.
            _ = unsafe apus_poll(&request, 1, 1000)
        }
    }

    /// Takes what is there.
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Descriptor.Transfer {
        guard buffer.count > 0 else { return .moved(0) }
        return lock.withLock { _ in
            apus_ERR_clear_error()
            // SAFETY: the caller's memory has room for the count.
            let moved = unsafe apus_SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count))
            return moved > 0 ? .moved(Int(moved)) : outcome(moved)
        }
    }

    /// Hands over what fits. What did not fit is tried again with the same bytes first.
    public func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        guard buffer.count > 0 else { return .moved(0) }
        return lock.withLock { _ in
            apus_ERR_clear_error()
            // SAFETY: the caller's memory has the count's bytes over the call.
            let moved = unsafe apus_SSL_write(session, buffer.baseAddress, Int32(clamping: buffer.count))
            return moved > 0 ? .moved(Int(moved)) : outcome(moved)
        }
    }

    private func outcome(_ status: Int32) -> Descriptor.Transfer {
        switch unsafe apus_SSL_get_error(session, status) {
        case Self.wantsRead, Self.wantsWrite: .wouldBlock
        case Self.closed: .end
        default: .failed(EIO)
        }
    }

    /// The name (RFC 4514, but in the certificate's order) in the certificate that the other end has proved to be its
    /// own; nil without one.
    public var peerName: String? {
        lock.withLock { _ in
            guard let certificate = unsafe apus_SSL_get1_peer_certificate(session) else { return nil }
            defer { unsafe apus_X509_free(certificate) }
            guard let text = unsafe apus_BIO_new(apus_BIO_s_mem()) else { return nil }
            defer { unsafe _ = apus_BIO_free(text) }
            guard unsafe apus_X509_NAME_print_ex(text, apus_X509_get_subject_name(certificate), 0, Self.nameFormat) >= 0
            else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4096)
            // SAFETY: the library stores at most the count given.
            let count = unsafe bytes.withUnsafeMutableBytes {
                unsafe apus_BIO_read(text, $0.baseAddress, Int32($0.count))
            }
            guard count > 0, Int(count) < bytes.count else { return nil }
            return String(validating: bytes.prefix(Int(count)), as: UTF8.self).map(Self.withEmail)
        }
    }

    /// A name in which an address is called what GnuTLS calls it.
    private static func withEmail(_ name: String) -> String {
        var (result, rest, isStart) = ("", name[...], true)
        while let letter = rest.first {
            if isStart, rest.hasPrefix("emailAddress=") {
                result += "EMAIL="
                rest = rest.dropFirst(13)
            } else {
                result.append(letter)
                rest = rest.dropFirst()
                // What is escaped begins nothing.
                if letter == "\\", let next = rest.popFirst() { result.append(next) }
            }
            isStart = letter == "," || letter == "+"
        }
        return result
    }

    /// A word of goodbye, where there is room for it.
    public func sayGoodbye() {
        lock.withLock { _ in
            apus_ERR_clear_error()
            _ = unsafe apus_SSL_shutdown(session)
        }
    }
}
