/// What stands at a fixed place of a chipset, and how each device is plugged in.
extension Domain {
    /// Reserves the chipset's own slots, and gives its own controllers and the first screen their places.
    mutating func reserveChipset(_ slots: inout PCISlots) throws(DefinitionError) {
        switch chipset {
        case .i440fx: try reserveI440FX(&slots)
        case .q35: try reserveQ35(&slots)
        default: break
        }
    }

    private mutating func reserveI440FX(_ slots: inout PCISlots) throws(DefinitionError) {
        try fix(.controller, type: .ide, at: PCIAddress(bus: 0, slot: 1, function: 1), &slots)
        for index in devices.controllers.indices
        where devices.controllers[index].type == .usb && devices.controllers[index].index == 0
            && devices.controllers[index].model == "piix3-uhci" && devices.controllers[index].info.address == nil
        {
            try fix(index, at: PCIAddress(bus: 0, slot: 1, function: 2), &slots)
        }
        // The host bridge; and the rest of PIIX3's slot is its own.
        slots.take(slot: 0)
        slots.take(slot: 1)
        try placePrimaryVideo(slot: 2, &slots)
    }

    private mutating func reserveQ35(_ slots: inout PCISlots) throws(DefinitionError) {
        try fix(.controller, type: .sata, at: PCIAddress(bus: 0, slot: 0x1F, function: 2), &slots)
        slots.take(slot: 0)
        slots.take(slot: 0x1F)
        if let index = devices.controllers.firstIndex(where: {
            $0.type == .pci && $0.model == "dmi-to-pci-bridge" && $0.info.address == nil
        }), slots.isFree(slot: 0x1E) {
            try fix(index, at: PCIAddress(bus: 0, slot: 0x1E), &slots)
        }
        if let index = devices.sounds.firstIndex(where: { $0.model == "ich9" && $0.info.address == nil }),
            slots.isFree(slot: 0x1B)
        {
            let address = PCIAddress(bus: 0, slot: 0x1B)
            try slots.reserve(address)
            devices.sounds[index].info.address = .pci(address)
        }
        try placePrimaryVideo(slot: 1, &slots)
    }

    private enum Fixed { case controller }

    private mutating func fix(
        _: Fixed, type: ControllerType, at address: PCIAddress, _ slots: inout PCISlots
    ) throws(DefinitionError) {
        for index in devices.controllers.indices
        where devices.controllers[index].type == type && devices.controllers[index].index == 0
            && devices.controllers[index].info.address == nil
        {
            try fix(index, at: address, &slots)
        }
    }

    private mutating func fix(
        _ index: Int, at address: PCIAddress, _ slots: inout PCISlots
    ) throws(DefinitionError) {
        try slots.reserve(address)
        devices.controllers[index].info.address = .pci(address)
    }

    private mutating func placePrimaryVideo(slot: UInt32, _ slots: inout PCISlots) throws(DefinitionError) {
        guard let first = devices.videos.first, first.info.address == nil, first.model.type != "none",
            first.model.type != "ramfb", slots.isFree(slot: slot)
        else { return }
        let address = PCIAddress(bus: 0, slot: slot)
        try slots.reserve(address)
        devices.videos[0].info.address = .pci(address)
    }

    /// How a device is plugged in; `nil` for one that is not on PCI.
    func connection(of device: PCIDevice) -> PCISlots.Connection? {
        let pci = PCISlots.Connection.pci
        // Where there is no Express, an Express device goes where the others do.
        let express = chipset == .q35 ? PCISlots.Connection.express : PCISlots.Connection.pci
        switch device {
        case .filesystem: return express
        case .interface(let index):
            switch devices.interfaces[index].model {
            case nil: return devices.interfaces[index].type == .hostdev ? express : nil
            case "virtio", "virtio-non-transitional", "e1000e", "igb", "vmxnet3": return express
            case "usb-net", "smc91c111", "lan9118": return nil
            default: return pci
            }
        case .sound(let index):
            switch devices.sounds[index].model {
            case "usb", "sb16", "pcspk": return nil
            case "virtio": return express
            default: return pci
            }
        case .disk(let index):
            guard devices.disks[index].target.bus == .virtio else { return nil }
            return devices.disks[index].model == "virtio-transitional" ? pci : express
        case .controller(let index): return connection(of: devices.controllers[index])
        case .hostdev(let index):
            switch devices.hostdevs[index].type {
            case "pci", "mdev", "scsi_host": return express
            default: return nil
            }
        case .memballoon:
            switch devices.memballoon?.model {
            case "virtio", "virtio-non-transitional": return express
            case "virtio-transitional": return pci
            default: return nil
            }
        case .rng(let index): return devices.rngs[index].model == "virtio-transitional" ? pci : express
        case .watchdog(let index): return devices.watchdogs[index].model == "i6300esb" ? pci : nil
        case .video(let index):
            switch devices.videos[index].model.type {
            case "none", "ramfb": return nil
            case "virtio", "bochs": return express
            default: return pci
            }
        case .shmem: return pci
        case .input(let index):
            guard devices.inputs[index].bus == "virtio" else { return nil }
            return devices.inputs[index].model == "virtio-transitional" ? pci : express
        case .serial(let index): return devices.serials[index].target.type == "pci-serial" ? pci : nil
        case .vsock: return devices.vsock?.model == "virtio-transitional" ? pci : express
        case .memory(let index): return devices.memories[index].model.hasPrefix("virtio-") ? pci : nil
        case .crypto: return express
        case .iommu: return devices.iommu?.model == "virtio" ? (chipset == .q35 ? .rootDevice : .pci) : nil
        }
    }

    private func connection(of controller: Controller) -> PCISlots.Connection? {
        let express = chipset == .q35 ? PCISlots.Connection.express : PCISlots.Connection.pci
        switch controller.type {
        case .usb:
            switch controller.model {
            case "none": return nil
            case "qemu-xhci", "nec-xhci": return express
            default: return .pci
            }
        case .scsi:
            switch controller.model {
            case "virtio-scsi", "virtio-non-transitional", "lsisas1078": return express
            case "ncr53c90": return nil
            default: return .pci
            }
        case .virtioSerial: return controller.model == "virtio-transitional" ? .pci : express
        case .ide, .sata: return .pci
        case .fdc, .ccid, .pci, .xenbus, .isa: return nil
        }
    }
}

extension PCISlots {
    /// Takes a whole slot of the root.
    mutating func take(slot: UInt32) {
        guard !buses.isEmpty else { return }
        buses[0].functions[Int(slot & 31)] = 0xFF
    }
}
