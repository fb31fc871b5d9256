/// What libvirt refuses though each part is right by itself.
extension Domain {
    /// What can be told before addresses are given.
    func check() throws(DefinitionError) {
        var targets: [String: String] = [:]
        for disk in devices.disks {
            let path = disk.source?.localPath ?? disk.source?.name ?? ""
            if let other = targets[disk.target.dev] {
                throw DefinitionError.xml(
                    "target '\(disk.target.dev)' duplicated for disk sources '\(other.isEmpty ? "NULL" : other)' "
                        + "and '\(path.isEmpty ? "NULL" : path)'")
            }
            targets[disk.target.dev] = path
        }
        var seen: Set<String> = []
        for controller in devices.controllers where controller.type != .usb {
            let key = "\(controller.type.rawValue) \(controller.index ?? 0)"
            guard seen.insert(key).inserted else {
                throw DefinitionError.xml(
                    "Multiple '\(controller.type.rawValue)' controllers with index '\(controller.index ?? 0)'")
            }
        }
        if let cpu, let topology = cpu.topology {
            let parts = [topology.sockets, topology.dies, topology.clusters ?? 1, topology.cores, topology.threads]
            let product = parts.reduce(UInt64(1)) { $0.multipliedReportingOverflow(by: UInt64($1)).partialValue }
            guard product == UInt64(vcpu.maximum ?? 1) else {
                throw DefinitionError.unsupported("CPU topology doesn't match maximum vcpu count")
            }
        }
    }

    /// What can be told of a complete definition.
    func checkDevices() throws(DefinitionError) {
        let hasSpice = devices.graphics.contains { $0.type == .spice }
        let sources =
            devices.channels.map(\.source) + devices.redirdevs.map(\.source) + devices.smartcards.map(\.source)
            + devices.serials.map(\.source) + devices.parallels.map(\.source)
        for source in sources {
            if let type = source.type, type == .spicevmc || type == .spiceport, !hasSpice {
                throw DefinitionError.unsupported("chardev '\(type.rawValue)' not supported without spice graphics")
            }
        }
        if chipset == .i440fx, devices.controllers.contains(where: { $0.type == .ide && ($0.index ?? 0) > 0 }) {
            throw DefinitionError(.internalError, "internal error: Only 1 IDE controller is supported")
        }
        for console in devices.consoles.dropFirst() where console.target.type == "serial" {
            throw DefinitionError.unsupported("Only the first console can be a serial port")
        }
        for video in devices.videos.dropFirst() {
            if let type = video.model.type, type != "qxl", type != "virtio" {
                throw DefinitionError.unsupported("video type '\(type)' is only valid as primary video device")
            }
        }
        if devices.controllers.contains(where: { $0.type == .usb && $0.model == "none" }) {
            if devices.inputs.contains(where: { $0.bus == "usb" }) {
                throw DefinitionError.unsupported("Can't add USB input device. USB bus is disabled")
            }
            if devices.hubs.count > 0 {
                throw DefinitionError.unsupported("Can't add hub: USB is disabled for this domain")
            }
            if devices.redirdevs.count > 0 || devices.hostdevs.contains(where: { $0.type == "usb" }) {
                throw DefinitionError.unsupported("Can't add USB device: USB is disabled for this domain")
            }
            if devices.disks.contains(where: { $0.target.bus == .usb }) {
                throw DefinitionError.unsupported(
                    "USB is disabled for this domain, but USB devices are present in the domain XML")
            }
        }
        try checkAliases()
    }

    private func checkAliases() throws(DefinitionError) {
        var seen: Set<String> = []
        for alias in devices.allAliases where !seen.insert(alias).inserted {
            throw DefinitionError.xml("non unique alias detected: \(alias)")
        }
    }
}

extension Devices {
    /// The aliases that users chose.
    var allAliases: [String] {
        var all: [String?] = disks.map(\.info.alias) + controllers.map(\.info.alias) + interfaces.map(\.info.alias)
        all += serials.map(\.info.alias) + parallels.map(\.info.alias) + channels.map(\.info.alias)
        all += inputs.map(\.info.alias) + videos.map(\.info.alias) + sounds.map(\.info.alias)
        all += hostdevs.map(\.info.alias) + rngs.map(\.info.alias) + memories.map(\.info.alias)
        return all.compactMap { $0 }.filter { $0.hasPrefix("ua-") }
    }
}
