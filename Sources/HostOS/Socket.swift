internal import CLinux
internal import SystemPackage

/// Stream and datagram sockets. All of them are made in non-blocking mode.
public enum Socket {
    /// A socket that listens. The path of a Unix socket is freed first if a dead socket lies there.
    public static func listen(_ address: SocketAddress, backlog: Int32 = 1) throws(HostError) -> Descriptor {
        let socket = try make(address, datagram: false)
        if address.family == AF_UNIX {
            try removeStale(address)
        } else {
            _ = apus_socket_option(socket.rawValue, SOL_SOCKET, SO_REUSEADDR, 1)
        }
        guard unsafe apus_bind(socket.rawValue, address.bytes, UInt32(address.bytes.count)) == 0,
            apus_listen(socket.rawValue, backlog) == 0
        else { throw HostError(reason: apus_errno(), "listen on \(address)") }
        return socket
    }

    /// A socket that connects, and whether it already has. If not, it is writable when the attempt has ended; then ask
    /// `connectResult`.
    public static func startConnecting(
        _ address: SocketAddress
    ) throws(HostError) -> (socket: Descriptor, connected: Bool) {
        let socket = try make(address, datagram: false)
        if unsafe apus_connect(socket.rawValue, address.bytes, UInt32(address.bytes.count)) == 0 {
            return (socket, true)
        }
        let reason = apus_errno()
        guard reason == EINPROGRESS || reason == EINTR else { throw HostError(reason: reason, "connect to \(address)") }
        return (socket, false)
    }

    /// Whether a started attempt succeeded.
    public static func connectResult(_ socket: Descriptor, _ address: SocketAddress) throws(HostError) {
        let reason = apus_socket_error(socket.rawValue)
        if reason != 0 { throw HostError(reason: reason, "connect to \(address)") }
    }

    /// A connected socket; waits until it is or the kernel gives up.
    public static func connect(_ address: SocketAddress) throws(HostError) -> Descriptor {
        let (socket, connected) = try startConnecting(address)
        if !connected {
            _ = socket.wait(for: [.write], milliseconds: -1)
            try connectResult(socket, address)
        }
        return socket
    }

    /// The first of several addresses that connects.
    public static func connect(anyOf addresses: [SocketAddress]) throws(HostError) -> Descriptor {
        var failure = HostError(reason: EADDRNOTAVAIL, "connect to no address")
        for address in addresses {
            do { return try connect(address) } catch { failure = error }
        }
        throw failure
    }

    /// A connection that a listening socket has waiting; nil if there is none.
    public static func accept(_ listener: Descriptor) throws(HostError) -> Descriptor? {
        let raw = apus_accept(listener.rawValue)
        if raw >= 0 {
            let socket = Descriptor(owning: raw)
            try socket.setNonBlocking()
            return socket
        }
        let reason = apus_errno()
        // A connection that ended while it waited is none.
        if reason == EAGAIN || reason == EWOULDBLOCK || reason == ECONNABORTED { return nil }
        throw HostError(reason: reason, "accept a connection")
    }

    /// A datagram socket bound to `local` that talks to `remote` alone.
    public static func datagram(local: SocketAddress?, remote: SocketAddress?) throws(HostError) -> Descriptor {
        guard let named = remote ?? local else { throw HostError(reason: EINVAL, "make a datagram socket") }
        let socket = try make(named, datagram: true)
        if let local, unsafe apus_bind(socket.rawValue, local.bytes, UInt32(local.bytes.count)) != 0 {
            throw HostError(reason: apus_errno(), "bind to \(local)")
        }
        if let remote, unsafe apus_connect(socket.rawValue, remote.bytes, UInt32(remote.bytes.count)) != 0 {
            throw HostError(reason: apus_errno(), "connect to \(remote)")
        }
        return socket
    }

    /// Takes over a stream socket that somebody else made: one that listens, or one that is connected. Anything else
    /// is an error, and stays its owner's.
    public static func adopt(_ number: Int32, listening: Bool) throws(HostError) -> Descriptor {
        let purpose = listening ? "accept connections from" : "use as a connection"
        func option(_ name: Int32) throws(HostError) -> Int32 {
            var value: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            // SAFETY: the kernel writes at most the four bytes of the value.
            guard unsafe getsockopt(number, SOL_SOCKET, name, &value, &length) == 0 else {
                throw HostError(reason: apus_errno(), "\(purpose) descriptor \(number)")
            }
            return value
        }
        // SOCK_STREAM is 1.
        guard try option(SO_TYPE) == 1 else { throw HostError(reason: EPROTOTYPE, "\(purpose) descriptor \(number)") }
        guard try (option(SO_ACCEPTCONN) != 0) == listening else {
            throw HostError(reason: listening ? EINVAL : ENOTCONN, "\(purpose) descriptor \(number)")
        }
        if !listening { _ = try peerAddress(Descriptor(borrowing: number)) }
        let flags = apus_fcntl(number, F_GETFD, 0)
        guard flags >= 0, apus_fcntl(number, F_SETFD, Int(flags | FD_CLOEXEC)) >= 0 else {
            throw HostError(reason: apus_errno(), "\(purpose) descriptor \(number)")
        }
        let socket = Descriptor(owning: number)
        try socket.setNonBlocking()
        return socket
    }

    /// The address that a socket is bound to.
    public static func localAddress(_ socket: Descriptor) throws(HostError) -> SocketAddress {
        var bytes = [UInt8](repeating: 0, count: 128)
        var length: UInt32 = 128
        // SAFETY: the kernel writes at most `length` bytes.
        guard unsafe apus_socket_name(socket.rawValue, &bytes, &length) == 0 else {
            throw HostError(reason: apus_errno(), "tell the address of a socket")
        }
        return SocketAddress(internet: Array(bytes.prefix(Int(min(length, 128)))))
    }

    /// The address that a connected socket's other end is bound to.
    public static func peerAddress(_ socket: Descriptor) throws(HostError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the kernel writes at most `length` bytes; all socket addresses begin alike.
        let bytes = unsafe withUnsafeMutablePointer(to: &storage) { pointer -> [UInt8]? in
            let status = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe getpeername(socket.rawValue, __SOCKADDR_ARG(__sockaddr__: address), &length)
            }
            guard status == 0 else { return nil }
            let raw = unsafe UnsafeRawBufferPointer(start: pointer, count: MemoryLayout<sockaddr_storage>.size)
            return unsafe Array(raw.prefix(Int(length)))
        }
        guard let bytes else { throw HostError(reason: apus_errno(), "tell the address of a socket's other end") }
        return SocketAddress(internet: bytes)
    }

    /// Sends small writes of a TCP socket at once.
    public static func setNoDelay(_ socket: Descriptor) {
        _ = apus_socket_option(socket.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// Sends what fits; neither waits nor raises SIGPIPE.
    public static func send(_ socket: Descriptor, _ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return Descriptor.Transfer.moved(0) }
        // SAFETY: the caller's buffer is valid for the call.
        return Descriptor.transfer(unsafe apus_send(socket.rawValue, base, buffer.count), zeroIsEnd: false)
    }

    /// Sends bytes with a descriptor attached (SCM_RIGHTS).
    public static func send(_ socket: Descriptor, _ bytes: [UInt8], passing: Descriptor) throws(HostError) {
        guard !bytes.isEmpty else { throw HostError(reason: EINVAL, "pass a descriptor without bytes") }
        // SAFETY: the array lives for the call.
        guard unsafe apus_send_descriptor(socket.rawValue, bytes, bytes.count, passing.rawValue) == bytes.count else {
            throw HostError(reason: apus_errno(), "pass a descriptor")
        }
    }

    /// Sends what fits with up to 16 descriptors attached, which go with the first byte. Neither waits nor raises
    /// SIGPIPE.
    public static func send(
        _ socket: Descriptor, _ bytes: ArraySlice<UInt8>, passing: [Descriptor]
    ) -> Descriptor.Transfer {
        guard !bytes.isEmpty else { return Descriptor.Transfer.moved(0) }
        let numbers = passing.map(\.rawValue)
        // SAFETY: both arrays live for the call.
        return unsafe bytes.withUnsafeBytes { buffer in
            Descriptor.transfer(
                unsafe apus_send_descriptors(
                    socket.rawValue, buffer.baseAddress, buffer.count, numbers, numbers.count),
                zeroIsEnd: false)
        }
    }

    /// Receives what is there, and the descriptors that came with it (at most 16 in one call).
    public static func receive(
        _ socket: Descriptor, into buffer: UnsafeMutableRawBufferPointer
    ) -> (Descriptor.Transfer, [Descriptor]) {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return (Descriptor.Transfer.moved(0), []) }
        var passed = [Int32](repeating: -1, count: 16)
        var count: Int32 = 0
        // SAFETY: the caller's buffer is valid for the call, the array holds the 16 of the limit.
        let result = unsafe apus_receive(socket.rawValue, base, buffer.count, &passed, 16, &count)
        let transfer = Descriptor.transfer(result)
        return (transfer, passed.prefix(Int(max(0, count))).map { Descriptor(owning: $0) })
    }

    /// Ends what is written: the other end sees it after what was sent before.
    public static func endOutput(_ socket: Descriptor) { _ = apus_shutdown(socket.rawValue, Int32(SHUT_WR)) }

    /// Ends both directions: the other end sees the end of the stream, whoever else owns the descriptor.
    public static func shutDown(_ socket: Descriptor) { _ = apus_shutdown(socket.rawValue, Int32(SHUT_RDWR)) }

    private static func make(_ address: SocketAddress, datagram: Bool) throws(HostError) -> Descriptor {
        let raw = apus_socket(address.family, datagram ? 1 : 0)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make a socket for \(address)") }
        let socket = Descriptor(owning: raw)
        try socket.setNonBlocking()
        return socket
    }

    /// Removes a Unix socket that nobody listens on any more. Anything else at the path makes `bind` fail.
    private static func removeStale(_ address: SocketAddress) throws(HostError) {
        guard unsafe address.description.withCString({ unsafe apus_is_socket($0) }) != 0 else { return }
        let probe = try make(address, datagram: false)
        let status = unsafe apus_connect(probe.rawValue, address.bytes, UInt32(address.bytes.count))
        if status != 0, apus_errno() == ECONNREFUSED { try HostFile.remove(address.description) }
    }
}

/// A pseudo-terminal, of which this process holds the master.
public enum PseudoTerminal {
    /// Opens one in raw mode. The master is in non-blocking mode; it reports a hang-up while nobody has `path` open.
    public static func open() throws(HostError) -> (master: Descriptor, path: String) {
        var path = [CChar](repeating: 0, count: 128)
        // SAFETY: the call writes at most the given size, with a final zero.
        let raw = unsafe apus_pty(&path, path.count)
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "open a pseudo-terminal") }
        let master = Descriptor(owning: raw)
        try master.setNonBlocking()
        return (master, String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
