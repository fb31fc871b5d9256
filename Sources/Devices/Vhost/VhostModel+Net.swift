internal import VirtQueue

// A network card whose frames another process moves: virtio 1.2, 5.1. The control queue is answered here.
extension VhostModel {
    /// Feature bits of 5.1.3.
    private enum Feature {
        // CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO, HOST_TSO4, HOST_TSO6, HOST_ECN, HOST_UFO,
        // MRG_RXBUF.
        static let ofBackend: [UInt64] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        static let mtu: UInt64 = 1 << 3
        static let mac: UInt64 = 1 << 5
        static let status: UInt64 = 1 << 16
        // CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_MAC_ADDR.
        static let control: UInt64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 23
        static let multiQueue: UInt64 = 1 << 22
    }
    private enum Class {
        static let receive: UInt8 = 0
        static let address: UInt8 = 1
        static let vlan: UInt8 = 2
        static let multiQueue: UInt8 = 4
    }
    /// Bytes of a command that are looked at.
    private static let mostControlBytes = 65536

    /// What `-device virtio-net-…` may set of a card with a back-end.
    public struct Card: Sendable {
        /// `mac`: 6 bytes.
        public var address: [UInt8]
        /// `host_mtu`; nil for none told.
        public var mtu: UInt16?
        /// Pairs of queues, 1 to 128.
        public var pairs = 1
        /// Features of the back-end that are not to be used (`csum=off`, …).
        public var without: UInt64 = 0
        /// `ctrl_vq`.
        public var hasControlQueue = true
        /// `rx_queue_size`.
        public var receiveSize: UInt16 = 256
        /// `tx_queue_size`.
        public var transmitSize: UInt16 = 256

        /// A card with one pair of queues.
        public init(address: [UInt8]) {
            self.address = address.count == 6 ? address : [0x52, 0x54, 0, 0x12, 0x34, 0x56]
        }
    }

    /// A card.
    public static func card(_ card: Card) -> VhostModel {
        let pairs = min(max(card.pairs, 1), 128)
        let hasPairs = pairs > 1 && card.hasControlQueue
        let count = hasPairs ? pairs * 2 : 2
        var sizes = (0..<count).map { $0 & 1 == 0 ? card.receiveSize : card.transmitSize }
        if card.hasControlQueue { sizes.append(64) }
        // Address, status, the most pairs, MTU (5.1.4).
        var bytes = card.address + [1, 0]
        VirtioConfiguration.append(&bytes, UInt16(count / 2))
        VirtioConfiguration.append(&bytes, card.mtu ?? 1500)
        var model = VhostModel(
            .net, queueSizes: sizes,
            shared: Feature.ofBackend.reduce(UInt64(0)) { $0 | UInt64(1) << $1 } & ~card.without,
            configuration: .own(bytes),
            // Without VIRTIO_NET_F_MQ the control queue is the third (5.1.2).
            relayedCount: { $0 & Feature.multiQueue != 0 ? count : 2 })
        model.own =
            Feature.mac | Feature.status | (card.mtu != nil ? Feature.mtu : 0)
            | (card.hasControlQueue ? Feature.control : 0) | (hasPairs ? Feature.multiQueue : 0)
        model.isReceiving = { $0 & 1 == 0 }
        model.hasLink = true
        if card.hasControlQueue { model.answer = { obey($0, most: count / 2) } }
        return model
    }

    /// Obeys a command of the control queue (5.1.6.5). What concerns frames is the back-end's, which lets all through.
    private static func obey(_ chain: DescriptorChain, most pairs: Int) -> Answer {
        let bytes = chain.bytes(at: 0, count: mostControlBytes)
        func done(_ isDone: Bool) -> Int { chain.store(at: 0, UInt8(isDone ? 0 : 1)) ? 1 : 0 }
        guard bytes.count >= 2 else { return .done(done(false)) }
        let data = bytes[2...]
        switch (bytes[0], bytes[1]) {
        case (Class.receive, 0...5): return .done(done(data.count >= 1))
        case (Class.address, 0): return .done(done(data.count >= 8))
        case (Class.address, 1):
            guard data.count >= 6 else { return .done(done(false)) }
            return .address(Array(data.prefix(6)), written: done(true))
        case (Class.vlan, 0...1): return .done(done(data.count >= 2))
        case (Class.multiQueue, 0):
            let wanted = Int(VhostUserBytes.integer(data, at: 0) as UInt16)
            guard data.count >= 2, wanted >= 1, wanted <= pairs else { return .done(done(false)) }
            return .pairs(wanted, written: done(true))
        default: return .done(done(false))
        }
    }
}
