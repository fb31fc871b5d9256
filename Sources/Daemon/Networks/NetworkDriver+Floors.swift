internal import DomainModel
internal import NetworkSwitch
internal import RPCWire

/// What cards get of a network's bandwidth whatever the others get: `<inbound floor='…'/>`.
extension NetworkDriver {
    /// A card's part in bytes a second. An error where nothing is there to have a part of, or too little is left of it.
    func floor(
        _ bandwidth: Bandwidth?, _ interface: NetworkInterface, _ network: VirtualNetwork
    ) throws(LibvirtError) -> UInt64? {
        guard let floor = bandwidth?.inbound?.floor, floor > 0 else { return nil }
        let mac = interface.mac?.xml ?? ""
        let invalid = "Invalid use of 'floor' on interface with MAC address \(mac) - "
        guard interface.type == .network, NetworkProcesses.hasProcess(network), !network.name.isEmpty else {
            throw NetworkDriver.fail(
                .configUnsupported(
                    invalid + "'floor' is only supported for interface type 'network' with forward type 'nat', "
                        + "'route', 'open' or none"))
        }
        guard let whole = network.bandwidth?.inbound, let average = whole.average, average > 0 else {
            throw NetworkDriver.fail(
                .configUnsupported(invalid + "network '\(network.name)' has no inbound QoS set"))
        }
        let wanted = floors(on: network, except: interface.mac).reduce(min(floor, 1 << 30) * 1024) { $0 &+ $1.rate }
        guard wanted / 1024 <= max(whole.peak ?? 0, average) else {
            throw NetworkDriver.fail(
                .operationInvalid(
                    "Cannot plug '\(mac)' interface into '\(network.name)' because it would overcommit "
                        + "'\(whole.peak == nil ? "average" : "peak")' on network '\(network.name)'"))
        }
        return min(floor, 1 << 30) * 1024
    }

    /// The parts of the machines that run.
    func floors(
        on network: VirtualNetwork, except mac: MACAddress?
    ) -> [(address: HardwareAddress, rate: UInt64)] {
        liveCards.map(\.interface).compactMap { card in
            guard card.type == .network, card.source?.network == network.name, let other = card.mac, other != mac,
                let given = card.bandwidth ?? NetworkDriver.group(card, network)?.bandwidth,
                let floor = given.inbound?.floor, floor > 0
            else { return nil }
            return (HardwareAddress(other.bytes), min(floor, 1 << 30) * 1024)
        }
    }
}
