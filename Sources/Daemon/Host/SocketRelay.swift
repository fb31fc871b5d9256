internal import HostOS
internal import Synchronization

/// Joins connections to one place with connections to another: for machines whose namespaces do not reach what they are to
/// talk with.
final class SocketRelay: Sendable {
    private struct State {
        var isClosed = false
        var open: [Int: (Descriptor, Descriptor)] = [:]
        var next = 0
    }

    private let listener: Descriptor?
    private let connect: @Sendable () throws(HostError) -> Descriptor
    private let state = Mutex(State())
    /// More at once are turned away.
    private static let most = 64

    /// Takes connections of a listening socket, each of which is joined with what `connect` makes.
    init(_ listener: Descriptor, _ connect: @escaping @Sendable () throws(HostError) -> Descriptor) throws(HostError) {
        self.listener = listener
        self.connect = connect
        _ = try HostThread(name: "relay") { [weak self, listener] in
            while listener.wait(for: [.read], milliseconds: -1) != [] {
                guard let self, !state.withLock({ $0.isClosed }) else { return }
                guard let taken = try? Socket.accept(listener) else { continue }
                join(taken)
            }
        }
    }

    /// Joins what somebody else accepts.
    init(_ connect: @escaping @Sendable () throws(HostError) -> Descriptor) {
        listener = nil
        self.connect = connect
    }

    /// A socket of the daemon's in a folder of a machine's, which the machine may connect to.
    static func listen(_ path: String, in folder: String) throws(HostError) -> Descriptor {
        try HostFile.remove(path)
        let listener = try Socket.listen(SocketAddress.unix(path), backlog: 16)
        let owner = try HostFile.details(folder)
        try HostFile.setOwner(path, owner.owner, group: owner.group)
        return listener
    }

    /// Joins a connection with what `connect` makes; waits for that.
    func join(_ one: Descriptor) {
        guard state.withLock({ $0.open.count < Self.most && !$0.isClosed }), let other = try? connect() else { return }
        let number = state.withLock { state in
            state.next += 1
            state.open[state.next] = (one, other)
            return state.next
        }
        let left = Atomic<Int>(2)
        let shared = Left(count: left)
        for (from, to) in [(one, other), (other, one)] {
            let thread = try? HostThread(name: "relay", stackSize: 256 << 10) { [weak self] in
                Self.copy(from, to)
                if shared.count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                    self?.state.withLock { $0.open[number] = nil }
                }
            }
            if thread == nil { for end in [one, other] { Socket.shutDown(end) } }
        }
    }

    private final class Left: Sendable {
        let count: Atomic<Int>
        init(count: consuming Atomic<Int>) { self.count = count }
    }

    private static func copy(_ from: Descriptor, _ to: Descriptor) {
        try? from.setNonBlocking(false)
        try? to.setNonBlocking(false)
        while let bytes = try? from.readAvailable(limit: 1 << 18), !bytes.isEmpty {
            guard (try? to.writeAll(bytes)) != nil else { break }
        }
        // The other direction may go on.
        Socket.endOutput(to)
    }

    /// Ends it with all its connections.
    func close() {
        let open = state.withLock { state in
            state.isClosed = true
            defer { state.open = [:] }
            return Array(state.open.values)
        }
        if let listener { Socket.shutDown(listener) }
        for (one, other) in open { for end in [one, other] { Socket.shutDown(end) } }
    }

    deinit { close() }
}

extension RunningMachine {
    private func has(_ namespace: String) -> Bool {
        guard let own = try? HostFile.target(ofLink: "/proc/\(process.number)/ns/\(namespace)"),
            let daemons = try? HostFile.target(ofLink: "/proc/self/ns/\(namespace)")
        else { return false }
        return own != daemons
    }

    /// Whether it sees another root, another network than the daemon does.
    var hasOwnRoot: Bool { has("mnt") }
    var hasOwnNetwork: Bool { has("net") }
}
