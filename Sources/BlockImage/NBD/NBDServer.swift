public import HostOS
internal import CLinux
internal import Synchronization
public import TLS

/// Serves exports to NBD clients: each on a thread of its own. Any thread.
public final class NBDServer: Sendable {
    private struct State {
        var clients: [UInt64: NBDChannel] = [:]
        var next: UInt64 = 0
        var served = 0
        var exports: [NBDExport] = []
        /// Which export each client has chosen.
        var chosen: [UInt64: String] = [:]
    }

    /// What is offered to clients that come from now on.
    public var exports: [NBDExport] { state.withLock { $0.exports } }
    private let state = Mutex(State())
    /// What clients have to prove and are shown; nil: no TLS.
    let credentials: TLSCredentials?
    /// Which of them may come, by the names in their certificates; nil: all.
    let authorization: BlockAuthorization?
    /// Readable when a client has gone.
    public let clientEnded: EventCounter

    /// A server of exports whose names differ; with credentials for TLS alone.
    public init(
        _ exports: [NBDExport], credentials: TLSCredentials? = nil, authorization: BlockAuthorization? = nil
    ) throws(HostError) {
        self.authorization = authorization
        self.credentials = credentials
        clientEnded = try EventCounter()
        state.withLock { $0.exports = exports }
    }

    /// Offers one more, whose name no other has.
    public func add(_ export: NBDExport) { state.withLock { $0.exports.append(export) } }
    /// Offers one no more. Who uses it already goes on. False where there is none.
    public func remove(_ name: String) -> Bool {
        state.withLock { state in
            let count = state.exports.count
            state.exports.removeAll { $0.name == name }
            return state.exports.count < count
        }
    }

    /// Takes the leave to write to some nodes from every client, and offers those of them no more that could be written:
    /// they are somebody else's from now on.
    public func endWriting(to isTaken: (any BlockNode) -> Bool) {
        let lost = state.withLock { $0.exports }.filter { !$0.isReadOnly && isTaken($0.node) }
        for export in lost {
            export.endWriting()
            _ = remove(export.name)
        }
    }

    /// How many clients use an export.
    public func clientCount(of name: String) -> Int { state.withLock { $0.chosen.values.count { $0 == name } } }

    /// Ends the connections of those who use an export, and waits until what they had under way is done.
    public func disconnect(_ name: String) {
        let channels = state.withLock { state in
            state.chosen.filter { $0.value == name }.compactMap { state.clients[$0.key] }
        }
        for channel in channels { channel.shutDown() }
        let bell = Bell()
        while clientCount(of: name) > 0 { bell.wait(nanoseconds: 5_000_000) }
    }

    /// How many clients are connected.
    public var clientCount: Int { state.withLock { $0.clients.count } }

    /// Serves a client on a connected stream socket until one of both ends it. Returns at once.
    public func serve(_ socket: Descriptor) throws(HostError) {
        try serve(NBDChannel(NBDSocket(socket)))
    }

    private func serve(_ channel: NBDChannel) throws(HostError) {
        let number = state.withLock { state -> UInt64 in
            state.next += 1
            state.clients[state.next] = channel
            return state.next
        }
        do throws(HostError) {
            _ = try HostThread(name: "nbd-client", stackSize: 512 << 10) { [self] in
                pthread_detach(pthread_self())
                NBDServerHandshake(self, channel) { [self] name in
                    state.withLock { $0.chosen[number] = name }
                }.run()
                channel.shutDown()
                state.withLock { state in
                    state.clients[number] = nil
                    state.chosen[number] = nil
                }
                clientEnded.signal()
            }
        } catch {
            _ = state.withLock { $0.clients.removeValue(forKey: number) }
            throw error
        }
    }

    /// Ends every connection, and waits until what they had under way is done.
    public func close() {
        for channel in state.withLock({ Array($0.clients.values) }) { channel.shutDown() }
        let bell = Bell()
        while clientCount > 0 { bell.wait(nanoseconds: 5_000_000) }
    }
}
