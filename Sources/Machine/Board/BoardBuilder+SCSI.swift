internal import BlockImage
internal import DeviceModel
internal import Devices
internal import JSON

/// SCSI hosts with their disks and CD drives, and NVMe controllers.
extension BoardBuilder {
    /// A SCSI host's bus: where units that name it or no bus go.
    struct SCSIBus {
        let name: String
        /// The host's path in Open Firmware's form, known once it is in its slot.
        var path: String
        let host: VirtioSCSI
    }

    static func isSCSIUnit(_ driver: String) -> Bool { driver == "scsi-hd" || driver == "scsi-cd" }

    /// The host of a `virtio-scsi-pci`; its units come as devices of their own.
    func scsiHost(
        _ properties: JSONObject, _ name: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> any VirtioDevice {
        let queues = properties.number("num_queues").flatMap { 1...64 ~= $0 ? $0 : nil } ?? 1
        let size = properties.number("virtqueue_size").flatMap { UInt16(exactly: $0) } ?? 256
        let host = VirtioSCSI([], queues: queues, queueSize: size, scheduler: try worker(name, properties))
        let (storage, lifecycle) = (storage, lifecycle)
        host.observeTrays { [weak host] target, lun, isOpen in
            let found = storage.removableDrives.first { $0.isAt(channel: target, unit: lun) && $0.isConnected(to: host) }
            guard let drive = found else { return }
            lifecycle.send(.trayMoved(device: drive.name, id: drive.id ?? drive.path, isOpen: isOpen))
        }
        scsiBuses.append(SCSIBus(name: device.id.map { "\($0).0" } ?? "scsi.\(scsiBuses.count)", path: "", host: host))
        return host
    }

    /// Adds a `scsi-hd` or `scsi-cd`; before the machine runs, or while it does.
    func addSCSIUnit(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let wanted = device.bus
        guard
            let bus = scsiBuses.first(where: { wanted == nil || $0.name == wanted || $0.name == "\(wanted ?? "").0" })
        else {
            throw MachineBuildError(
                wanted.map { "\(device.origin): Bus '\($0)' not found" }
                    ?? "\(device.origin): No 'SCSI' bus found for device '\(device.driver)'")
        }
        let isCD = device.driver == "scsi-cd"
        var unit = SCSIUnitProperties(isCD: isCD)
        if let text = properties.string("vendor") { unit.vendor = text }
        if let text = properties.string("product") { unit.product = text }
        if let text = properties.string("ver") { unit.revision = text }
        if let text = properties.string("serial") { unit.serial = text }
        let drive = properties.string("drive")
        unit.identifier = properties.string("device_id") ?? drive ?? ""
        unit.worldWideName = UInt64(bitPattern: Int64(properties.number("wwn") ?? 0))
        unit.rotationRate = UInt16(truncatingIfNeeded: properties.number("rotation_rate") ?? 0)
        for (name, most) in [("logical_block_size", 4096), ("physical_block_size", 1 << 20)] {
            guard let size = properties.number(name), size != 0 else { continue }
            guard size >= 512, size <= most, size.nonzeroBitCount == 1 else {
                throw MachineBuildError("\(device.origin): \(name) must be a power of two from 512 to \(most)")
            }
            if name.hasPrefix("logical") { unit.blockSize = isCD ? 512 : size } else { unit.physicalBlockSize = size }
        }
        unit.physicalBlockSize = max(unit.physicalBlockSize, unit.blockSize)
        let (target, lun) = try scsiPlace(device, properties, bus)
        let path = device.id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/scsi\(target)-\(lun)"
        var backend: BlockDevice?
        if let drive, !configuration.drives.contains(where: { $0.id == drive && $0.file == nil }) {
            backend = try storage.attach(drive, to: path)
        } else if !isCD {
            throw MachineBuildError("\(device.origin): drive property not set")
        }
        if let backend { unit.writeCache = backend.isWriteCacheEnabled }
        if isCD {
            storage.addRemovable(drive ?? "", id: device.id, path: path, channel: Int(target), unit: Int(lun))
            storage.removableDrives.last?.connect(bus.host)
        }
        guard bus.host.add(SCSIPlace(target: target, lun: lun, properties: unit, backend: backend)) else {
            throw MachineBuildError("\(device.origin): lun \(lun) of target \(target) is in use")
        }
        let place = "\(String(target, radix: 16)),\(String(lun, radix: 16))"
        try noteBootIndex(device, properties, "\(bus.path)channel@0/disk@\(place)")
        note(
            device.driver, id: device.id, bus: bus.name, properties: device.properties,
            details: ["channel 0, scsi-id \(target), lun \(lun)"])
    }

    private func scsiPlace(
        _ device: DeviceConfiguration, _ properties: JSONObject, _ bus: SCSIBus
    ) throws(MachineBuildError) -> (target: UInt8, lun: UInt16) {
        func number(_ name: String, _ most: Int) throws(MachineBuildError) -> Int? {
            guard let value = properties.number(name), value != 0xFFFF_FFFF, value >= 0 else { return nil }
            guard value <= most else {
                throw MachineBuildError("\(device.origin): \(name) \(value) is more than \(most)")
            }
            return value
        }
        guard try number("channel", 0) ?? 0 == 0 else { return (0, 0) }
        let lun = try number("lun", 16383)
        if let target = try number("scsi-id", 255) { return (UInt8(target), UInt16(lun ?? 0)) }
        guard let free = (0..<256).first(where: { !bus.host.hasTarget(UInt8($0)) }) else {
            throw MachineBuildError("\(device.origin): no free target")
        }
        return (UInt8(free), UInt16(lun ?? 0))
    }

    // MARK: NVMe

    func addNVMe(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let name = stateName(device.id ?? "nvme")
        let properties = withGlobals(device)
        guard let drive = properties.string("drive") else {
            throw MachineBuildError("\(device.origin): drive property not set")
        }
        guard let serial = properties.string("serial"), !serial.isEmpty else {
            throw MachineBuildError("\(device.origin): serial property not set")
        }
        let backend = try storage.attach(drive, to: "/machine/peripheral/\(name)")
        var options = NVMeProperties(serial: serial)
        if let size = properties.number("logical_block_size"), size != 0 {
            guard size == 512 || size == 4096 else {
                throw MachineBuildError("\(device.origin): logical_block_size must be 512 or 4096")
            }
            options.blockSize = size
        }
        options.writeCache = backend.isWriteCacheEnabled
        let controller = NVMeController(
            options, backend: backend, memory: memory, scheduler: try worker(name, properties), stateName: name)
        try attach(controller.function, device, properties)
        devices.append(controller)
    }
}
