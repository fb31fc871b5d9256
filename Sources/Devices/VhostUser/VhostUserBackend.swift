public import HostOS

/// Where a back-end is, and where the next one will be.
public struct VhostUserPeer: Sendable {
    /// Where another back-end comes from after the end of one.
    public enum Next: Sendable {
        /// From nowhere.
        case none
        /// It listens; so many milliseconds after the end it is looked for.
        case connect(SocketAddress, milliseconds: Int)
        /// It comes to a socket that listens.
        case accept(Descriptor)
    }
    /// The first connection; nil where it has to be made.
    public var first: Descriptor?
    /// The next.
    public var next: Next

    /// A back-end at the other end of a socket.
    public init(first: Descriptor?, next: Next = Next.none) {
        self.first = first
        self.next = next
    }

    /// The first connection; waits for a back-end that is to come, as QEMU does.
    func open() throws(VhostUserError) -> Descriptor {
        if let first { return first }
        do throws(HostError) {
            switch next {
            case .none: throw HostError.noDescriptor("connect to a back-end")
            case .connect(let address, let pause):
                while true {
                    if let socket = try? Socket.connect(address) { return socket }
                    Bell().wait(nanoseconds: UInt64(max(pause, 10)) * 1_000_000)
                }
            case .accept(let listener):
                while true {
                    _ = listener.wait(for: [.read], milliseconds: -1)
                    if let socket = try Socket.accept(listener) { return socket }
                }
            }
        } catch { throw .host("\(error)") }
    }
}

/// A back-end that has said what it can do.
struct VhostUserBackend: Sendable {
    var connection: VhostUserConnection
    /// Features of the device.
    let features: UInt64
    /// Features of the protocol that are in use.
    let protocolFeatures: UInt64
    /// Its configuration, where it has one.
    private(set) var configuration: [UInt8]?
    /// Our end of the way on which it speaks first.
    let channel: Descriptor?

    /// Agrees with a back-end on what is used of the protocol.
    init(_ socket: Descriptor, model: VhostUserModel, patience: Int32) throws(VhostUserError) {
        var connection = VhostUserConnection(socket, patience: patience)
        features = try connection.number(.getFeatures)
        var agreed: UInt64 = 0
        if features & VhostUserFeature.negotiation != 0 {
            var wanted =
                VhostUserFeature.multiQueue | VhostUserFeature.replyAcknowledge | VhostUserFeature.backendRequests
            if case .backend = model.configuration { wanted |= VhostUserFeature.configuration }
            agreed = try connection.number(.getProtocolFeatures) & wanted
            try connection.tell(.setProtocolFeatures, VhostUserBytes.of(agreed))
            connection.acknowledges = agreed & VhostUserFeature.replyAcknowledge != 0
        }
        protocolFeatures = agreed
        try connection.tell(.setOwner)
        if agreed & VhostUserFeature.multiQueue != 0 {
            let count = try connection.number(.getQueueCount)
            let needed = model.relayedCount(UInt64.max)
            // A network card's back-end counts pairs of queues; others count queues.
            let has = model.kind == .net ? count.multipliedReportingOverflow(by: 2).partialValue : count
            guard count <= 0x8000, has >= UInt64(needed) else {
                throw .lacks("queues: the device has \(needed), the back-end \(has)")
            }
        } else if model.relayedCount(UInt64.max) > 2, model.kind != .fileSystem {
            throw .lacks("several queues (VHOST_USER_PROTOCOL_F_MQ)")
        }
        var channel: Descriptor?
        if agreed & VhostUserFeature.backendRequests != 0 {
            let (ours, its) = try Self.makeChannel()
            channel = ours
            try connection.tell(.setBackendChannel, passing: [its])
        }
        self.channel = channel
        self.connection = connection
        if case .backend(let count, let patch) = model.configuration {
            guard agreed & VhostUserFeature.configuration != 0 else {
                throw .lacks("a configuration (VHOST_USER_PROTOCOL_F_CONFIG)")
            }
            configuration = try readConfiguration(count: count, patch)
        } else if case .own(let bytes) = model.configuration {
            configuration = bytes
        }
    }

    private static func makeChannel() throws(VhostUserError) -> (ours: Descriptor, its: Descriptor) {
        do throws(HostError) {
            let (ours, its) = try DescriptorPair.sockets()
            try ours.setNonBlocking()
            try its.setNonBlocking(false)
            return (ours, its)
        } catch { throw .host("\(error)") }
    }

    /// The configuration as it is now.
    func readConfiguration(
        count: Int, _ patch: (inout [UInt8]) -> Void
    ) throws(VhostUserError) -> [UInt8] {
        let head = VhostUserBytes.of(0, UInt32(count), 0)
        let answer = try connection.ask(
            .getConfiguration, head + [UInt8](repeating: 0, count: count), counts: 0...(12 + 256))
        // A short answer is a refusal.
        guard answer.count >= 12 + count, VhostUserBytes.integer(answer[...], at: 4) == UInt32(count) else {
            throw .badReply(request: VhostUserRequest.getConfiguration.name, "has \(answer.count) bytes")
        }
        var bytes = Array(answer[12..<(12 + count)])
        patch(&bytes)
        return bytes
    }
}
