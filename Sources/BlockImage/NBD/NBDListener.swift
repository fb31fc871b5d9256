internal import CLinux
public import HostOS
internal import SystemPackage
public import TLS

/// A server with the thread that takes its clients: what a running machine exports. Any thread.
public final class NBDListener: Sendable {
    /// What is offered.
    public let server: NBDServer
    private let end: EventCounter
    private let thread: HostThread
    private let path: String?

    /// Listens, and takes at most `most` clients at a time (0: any number); with credentials for TLS alone.
    public init(
        _ address: NBDAddress, most: Int, credentials: TLSCredentials? = nil, authorization: BlockAuthorization? = nil
    ) throws(HostError) {
        let socket: Descriptor
        switch address {
        case .unix(let path):
            socket = try Socket.listen(try SocketAddress.unix(path), backlog: 128)
            self.path = path
        case .tcp(let host, let port):
            guard let found = try SocketAddress.resolve(host: host, port: port, listening: true).first else {
                throw HostError("listen", Errno.addressNotAvailable)
            }
            socket = try Socket.listen(found, backlog: 128)
            path = nil
        }
        let server = try NBDServer([], credentials: credentials, authorization: authorization)
        let end = try EventCounter()
        (self.server, self.end) = (server, end)
        thread = try HostThread(name: "nbd-server", stackSize: 512 << 10) {
            while true {
                var requests = [
                    pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: end.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                ]
                // SAFETY: the array outlives the call.
                _ = unsafe apus_poll(&requests, 2, -1)
                if requests[1].revents != 0 { return }
                guard requests[0].revents != 0, let client = try? Socket.accept(socket) else { continue }
                // Beyond the limit a client is let go.
                if most == 0 || server.clientCount < most { try? server.serve(client) }
            }
        }
    }

    /// Takes no more clients, and ends the connections of those that there are.
    public func stop() {
        end.signal()
        thread.join()
        server.close()
        if let path { try? HostFile.remove(path) }
    }
}
