internal import BlockImage
internal import DeviceModel
internal import Devices
internal import JSON

/// The board's IDE function or AHCI controller with the drives of `-hda`, `-cdrom`, `-drive if=ide` and `-device ide-hd`.
extension BoardBuilder {
    /// A drive with its place, before its controller is made.
    struct DrivePlace {
        var unit: IDEUnit
        var node: DeviceNode
        var device: DeviceConfiguration
        var properties: JSONObject
    }
    /// A controller's buses by their names, and the drives there, by channel and unit.
    struct DriveBuses {
        let names: [String]
        let units: Int
        /// The number of the first drive, which tells its serial from others'.
        let firstNumber: Int
        var places: [[DrivePlace?]]

        init(_ names: [String], units: Int, firstNumber: Int = 1) {
            (self.names, self.units, self.firstNumber) = (names, units, firstNumber)
            places = [[DrivePlace?]](repeating: [DrivePlace?](repeating: nil, count: units), count: names.count)
        }
        var nodes: [DeviceNode.Bus] {
            zip(names, places).map { name, units in
                DeviceNode.Bus(name: name, type: "IDE", devices: units.compactMap { $0?.node })
            }
        }
    }

    static func isIDEDrive(_ driver: String) -> Bool { driver == "ide-hd" || driver == "ide-cd" }

    /// The drives of the board's own controllers: PIIX3's IDE function, or ICH9's AHCI.
    func addDrives() throws(MachineBuildError) {
        switch configuration.board.kind {
        case .pc: try addIDE()
        case .q35: try addAHCI()
        default:
            if let device = configuration.devices.first(where: { Self.isIDEDrive($0.driver) }) {
                throw MachineBuildError("\(device.origin): No 'IDE' bus found for device '\(device.driver)'")
            }
        }
    }

    /// The drives of the board's buses: those of options, those of devices, and the CD drive that is there by default.
    private func collect(_ channels: Int, units: Int, defaultCD: Int) throws(MachineBuildError) -> DriveBuses {
        var buses = DriveBuses((0..<channels).map { "ide.\($0)" }, units: units)
        for drive in configuration.drives where drive.interface == .ide {
            var device = DeviceConfiguration(driver: drive.media == .cdrom ? "ide-cd" : "ide-hd")
            device.properties["drive"] = .string(drive.id)
            device.properties["unit"] = .integer(Int64(drive.unit))
            device.bus = "ide.\(drive.bus)"
            device.origin = drive.origin
            try addDrive(device, &buses)
        }
        let others = Set(addedDriveBuses.flatMap { $0 })
        for device in configuration.devices where Self.isIDEDrive(device.driver) {
            if let bus = device.bus, others.contains(bus) { continue }
            try addDrive(device, &buses)
        }
        if configuration.defaultDevices.cdrom, buses.places[defaultCD][0] == nil {
            var device = DeviceConfiguration(driver: "ide-cd")
            device.properties["unit"] = .integer(0)
            device.bus = "ide.\(defaultCD)"
            try addDrive(device, &buses)
        }
        return buses
    }

    /// Has the drives whose media change, which have come since there were so many, know their controller.
    func connectDrives(
        after count: Int, to controller: any RemovableMediaHost
    ) -> IDEController.TrayObserver {
        for drive in storage.removableDrives.dropFirst(count) { drive.connect(controller) }
        let (storage, lifecycle) = (storage, lifecycle)
        return { [weak controller] channel, unit, isOpen in
            guard let controller,
                let drive = storage.removableDrives.first(where: {
                    $0.isAt(channel: channel, unit: unit) && $0.isConnected(to: controller)
                })
            else { return }
            lifecycle.send(.trayMoved(device: drive.name, id: drive.id ?? drive.path, isOpen: isOpen))
        }
    }

    /// Tells firmware where the drives are, by a path in Open Firmware's form.
    func noteBootIndexes(
        _ buses: DriveBuses, _ path: (_ channel: Int, _ unit: Int) -> String
    ) throws(MachineBuildError) {
        for (channel, units) in buses.places.enumerated() {
            for (unit, place) in units.enumerated() {
                if let place { try noteBootIndex(place.device, place.properties, path(channel, unit)) }
            }
        }
    }

    private func addIDE() throws(MachineBuildError) {
        guard let pci else { return }
        let count = storage.removableDrives.count
        let buses = try collect(2, units: 2, defaultCD: 1)
        let name = stateName("piix3-ide")
        let controller = IDEController(
            units: buses.places.map { $0.map { $0?.unit } }, memory: memory,
            lines: IDEController.interrupts.map { line($0) }, scheduler: try worker(name), stateName: name)
        controller.attach(to: io)
        controller.observeTrays(connectDrives(after: count, to: controller))
        try MachineBuildError.wrapping { () throws(PCIBusError) in
            try pci.attach(controller.function, slot: 1, function: 1)
        }
        devices.append(controller)
        try noteBootIndexes(buses) { "ide@1,1/drive@\($0)/disk@\($1)" }
        note("piix3-ide", bus: "pci.0", place: (1, 1), buses: buses.nodes)
    }

    private func addAHCI() throws(MachineBuildError) {
        guard let pci else { return }
        let count = storage.removableDrives.count
        let buses = try collect(Q35Board.ahciPorts, units: 1, defaultCD: 2)
        let name = stateName("ich9-ahci")
        let controller = AHCIController(
            units: buses.places.map { $0[0]?.unit }, memory: memory, scheduler: try worker(name), stateName: name)
        controller.observeTrays(connectDrives(after: count, to: controller))
        try MachineBuildError.wrapping { () throws(PCIBusError) in
            try pci.attach(controller.function, slot: Q35Board.chipsetSlot, function: 2)
        }
        devices.append(controller)
        try noteBootIndexes(buses) { channel, _ in "pci8086,2922@1f,2/drive@\(channel)/disk@0" }
        note("ich9-ahci", bus: "pcie.0", place: (0x1F, 2), buses: buses.nodes)
    }

    /// Adds a drive to the buses of which it names one, or to the first that has room.
    func addDrive(_ device: DeviceConfiguration, _ buses: inout DriveBuses) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let (channel, unit) = try place(device, properties, buses)
        let kind: IDEDriveProperties.Kind = device.driver == "ide-cd" ? .cdrom : .disk
        // Drives are numbered by their places, so that a disk keeps its serial when another comes.
        var options = IDEDriveProperties(kind, number: buses.firstNumber + channel * buses.units + unit)
        if let serial = properties.string("serial") { options.serial = serial }
        if let model = properties.string("model") { options.model = model }
        if let version = properties.string("ver") { options.firmware = version }
        options.worldWideName = UInt64(bitPattern: Int64(properties.number("wwn") ?? 0))
        options.rotationRate = UInt16(truncatingIfNeeded: properties.number("rotation_rate") ?? 0)
        if let size = properties.number("physical_block_size"), size > 512, size <= 1 << 20 {
            options.physicalBlockSize = size
        }
        if kind == .disk, let size = properties.number("logical_block_size"), size != 0, size != 512 {
            throw MachineBuildError("\(device.origin): logical_block_size must be 512 for IDE")
        }
        options.geometry = try geometry(device, properties)

        let path = device.id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/\(buses.names[channel].replacing("ide.", with: "ide"))-\(unit)"
        var backend: BlockDevice?
        let drive = properties.string("drive")
        if let drive, !configuration.drives.contains(where: { $0.id == drive && !$0.hasMedium }) {
            backend = try storage.attach(drive, to: path)
        } else if kind != .cdrom {
            throw MachineBuildError("\(device.origin): Device needs media, but drive is empty")
        }
        if let backend {
            storage.setErrorRules(backend, properties, lifecycle)
            options.writeCache = backend.isWriteCacheEnabled
            switch properties.string("write-cache") {
            case "on": options.writeCache = true
            case "off": options.writeCache = false
            default: break
            }
            // What the drive says of its cache is what the image is asked for.
            if options.writeCache { backend.isWriteCacheEnabled = true }
        }
        if kind == .cdrom {
            let name = drive ?? (device.origin.isEmpty ? "ide\(channel)-cd\(unit)" : "")
            storage.addRemovable(name, id: device.id, path: path, channel: channel, unit: unit)
        }
        var given = device.properties
        if let drive { given["drive"] = .string(drive) }
        let shown = shownProperties(device.driver, given)
        let node = DeviceNode(
            model: device.driver, id: device.id ?? "", path: path, properties: shown, details: ["unit \(unit)"])
        buses.places[channel][unit] = DrivePlace(
            unit: IDEUnit(options, backend: backend), node: node, device: device, properties: properties)
    }

    /// The channel and unit that a device names, or the first that is free.
    private func place(
        _ device: DeviceConfiguration, _ properties: JSONObject, _ buses: DriveBuses
    ) throws(MachineBuildError) -> (channel: Int, unit: Int) {
        var channels = Array(buses.names.indices)
        let unitCount = buses.units
        if let bus = device.bus {
            guard let channel = buses.names.firstIndex(of: bus) else {
                throw MachineBuildError("\(device.origin): Bus '\(bus)' not found")
            }
            channels = [channel]
        }
        let wanted = properties.number("unit").flatMap { $0 == 0xFFFF_FFFF || $0 < 0 ? nil : $0 }
        if let wanted, wanted >= unitCount {
            throw MachineBuildError(
                "\(device.origin): Can't create IDE unit \(wanted), bus supports only \(unitCount) units")
        }
        for channel in channels {
            for unit in 0..<unitCount where wanted == nil || wanted == unit {
                if buses.places[channel][unit] == nil { return (channel, unit) }
            }
        }
        if let wanted { throw MachineBuildError("\(device.origin): IDE unit \(wanted) is in use") }
        throw MachineBuildError("\(device.origin): All IDE units are in use")
    }

    private func geometry(
        _ device: DeviceConfiguration, _ properties: JSONObject
    ) throws(MachineBuildError) -> (cylinders: Int, heads: Int, sectors: Int)? {
        func number(_ name: String, _ most: Int) throws(MachineBuildError) -> Int? {
            guard let value = properties.number(name), value != 0 else { return nil }
            guard 1...most ~= value else {
                throw MachineBuildError("\(device.origin): \(name) must be between 1 and \(most)")
            }
            return value
        }
        let (cylinders, heads, sectors) = (
            try number("cyls", 65535), try number("heads", 16), try number("secs", 255)
        )
        guard let cylinders, let heads, let sectors else { return nil }
        return (cylinders, heads, sectors)
    }
}
