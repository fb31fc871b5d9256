internal import DomainModel
internal import RPCWire
internal import Synchronization

/// One virtual network: what is defined, what runs of it, and who has which address.
final class VirtualNet: Sendable {
    struct State {
        var name: String
        /// What is defined; nil: the network goes when it stops.
        var definition: VirtualNetwork?
        /// What runs.
        var live: VirtualNetwork?
        var autostart = false
        var leases = LeaseTable()

        var current: VirtualNetwork { live ?? definition ?? VirtualNetwork() }
    }

    let uuid: UUIDBytes
    let job = JobLock()
    let state: Mutex<State>

    init(uuid: UUIDBytes, state: sending State) {
        self.uuid = uuid
        self.state = Mutex(state)
    }

    var name: String { state.withLock { $0.name } }
    var isActive: Bool { state.withLock { $0.live != nil } }
    var isPersistent: Bool { state.withLock { $0.definition != nil } }
    var reference: RemoteNetwork { RemoteNetwork(name: name, uuid: uuid) }
}

/// Which machine's card has which address of a network. Addresses are given as DHCP would: a host's entry first, then
/// the ranges; a card keeps its address while the network runs.
struct LeaseTable: Sendable {
    struct Lease: Sendable, Equatable {
        let mac: MACAddress
        let address: UInt32
        let hostName: String?
    }

    private(set) var leases: [MACAddress: Lease] = [:]

    /// The address of a card. Nil: the network gives none, or has none left.
    mutating func address(for mac: MACAddress, in network: VirtualNetwork) -> Lease? {
        if let lease = leases[mac] { return lease }
        guard let subnet = IPv4Subnet(network), let dhcp = subnet.dhcp else { return nil }
        let own = dhcp.hosts.first { $0.mac.flatMap { MACAddress(xml: $0) } == mac }
        let taken = Set(leases.values.map(\.address) + dhcp.hosts.compactMap { $0.ip.flatMap { IPv4Subnet.number($0) } })
        var found = own?.ip.flatMap { IPv4Subnet.number($0) }
        if found == nil {
            for range in dhcp.ranges {
                guard let first = IPv4Subnet.number(range.start), let last = IPv4Subnet.number(range.end), first <= last
                else { continue }
                // A range of the whole address space must not be walked for long.
                for candidate in first...min(last, first &+ 65_535) where !taken.contains(candidate) {
                    guard candidate != subnet.address else { continue }
                    found = candidate
                    break
                }
                if found != nil { break }
            }
        }
        guard let found else { return nil }
        let lease = Lease(mac: mac, address: found, hostName: own?.name)
        leases[mac] = lease
        return lease
    }

    /// Takes a lease up that was given before.
    mutating func enter(_ lease: Lease) { leases[lease.mac] = lease }

    mutating func release(_ mac: MACAddress) { leases[mac] = nil }
}

/// The IPv4 part of a network.
struct IPv4Subnet: Sendable {
    let address: UInt32
    let prefix: UInt32
    let dhcp: VirtualNetwork.DHCP?

    /// Nil: the network has no IPv4.
    init?(_ network: VirtualNetwork) {
        for entry in network.addresses where entry.family != "ipv6" {
            guard let number = entry.address.flatMap({ IPv4Subnet.number($0) }) else { continue }
            address = number
            let mask = entry.netmask.flatMap { IPv4Subnet.number($0) }
            let given = entry.prefix ?? mask.map { UInt32((~$0).leadingZeroBitCount) }
            prefix = min(given ?? IPv4Subnet.classPrefix(number), 32)
            dhcp = entry.dhcp
            return
        }
        return nil
    }

    private var mask: UInt32 { prefix == 0 ? 0 : ~UInt32(0) << (32 - prefix) }
    /// The network's own address.
    var network: UInt32 { address & mask }
    /// An address of the network that nobody is likely to have.
    var spare: UInt32 { (network | ~mask) &- 1 == address ? (network | ~mask) &- 2 : (network | ~mask) &- 1 }

    private static func classPrefix(_ address: UInt32) -> UInt32 {
        switch address >> 24 {
        case 0..<128: 8
        case 128..<192: 16
        default: 24
        }
    }

    /// Four decimal numbers with dots.
    static func number(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        return parts.count == 4 ? parts.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { "\(address >> UInt32($0) & 255)" }.joined(separator: ".")
    }
}
