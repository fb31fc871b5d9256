internal import GuestMemory
internal import HostOS

/// Another process that has said what it can do.
struct VhostUserBackend: VhostBackend {
    let connection: VhostUserConnection
    let features: UInt64
    /// Features of the protocol that are in use.
    let protocolFeatures: UInt64
    private(set) var configuration: [UInt8]?
    let channel: Descriptor?

    /// Agrees with a back-end on what is used of the protocol.
    init(_ socket: Descriptor, model: VhostModel, patience: Int32) throws(VhostError) {
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
        }
    }

    private static func makeChannel() throws(VhostError) -> (ours: Descriptor, its: Descriptor) {
        do throws(HostError) {
            let (ours, its) = try DescriptorPair.sockets()
            try ours.setNonBlocking()
            try its.setNonBlocking(false)
            return (ours, its)
        } catch { throw .host("\(error)") }
    }

    // MARK: What a device asks of it

    var socket: Descriptor? { connection.socket }
    func reach(_ memory: AddressSpace) throws(VhostError) -> VhostMemory { try VhostMemory(sharedOf: memory) }
    func unexpected() -> VhostError? { connection.unexpected() }
    func disconnect() { Socket.shutDown(connection.socket) }

    func setFeatures(_ chosen: UInt64) throws(VhostError) {
        try connection.tell(.setFeatures, VhostUserBytes.of(chosen | features & VhostUserFeature.negotiation))
    }
    func setMemory(_ memory: VhostMemory, _ rings: RingMemory) throws(VhostError) {
        let (body, descriptors) = memory.table(rings)
        try connection.tell(.setMemoryTable, body, passing: descriptors)
    }
    func begin(_ place: Int, _ ring: RelayRing, kick: Descriptor, call: Descriptor) throws(VhostError) {
        let index = UInt32(place)
        try connection.tell(.setRingSize, VhostUserBytes.of(index, UInt32(ring.size)))
        try connection.tell(.setRingBase, VhostUserBytes.of(index, 0))
        var address = VhostUserBytes.of(index, 0)
        for place in [ring.descriptors, ring.usedRing, ring.availableRing, 0] { address += VhostUserBytes.of(place) }
        try connection.tell(.setRingAddress, address)
        let number = VhostUserBytes.of(UInt64(index))
        try connection.tell(.setRingCall, number, passing: [call])
        try connection.tell(.setRingKick, number, passing: [kick])
    }
    func setEnabled(_ index: Int, _ isOn: Bool) throws(VhostError) {
        // Without protocol features rings work from their kick on.
        guard features & VhostUserFeature.negotiation != 0 else { return }
        try connection.tell(.setRingEnable, VhostUserBytes.of(UInt32(index), isOn ? 1 : 0))
    }
    func end(_ index: Int) throws(VhostError) {
        _ = try connection.ask(.getRingBase, VhostUserBytes.of(UInt32(index), 0), counts: 8...8)
    }

    func readConfiguration(
        count: Int, _ patch: (inout [UInt8]) -> Void
    ) throws(VhostError) -> [UInt8] {
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
    func writeConfiguration(_ bytes: [UInt8], at offset: Int) throws(VhostError) {
        try connection.tell(
            .setConfiguration, VhostUserBytes.of(UInt32(offset), UInt32(bytes.count), 0) + bytes)
    }
}
