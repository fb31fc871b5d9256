internal import DeviceModel
internal import Devices
internal import JSON
internal import Log
internal import Network

/// The devices of `-device`, `-drive` and `-nic`, and what those of every kind share.
extension BoardBuilder {
    func addDevices() throws(MachineBuildError) {
        try addDefaultGraphics()
        try addAudio()
        try addDrives()
        try addFloppies()
        try addParallelPorts()
        try addUSB()
        // In QEMU's order, by which guests name their cards and disks: the board's own, `-device`, then `if=virtio`.
        for nic in configuration.nics { try addNIC(nic) }
        for device in configuration.devices { try plug(device) }
        for drive in configuration.drives where drive.interface == .virtio && drive.hasMedium {
            var device = DeviceConfiguration(driver: pci == nil ? "virtio-blk-device" : "virtio-blk-pci")
            device.properties["drive"] = .string(drive.id)
            device.origin = drive.origin
            try addVirtio(device)
        }
        for drive in configuration.drives where drive.hasMedium && drive.interface != .none {
            switch (drive.interface, configuration.board.kind) {
            case (.virtio, _), (.ide, .pc), (.ide, .q35), (.pflash, .pc), (.pflash, .q35), (.floppy, .pc), (.floppy, .q35):
                continue
            default: break
            }
            throw MachineBuildError(
                "\(drive.origin): machine type does not support if=\(drive.interface.rawValue),bus=\(drive.bus),"
                    + "unit=\(drive.unit); if=virtio and if=none with -device are there")
        }
    }

    // MARK: Network

    private func addNIC(_ nic: NICConfiguration) throws(MachineBuildError) {
        var model = nic.model ?? (pci == nil ? "virtio-net-device" : configuration.board.kind.usualCard)
        if model == "virtio" || (pci == nil && model.hasPrefix("virtio-net")) {
            model = pci == nil ? "virtio-net-device" : "virtio-net-pci"
        }
        model = DeviceCatalogue.find(model)?.name ?? model
        var device = DeviceConfiguration(driver: model)
        device.id = nic.name
        device.origin = "-nic"
        if let network = nic.network { device.properties["netdev"] = .string(network) }
        if let mac = nic.mac { device.properties["mac"] = .string(Self.text(ofMAC: mac)) }
        if let address = nic.address { device.properties["addr"] = .string(address) }
        if let vectors = nic.vectors { device.properties["vectors"] = .integer(Int64(vectors)) }
        switch model {
        case "e1000", "e1000e", "pcnet", "rtl8139": try addPCICard(device)
        case let model where model.hasPrefix("virtio-net"): try addVirtio(device)
        default: throw MachineBuildError("-nic: network card model '\(model)' is not supported")
        }
    }

    /// A card's back-end and hardware address, and its line in `info network`.
    func network(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> (backend: any NetworkBackend, address: [UInt8]) {
        var backend: any NetworkBackend = NoNetwork()
        let network = properties.string("netdev")
        if let network {
            guard let taken = networks.take(network) else {
                throw MachineBuildError("\(device.origin): netdev '\(network)' is already in use by another device")
            }
            backend = taken
        }
        let address =
            properties.string("mac").flatMap(Self.macAddress)
            ?? [0x52, 0x54, 0, 0x12, 0x34, UInt8(truncatingIfNeeded: 0x56 + networkStatus.count)]
        lastMAC = Self.text(ofMAC: address)
        var status = NetworkStatus(
            name: name, text: "index=0,type=nic,model=\(device.driver),macaddr=\(Self.text(ofMAC: address))",
            backend: network, backendText: network.map { networks.text(of: $0) } ?? "")
        status.address = address
        networkStatus.append(status)
        return (backend, address)
    }

    static func macAddress(_ text: String) -> [UInt8]? {
        let bytes = text.split(whereSeparator: { $0 == ":" || $0 == "-" }).compactMap { UInt8($0, radix: 16) }
        return bytes.count == 6 ? bytes : nil
    }
    static func text(ofMAC bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    // MARK: PCI

    /// The first slot of the root bus for devices that name none.
    var firstSlot: Int { configuration.reservesGraphicsSlot ? configuration.board.kind == .q35 ? 2 : 3 : 0 }

    /// Puts a function in the slot that its properties name, or in the first that is free.
    func attach(
        _ function: PCIFunction, _ device: DeviceConfiguration, _ properties: JSONObject,
        buses: [DeviceNode.Bus] = []
    ) throws(MachineBuildError) {
        let (name, bus) = try pciBus(of: device)
        let isRoot = bus.bridge == nil
        var place = Self.place(properties) ?? (0, 0)
        do throws(PCIBusError) {
            if Self.place(properties) != nil {
                try bus.attach(function, slot: place.slot, function: place.function)
            } else {
                place.slot = try bus.attach(function, firstFreeFrom: isRoot ? firstSlot : 0)
            }
        } catch {
            throw MachineBuildError("\(device.origin): \(error)")
        }
        lastPlace = .slot(bus, bus: name, slot: place.slot, function: place.function)
        if isThere {
            // A port's slot and those of the i440FX's bus know how to tell the guest.
            guard isRoot ? slotHotplug != nil : rootPorts[name] != nil, place.function == 0 else {
                throw MachineBuildError("Bus '\(name)' does not support hotplugging")
            }
        } else if !isRoot {
            rootPorts[name]?.setPresence(true, announces: false)
        }
        note(
            device.driver, id: device.id, bus: name, properties: device.properties,
            place: place, buses: buses)
        let unit = String(place.slot, radix: 16) + (place.function > 0 ? ",\(place.function)" : "")
        let leaf: String
        switch device.driver {
        case let name where name.hasPrefix("virtio-blk") || name.hasPrefix("vhost-user-blk"):
            leaf = "scsi@\(unit)/disk@0,0"
        case "nvme": leaf = "pci1b36,10@\(unit)/namespace@1,0"
        case let name where name.hasPrefix("virtio-scsi"):
            scsiBuses[scsiBuses.count - 1].path = bridgePath(bus) + "scsi@\(unit)/"
            return
        default: leaf = "ethernet@\(unit)/ethernet-phy@0"
        }
        try noteBootIndex(device, properties, bridgePath(bus) + leaf)
    }

    /// The bus that a device names, or the root.
    func pciBus(of device: DeviceConfiguration) throws(MachineBuildError) -> (name: String, bus: PCIBus) {
        guard let root = pciBuses.first else {
            throw MachineBuildError("\(device.origin): No 'PCI' bus found for device '\(device.driver)'")
        }
        guard let wanted = device.bus else { return root }
        // The root of either board is found by the name of the other's too.
        if let found = pciBuses.first(where: { $0.name == wanted }) { return found }
        if wanted == "pci.0" || wanted == "pcie.0" { return root }
        throw MachineBuildError("\(device.origin): Bus '\(wanted)' not found")
    }

    /// Refuses a device for another bus than the one of its kind.
    func checkBus(_ device: DeviceConfiguration, _ name: String) throws(MachineBuildError) {
        guard let bus = device.bus, bus != name else { return }
        throw MachineBuildError("\(device.origin): Bus '\(bus)' not found; '\(device.driver)' goes to '\(name)'")
    }

    /// Notes a device's `bootindex` under its path below the PCI host, in Open Firmware's form, as SeaBIOS knows it.
    func noteBootIndex(
        _ device: DeviceConfiguration, _ properties: JSONObject, _ path: String
    ) throws(MachineBuildError) {
        guard let index = properties.number("bootindex"), index >= 0 else { return }
        guard bootOrder.updateValue("/pci@i0cf8/\(path)", forKey: index) == nil else {
            throw MachineBuildError("\(device.origin): The bootindex \(index) has already been used")
        }
    }

    /// `addr=` as slot and function: `05`, `05.1`, or a number.
    static func place(_ properties: JSONObject) -> (slot: Int, function: Int)? {
        if let number = properties.number("addr") {
            return number < 0 ? nil : (number >> 3, number & 7)
        }
        guard let text = properties.string("addr") else { return nil }
        let parts = text.split(separator: ".", maxSplits: 1)
        guard let slot = parts.first.flatMap({ Int($0, radix: 16) }) else { return nil }
        return (slot, parts.count > 1 ? Int(parts[1], radix: 16) ?? 0 : 0)
    }
}
