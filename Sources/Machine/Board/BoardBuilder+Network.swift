internal import Devices
internal import GuestMemory
internal import HostOS
internal import JSON

/// Network cards that share one adapter.
extension BoardBuilder {
    /// Sound, network, watchdogs, TPMs and ports that boards with their buses take.
    static let cardsAndChips: Set<String> = [
        "AC97", "intel-hda", "ich9-intel-hda", "hda-output", "hda-duplex", "hda-micro", "e1000e", "pcnet", "rtl8139",
        "i6300esb", "ib700", "tpm-tis", "tpm-crb", "isa-parallel", "cirrus-vga",
        "isa-cirrus-vga", "ramfb",
    ]

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
        // Without firmware nobody looks at option ROMs. The e1000 has none.
        if configuration.hasFirmware, device.driver != "e1000", properties.number("rombar") != 0 {
            let image = try optionROM(properties.string("romfile"), usual: "efi-\(device.driver).rom", device)
            if !image.isEmpty {
                parts.rom = try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
                    try OptionROM.block(image, name: name)
                }
            }
        }
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
