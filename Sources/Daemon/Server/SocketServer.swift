internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// The sockets that clients look for, all of them leading to the same daemon.
final class SocketServer: Sendable {
    private let paths: Mutex<[String]> = Mutex([])
    private let sources: Mutex<[EventSource]> = Mutex([])

    /// The one daemon of old, and those that it was divided into: clients ask for either.
    static let services = [
        "libvirt", "virtqemud", "virtnetworkd", "virtstoraged", "virtsecretd", "virtnodedevd", "virtinterfaced",
        "virtnwfilterd",
    ]

    /// Listens. A path that another daemon listens on is an error.
    ///
    /// - Parameter given: sockets that somebody listens on for us, by their paths; they stay when the daemon goes.
    init(_ core: DaemonCore, given: [String: Descriptor] = [:]) throws(HostError) {
        for service in SocketServer.services {
            for (suffix, readOnly) in [("-sock", false), ("-sock-ro", true), ("-admin-sock", false)] {
                let path = "\(core.paths.sockets)/\(service)\(suffix)"
                let isRoot = HostIdentity.userID == 0
                // Whoever may reach a socket is let in: root's own, unless read-only, or where polkit says who is.
                let isOpen = isRoot && (readOnly || core.access.local != .own && suffix == "-sock")
                if let listener = given[path] {
                    try HostFile.setPermissions(path, isOpen ? 0o777 : 0o700)
                    let source = try core.loop.add(listener, EventLoop.Events.read) { _ in
                        SocketServer.accept(core, listener, readOnly)
                    }
                    sources.withLock { $0.append(source) }
                    continue
                }
                let listener = try Socket.listen(SocketAddress.unix(path), backlog: 512)
                try HostFile.setPermissions(path, isOpen ? 0o777 : 0o700)
                paths.withLock { $0.append(path) }
                let source = try core.loop.add(listener, EventLoop.Events.read) { _ in
                    SocketServer.accept(core, listener, readOnly)
                }
                sources.withLock { $0.append(source) }
            }
        }
    }

    private static func accept(_ core: DaemonCore, _ listener: Descriptor, _ readOnly: Bool) {
        do throws(HostError) {
            while let socket = try Socket.accept(listener) {
                let origin = ClientOrigin.local(try? PeerCredentials(of: socket))
                core.accept(FrameTransport(socket), origin, readOnly: readOnly)
            }
        } catch {
            // Out of descriptors, most likely: those who wait are served when some are free again.
            core.log.warning("\(error)")
        }
    }

    /// Listens no more and takes the sockets away.
    func close() {
        for source in sources.withLock({ $0 }) { source.remove() }
        for path in paths.withLock({ $0 }) { try? HostFile.remove(path) }
    }
}
