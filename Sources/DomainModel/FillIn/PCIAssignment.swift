/// A device's place among the kinds of devices: what an address is asked for.
enum PCIDevice: Equatable {
    case controller(Int)
    case filesystem(Int)
    case interface(Int)
    case sound(Int)
    case disk(Int)
    case hostdev(Int)
    case memballoon
    case rng(Int)
    case watchdog(Int)
    case video(Int)
    case shmem(Int)
    case input(Int)
    case serial(Int)
    case vsock
    case memory(Int)
    case crypto(Int)
    case iommu
}

extension Domain {
    /// Gives every PCI device an address, adding bridges and ports as they are needed, as libvirt does: a first round
    /// counts the controllers, a second one gives the addresses in a fixed order of kinds.
    mutating func assignPCIAddresses() throws(DefinitionError) {
        guard chipset == .i440fx || chipset == .q35 else { return }
        var counting = self
        try counting.layOutPCI(addingControllers: true)
        // Addresses come from the second round, the controllers that it needs from the first.
        let known = devices.controllers.filter { $0.type == .pci }.count
        let added = counting.devices.controllers.filter { $0.type == .pci }.dropFirst(known)
        for controller in added {
            devices.controllers.append(Controller(.pci, index: controller.index ?? 0, model: controller.model))
        }
        try layOutPCI(addingControllers: false)
        markMultifunction()
        fillInPCIControllers()
    }

    private var busModels: [String] {
        let pci = devices.controllers.filter { $0.type == .pci }
        let most = min(pci.compactMap(\.index).max() ?? 0, 255)
        var models = Array(repeating: "", count: Int(most) + 1)
        for controller in pci where (controller.index ?? 0) <= most {
            models[Int(controller.index ?? 0)] = controller.model ?? ""
        }
        return models
    }

    private mutating func layOutPCI(addingControllers: Bool) throws(DefinitionError) {
        var slots = PCISlots()
        var models = busModels
        // A gap between the numbers becomes a bus of the plainest kind.
        for index in models.indices where models[index].isEmpty && addingControllers {
            models[index] = chipset == .q35 ? "pcie-root-port" : "pci-bridge"
            devices.controllers.append(Controller(.pci, index: UInt32(index), model: models[index]))
        }
        slots.buses = models.map { PCISlots.Bus(model: $0) }
        try reserveGiven(&slots)
        try reserveChipset(&slots)

        for index in devices.controllers.indices
        where devices.controllers[index].type == .pci && devices.controllers[index].info.address == nil {
            guard let connection = PCISlots.connection(ofController: devices.controllers[index].model) else { continue }
            devices.controllers[index].info.address = .pci(try place(connection, &slots, adding: addingControllers))
        }
        try placeDevices(&slots, adding: addingControllers)
        guard addingControllers else { return }
        // One more place, so that a device may be plugged in later; ports that the user chose are left alone.
        if !models.contains("pcie-root-port") { _ = try place(chipset == .q35 ? .express : .pci, &slots, adding: true) }
    }

    private mutating func place(
        _ connection: PCISlots.Connection, _ slots: inout PCISlots, adding: Bool, functions: UInt8 = 1
    ) throws(DefinitionError) -> PCIAddress {
        if let address = slots.place(connection, functions: functions) { return address }
        if adding {
            for model in slots.growth(for: connection) {
                guard slots.buses.count < 256 else { break }
                let index = UInt32(slots.buses.count)
                slots.buses.append(PCISlots.Bus(model: model))
                devices.controllers.append(Controller(.pci, index: index, model: model))
                // Its own place counts too. Where it is comes out when controllers get theirs before the devices.
                if let own = PCISlots.connection(ofController: model) { _ = try place(own, &slots, adding: true) }
            }
            if let address = slots.place(connection, functions: functions) { return address }
        }
        throw DefinitionError(.internalError, "internal error: No more available PCI slots")
    }

    private func reserveGiven(_ slots: inout PCISlots) throws(DefinitionError) {
        for controller in devices.controllers where controller.type == .pci {
            if let address = controller.info.address?.pci {
                try slots.reserve(address, holdsPort: controller.model == "pcie-root-port")
            }
        }
        for device in pciDevices {
            if let address = self[info: device]?.address?.pci { try slots.reserve(address) }
        }
    }

    /// All devices but PCI controllers, in the order in which they get addresses.
    private var pciDevices: [PCIDevice] {
        var all: [PCIDevice] = devices.filesystems.indices.map { PCIDevice.filesystem($0) }
        all += devices.interfaces.indices.map { PCIDevice.interface($0) }
        all += devices.sounds.indices.map { PCIDevice.sound($0) }
        all += devices.controllers.indices.filter { devices.controllers[$0].type != .pci }.map {
            PCIDevice.controller($0)
        }
        all += devices.disks.indices.map { PCIDevice.disk($0) }
        all += devices.hostdevs.indices.map { PCIDevice.hostdev($0) }
        if devices.memballoon != nil { all.append(.memballoon) }
        all += devices.rngs.indices.map { PCIDevice.rng($0) }
        all += devices.watchdogs.indices.map { PCIDevice.watchdog($0) }
        all += devices.videos.indices.map { PCIDevice.video($0) }
        all += devices.sharedMemories.indices.map { PCIDevice.shmem($0) }
        all += devices.inputs.indices.map { PCIDevice.input($0) }
        all += devices.serials.indices.map { PCIDevice.serial($0) }
        all += devices.memories.indices.map { PCIDevice.memory($0) }
        if devices.vsock != nil { all.append(.vsock) }
        if devices.iommu != nil { all.append(.iommu) }
        all += devices.cryptos.indices.map { PCIDevice.crypto($0) }
        return all
    }

    private mutating func placeDevices(_ slots: inout PCISlots, adding: Bool) throws(DefinitionError) {
        for device in pciDevices {
            guard let info = self[info: device], info.address == nil else { continue }
            guard let connection = connection(of: device) else { continue }
            if case .controller(let index) = device, try placeUSBSet(index, &slots, adding: adding) { continue }
            let address = try place(connection, &slots, adding: adding)
            self[info: device]?.address = .pci(address)
        }
    }

    /// USB 2 controllers are four functions of one slot.
    private mutating func placeUSBSet(
        _ index: Int, _ slots: inout PCISlots, adding: Bool
    ) throws(DefinitionError) -> Bool {
        func function(_ model: String?) -> UInt32? {
            switch model {
            case "ich9-ehci1": 7
            case "ich9-uhci1": 0
            case "ich9-uhci2": 1
            case "ich9-uhci3": 2
            default: nil
            }
        }
        let controller = devices.controllers[index]
        guard controller.type == .usb, function(controller.model) != nil else { return false }
        let members = devices.controllers.indices.filter {
            devices.controllers[$0].type == .usb && devices.controllers[$0].index == controller.index
                && function(devices.controllers[$0].model) != nil
        }
        var base: PCIAddress?
        for member in members {
            if let address = devices.controllers[member].info.address?.pci { base = address }
        }
        if base == nil {
            if chipset == .q35 {
                for slot in [UInt32(0x1D), 0x1A] where slots.isFree(slot: slot) {
                    base = PCIAddress(bus: 0, slot: slot)
                    break
                }
            }
            if base == nil { base = try place(.pci, &slots, adding: adding, functions: 0) }
        }
        guard var address = base else { return false }
        for member in members where devices.controllers[member].info.address == nil {
            address.function = function(devices.controllers[member].model) ?? 0
            address.multifunction = nil
            try slots.reserve(address)
            devices.controllers[member].info.address = .pci(address)
        }
        return true
    }

    /// The first function of a slot that has others says so.
    private mutating func markMultifunction() {
        var shared: Set<UInt64> = []
        func key(_ address: PCIAddress) -> UInt64 {
            UInt64(address.domain) << 32 | UInt64(address.bus) << 8 | UInt64(address.slot)
        }
        let all =
            pciDevices
            + devices.controllers.indices.filter { devices.controllers[$0].type == .pci }
            .map { PCIDevice.controller($0) }
        for device in all {
            if let address = self[info: device]?.address?.pci, address.function > 0 { shared.insert(key(address)) }
        }
        for device in all {
            guard var address = self[info: device]?.address?.pci, address.function == 0, address.multifunction == nil,
                shared.contains(key(address))
            else { continue }
            address.multifunction = .on
            self[info: device]?.address = .pci(address)
        }
    }

    private mutating func fillInPCIControllers() {
        for position in devices.controllers.indices where devices.controllers[position].type == .pci {
            var controller = devices.controllers[position]
            let index = controller.index ?? 0
            let address = controller.info.address?.pci
            switch controller.model {
            case "pcie-root-port":
                if controller.pciModelName == nil { controller.pciModelName = "pcie-root-port" }
                if controller.pciTarget.chassis == nil { controller.pciTarget.chassis = index }
                if controller.pciTarget.port == nil, let address {
                    controller.pciTarget.port = Hex(address.slot << 3 + address.function)
                }
            case "pcie-to-pci-bridge":
                if controller.pciModelName == nil { controller.pciModelName = "pcie-pci-bridge" }
            case "dmi-to-pci-bridge":
                if controller.pciModelName == nil { controller.pciModelName = "i82801b11-bridge" }
            case "pci-bridge":
                if controller.pciModelName == nil { controller.pciModelName = "pci-bridge" }
                if controller.pciTarget.chassisNumber == nil { controller.pciTarget.chassisNumber = index }
            case "pcie-switch-upstream-port":
                if controller.pciModelName == nil { controller.pciModelName = "x3130-upstream" }
            case "pcie-switch-downstream-port":
                if controller.pciModelName == nil { controller.pciModelName = "xio3130-downstream" }
                if controller.pciTarget.chassis == nil { controller.pciTarget.chassis = index }
                if controller.pciTarget.port == nil, let address { controller.pciTarget.port = Hex(address.slot) }
            case "pci-expander-bus", "pcie-expander-bus":
                if controller.pciModelName == nil {
                    controller.pciModelName = controller.model == "pci-expander-bus" ? "pxb" : "pxb-pcie"
                }
                if controller.pciTarget.busNumber == nil { controller.pciTarget.busNumber = 254 }
            default: break
            }
            devices.controllers[position] = controller
        }
    }
}
