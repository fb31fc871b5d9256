/// Which frames a card lets through: modes, address tables and VLANs as the control queue sets them. A pure value.
/// virtio 1.2, 5.1.6.5.
struct ReceiveFilter: Equatable {
    /// A hardware address in the low 48 bits, its first byte the highest.
    typealias Address = UInt64

    var isPromiscuous = true
    var takesAllMulticast = false
    var takesAllUnicast = false
    var dropsMulticast = false
    var dropsUnicast = false
    var dropsBroadcast = false
    var unicast: Set<Address> = []
    var multicast: Set<Address> = []
    /// VLANs that pass, one bit each; nil while filtering was not negotiated.
    var vlans: [UInt64]?

    /// Entries of a table that are kept; a longer table lets everything of its kind through.
    static let tableLimit = 64
    private static let broadcast: Address = 0xFFFF_FFFF_FFFF

    /// The address in the 6 bytes at `offset`.
    static func address(_ bytes: some Collection<UInt8>) -> Address {
        bytes.prefix(6).reduce(0) { $0 << 8 | Address($1) }
    }

    /// An address' 6 bytes.
    static func bytes(_ address: Address) -> [UInt8] {
        (0..<6).map { UInt8(address >> UInt64(40 - $0 * 8) & 0xFF) }
    }

    /// Sets a table; `isComplete` is false where the driver's had more entries than are kept.
    mutating func setTable(unicast first: [Address], multicast second: [Address]) {
        unicast = Set(first.prefix(Self.tableLimit))
        multicast = Set(second.prefix(Self.tableLimit))
        overflowsUnicast = first.count > Self.tableLimit
        overflowsMulticast = second.count > Self.tableLimit
    }
    private(set) var overflowsUnicast = false
    private(set) var overflowsMulticast = false

    /// Lets a VLAN pass or not.
    mutating func setVLAN(_ id: UInt16, passes: Bool) {
        guard id < 4096, vlans != nil else { return }
        let bit = UInt64(1) << UInt64(id % 64)
        if passes { vlans?[Int(id / 64)] |= bit } else { vlans?[Int(id / 64)] &= ~bit }
    }

    /// Whether the card with the given address takes a frame, of which `header` is the start (18 bytes where there
    /// are that many).
    func passes(_ header: UnsafeRawBufferPointer, own: Address) -> Bool {
        guard header.count >= 14 else { return false }
        if isPromiscuous { return true }
        if let vlans, header.count >= 18, unsafe header[12] == 0x81, unsafe header[13] == 0 {
            let id = unsafe Int(header[14] & 0x0F) << 8 | Int(header[15])
            if vlans[id / 64] >> UInt64(id % 64) & 1 == 0 { return false }
        }
        let destination = unsafe Self.address(UnsafeRawBufferPointer(rebasing: header[0..<6]))
        if destination == Self.broadcast { return !dropsBroadcast }
        if destination >> 40 & 1 != 0 {
            if dropsMulticast { return false }
            return takesAllMulticast || overflowsMulticast || multicast.contains(destination)
        }
        if dropsUnicast { return false }
        return takesAllUnicast || overflowsUnicast || destination == own || unicast.contains(destination)
    }
}
