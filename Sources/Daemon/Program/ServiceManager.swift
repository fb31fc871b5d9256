internal import HostOS
internal import SystemPackage

/// What started the daemon, where that is a service manager: it hands over sockets that it listens on already
/// (sd_listen_fds(3)), and is told when clients can come (sd_notify(3)).
final class ServiceManager: Sendable {
    /// Listening Unix sockets, by their paths.
    let listeners: [String: Descriptor]

    /// Takes the sockets over. To be called once in a process, before others are opened. Those that are no listening Unix
    /// sockets stay closed to everybody.
    init() throws(HostError) {
        var found: [String: Descriptor] = [:]
        let isOurs = HostIdentity.environment("LISTEN_PID").flatMap { Int32($0) } == HostIdentity.processID
        if isOurs, let count = HostIdentity.environment("LISTEN_FDS").flatMap({ Int32($0) }), (1...1000).contains(count)
        {
            for number in 3..<3 + count {
                let socket = try Socket.adopt(number, listening: true)
                guard let path = try Socket.localAddress(socket).path else {
                    throw HostError("accept connections from descriptor \(number)", .addressFamilyNotSupported)
                }
                found[path] = socket
            }
        }
        listeners = found
    }

    /// Tells how things are: `READY=1`, `STOPPING=1`. Nothing happens where nobody wants to know.
    static func tell(_ state: String) {
        guard let path = HostIdentity.environment("NOTIFY_SOCKET"), path.hasPrefix("/"),
            let address = try? SocketAddress.unix(path),
            let socket = try? Socket.datagram(local: nil, remote: address)
        else { return }
        try? socket.writeAll(Array(state.utf8))
    }
}
