internal import BlockImage
internal import DeviceModel
internal import Devices
internal import Display
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Log
internal import Network

/// Virtio devices, behind PCI or MMIO.
extension BoardBuilder {
    /// Makes the device of a configuration where it is a virtio device.
    func addVirtio(_ device: DeviceConfiguration) throws(MachineBuildError) {
        guard let kind = Self.kind(of: device.driver) else { return }
        let name = stateName(device.id ?? (Self.vhostKinds[device.driver] == nil ? "virtio-\(kind)" : "vhost-\(kind)"))
        let properties = withGlobals(device)
        let made: any VirtioDevice
        switch kind {
        case "blk": made = try block(properties, name, device)
        case "net": made = try card(properties, name, device)
        case "user-fs": made = try vhostFileSystem(properties, name, device)
        case "user-blk": made = try vhostDisk(properties, name, device)
        case "user-vsock": made = try vhostSockets(properties, name, device)
        case "kernel-vsock": made = try kernelSockets(properties, name, device)
        case "vsock": made = try sockets(properties, name, device)
        case "9p": made = try sharedFolder(properties, name, device)
        case "rng": made = try entropy(properties, name)
        case "balloon": made = try balloon(properties, name)
        case "serial": made = try console(properties, name, device)
        case "scsi": made = try scsiHost(properties, name, device)
        case "gpu", "vga": return try addVirtioGPU(device, name, properties)
        case "keyboard", "mouse", "tablet": made = try inputDevice(kind, properties, name)
        default: return
        }
        if device.driver.hasSuffix("-device") || device.driver == "vhost-user-blk" {
            try attachMMIO(made, name, device, properties)
        } else {
            let isModern = isModern(device, properties)
            let rom =
                kind == "net"
                ? try networkROM(
                    "efi-virtio.rom", device, properties, name, identity: (0x1AF4, isModern ? 0x1041 : 0x1000)) : nil
            try attachPCI(made, name, device, properties) { if let rom { OptionROM.add(rom, to: $0) } }
        }
    }

    private static let kinds: Set<String> = [
        "blk", "net", "rng", "balloon", "serial", "scsi", "gpu", "vga", "keyboard", "mouse", "tablet", "9p", "vsock",
    ]
    /// `blk` of `virtio-blk-pci`; nil for what is no virtio device.
    static func kind(of driver: String) -> String? {
        guard driver.hasPrefix("virtio-") else { return vhostKinds[driver] }
        let name = driver.dropFirst("virtio-".count).split(separator: "-").first.map(String.init)
        return name.flatMap { kinds.contains($0) ? $0 : nil }
    }

    /// A device's own properties over the defaults that `-global` sets for its model.
    func withGlobals(_ device: DeviceConfiguration) -> JSONObject {
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
        storage.setErrorRules(backend, properties, lifecycle)
        func size(_ name: String) -> Int? { properties.number(name).flatMap { $0 > 0 ? $0 : nil } }
        let options = VirtioBlock.Properties(
            serial: properties.string("serial") ?? "",
            queueCount: properties.number("num-queues").flatMap { $0 == 0xFFFF ? nil : $0 } ?? 1,
            queueSize: UInt16(truncatingIfNeeded: properties.number("queue-size") ?? 256),
            logicalBlockSize: size("logical_block_size"), physicalBlockSize: size("physical_block_size"),
            minimumIOSize: size("min_io_size") ?? 0, optimalIOSize: size("opt_io_size") ?? 0,
            writeCache: backend.isWriteCacheEnabled, configuresWriteCache: properties.bool("config-wce") ?? true,
            hasDiscard: properties.bool("discard") ?? true, hasWriteZeroes: properties.bool("write-zeroes") ?? true)
        let made = VirtioBlock(options, backend: backend, schedulers: [try worker(name, properties)])
        disks.append((name, made))
        return made
    }

    private func card(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let (backend, address) = try network(properties, name, device)
        if let id = properties.string("netdev") {
            if let other = networks.vhostUser(id) {
                let peer = try process(other.characterDevice, device)
                return try vhostCard(peer, pairs: other.queues, properties, name, address, device)
            }
            if let taps = networks.lend(id) {
                return try vhostCard(.taps(taps), pairs: taps.count, properties, name, address, device)
            }
        }
        let mtu = properties.number("host_mtu").flatMap { $0 > 0 ? UInt16(exactly: $0) : nil }
        var options = VirtioNet.Properties(
            macAddress: address, mtu: mtu, mergesBuffers: properties.bool("mrg_rxbuf") ?? true,
            hasControlQueue: properties.bool("ctrl_vq") ?? true,
            receiveQueueSize: UInt16(truncatingIfNeeded: properties.number("rx_queue_size") ?? 256),
            transmitQueueSize: UInt16(truncatingIfNeeded: properties.number("tx_queue_size") ?? 256))
        if properties.bool("mq") == true { options.queuePairs = backend.queuePairs }
        // What QEMU's properties take away.
        let ours: [(String, FrameOffloads)] = [
            ("csum", .all), ("gso", [.tcp4, .tcp6, .ecn]), ("host_tso4", .tcp4), ("host_tso6", .tcp6),
            ("host_ecn", .ecn),
        ]
        for (name, offload) in ours where properties.bool(name) == false { options.deviceOffloads.subtract(offload) }
        let theirs: [(String, FrameOffloads)] = [
            ("guest_csum", .all), ("guest_tso4", .tcp4), ("guest_tso6", .tcp6), ("guest_ecn", .ecn),
        ]
        for (name, offload) in theirs where properties.bool(name) == false { options.driverOffloads.subtract(offload) }
        let made = VirtioNet(options, backend: backend, scheduler: try worker(name))
        let (id, lifecycle) = (device.id, lifecycle)
        let path = id.map { "/machine/peripheral/\($0)" } ?? "/machine/peripheral-anon"
        made.observeReceiveFilter {
            lifecycle.send(.receiveFilterChanged(id: id, path: path + "/virtio-backend"))
        }
        cards.append((name, properties.string("netdev"), made))
        return made
    }

    private func entropy(_ properties: JSONObject, _ name: String) throws(MachineBuildError) -> any VirtioDevice {
        var source = VirtioEntropy.hostSource
        if let seed = configuration.process.seed {
            let random = GuestRandom(seed: seed, .entropyDevice)
            source = { random.fill(&$0) }
        }
        if let id = properties.string("rng"), let object = configuration.objects.first(where: { $0.id == id }) {
            guard object.type.hasPrefix("rng-") else {
                throw MachineBuildError("Property 'rng' of virtio-rng: object '\(id)' is a \(object.type)")
            }
            if object.type == "rng-random" { source = try Self.fileSource(object) }
        }
        let most = properties.number("max-bytes").flatMap { $0 > 0 && $0 < Int.max ? UInt64($0) : nil }
        let period = properties.number("period").flatMap { $0 > 0 ? UInt64($0) : nil } ?? 65536
        return VirtioEntropy(
            VirtioEntropy.Properties(maxBytes: most, period: period), scheduler: try worker(name), clock: clock,
            source: source)
    }

    /// Random bytes of `rng-random`'s file; the host's own where it gives too few.
    private static func fileSource(_ object: ObjectConfiguration) throws(MachineBuildError) -> VirtioEntropy.Source {
        let path = object.properties.string("filename") ?? "/dev/urandom"
        let file: Descriptor
        do throws(HostError) { file = try HostFile.open(path, HostFile.Mode.read, nonBlocking: true) } catch {
            throw MachineBuildError("-object rng-random,id=\(object.id): \(error)")
        }
        return { bytes in
            VirtioEntropy.hostSource(&bytes)
            guard let read = try? file.readAvailable(limit: bytes.count) else { return }
            bytes.replaceSubrange(0..<read.count, with: read)
        }
    }

    private func balloon(_ properties: JSONObject, _ name: String) throws(MachineBuildError) -> any VirtioDevice {
        guard balloon == nil else { throw MachineBuildError("Only one balloon device is supported") }
        let made = VirtioBalloon(
            VirtioBalloon.Properties(
                deflatesOnOOM: properties.bool("deflate-on-oom") ?? false,
                hasFreePageReporting: properties.bool("free-page-reporting") ?? false),
            memory: memory, scheduler: try worker(name, properties), clock: clock)
        let (lifecycle, size) = (lifecycle, configuration.memory.size)
        made.observe { pages in
            let taken = UInt64(pages) << 12
            lifecycle.send(.balloonChanged(actual: taken < size ? size - taken : 0))
        }
        balloon = made
        return made
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
            guard number < limit else {
                throw MachineBuildError(
                    "\(port.origin): virtio-serial-bus: Out-of-range port id specified, max. allowed: \(limit - 1)")
            }
            guard !ports.contains(where: { $0.id == number }) else {
                throw MachineBuildError("\(port.origin): virtio-serial-bus: A port already exists at id \(number)")
            }
            if number >= next { next = number + 1 }
            var listener: (@Sendable (Bool) -> Void)?
            let backend = port.properties.string("chardev")
            let listening = backend.flatMap { characters.guestPort($0) }
            let serial = isConsole ? nil : backend
            if port.id != nil || listening != nil || serial != nil {
                let (id, lifecycle, characters) = (port.id, lifecycle, characters)
                listener = { [weak characters] isOpen in
                    listening?.setGuestOpen(isOpen)
                    if let serial { characters?.setGuestOpen(serial, isOpen) }
                    if let id { lifecycle.send(.serialPortChanged(id: id, isOpen: isOpen)) }
                }
            }
            ports.append(
                VirtioConsole.Port(
                    id: number, name: port.properties.string("name"), isConsole: isConsole,
                    backend: backend.flatMap { characters.port($0) }, onGuestOpen: listener))
            if let serial { characters.setGuestOpen(serial, false) }
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
        try checkBus(device, "virtio-mmio-bus.\(slot)")
        let address = MicroVMBoard.firstSlot + UInt64(slot) * VirtioMMIO.size
        let interrupt = 16 + slot
        var bells: VirtioMMIO.Doorbells?
        if let host = engine.doorbells, let thread = lastWorker, properties.bool("ioeventfd") ?? true {
            bells = VirtioMMIO.Doorbells(host: host, address: address, thread: thread)
        }
        let transport = VirtioMMIO(
            made, memory: memory, line: line(interrupt), stateName: name, rings: rings(properties), doorbells: bells)
        mmio.add(transport, start: address, count: VirtioMMIO.size, name: "virtio-mmio")
        devices.append(transport)
        acpi.virtioMMIO.append(
            ACPIConfiguration.VirtioMMIO(address: UInt32(address), gsi: UInt32(interrupt), edge: false))
        kernelWords.append("virtio_mmio.device=512@0x\(String(address, radix: 16)):\(interrupt)")
        note(device.driver, id: device.id, bus: "virtio-mmio-bus.\(slot)", properties: device.properties)
    }

    /// A keyboard or pointer, which gets what is typed and pointed at from now on.
    private func inputDevice(
        _ kind: String, _ properties: JSONObject, _ name: String
    ) throws(MachineBuildError) -> any VirtioDevice {
        let input = input
        let type: VirtioInput.Kind = kind == "keyboard" ? .keyboard : kind == "mouse" ? .mouse : .tablet
        let made = VirtioInput(
            type, serial: properties.string("serial") ?? "", scheduler: try worker(name), onLights: { input.leds = $0 })
        if type == .keyboard { input.add(made as any KeyboardInput) } else { input.add(made as any PointerInput) }
        inputs[name] = made
        return made
    }

    /// Whether a device has no legacy interface.
    private func isModern(_ device: DeviceConfiguration, _ properties: JSONObject) -> Bool {
        device.driver.hasSuffix("-non-transitional") || properties.string("disable-legacy") == "on"
    }

    /// Puts a device behind PCI. `addWindows` adds to its function what it is besides.
    func attachPCI(
        _ made: any VirtioDevice, _ name: String, _ device: DeviceConfiguration, _ properties: JSONObject,
        addWindows: (PCIFunction) -> Void = { _ in }
    ) throws(MachineBuildError) {
        var options = VirtioPCIOptions(rings: rings(properties))
        if isModern(device, properties) { options.disableLegacy = true }
        if properties.bool("disable-modern") == true { options.disableModern = true }
        if let vectors = properties.number("vectors"), vectors >= 0, vectors <= 2048 { options.vectors = vectors }
        // The device's thread answers its doorbells, where the engine hangs them up.
        let rings = engine.doorbells != nil && properties.bool("ioeventfd") ?? true
        let transport = VirtioPCI(
            made, memory: memory, stateName: name, options: options, doorbells: rings ? lastWorker : nil)
        addWindows(transport.function)
        var device = device
        device.properties["vectors"] = .integer(Int64(options.vectors ?? made.queueSizes.count + 1))
        try attach(transport.function, device, properties)
        devices.append(transport)
    }
}
