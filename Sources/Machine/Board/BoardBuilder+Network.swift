internal import Devices
internal import GuestMemory
internal import HostOS
internal import JSON

/// Network cards that share one adapter.
extension BoardBuilder {
    /// Sound, network, watchdogs, TPMs and ports that boards with their buses take.
    static let cardsAndChips: Set<String> = [
        "AC97", "intel-hda", "ich9-intel-hda", "hda-output", "hda-duplex", "hda-micro", "e1000e", "pcnet", "rtl8139",
        "intel-iommu", "i6300esb", "ib700", "tpm-tis", "tpm-crb", "isa-parallel", "cirrus-vga",
        "isa-cirrus-vga", "ramfb",
    ]

    /// The option ROM by which firmware starts machines over a card, where there is firmware to look at it.
    func networkROM(
        _ usual: String, _ device: DeviceConfiguration, _ properties: JSONObject, _ name: String,
        identity: (vendor: UInt16, device: UInt16)? = nil
    ) throws(MachineBuildError) -> RAMBlock? {
        guard configuration.hasFirmware, !isThere, properties.number("rombar") != 0 else { return nil }
        var image = try optionROM(properties.string("romfile"), usual: usual, device)
        guard !image.isEmpty else { return nil }
        if let identity { image = OptionROM.image(image, vendor: identity.vendor, device: identity.device) }
        return try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
            try OptionROM.block(image, name: name)
        }
    }

    func addPCICard(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let name = stateName(device.id ?? "\(device.driver).\(cards.count)")
        let properties = withGlobals(device)
        if let id = properties.string("netdev"), networks.vhostUser(id) != nil {
            throw MachineBuildError("\(device.origin): vhost-user requires frontend driver virtio-net-*")
        }
        let (backend, address) = try network(properties, name, device)
        var parts = PCICardParts(
            macAddress: address, memory: memory, backend: backend, clock: clock, scheduler: try worker(name),
            stateName: name)
        parts.savesROM = device.driver != "e1000"
        parts.rom = try networkROM("efi-\(device.driver).rom", device, properties, name)
        let card: PCICard
        switch device.driver {
        case "e1000": card = .e1000(parts)
        case "pcnet": card = .pcnet(parts)
        case "rtl8139": card = .rtl8139(parts)
        default:
            let (vendor, number) = (properties.number("subsys_ven"), properties.number("subsys"))
            card = .e1000e(
                parts,
                subsystem: (
                    vendor: UInt16(truncatingIfNeeded: vendor ?? 0x8086), device: UInt16(truncatingIfNeeded: number ?? 0)
                ))
        }
        try attach(card.function, device, properties)
        devices.append(card)
        cards.append((name, properties.string("netdev"), card))
    }
}
