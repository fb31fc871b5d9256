internal import JSON
internal import Machine

extension ConfigurationBuilder {
    /// Warns of back-ends that no card has and of cards without one, in QEMU's words: either is likely a mistake.
    mutating func warnOfLonelyNetworks() {
        origin = ""
        if !legacyNICs.isEmpty, legacyNetworks.isEmpty { warn("hub 0 is not connected to host network") }
        if legacyNICs.isEmpty, !legacyNetworks.isEmpty { warn("hub 0 with no nics") }
        var taken = Set(legacyNetworks)
        var lonely: [String] = []
        var numbers: [String: Int] = [:]
        for nic in configuration.nics {
            numbers[nic.model ?? "", default: 0] += 1
            if let network = nic.network { taken.insert(network) }
        }
        for device in configuration.devices where DeviceCatalogue.find(device.driver)?.property("netdev") != nil {
            let number = numbers[device.driver, default: 0]
            numbers[device.driver] = number + 1
            if let network = device.properties.string("netdev") {
                taken.insert(network)
            } else {
                lonely.append("nic \(device.id ?? "\(device.driver).\(number)") has no peer")
            }
        }
        for network in configuration.networks {
            guard case .hub(_, let joined?) = network.peer else { continue }
            taken.formUnion([joined, network.id])
        }
        for network in configuration.networks where !taken.contains(network.id) {
            warn("netdev \(network.id) has no peer")
        }
        for words in lonely { warn(words) }
    }
}
