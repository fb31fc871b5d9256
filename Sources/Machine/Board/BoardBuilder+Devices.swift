internal import DeviceModel
internal import Devices
internal import JSON
internal import Log
internal import Network

/// The devices of `-device`, `-drive` and `-nic`, and what those of every kind share.
extension BoardBuilder {
    func addDevices() throws(MachineBuildError) {
        if configuration.parallelPorts.contains(where: { $0 != nil }) {
            log.warning("There are no parallel ports yet: going on without")
        }
        try addGraphics()
        try addIDE()
        try addUSB()
        for nic in configuration.nics { try addNIC(nic) }
        for drive in configuration.drives where drive.interface == .virtio && drive.file != nil {
            var device = DeviceConfiguration(driver: pci == nil ? "virtio-blk-device" : "virtio-blk-pci")
            device.properties["drive"] = .string(drive.id)
            device.origin = drive.origin
            try addVirtio(device)
        }
        for device in configuration.devices {
            switch device.driver {
            case "e1000": try addE1000(device)
            case "pci-testdev": try addPCITestDevice(device)
            case "VGA", "isa-vga", "usb-kbd", "usb-mouse", "usb-tablet": break
            default: try addVirtio(device)
            }
        }
        for drive in configuration.drives where drive.file != nil && drive.interface != .none {
            switch (drive.interface, configuration.board.kind) {
            case (.virtio, .pc), (.virtio, .microvm), (.ide, .pc): continue
            default: break
            }
            throw MachineBuildError(
                "\(drive.origin): machine type does not support if=\(drive.interface.rawValue),bus=\(drive.bus),"
                    + "unit=\(drive.unit); if=virtio and if=none with -device are there")
        }
    }

    // MARK: Network

    private func addNIC(_ nic: NICConfiguration) throws(MachineBuildError) {
        var model = nic.model ?? (pci == nil ? "virtio-net-device" : "e1000")
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
        case "e1000": try addE1000(device)
        case let model where model.hasPrefix("virtio-net"): try addVirtio(device)
        default: throw MachineBuildError("-nic: network card model '\(model)' is not supported")
        }
    }

    private func addE1000(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let name = stateName(device.id ?? "e1000.\(cards.count)")
        let properties = withGlobals(device)
        let (backend, address) = try network(properties, name, device)
        let card = E1000(
            macAddress: address, memory: memory, backend: backend, clock: clock, scheduler: try worker(name),
            stateName: name)
        try attach(card.function, device, properties)
        devices.append(card)
        cards.append((name, properties.string("netdev"), card))
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
        networkStatus.append(
            NetworkStatus(
                name: name, text: "index=0,type=nic,model=\(device.driver),macaddr=\(Self.text(ofMAC: address))",
                backend: network, backendText: network.map { networks.text(of: $0) } ?? ""))
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

    /// Puts a function in the slot that its properties name, or in the first that is free.
    func attach(
        _ function: PCIFunction, _ device: DeviceConfiguration, _ properties: JSONObject
    ) throws(MachineBuildError) {
        guard let pci else {
            throw MachineBuildError("\(device.origin): No 'PCI' bus found for device '\(device.driver)'")
        }
        try checkBus(device, "pci.0")
        var place = Self.place(properties) ?? (0, 0)
        do throws(PCIBusError) {
            if Self.place(properties) != nil {
                try pci.attach(function, slot: place.slot, function: place.function)
            } else {
                // Slot 2 is the graphics adapter's, on boards that have one.
                place.slot = try pci.attach(function, firstFreeFrom: 3)
            }
        } catch {
            throw MachineBuildError("\(device.origin): \(error)")
        }
        note(
            device.driver, id: device.id, bus: "pci.0", properties: device.properties,
            details: ["addr \(place.slot).\(place.function)"])
        let unit = String(place.slot, radix: 16) + (place.function > 0 ? ",\(place.function)" : "")
        let isDisk = device.driver.hasPrefix("virtio-blk")
        try noteBootIndex(device, properties, isDisk ? "scsi@\(unit)/disk@0,0" : "ethernet@\(unit)/ethernet-phy@0")
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
