internal import Devices

extension ReceiveFilterStatus {
    /// What a card tells.
    init(name: String, _ filter: CardReceiveFilter) {
        func text(_ table: [[UInt8]]) -> [String] { table.map(BoardBuilder.text(ofMAC:)) }
        self.init(
            name: name, isPromiscuous: filter.isPromiscuous, multicast: filter.multicast.rawValue,
            unicast: filter.unicast.rawValue, vlan: filter.vlans == nil ? "all" : "normal",
            allowsBroadcast: filter.allowsBroadcast, overflowsMulticast: filter.overflowsMulticast,
            overflowsUnicast: filter.overflowsUnicast, address: BoardBuilder.text(ofMAC: filter.address),
            unicastTable: text(filter.unicastTable), multicastTable: text(filter.multicastTable),
            vlanTable: filter.vlans ?? [])
    }
}
