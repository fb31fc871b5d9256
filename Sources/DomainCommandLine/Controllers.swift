internal import DomainModel
internal import JSON

/// Buses and hubs.
extension QEMUArguments {
    mutating func controllers() {
        let order = [
            ControllerType.pci, ControllerType.usb, ControllerType.scsi, ControllerType.ide, ControllerType.sata,
            ControllerType.virtioSerial, ControllerType.ccid,
        ]
        for type in order {
            for controller in domain.devices.controllers where controller.type == type {
                if let object = self.object(controller) { device(object) }
            }
        }
    }

    private func object(_ controller: Controller) -> JSONObject? {
        var object: JSONObject
        let index = controller.index ?? 0
        let alias = controller.info.alias ?? "\(controller.type.rawValue)\(index)"
        switch controller.type {
        case .pci:
            guard let made = pci(controller, alias) else { return nil }
            object = made
        case .usb:
            guard let made = usb(controller, alias) else { return nil }
            object = made
        case .scsi:
            object = scsi(controller, alias)
        case .sata:
            // The chipset of q35 has the first one itself.
            if index == 0, domain.chipset == .q35 { return nil }
            object = ["driver": "ahci", "id": .string(alias)]
        case .virtioSerial:
            object = ["driver": .string(domain.virtio("serial", model: controller.model, controller.info))]
            object["id"] = .string(alias)
            object.set("max_ports", controller.ports)
            object.set("vectors", controller.vectors)
            object.set(controller.driver?.virtio)
        case .ccid: object = ["driver": "usb-ccid", "id": .string(alias)]
        case .ide, .fdc, .xenbus, .isa: return nil
        }
        object.place(controller.info, in: domain)
        return object
    }

    private func pci(_ controller: Controller, _ alias: String) -> JSONObject? {
        var object = JSONObject()
        let target = controller.pciTarget
        switch controller.model {
        case "pcie-root-port", "pcie-switch-downstream-port":
            object["driver"] = .string(controller.pciModelName ?? "pcie-root-port")
            object.set("port", target.port?.value)
            object.set("chassis", target.chassis)
            object["id"] = .string(alias)
            object.set("hotplug", target.hotplug)
        case "pci-bridge":
            object = ["driver": "pci-bridge"]
            object.set("chassis_nr", target.chassisNumber)
            object["id"] = .string(alias)
        case "pci-expander-bus", "pcie-expander-bus":
            object["driver"] = .string(controller.pciModelName ?? "pxb-pcie")
            object.set("bus_nr", target.busNumber)
            object["id"] = .string(alias)
            object.set("numa_node", target.node)
        case "pcie-to-pci-bridge", "dmi-to-pci-bridge", "pcie-switch-upstream-port":
            object["driver"] = .string(controller.pciModelName ?? "pcie-pci-bridge")
            object["id"] = .string(alias)
        default: return nil
        }
        return object
    }

    private func usb(_ controller: Controller, _ alias: String) -> JSONObject? {
        let drivers = [
            "piix3-uhci": "piix3-usb-uhci", "piix4-uhci": "piix4-usb-uhci", "ehci": "usb-ehci",
            "ich9-ehci1": "ich9-usb-ehci1", "ich9-uhci1": "ich9-usb-uhci1", "ich9-uhci2": "ich9-usb-uhci2",
            "ich9-uhci3": "ich9-usb-uhci3", "vt82c686b-uhci": "vt82c686b-usb-uhci", "pci-ohci": "pci-ohci",
            "nec-xhci": "nec-usb-xhci", "qemu-xhci": "qemu-xhci",
        ]
        guard let model = controller.model, let driver = drivers[model] else { return nil }
        var object: JSONObject = ["driver": .string(driver)]
        if model.hasSuffix("xhci") {
            object.set("p2", controller.ports)
            object.set("p3", controller.ports)
        }
        if let port = controller.info.masterStartPort {
            object["masterbus"] = .string(alias + ".0")
            object["firstport"] = .number(port)
        } else {
            object["id"] = .string(alias)
        }
        return object
    }

    private func scsi(_ controller: Controller, _ alias: String) -> JSONObject {
        var object = JSONObject()
        switch controller.model {
        case "virtio-scsi", "virtio-transitional", "virtio-non-transitional":
            let model = controller.model == "virtio-scsi" ? nil : controller.model
            object["driver"] = .string(domain.virtio("scsi", model: model, controller.info))
            if let thread = controller.driver?.iothread { object["iothread"] = .string("iothread\(thread)") }
            object.set(controller.driver?.virtio)
        case "lsisas1078": object["driver"] = "megasas"
        case "lsisas1068": object["driver"] = "mptsas1068"
        case "vmpvscsi": object["driver"] = "pvscsi"
        case "am53c974": object["driver"] = "am53c974"
        case "dc390": object["driver"] = "dc-390"
        default: object["driver"] = "lsi"
        }
        object["id"] = .string(alias)
        object.set("num_queues", controller.driver?.queues)
        object.set("cmd_per_lun", controller.driver?.commandsPerUnit)
        object.set("max_sectors", controller.driver?.maxSectors)
        object.set("ioeventfd", controller.driver?.ioeventfd)
        return object
    }

    mutating func hubs() {
        for hub in domain.devices.hubs {
            var object: JSONObject = ["driver": "usb-hub", "id": .string(hub.info.alias ?? "hub")]
            object.place(hub.info, in: domain)
            device(object)
        }
    }
}
