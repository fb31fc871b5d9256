internal import JSON
internal import Machine
internal import VNC

extension ConfigurationBuilder {
    /// Chooses defaults, and checks what only the whole command line can tell.
    mutating func finish() throws(OptionError) {
        try finishBoard()
        try finishDrives()
        try finishNetwork()
        try finishCharacterDevices()
        try checkDevices()
        warnOfLonelyNetworks()
        origin = ""
        if configuration.process.daemonizes {
            if noGraphic, !noDefaults { throw .invalid("-nographic cannot be used with -daemonize") }
            if configuration.display == .curses { throw .invalid("curses display cannot be used with -daemonize") }
            if usesStandardInput { throw .invalid("-daemonize cannot be used with a character back-end on stdio") }
        }
        if configuration.display == .curses, usesStandardInput {
            throw .invalid("-display curses cannot be used with a character back-end on stdio")
        }
        let boot = configuration.boot
        if boot.kernel == nil, boot.append != nil { throw .invalid("-append only allowed with -kernel option") }
        if boot.kernel == nil, boot.initrd != nil { throw .invalid("-initrd only allowed with -kernel option") }
        let kind = configuration.board.kind
        if boot.kernel == nil, !configuration.hasFirmware, kind.isPC {
            configuration.boot.bios = BootConfiguration.defaultFirmware
        }
        guard let fork else { return }
        do throws(MachineBuildError) { try configuration.become(fork) } catch { throw .invalid(error.description) }
    }

    private mutating func finishBoard() throws(OptionError) {
        let kind = configuration.board.kind
        let foreign = kind == .microvm ? BoardOptions.pcOnly : BoardOptions.microvmOnly
        origin = boardOrigin
        if let name = boardProperties.first(where: foreign.contains) {
            throw .invalid(
                "Property '\(kind.versionedName)-machine.\(name)' not found; '-machine \(kind.rawValue),help' lists them"
            )
        }
        if kind == .microvm { configuration.board.hpet = false }
        if let first = unknownAccelerators.first {
            let named = (machineAccelerators ?? []) + accelerators
            for unknown in unknownAccelerators {
                origin = unknown.origin
                guard !named.isEmpty, case .invalid(let words) = unknown.error else { throw first.error }
                warn(words)
            }
            if machineAccelerators?.isEmpty == true { machineAccelerators = nil }
            origin = boardOrigin
        }
        if let machineAccelerators {
            guard accelerators.isEmpty else {
                origin = ""
                throw .invalid("The -accel and \"-machine accel=\" options are incompatible")
            }
            configuration.accelerators = machineAccelerators
        } else if !accelerators.isEmpty {
            configuration.accelerators = accelerators
        }
        origin = topologyOrigin
        let topology: ProcessorTopology
        do throws(TopologyError) { topology = try ProcessorTopology(configuration.topology) } catch {
            throw .invalid(error.description)
        }
        guard topology.maximum <= kind.processorLimit else {
            throw .invalid(
                "Invalid SMP CPUs \(topology.maximum). The max CPUs supported by machine '\(configuration.board.name)'"
                    + " is \(kind.processorLimit)")
        }
        try finishMemory()
        configuration.numa = try NUMAOptions.finish(&self, topology)
        let hasCDROM = driveRequests.contains { $0.values.string("media") == "cdrom" || $0.values.int("index") == 2 }
        configuration.defaultDevices.cdrom =
            !noDefaults && kind.isPC && !hasCDROM && !configuration.devices.contains { $0.driver == "ide-cd" }
        let hasAdapter = configuration.devices.contains { DeviceCatalogue.find($0.driver)?.category == .display }
        if !hasGraphics, !hasAdapter, !noDefaults, kind.isPC, configuration.board.graphics {
            // A machine without a screen starts sooner without it; cards keep the places by which guests name them.
            if noGraphic { configuration.reservesGraphicsSlot = true } else { configuration.graphics = .std }
        }
        if !hasDisplay, !noGraphic, configuration.graphics != .none || hasAdapter {
            // Somebody wants to look at it, and there is no window to open.
            var server = VNCConfiguration()
            server.listener = .tcp(host: "localhost", port: 5900, last: 5999)
            server.isAnnounced = true
            configuration.vncServers = [server]
            configuration.display = .vnc
        }
        configuration.defaultDevices.floppy =
            !noDefaults && kind.isPC && !driveRequests.contains { $0.values.string("if") == "floppy" }
    }

    /// The object that is guest memory says how much there is, where nothing else does.
    private mutating func finishMemory() throws(OptionError) {
        guard let name = configuration.board.memoryBackend else { return }
        origin = boardOrigin
        guard let object = memoryObject(name), let size = object.properties.size("size") else {
            throw .invalid("Memory backend '\(printable(name))' not found")
        }
        guard configuration.memory.path == nil else {
            throw .invalid("'-mem-path' can't be used together with '-machine memory-backend'")
        }
        if let memoryOrigin, size != configuration.memory.size {
            origin = memoryOrigin
            throw .invalid(
                "Machine memory size (\(configuration.memory.size)) does not match the size of the memory backend"
                    + " '\(printable(name))' (\(size))")
        }
        configuration.memory.size = size
    }

    /// The default card, and the old -net options joined.
    private mutating func finishNetwork() throws(OptionError) {
        origin = "-net"
        guard legacyNICs.count <= 1 || legacyNetworks.isEmpty else {
            throw .invalid("several cards on one hub are not supported; use -nic for each")
        }
        guard legacyNetworks.count <= 1 else {
            throw .invalid("several back-ends on one hub are not supported; use -nic for each")
        }
        for var nic in legacyNICs {
            nic.network = nic.network ?? legacyNetworks.first
            configuration.nics.append(nic)
        }
        if !hasNetwork, !noDefaults, configuration.board.kind.isPC {
            var nic = NICConfiguration()
            nic.model = configuration.board.kind.usualCard
            nic.network = "#nic0"
            configuration.networks.append(NetworkConfiguration(id: "#nic0", kind: .user))
            configuration.nics.append(nic)
        }
        for nic in configuration.nics {
            guard let id = nic.network else { continue }
            guard configuration.networks.contains(where: { $0.id == id }) else {
                throw .invalid("netdev '\(printable(id))' not found")
            }
        }
    }

    /// Serial port and monitor where none was asked for, and the check of all users of back-ends.
    private mutating func finishCharacterDevices() throws(OptionError) {
        origin = ""
        let kind = configuration.board.kind
        configuration.process.isNoGraphic = noGraphic
        if noGraphic { configuration.display = .none }
        let wantsSerial =
            !noDefaults && !hasSerial && !configuration.devices.contains { $0.driver == "isa-serial" }
            && (kind.isPC || (kind == .microvm && configuration.board.isaSerial))
        let wantsMonitor = !noDefaults && !hasMonitor
        if noGraphic {
            if wantsSerial {
                try addSerialPort(wantsMonitor ? "mon:stdio" : "stdio")
            } else if wantsMonitor {
                try addMonitor(on: "stdio", mode: .readline)
            }
        } else {
            if wantsSerial { try addSerialPort("vc:80Cx24C") }
            if wantsMonitor { try addMonitor(on: "vc:80Cx24C", mode: .readline) }
        }
        let known = Set(configuration.characterDevices.map(\.id))
        let named =
            configuration.serialPorts.compactMap { $0.map { ("-serial", $0) } }
            + configuration.parallelPorts.compactMap { $0.map { ("-parallel", $0) } }
            + configuration.tpmBackends.map { ("-tpmdev", $0.characterDevice) }
            + configuration.monitors.map { ("-mon", $0.characterDevice) }
            + [("-gdb", configuration.gdbServer), ("-debugcon", configuration.debugConsole)]
            .compactMap { option, id in id.map { (option, $0) } }
        for (option, id) in named where !known.contains(id) {
            origin = option
            throw .invalid("chardev \"\(printable(id))\" not found")
        }
        let terminals = configuration.characterDevices.filter { if case .stdio = $0.kind { true } else { false } }
        if terminals.count > 1 {
            origin = ""
            throw .invalid(
                "cannot use stdio by multiple character devices: '\(terminals[0].id)' and '\(terminals[1].id)';"
                    + " 'mon:stdio' shares it")
        }
        try checkSharing(named)
    }

    /// A back-end has one front-end, or several if it is multiplexed.
    private mutating func checkSharing(_ named: [(String, String)]) throws(OptionError) {
        var users: [String: Int] = [:]
        var all = named
        for device in configuration.devices {
            if let id = device.properties.string("chardev") { all.append((device.origin, id)) }
        }
        for (option, id) in all {
            users[id, default: 0] += 1
            let isShared = configuration.characterDevices.first { $0.id == id }?.isMultiplexed ?? false
            if users[id] == 2, !isShared {
                origin = option
                throw .invalid("chardev '\(printable(id))' is already in use; mux=on shares it")
            }
        }
    }

    var usesStandardInput: Bool {
        configuration.characterDevices.contains { if case .stdio = $0.kind { true } else { false } }
    }

    /// The names that devices and nodes refer to.
    private mutating func checkDevices() throws(OptionError) {
        let nodes = BlockNodeOptions.allNodes(configuration.blockNodes)
        origin = "-blockdev"
        for case .some(let node) in configuration.board.flashNodes where !nodes.contains(node) {
            origin = boardOrigin
            throw .invalid("Cannot find device='' nor node-name='\(printable(node))'")
        }
        for reference in BlockNodeOptions.references(configuration.blockNodes) where !nodes.contains(reference.target) {
            throw .invalid(
                "Cannot find device='' nor node-name='\(printable(reference.target))',"
                    + " which '\(reference.node)' has as its \(reference.child)")
        }
        let drives = nodes.union(configuration.drives.map(\.id))
        let networks = Set(configuration.networks.map(\.id))
        let characters = Set(configuration.characterDevices.map(\.id))
        let objects = Set(configuration.objects.map(\.id))
        var ids: Set<String> = []
        var singles: Set<String> = []
        for device in configuration.devices {
            origin = device.origin
            if let id = device.id, !ids.insert(id).inserted { throw .invalid("Duplicate ID '\(id)' for device") }
            guard let description = DeviceCatalogue.find(device.driver) else { continue }
            if let words = DeviceDescription.single[device.driver], !singles.insert(device.driver).inserted {
                throw .invalid(words)
            }
            if let words = description.objection(to: propertiesWithGlobals(device, description)) {
                throw .invalid(words)
            }
            for member in device.properties.members {
                let known: Set<String>
                switch description.property(member.name)?.kind {
                case .drive: known = drives
                case .network: known = networks
                case .characterDevice: known = characters
                case .object: known = objects
                default: continue
                }
                guard let name = member.value.stringValue, !known.contains(name) else { continue }
                throw .invalid(
                    "Property '\(device.driver).\(member.name)' can't find value '\(printable(name))'")
            }
            let needsImage = ["virtio-blk", "ide-hd", "scsi-hd", "nvme"].contains { device.driver.hasPrefix($0) }
            if needsImage, device.properties["drive"] == nil {
                throw .invalid("drive property not set: '\(device.driver)' needs drive=id")
            }
        }
    }

    /// A device's own properties over those of `-global`, typed.
    private func propertiesWithGlobals(_ device: DeviceConfiguration, _ description: DeviceDescription) -> JSONObject {
        var properties = device.properties
        for global in configuration.globals
        where global.driver == device.driver && properties[global.property] == nil {
            properties[global.property] = description.property(global.property)?.checked(.string(global.value))
        }
        return properties
    }
}
