internal import DomainModel
internal import HostOS
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
        /// Tells of its process's end.
        var watch: EventSource?
        /// When its process was last started again, in nanoseconds.
        var restarted: UInt64 = 0

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
