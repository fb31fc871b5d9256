internal import BlockImage
internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Log
internal import Network

/// Virtio devices of `-device`, `-drive if=virtio` and `-nic`, behind PCI or MMIO.
extension BoardBuilder {
    func addVirtioDevices() throws(MachineBuildError) {
        for nic in configuration.nics { try addNIC(nic) }
        for drive in configuration.drives where drive.interface == .virtio && drive.file != nil {
            var device = DeviceConfiguration(driver: pci == nil ? "virtio-blk-device" : "virtio-blk-pci")
            device.properties["drive"] = .string(drive.id)
            device.origin = drive.origin
            try addVirtio(device)
        }
        for device in configuration.devices { try addVirtio(device) }
        for drive in configuration.drives where drive.file != nil && drive.interface != .none {
            if drive.interface == .virtio { continue }
            let controller = drive.interface.rawValue
            log.warning("\(drive.origin): there is no '\(controller)' controller: the guest has no such disk")
        }
    }

    private func addNIC(_ nic: NICConfiguration) throws(MachineBuildError) {
        let usual = pci == nil ? "virtio-net-device" : "e1000"
        var model = nic.model ?? usual
        if model == "virtio" { model = pci == nil ? "virtio-net-device" : "virtio-net-pci" }
        guard model.hasPrefix("virtio-net") else {
            log.debug("Card '\(model)' is not there yet: left out")
            return
        }
        var device = DeviceConfiguration(driver: pci == nil ? "virtio-net-device" : model)
        device.id = nic.name
        device.origin = "-nic"
        if let network = nic.network { device.properties["netdev"] = .string(network) }
        if let mac = nic.mac { device.properties["mac"] = .string(Self.text(ofMAC: mac)) }
        if let address = nic.address { device.properties["addr"] = .string(address) }
        if let vectors = nic.vectors { device.properties["vectors"] = .integer(Int64(vectors)) }
        try addVirtio(device)
    }

    /// Makes the device of a configuration where it is a virtio device.
    private func addVirtio(_ device: DeviceConfiguration) throws(MachineBuildError) {
        guard let kind = Self.kind(of: device.driver) else { return }
        let name = stateName(device.id ?? "virtio-\(kind)")
        let properties = withGlobals(device)
        let made: any VirtioDevice
        switch kind {
        case "blk": made = try block(properties, name, device)
        case "net": made = try card(properties, name, device)
        case "rng": made = try entropy(properties, name)
        case "balloon": made = try balloon(properties, name)
        case "serial": made = try console(properties, name, device)
        default: return
        }
        if device.driver.hasSuffix("-device") {
            try attachMMIO(made, name, device, properties)
        } else {
            try attachPCI(made, name, device, properties)
        }
    }

    /// `blk` of `virtio-blk-pci`; nil for what is no virtio device.
    static func kind(of driver: String) -> String? {
        guard driver.hasPrefix("virtio-") else { return nil }
        let name = driver.dropFirst("virtio-".count).split(separator: "-").first.map(String.init)
        return name.flatMap { ["blk", "net", "rng", "balloon", "serial"].contains($0) ? $0 : nil }
    }

    /// A device's own properties over the defaults that `-global` sets for its model.
    private func withGlobals(_ device: DeviceConfiguration) -> JSONObject {
        var properties = device.properties
        for global in configuration.globals where global.driver == device.driver {
            guard properties[global.property] == nil else { continue }
            switch global.value {
            case "on", "true", "yes": properties[global.property] = .bool(true)
            case "off", "false", "no": properties[global.property] = .bool(false)
            default:
                properties[global.property] = Int64(global.value).map { .integer($0) } ?? .string(global.value)
            }
        }
        return properties
    }

    // MARK: Devices

    private func block(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        guard let drive = properties.string("drive") else {
            throw MachineBuildError("\(device.origin): drive property not set")
        }
        let backend = try storage.attach(drive, to: "/machine/peripheral/\(name)")
        func size(_ name: String) -> Int? { properties.number(name).flatMap { $0 > 0 ? $0 : nil } }
        let options = VirtioBlock.Properties(
            serial: properties.string("serial") ?? "",
            queueCount: properties.number("num-queues").flatMap { $0 == 0xFFFF ? nil : $0 } ?? 1,
            queueSize: UInt16(truncatingIfNeeded: properties.number("queue-size") ?? 256),
            logicalBlockSize: size("logical_block_size"), physicalBlockSize: size("physical_block_size"),
            minimumIOSize: size("min_io_size") ?? 0, optimalIOSize: size("opt_io_size") ?? 0,
            writeCache: backend.isWriteCacheEnabled, configuresWriteCache: properties.bool("config-wce") ?? true,
            hasDiscard: properties.bool("discard") ?? true, hasWriteZeroes: properties.bool("write-zeroes") ?? true)
        return VirtioBlock(options, backend: backend, schedulers: [try worker(name)])
    }

    private func card(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        var backend: any NetworkBackend = NoNetwork()
        let network = properties.string("netdev")
        if let network {
            guard let taken = networks.take(network) else {
                throw MachineBuildError("\(device.origin): netdev '\(network)' is already in use by another device")
            }
            backend = taken
        }
        let address = properties.string("mac").flatMap(Self.macAddress)
            ?? [0x52, 0x54, 0, 0x12, 0x34, UInt8(truncatingIfNeeded: 0x56 + networkStatus.count)]
        let mtu = properties.number("host_mtu").flatMap { $0 > 0 ? UInt16(exactly: $0) : nil }
        networkStatus.append(
            NetworkStatus(
                name: name, text: "index=0,type=nic,model=\(device.driver),macaddr=\(Self.text(ofMAC: address))",
                backend: network, backendText: network.map { networks.text(of: $0) } ?? ""))
        let options = VirtioNet.Properties(
            macAddress: address, mtu: mtu, mergesBuffers: properties.bool("mrg_rxbuf") ?? true,
            hasControlQueue: properties.bool("ctrl_vq") ?? true,
            receiveQueueSize: UInt16(truncatingIfNeeded: properties.number("rx_queue_size") ?? 256),
            transmitQueueSize: UInt16(truncatingIfNeeded: properties.number("tx_queue_size") ?? 256))
        let made = VirtioNet(options, backend: backend, scheduler: try worker(name))
        cards.append((name, network, made))
        return made
    }

    private func entropy(_ properties: JSONObject, _ name: String) throws(MachineBuildError) -> any VirtioDevice {
        let most = properties.number("max-bytes").flatMap { $0 > 0 && $0 < Int.max ? UInt64($0) : nil }
        let period = properties.number("period").flatMap { $0 > 0 ? UInt64($0) : nil } ?? 65536
        return VirtioEntropy(
            VirtioEntropy.Properties(maxBytes: most, period: period), scheduler: try worker(name), clock: clock)
    }

    private func balloon(_ properties: JSONObject, _ name: String) throws(MachineBuildError) -> any VirtioDevice {
        VirtioBalloon(
            VirtioBalloon.Properties(
                deflatesOnOOM: properties.bool("deflate-on-oom") ?? false,
                hasFreePageReporting: properties.bool("free-page-reporting") ?? false),
            memory: memory, scheduler: try worker(name), clock: clock)
    }

    /// A console with the ports that name it, or, for the last one before them, those that name none.
    private func console(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        var ports: [VirtioConsole.Port] = []
        let limit = min(max(properties.number("max_ports") ?? 31, 1), 31)
        var next = 1
        for port in portsOwned(by: device) {
            let isConsole = port.driver == "virtconsole"
            let wanted = port.properties.number("nr").flatMap { $0 <= 0xFFFF ? $0 : nil }
            var number = wanted ?? next
            // Port 0 is a console by the specification: the first console takes it.
            if wanted == nil, isConsole, !ports.contains(where: { $0.id == 0 }) { number = 0 }
            guard number < limit, !ports.contains(where: { $0.id == number }) else {
                throw MachineBuildError("\(port.origin): virtio-serial-bus: port \(number) is taken or out of range")
            }
            if number >= next { next = number + 1 }
            ports.append(
                VirtioConsole.Port(
                    id: number, name: port.properties.string("name"), isConsole: isConsole,
                    backend: port.properties.string("chardev").flatMap { characters.port($0) }))
        }
        return VirtioConsole(
            VirtioConsole.Properties(
                maxPorts: limit, hasEmergencyWrite: properties.bool("emergency-write") ?? true),
            ports: ports, scheduler: try worker(name))
    }

    private func portsOwned(by controller: DeviceConfiguration) -> [DeviceConfiguration] {
        var last: Int?
        var mine: [DeviceConfiguration] = []
        for (place, device) in configuration.devices.enumerated() {
            if Self.kind(of: device.driver) == "serial" { last = place }
            guard device.driver == "virtconsole" || device.driver == "virtserialport", let last else { continue }
            let owner = device.bus.flatMap { bus in
                configuration.devices.firstIndex { $0.id.map { bus == "\($0).0" || bus == $0 } ?? false }
            }
            if configuration.devices[owner ?? last] == controller { mine.append(device) }
        }
        return mine
    }

    // MARK: Transports

    private func rings(_ properties: JSONObject) -> VirtioRingOptions {
        VirtioRingOptions(
            hasIndirect: properties.bool("indirect_desc") ?? true, hasEventIndex: properties.bool("event_idx") ?? true,
            isPacked: properties.bool("packed") ?? false)
    }

    private func attachMMIO(
        _ made: any VirtioDevice, _ name: String, _ device: DeviceConfiguration, _ properties: JSONObject
    ) throws(MachineBuildError) {
        let slot = acpi.virtioMMIO.count
        guard configuration.board.kind == .microvm, slot < MicroVMBoard.slots else {
            throw MachineBuildError("\(device.origin): No 'virtio-bus' bus found for device '\(device.driver)'")
        }
        let address = MicroVMBoard.firstSlot + UInt64(slot) * VirtioMMIO.size
        let interrupt = 16 + slot
        let transport = VirtioMMIO(
            made, memory: memory, line: line(interrupt), stateName: name, rings: rings(properties))
        mmio.add(transport, start: address, count: VirtioMMIO.size, name: "virtio-mmio")
        devices.append(transport)
        acpi.virtioMMIO.append(
            ACPIConfiguration.VirtioMMIO(address: UInt32(address), gsi: UInt32(interrupt), edge: false))
        kernelWords.append("virtio_mmio.device=512@0x\(String(address, radix: 16)):\(interrupt)")
        note(device.driver, id: device.id, bus: "virtio-mmio-bus.\(slot)")
    }

    private func attachPCI(
        _ made: any VirtioDevice, _ name: String, _ device: DeviceConfiguration, _ properties: JSONObject
    ) throws(MachineBuildError) {
        guard let pci else {
            throw MachineBuildError("\(device.origin): No 'PCI' bus found for device '\(device.driver)'")
        }
        var options = VirtioPCIOptions(rings: rings(properties))
        if device.driver.hasSuffix("-non-transitional") { options.disableLegacy = true }
        if properties.string("disable-legacy") == "on" { options.disableLegacy = true }
        if properties.bool("disable-modern") == true { options.disableModern = true }
        if let vectors = properties.number("vectors"), vectors >= 0, vectors <= 2048 { options.vectors = vectors }
        let transport = VirtioPCI(made, memory: memory, stateName: name, options: options)
        let slot: Int
        do throws(PCIBusError) {
            if let (wanted, function) = Self.place(properties) {
                try pci.attach(transport.function, slot: wanted, function: function)
                slot = wanted
            } else {
                // Slot 2 is the graphics adapter's, on boards that have one.
                slot = try pci.attach(transport.function, firstFreeFrom: 3)
            }
        } catch {
            throw MachineBuildError("\(device.origin): \(error)")
        }
        devices.append(transport)
        note(device.driver, id: device.id, bus: "pci.0", details: ["addr \(slot).0"])
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

    static func macAddress(_ text: String) -> [UInt8]? {
        let bytes = text.split(whereSeparator: { $0 == ":" || $0 == "-" }).compactMap { UInt8($0, radix: 16) }
        return bytes.count == 6 ? bytes : nil
    }
    static func text(ofMAC bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
