/// What each device is when its definition does not say.
extension Domain {
    mutating func fillInDevices(using generator: inout some RandomNumberGenerator) throws(DefinitionError) {
        for index in devices.disks.indices { try fillInDisk(&devices.disks[index]) }
        for index in devices.controllers.indices { fillInController(&devices.controllers[index]) }
        for index in devices.filesystems.indices {
            if devices.filesystems[index].accessMode == nil { devices.filesystems[index].accessMode = "passthrough" }
            for mode in [\FileSystem.fmode, \.dmode] {
                guard let text = devices.filesystems[index][keyPath: mode], let value = UInt32(text, radix: 8) else {
                    continue
                }
                let digits = String(value, radix: 8)
                devices.filesystems[index][keyPath: mode] =
                    String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
            }
        }
        for index in devices.interfaces.indices {
            if devices.interfaces[index].mac == nil {
                devices.interfaces[index].mac = MACAddress.random(using: &generator)
            }
            let type = devices.interfaces[index].type
            if devices.interfaces[index].model == nil, type != .hostdev {
                devices.interfaces[index].model = chipset == .microvm || chipset == .other ? "virtio" : "rtl8139"
            }
        }
        for index in devices.inputs.indices where devices.inputs[index].bus == nil {
            switch devices.inputs[index].type {
            case "mouse", "keyboard": devices.inputs[index].bus = "ps2"
            case "tablet": devices.inputs[index].bus = "usb"
            case "passthrough": devices.inputs[index].bus = "virtio"
            default: break
            }
        }
        for index in devices.graphics.indices { devices.graphics[index].fillIn() }
        fillInVideos()
        for index in devices.hostdevs.indices where devices.hostdevs[index].managed == nil {
            devices.hostdevs[index].managed = .no
        }
        for index in devices.watchdogs.indices where devices.watchdogs[index].action == nil {
            devices.watchdogs[index].action = "reset"
        }
        for index in devices.panics.indices
        where devices.panics[index].model == nil || devices.panics[index].model == "default" {
            devices.panics[index].model = "isa"
        }
        if devices.vsock != nil, devices.vsock?.model == nil { devices.vsock?.model = "virtio" }
        fillInSmallDevices()
    }

    private mutating func fillInSmallDevices() {
        for index in devices.rngs.indices {
            if devices.rngs[index].backend.model == "random", devices.rngs[index].backend.path == nil {
                devices.rngs[index].backend.path = "/dev/random"
            }
        }
        for index in devices.tpms.indices {
            if devices.tpms[index].model == nil { devices.tpms[index].model = "tpm-tis" }
            if devices.tpms[index].backend.type == "emulator", devices.tpms[index].backend.version == nil {
                devices.tpms[index].backend.version = "2.0"
            }
        }
        for index in devices.sharedMemories.indices where devices.sharedMemories[index].model == nil {
            devices.sharedMemories[index].model =
                devices.sharedMemories[index].hasServer ? "ivshmem-doorbell" : "ivshmem-plain"
        }
        if let filter = devices.redirectionFilter {
            for index in filter.rules.indices { devices.redirectionFilter?.rules[index].normalize() }
        }
    }

    private func fillInDisk(_ disk: inout Disk) throws(DefinitionError) {
        let name = disk.target.dev
        if disk.target.bus == nil {
            if disk.device == .floppy {
                disk.target.bus = .fdc
            } else if name.hasPrefix("vd") {
                disk.target.bus = .virtio
            } else if name.hasPrefix("sd") {
                disk.target.bus = .scsi
            } else if name.hasPrefix("xvd") {
                disk.target.bus = .xen
            } else if name.hasPrefix("ubd") {
                disk.target.bus = .uml
            } else {
                disk.target.bus = .ide
            }
        }
        if disk.target.bus == .ide, chipset == .q35 {
            throw DefinitionError.unsupported("IDE controllers are unsupported for this QEMU binary or machine type")
        }
        if disk.target.rotationRate == 0 { disk.target.rotationRate = nil }
        if disk.device == .cdrom { disk.readonly = true }
        if disk.type == .vhostUser, disk.snapshot == nil { disk.snapshot = "no" }
        if disk.readonly, disk.snapshot == "no" { disk.snapshot = nil }
        var driver = disk.driver ?? Disk.Driver()
        if driver.name == nil { driver.name = "qemu" }
        if driver.type == nil || driver.type == "auto" { driver.type = "raw" }
        if driver.type == "aio" { driver.type = "raw" }
        disk.driver = driver
        for keyPath in [\Disk.Driver.cache, \.errorPolicy, \.readErrorPolicy, \.io, \.discard, \.detectZeroes]
        where disk.driver?[keyPath: keyPath] == "default" {
            disk.driver?[keyPath: keyPath] = nil
        }
        if disk.source?.isEmpty == true, disk.source?.startupPolicy == nil { disk.source = nil }
        try assignDriveAddress(&disk)
    }

    private func assignDriveAddress(_ disk: inout Disk) throws(DefinitionError) {
        guard disk.info.address == nil, let bus = disk.target.bus else { return }
        guard [.ide, .fdc, .scsi, .sata].contains(bus) else { return }
        guard let number = Domain.diskIndex(disk.target.dev), let index = UInt32(exactly: number) else {
            throw DefinitionError.xml("Unknown disk name '\(disk.target.dev)' and no address specified")
        }
        switch bus {
        case .ide:
            disk.info.address = .drive(controller: index / 4, bus: index % 4 / 2, target: 0, unit: index % 2)
        case .fdc: disk.info.address = .drive(controller: index / 2, bus: 0, target: 0, unit: index % 2)
        case .scsi: disk.info.address = .drive(controller: index / 7, bus: 0, target: 0, unit: index % 7)
        case .sata: disk.info.address = .drive(controller: index / 6, bus: 0, target: 0, unit: index % 6)
        default: break
        }
    }

    private func fillInController(_ controller: inout Controller) {
        switch controller.type {
        case .usb where controller.model == nil:
            controller.model = chipset == .i440fx || chipset == .q35 ? "piix3-uhci" : "qemu-xhci"
        case .scsi where controller.model == nil || controller.model == "auto": controller.model = "lsilogic"
        default: break
        }
        if controller.type == .usb, controller.info.masterStartPort == nil {
            switch controller.model {
            case "ich9-uhci1": controller.info.masterStartPort = 0
            case "ich9-uhci2": controller.info.masterStartPort = 2
            case "ich9-uhci3": controller.info.masterStartPort = 4
            default: break
            }
        }
    }

    private mutating func fillInVideos() {
        if devices.videos.isEmpty, devices.graphics.contains(where: { $0.type != .eglHeadless }),
            chipset == .i440fx || chipset == .q35
        {
            devices.videos.append(Video())
        }
        for index in devices.videos.indices { devices.videos[index].fillIn() }
        if !devices.videos.isEmpty, devices.videos[0].model.type != "none",
            !devices.videos.contains(where: { $0.model.primary == .yes })
        {
            devices.videos[0].model.primary = .yes
        }
        // The primary one stands first.
        if let place = devices.videos.firstIndex(where: { $0.model.primary == .yes }), place > 0 {
            devices.videos.insert(devices.videos.remove(at: place), at: 0)
        }
    }
}

extension Video {
    mutating func fillIn() {
        if model.type == nil || model.type == "default" { model.type = "cirrus" }
        if model.type == "none" {
            model.heads = nil
            return
        }
        if model.heads == nil { model.heads = 1 }
        switch model.type {
        case "cirrus", "vga", "vmvga", "bochs":
            if model.vram == nil { model.vram = 16384 }
        case "qxl":
            // As QEMU has them: powers of two, at least 64 MiB for both windows.
            model.ram = Self.powerOfTwo(model.ram ?? 65536)
            model.vram = Self.powerOfTwo(model.vram ?? 65536)
            model.vgamem = Self.powerOfTwo(model.vgamem ?? 16384)
        default: break
        }
    }

    private static func powerOfTwo(_ value: UInt32) -> UInt32 {
        guard value > 1, value <= 1 << 31 else { return value }
        return 1 << (32 - UInt32((value - 1).leadingZeroBitCount))
    }
}

extension RedirectionFilter.Rule {
    /// Numbers as libvirt writes them.
    mutating func normalize() {
        func number(_ text: String?, _ digits: Int) -> String? {
            guard let text, let value = UInt32(cNotation: text) else { return text }
            return "0x" + value.hex(digits).uppercased()
        }
        usbClass = number(usbClass, 2)
        vendor = number(vendor, 4)
        product = number(product, 4)
    }
}

extension Graphics {
    /// Where it listens, and whether it chooses its port.
    mutating func fillIn() {
        if listeners.isEmpty, type == .vnc || type == .spice || type == .rdp {
            if let socket {
                var listener = Listener(type: "socket")
                listener.socket = socket
                listeners = [listener]
            } else if type == .spice, (port ?? 0) == 0, (tlsPort ?? 0) == 0, autoport != .yes, listen == nil {
                listeners = [Listener(type: "none")]
            } else {
                listeners = [Listener(type: "address", address: listen)]
            }
        }
        listen = listeners.first { $0.type == "address" || $0.type == "network" }?.address
        if listeners.first?.type == "address" { listen = listeners.first?.address }
        if listeners.first?.type == "socket" { socket = listeners.first?.socket }
        switch type {
        case .vnc:
            if listeners.first?.type == "socket" || listeners.first?.type == "none" {
                port = nil
                autoport = nil
            } else {
                if port == nil || port == -1 { autoport = .yes }
                if autoport == .yes { port = -1 } else { autoport = .no }
            }
        case .spice:
            if port == -1 || tlsPort == -1 { autoport = .yes }
            if autoport == .yes {
                port = nil
                tlsPort = nil
            } else if port != nil || tlsPort != nil {
                autoport = .no
            } else {
                autoport = nil
            }
        case .rdp:
            if port == nil || port == -1 { autoport = .yes }
            if autoport == .yes { port = -1 }
        default: break
        }
    }
}
