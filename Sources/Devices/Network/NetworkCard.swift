/// What the machine asks of every network card. Any thread.
public protocol NetworkCard: AnyObject, Sendable {
    /// Plugs the cable in or out: `set_link`.
    func setLink(up: Bool)
    /// Which frames it lets through; nil for a card that does not tell.
    var receiveFilter: CardReceiveFilter? { get }
    /// Who hears, on any thread, that the guest has changed that: once, and again only after `expectFilterChange`.
    func observeReceiveFilter(_ observer: (@Sendable () -> Void)?)
    /// The next change is told of again.
    func expectFilterChange()
    /// Tells the network that its address, `address` unless the guest has chosen one that the card knows, is here now.
    func announce(_ address: [UInt8])
}

extension NetworkCard {
    public var receiveFilter: CardReceiveFilter? { nil }
    public func observeReceiveFilter(_ observer: (@Sendable () -> Void)?) {}
    public func expectFilterChange() {}
    public func announce(_ address: [UInt8]) {}
}

/// What switches learn an address from without minding what it says: a request for one's own address (RFC 903), which asks
/// nobody who might answer.
enum Announcement {
    static func frame(of address: [UInt8]) -> [UInt8] {
        let none: [UInt8] = [0, 0, 0, 0]
        let request = [0, 1, 8, 0, 6, 4, 0, 3] + address + none + address + none
        let frame = [UInt8](repeating: 0xFF, count: 6) + address + [0x80, 0x35] + request
        return frame + [UInt8](repeating: 0, count: 60 - frame.count)
    }
}

/// Which frames a card lets through.
public struct CardReceiveFilter: Sendable {
    /// A kind of frames: all, those of a table, none.
    public enum Mode: String, Sendable {
        case all
        case normal
        case none
    }
    /// Whether it takes all frames.
    public var isPromiscuous: Bool
    /// Group addresses.
    public var multicast: Mode
    /// Other addresses than its own.
    public var unicast: Mode
    /// Whether broadcasts pass.
    public var allowsBroadcast: Bool
    /// Whether a table had more entries than are kept.
    public var overflowsMulticast: Bool
    /// Likewise.
    public var overflowsUnicast: Bool
    /// Its address of 6 bytes.
    public var address: [UInt8]
    /// Addresses of 6 bytes.
    public var unicastTable: [[UInt8]]
    /// Likewise.
    public var multicastTable: [[UInt8]]
    /// VLANs that pass; nil while they are not filtered.
    public var vlans: [Int]?
}

extension VirtioNet: NetworkCard {}
extension VhostDevice: NetworkCard {}
