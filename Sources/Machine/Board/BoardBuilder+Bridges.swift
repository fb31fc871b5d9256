internal import DeviceModel
internal import Devices
internal import JSON

/// Bridges and ports, with the buses behind them by their ids.
extension BoardBuilder {
    /// Models that have a bus of PCI behind them, with the kind of that bus.
    static let bridgeModels = ["pcie-root-port": "PCIE", "pcie-pci-bridge": "PCI", "pci-bridge": "PCI"]

    /// The slot behind the last of the root bus that devices can have.
    private var rootEnd: Int { configuration.board.kind == .q35 ? Q35Board.chipsetSlot : 32 }

    /// A root port of PCI Express. On a conventional bus a guest knows it as a bridge.
    func addRootPort(_ device: DeviceConfiguration) throws(MachineBuildError) {
        guard let pci else {
            throw MachineBuildError("\(device.origin): No 'PCI' bus found for device '\(device.driver)'")
        }
        let properties = withGlobals(device)
        // A guest tells slots apart by both numbers; a slot's has 13 bits.
        let slot = (properties.number("chassis") ?? 0) << 13 | (properties.number("slot") ?? 0) & 0x1FFF
        guard chassisSlots.insert(slot).inserted else {
            throw MachineBuildError("\(device.origin): Can't add chassis slot, error -16")
        }
        let name = device.id ?? stateName("rp")
        let number = properties.number("slot").flatMap { $0 > 0 ? UInt16(clamping: $0) : nil }
        let port = PCIERootPort(
            slot: number ?? UInt16(clamping: rootPorts.count + 1),
            port: UInt8(truncatingIfNeeded: properties.number("port") ?? rootPorts.count), stateName: stateName(name))
        try addBridge(device, port.function, to: (pci.name, pci), upTo: rootEnd, name: name)
        port.setPresence(false, announces: false)
        rootPorts[name] = port
        devices.append(port)
    }

    /// A bridge to conventional PCI.
    func addPCIBridge(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let isExpress = device.driver == "pcie-pci-bridge"
        guard !isExpress || configuration.board.kind == .q35 else {
            throw MachineBuildError("\(device.origin): No 'PCIE' bus found for device '\(device.driver)'")
        }
        let above = try pciBus(of: device)
        let name = device.id ?? stateName("bridge")
        let bridge = PCIBridge(isExpress ? .express : .conventional, stateName: stateName(name))
        try addBridge(
            device, bridge.function, to: above, upTo: above.bus.bridge == nil ? rootEnd : 32, name: name)
        rootPorts[above.name]?.setPresence(true, announces: false)
        devices.append(bridge)
    }

    /// Puts a bridge in the slot that its properties name, or in the first that is wholly free.
    private func addBridge(
        _ device: DeviceConfiguration, _ function: PCIFunction, to above: (name: String, bus: PCIBus), upTo end: Int,
        name: String
    ) throws(MachineBuildError) {
        let properties = withGlobals(device)
        var place = Self.place(properties) ?? (0, 0)
        let bus: PCIBus
        do throws(PCIBusError) {
            if Self.place(properties) == nil {
                place.slot =
                    ((above.bus.bridge == nil ? firstSlot : 0)..<end).first { slot in
                        (0..<8).allSatisfy { above.bus.function(slot: slot, function: $0) == nil }
                    } ?? 32
            }
            bus = try above.bus.attachBridge(function, slot: place.slot, function: place.function, name: name)
        } catch { throw MachineBuildError("\(device.origin): \(error)") }
        pciBuses.append((name, bus))
        note(device.driver, id: device.id, bus: above.name, properties: device.properties, place: place)
    }

    /// The path of the bridges above a bus, in Open Firmware's form.
    func bridgePath(_ bus: PCIBus) -> String {
        guard let bridge = bus.bridge else { return "" }
        for (_, above) in pciBuses {
            guard let place = above.functions.first(where: { $0.function === bridge })?.address else { continue }
            let number = String(place.slot, radix: 16) + (place.function > 0 ? ",\(place.function)" : "")
            return bridgePath(above) + "pci-bridge@\(number)/"
        }
        return ""
    }
}
