/// What a machine gets at its start: names towards QEMU, and numbers of its images.
extension Domain {
    /// Gives each device its alias, and each image of each disk its number, as libvirt does at a start. Aliases that
    /// users chose stay.
    public mutating func prepareToStart() {
        for index in devices.disks.indices {
            let disk = devices.disks[index]
            devices.disks[index].info.name(alias(of: disk, index))
        }
        for index in devices.controllers.indices {
            let controller = devices.controllers[index]
            devices.controllers[index].info.name(alias(of: controller))
        }
        for index in devices.filesystems.indices { devices.filesystems[index].info.name("fs\(index)") }
        for index in devices.interfaces.indices { devices.interfaces[index].info.name("net\(index)") }
        for index in devices.smartcards.indices { devices.smartcards[index].info.name("smartcard\(index)") }
        for index in devices.serials.indices { devices.serials[index].info.name("serial\(index)") }
        for index in devices.parallels.indices { devices.parallels[index].info.name("parallel\(index)") }
        for index in devices.channels.indices { devices.channels[index].info.name("channel\(index)") }
        for index in devices.consoles.indices { devices.consoles[index].info.name("console\(index)") }
        if devices.consoles.first?.target.type == "serial", let serial = devices.serials.first {
            devices.consoles[0].info.alias = serial.info.alias
        }
        for index in devices.inputs.indices { devices.inputs[index].info.name("input\(index)") }
        for index in devices.tpms.indices { devices.tpms[index].info.name("tpm\(index)") }
        for index in devices.sounds.indices { devices.sounds[index].info.name("sound\(index)") }
        for index in devices.videos.indices { devices.videos[index].info.name("video\(index)") }
        for index in devices.hostdevs.indices { devices.hostdevs[index].info.name("hostdev\(index)") }
        for index in devices.redirdevs.indices { devices.redirdevs[index].info.name("redir\(index)") }
        for index in devices.hubs.indices { devices.hubs[index].info.name("hub\(index)") }
        for index in devices.watchdogs.indices { devices.watchdogs[index].info.name("watchdog\(index)") }
        devices.memballoon?.info.name("balloon0")
        for index in devices.rngs.indices { devices.rngs[index].info.name("rng\(index)") }
        for index in devices.panics.indices { devices.panics[index].info.name("panic\(index)") }
        for index in devices.sharedMemories.indices { devices.sharedMemories[index].info.name("shmem\(index)") }
        for index in devices.cryptos.indices { devices.cryptos[index].info.name("crypto\(index)") }
        devices.vsock?.info.name("vsock0")
        devices.iommu?.info.name("iommu0")
        for index in devices.memories.indices {
            let memory = devices.memories[index]
            var number = UInt32(index)
            if case .dimm(let slot?, _)? = memory.info.address { number = slot }
            let prefix = memory.model.hasPrefix("virtio-") ? memory.model.filter { $0 != "-" } : memory.model
            devices.memories[index].info.name("\(prefix)\(number)")
        }
        numberImages()
    }

    private func alias(of disk: Disk, _ index: Int) -> String {
        let letter = Domain.diskIndex(disk.target.dev) ?? index
        guard case .drive(let controller, let bus, let target, let unit)? = disk.info.address else {
            return "\(disk.target.bus?.rawValue ?? "disk")-disk\(letter)"
        }
        switch disk.target.bus {
        case .scsi:
            let model = devices.controllers.first { $0.type == .scsi && $0.index == controller }?.model
            return model == "lsilogic"
                ? "scsi\(controller)-\(bus)-\(unit)" : "scsi\(controller)-\(bus)-\(target)-\(unit)"
        case .ide: return "ide\(controller)-\(bus)-\(unit)"
        case .sata: return "sata\(controller)-\(bus)-\(unit)"
        case .fdc: return "fdc\(controller)-\(bus)-\(unit)"
        default: return "\(disk.target.bus?.rawValue ?? "disk")-disk\(letter)"
        }
    }

    private func alias(of controller: Controller) -> String {
        let index = controller.index ?? 0
        switch controller.type {
        case .pci: return controller.model == "pcie-root" ? "pcie.\(index)" : "pci.\(index)"
        case .usb: return index == 0 ? "usb" : "usb\(index)"
        case .ide where index == 0 && (chipset == .i440fx || chipset == .isa): return "ide"
        case .sata where index == 0 && chipset == .q35: return "ide"
        default: return "\(controller.type.rawValue)\(index)"
        }
    }

    /// Images are numbered from the last disk to the first, each chain from its top.
    private mutating func numberImages() {
        var number: UInt32 = 0
        for index in devices.disks.indices.reversed() {
            number += 1
            devices.disks[index].source?.index = number
            Self.number(&devices.disks[index].backingStore, &number)
        }
    }

    private static func number(_ chain: inout [Disk.BackingStore], _ number: inout UInt32) {
        for index in chain.indices where chain[index].source != nil {
            number += 1
            chain[index].index = number
            chain[index].source?.index = number
            self.number(&chain[index].backingStore, &number)
        }
    }
}

extension DeviceInfo {
    fileprivate mutating func name(_ name: String) {
        if alias?.hasPrefix("ua-") != true { alias = name }
    }
}
