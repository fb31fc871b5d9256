/// Devices that a machine has though its definition does not name them.
extension Domain {
    mutating func fillInDefaultDevices() throws(DefinitionError) {
        switch chipset {
        case .i440fx:
            addController(.usb, 0, model: "piix3-uhci")
            try addPCIRoot("pci-root")
        case .q35:
            if !hasController(.usb, 0) { addController(.usb, 0, model: "qemu-xhci") }
            addController(.sata, 0)
            try addPCIRoot("pcie-root")
        case .isa, .microvm, .other: break
        }
        if devices.memballoon == nil, chipset == .i440fx || chipset == .q35 {
            devices.memballoon = MemoryBalloon()
        }
        if devices.audios.isEmpty { addAudio() }
    }

    private mutating func addPCIRoot(_ model: String) throws(DefinitionError) {
        for index in devices.controllers.indices
        where devices.controllers[index].type == .pci && devices.controllers[index].index == 0 {
            let found = devices.controllers[index].model
            guard found == model || found == nil else {
                throw DefinitionError.xml(
                    "The PCI controller with index='0' must be model='\(model)' for this machine type, "
                        + "but model='\(found ?? "")' was found instead")
            }
            devices.controllers[index].model = model
        }
        addController(.pci, 0, model: model)
    }

    /// Sound goes where the screen goes.
    private mutating func addAudio() {
        var audio = Audio()
        switch devices.graphics.last?.type {
        case .spice: audio.type = "spice"
        case .dbus: audio.type = "dbus"
        default: break
        }
        devices.audios.append(audio)
    }

    /// Controllers for the disks, channels and smart cards that need one.
    mutating func fillInImplicitControllers() {
        for (type, bus) in [
            (ControllerType.scsi, DiskBus.scsi), (ControllerType.fdc, DiskBus.fdc), (ControllerType.ide, DiskBus.ide),
            (ControllerType.sata, DiskBus.sata),
        ] {
            var needed: Set<UInt32> = []
            for disk in devices.disks where disk.target.bus == bus {
                if case .drive(let controller, _, _, _)? = disk.info.address { needed.insert(controller) }
            }
            if type == .scsi {
                for hostdev in devices.hostdevs where hostdev.type == "scsi" {
                    if case .drive(let controller, _, _, _)? = hostdev.info.address { needed.insert(controller) }
                }
            }
            guard let most = needed.max(), most < 256 else { continue }
            for index in 0...most {
                addController(type, index, model: type == .scsi ? scsiModel : nil)
            }
        }
        var serialControllers: Set<UInt32> = []
        for channel in devices.channels where channel.target.type == "virtio" {
            if case .virtioSerial(let controller, _, _)? = channel.info.address {
                serialControllers.insert(controller)
            } else {
                serialControllers.insert(0)
            }
        }
        for console in devices.consoles where console.target.type == "virtio" {
            if case .virtioSerial(let controller, _, _)? = console.info.address {
                serialControllers.insert(controller)
            } else {
                serialControllers.insert(0)
            }
        }
        if let most = serialControllers.max(), most < 256 {
            for index in 0...most { addController(.virtioSerial, index) }
        }
        for index in devices.smartcards.indices {
            if devices.smartcards[index].info.address == nil {
                devices.smartcards[index].info.address = .ccid(controller: 0, slot: UInt32(index))
            }
            addController(.ccid, 0)
        }
    }

    /// The model of a SCSI controller that names none: that of its neighbours, or the machine's own.
    var scsiModel: String {
        devices.controllers.first { $0.type == .scsi && $0.model != nil && $0.model != "auto" }?.model ?? "lsilogic"
    }

    mutating func fillInInputs() {
        guard chipset == .i440fx || chipset == .q35 || chipset == .isa else { return }
        for type in ["mouse", "keyboard"]
        where !devices.inputs.contains(where: { $0.type == type && $0.bus == "ps2" }) {
            devices.inputs.append(Input(type, bus: "ps2"))
        }
    }
}
