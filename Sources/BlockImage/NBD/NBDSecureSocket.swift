internal import CCrypto
internal import CLinux
internal import HostOS
internal import Synchronization

/// A socket with TLS on it.
@safe final class NBDSecureSocket: NBDTransport, @unchecked Sendable {
    // Sendable: the session is used under the lock alone.
    private let socket: NBDSocket
    private let credentials: TLSCredentials
    private let session: OpaquePointer
    private let lock = Mutex(())

    /// SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN.
    private static let (wantsRead, wantsWrite, system, closed): (Int32, Int32, Int32, Int32) = (2, 3, 5, 6)
    /// SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name.
    private static let (setName, hostName): (Int32, Int) = (55, 0)

    /// Does the handshake on a socket on which nothing else is under way, until `deadline`. With certificates the other
    /// end's must be for `host`. Blocks.
    init(_ socket: NBDSocket, _ credentials: TLSCredentials, host: String?, deadline: UInt64?) throws(NBDFailure) {
        guard let session = unsafe credentials.makeSession() else { throw NBDFailure("TLS has no memory") }
        self.socket = socket
        self.credentials = credentials
        unsafe self.session = session
        unsafe _ = apus_SSL_set_fd(session, socket.descriptor)
        if credentials.isServer {
            unsafe apus_SSL_set_accept_state(session)
        } else {
            unsafe apus_SSL_set_connect_state(session)
            if credentials.hasCertificates && credentials.verifies {
                guard let host else { throw NBDFailure("No hostname for certificate validation") }
                guard unsafe apus_SSL_set1_host(session, host) == 1 else { throw NBDFailure("Bad hostname '\(host)'") }
                var name = Array(host.utf8CString)
                // SAFETY: the library copies the text.
                unsafe _ = name.withUnsafeMutableBytes {
                    unsafe apus_SSL_ctrl(session, Self.setName, Self.hostName, $0.baseAddress)
                }
            }
        }
        try shakeHands(deadline)
    }

    deinit { unsafe apus_SSL_free(session) }

    private func shakeHands(_ deadline: UInt64?) throws(NBDFailure) {
        while true {
            apus_ERR_clear_error()
            let status = unsafe apus_SSL_do_handshake(session)
            if status == 1 { return }
            let reason = unsafe apus_SSL_get_error(session, status)
            guard reason == Self.wantsRead || reason == Self.wantsWrite else {
                throw NBDFailure("TLS handshake failed: \(reason == Self.system ? "connection closed" : TLSCredentials.reason)")
            }
            var request = pollfd(
                fd: socket.descriptor, events: Int16(reason == Self.wantsRead ? POLLIN : POLLOUT), revents: 0)
            let now = HostClock.monotonic
            guard deadline.map({ now < $0 }) ?? true else { throw NBDFailure("The other end takes too long") }
            // SAFETY: the request outlives the call.
            _ = unsafe apus_poll(&request, 1, 1000)
        }
    }

    var descriptor: Int32 { socket.descriptor }

    func receive(into base: UnsafeMutableRawPointer, count: Int) -> Descriptor.Transfer {
        lock.withLock { _ in
            apus_ERR_clear_error()
            // SAFETY: the caller's memory has room for the count.
            let moved = unsafe apus_SSL_read(session, base, Int32(clamping: count))
            return moved > 0 ? .moved(Int(moved)) : outcome(moved)
        }
    }

    func send(_ pieces: [iovec]) -> Descriptor.Transfer {
        lock.withLock { _ in
            var total = 0
            for unsafe piece in unsafe pieces {
                var done = 0
                while unsafe done < piece.iov_len {
                    apus_ERR_clear_error()
                    // SAFETY: the piece lives over the call, and `done` is less than its length.
                    let moved = unsafe apus_SSL_write(
                        session, piece.iov_base + done, Int32(clamping: piece.iov_len - done))
                    guard moved > 0 else { return total > 0 ? .moved(total) : outcome(moved) }
                    done += Int(moved)
                    total += Int(moved)
                }
            }
            return .moved(total)
        }
    }

    private func outcome(_ status: Int32) -> Descriptor.Transfer {
        switch unsafe apus_SSL_get_error(session, status) {
        case Self.wantsRead, Self.wantsWrite: .wouldBlock
        case Self.closed: .end
        default: .failed(EIO)
        }
    }

    func shutDown() {
        // A word of goodbye, where there is room for it.
        lock.withLock { _ in
            apus_ERR_clear_error()
            _ = unsafe apus_SSL_shutdown(session)
        }
        socket.shutDown()
    }
}

extension NBDChannel {
    /// The same connection, from now on with TLS. What was queued has gone, and nothing has come that was not taken:
    /// what somebody put there in plain text must not count as said in secret.
    func secured(
        _ credentials: TLSCredentials, host: String?, after reader: NBDReader
    ) throws(NBDFailure) -> NBDChannel {
        guard let socket = transport as? NBDSocket else { throw NBDFailure("TLS is on already") }
        while queuedBytes > 0 {
            guard reader.deadline.map({ HostClock.monotonic < $0 }) ?? true else {
                throw NBDFailure("The other end takes too long")
            }
            _ = wait(receives: false, milliseconds: 1000)
        }
        guard reader.available == 0 else { throw NBDFailure("Bytes before the TLS handshake") }
        let secure = try NBDSecureSocket(socket, credentials, host: host, deadline: reader.deadline)
        do throws(HostError) { return try NBDChannel(secure) } catch { throw NBDFailure("\(error)") }
    }
}
