internal import HostOS
internal import RPCWire
internal import Synchronization

/// The way of a machine's state to another host.
enum StateWay: Sendable {
    /// A socket that is connected with where it goes.
    case socket(Descriptor)
    /// Through the connection between the daemons.
    case tunnel(StateTunnel)
    /// The machine connects for itself, as often as it wants: to where it goes, or to what brings it there.
    case address(String, SocketRelay?)

    /// Connects to a place.
    init(to place: MigrationPlace) throws(LibvirtError) {
        do throws(HostError) {
            let socket = try Socket.connect(to: place)
            // The machine's program chooses for itself whether it waits.
            self = .socket(socket)
        } catch { throw LibvirtError.operationFailed("job 'migration out' failed: \(error)") }
    }

    /// Gives the machine its end; the address of that in the machine's words.
    func open(_ give: (Descriptor) throws(LibvirtError) -> Void) throws(LibvirtError) -> String {
        switch self {
        case .socket(let socket): try give(socket)
        case .tunnel(let tunnel): try tunnel.open(give)
        case .address(let address, _): return address
        }
        return "fd:migrate"
    }

    /// Everything has been sent, or (not `whole`) nothing more will be.
    func close(whole: Bool) throws(LibvirtError) {
        switch self {
        case .socket: break
        case .tunnel(let tunnel): try tunnel.close(whole: whole)
        // What has been sent may be on its way still: the relay goes with the migration.
        case .address(_, let relay): if !whole { relay?.close() }
        }
    }
}

extension MigrationPlace {
    /// In QEMU's words.
    var address: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let place): "tcp:\(place.host.contains(":") ? "[\(place.host)]" : place.host):\(place.port)"
        }
    }
}

/// A machine's state on its way through the connection between two daemons.
final class StateTunnel: Sendable {
    private struct State {
        var thread: HostThread?
        var failure: LibvirtError?
        var input: Descriptor?
        var isOver = false
    }

    private let peer: PeerDaemon
    private let header: RPCHeader
    private let state = Mutex(State())

    /// - Parameter header: of the call that opened the stream.
    init(_ peer: PeerDaemon, _ header: RPCHeader) {
        self.peer = peer
        self.header = header
    }

    func open(_ give: (Descriptor) throws(LibvirtError) -> Void) throws(LibvirtError) {
        let input: Descriptor
        let output: Descriptor
        do throws(HostError) { (input, output) = try DescriptorPair.pipe() } catch { throw .system("\(error)") }
        try give(output)
        do throws(HostError) {
            let thread = try HostThread(name: "tunnel") { self.run(input) }
            state.withLock { $0.thread = thread }
        } catch { throw .system("\(error)") }
    }

    private func run(_ input: Descriptor) {
        while !state.withLock({ $0.isOver }) {
            guard !input.wait(for: [.read], milliseconds: 1000).isEmpty else { continue }
            guard let data = try? input.readAvailable(limit: RPCLimits.streamChunk), !data.isEmpty else { return }
            do throws(LibvirtError) { try peer.sendStream(header, data) } catch {
                // The machine finds nobody who reads, and goes on here.
                return state.withLock { $0.failure = error }
            }
        }
    }

    func close(whole: Bool) throws(LibvirtError) {
        if !whole { state.withLock { $0.isOver = true } }
        let thread = state.withLock { $0.thread.take() }
        thread?.join()
        if let failure = state.withLock({ $0.failure }) { throw failure }
        try peer.endStream(header, whole: whole)
    }
}
