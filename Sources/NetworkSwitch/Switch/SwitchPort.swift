internal import HostOS
internal import Network

/// What went by a port.
public struct PortCounters: Sendable, Equatable {
    /// Frames and bytes from the machine.
    public var received: UInt64 = 0, receivedBytes: UInt64 = 0
    /// Frames and bytes to the machine.
    public var sent: UInt64 = 0, sentBytes: UInt64 = 0
    /// Frames from the machine that were malformed, forbidden or too many.
    public var refused: UInt64 = 0
    /// Frames for the machine that it did not take, or that were too many.
    public var dropped: UInt64 = 0

    /// Nothing yet.
    public init() {}
}

/// A port of a switch. Everything in it is guarded by its switch's lock.
final class SwitchPort: @unchecked Sendable {
    /// Who is behind a port.
    enum Kind {
        case machine
        case gateway
    }
    let number: Int
    let kind: Kind
    var settings: PortSettings
    var counters = PortCounters()
    var guarding: PortGuard
    var inbound: TokenBucket?
    var outbound: TokenBucket?
    var floor: TokenBucket?
    /// Frames to many, which cost all ports.
    var floods: TokenBucket
    /// Bytes to many that one port may cause in a second, each counting as at least 1 KiB.
    private static let floodRate: UInt64 = 64 << 20

    // The connection.
    var socket: Descriptor?
    var source: EventSource?
    var outbox: StreamOutbox
    var inbox = StreamInbox()
    var waitsForRoom = false
    var isDirty = false
    /// A port that a client asked for, in contrast to one that lives as long as a connection.
    let isLasting: Bool

    init(number: Int, kind: Kind, _ settings: PortSettings, isLasting: Bool, now: UInt64) {
        self.number = number
        self.kind = kind
        self.settings = settings
        self.isLasting = isLasting
        guarding = PortGuard(settings)
        inbound = settings.inbound.map { TokenBucket(rate: $0.average, burst: $0.burst, now: now) }
        outbound = settings.outbound.map { TokenBucket(rate: $0.average, burst: $0.burst, now: now) }
        floor = settings.floor.map { TokenBucket(rate: $0, burst: nil, now: now) }
        floods = TokenBucket(rate: Self.floodRate, burst: Self.floodRate, now: now)
        outbox = StreamOutbox(capacity: kind == .machine ? 1 << 21 : 64)
    }

    // MARK: - VLANs

    /// Whether tags mean anything here.
    var hasVLANs: Bool { settings.vlan != nil || !settings.trunk.isEmpty }

    /// The VLAN of a frame that comes in, and whether its tag is to be taken off; nil: it may not come in.
    func ingress(tag: UInt16?) -> (vlan: UInt16, removesTag: Bool)? {
        guard hasVLANs else { return (0, false) }
        guard let tag, tag != 0 else { return settings.vlan.map { ($0, tag != nil) } }
        return settings.trunk.contains(tag) ? (tag, true) : nil
    }

    /// Whether frames of a VLAN go out here, and with which tag.
    func egress(vlan: UInt16) -> (goesOut: Bool, tag: UInt16?) {
        guard vlan != 0 else { return (!hasVLANs || kind == .gateway, nil) }
        if settings.vlan == vlan { return (true, nil) }
        return settings.trunk.contains(vlan) ? (true, vlan) : (false, nil)
    }
}
