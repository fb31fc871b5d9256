internal import CLinux
internal import HostOS
internal import TLS

/// A socket with TLS on it.
final class NBDSecureSocket: NBDTransport {
    private let socket: NBDSocket
    private let session: TLSSession

    /// Does the handshake on a socket on which nothing else is under way, until `deadline`. With certificates the other
    /// end's must be for `host`. Blocks.
    init(_ socket: NBDSocket, _ credentials: TLSCredentials, host: String?, deadline: UInt64?) throws(NBDFailure) {
        self.socket = socket
        do throws(TLSError) {
            session = try TLSSession(socket.descriptor, credentials, host: host)
            try session.shakeHands(on: socket.descriptor, until: deadline)
        } catch { throw NBDFailure(error.description) }
    }

    var descriptor: Int32 { socket.descriptor }
    /// The name in the other end's certificate.
    var peerName: String? { session.peerName }

    func receive(into base: UnsafeMutableRawPointer, count: Int) -> Descriptor.Transfer {
        // SAFETY: the caller's memory has room for the count.
        unsafe session.receive(into: UnsafeMutableRawBufferPointer(start: base, count: count))
    }

    func send(_ pieces: [iovec]) -> Descriptor.Transfer {
        var total = 0
        for index in unsafe pieces.indices {
            let piece = unsafe pieces[index]
            var done = 0
            while unsafe done < piece.iov_len {
                // SAFETY: the piece lives over the call, and `done` is less than its length.
                let rest = unsafe UnsafeRawBufferPointer(start: piece.iov_base + done, count: piece.iov_len - done)
                let outcome = unsafe session.send(rest)
                guard case .moved(let moved) = outcome else { return total > 0 ? .moved(total) : outcome }
                done += moved
                total += moved
            }
        }
        return .moved(total)
    }

    func shutDown() {
        session.sayGoodbye()
        socket.shutDown()
    }
}

extension NBDChannel {
    /// The name in the other end's certificate, if there is one.
    var peerName: String? { (transport as? NBDSecureSocket)?.peerName }

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
