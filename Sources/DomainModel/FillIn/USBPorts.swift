/// Ports of the USB controllers, with hubs where they run out.
struct USBPorts {
    /// A hub's or controller's ports that are in use; the path is the port numbers that lead to it.
    struct Hub {
        var bus: UInt32
        var path: [UInt32]
        var count: UInt32
        var used: Set<UInt32> = []
    }
    var hubs: [Hub] = []

    static func ports(of controller: Controller) -> UInt32? {
        switch controller.model {
        case "piix3-uhci", "piix4-uhci", "vt82c686b-uhci": 2
        case "ehci", "ich9-ehci1": 6
        case "ich9-uhci1", "ich9-uhci2", "ich9-uhci3": nil
        case "pci-ohci": 3
        case "nec-xhci", "qemu-xhci": min(controller.ports ?? 4, 15)
        case "qusb1", "qusb2": controller.ports ?? 8
        default: nil
        }
    }

    mutating func reserve(bus: UInt32, path: [UInt32]) {
        guard let last = path.last else { return }
        for index in hubs.indices where hubs[index].bus == bus && hubs[index].path == path.dropLast() {
            hubs[index].used.insert(last)
        }
    }

    mutating func place(bus wanted: UInt32? = nil) -> (bus: UInt32, path: [UInt32])? {
        for index in hubs.indices where wanted == nil || hubs[index].bus == wanted {
            guard hubs[index].count > 0 else { continue }
            for port in 1...hubs[index].count where !hubs[index].used.contains(port) {
                hubs[index].used.insert(port)
                return (hubs[index].bus, hubs[index].path + [port])
            }
        }
        return nil
    }

    /// A hub of eight ports behind a port.
    mutating func addHub(bus: UInt32, path: [UInt32]) {
        guard path.count < 4 else { return }
        hubs.append(Hub(bus: bus, path: path, count: 8))
    }
}

extension Domain {
    /// Gives every USB device a port.
    mutating func assignUSBAddresses() {
        var ports = USBPorts()
        for controller in devices.controllers where controller.type == .usb {
            guard let count = USBPorts.ports(of: controller) else { continue }
            ports.hubs.append(USBPorts.Hub(bus: controller.index ?? 0, path: [], count: count))
        }
        guard !ports.hubs.isEmpty else { return }
        func given(_ info: DeviceInfo) -> (bus: UInt32, path: [UInt32])? {
            guard case .usb(let bus, let port)? = info.address, !port.isEmpty else { return nil }
            return (bus, port.split(separator: ".").compactMap { UInt32($0) })
        }
        let hubs = devices.hubs.compactMap { given($0.info) }.sorted { $0.path.count < $1.path.count }
        for hub in hubs {
            ports.addHub(bus: hub.bus, path: hub.path)
        }
        forEachUSBDevice { info in
            if let place = given(info) { ports.reserve(bus: place.bus, path: place.path) }
        }
        var missing = 0
        forEachUSBDevice { info in if given(info) == nil { missing += 1 } }
        addHubs(for: missing, &ports)
        forEachUSBDevice { info in
            guard given(info) == nil else { return }
            var wanted: UInt32?
            if case .usb(let bus, _)? = info.address { wanted = bus }
            guard let place = ports.place(bus: wanted) else { return }
            info.address = .usb(bus: place.bus, port: place.path.map { String($0) }.joined(separator: "."))
        }
    }

    /// Hubs that the definition names come first, then those that are needed.
    private mutating func addHubs(for missing: Int, _ ports: inout USBPorts) {
        for index in devices.hubs.indices where devices.hubs[index].info.address == nil {
            guard let place = ports.place() else { return }
            devices.hubs[index].info.address = .usb(
                bus: place.bus, port: place.path.map { String($0) }.joined(separator: "."))
            ports.addHub(bus: place.bus, path: place.path)
        }
        var rest = missing - devices.hubs.count
        rest = max(rest, 0)
        while ports.hubs.reduce(0, { $0 + Int($1.count) - $1.used.count }) < rest, devices.hubs.count < 32 {
            guard let place = ports.place() else { return }
            var hub = Hub()
            hub.info.address = .usb(bus: place.bus, port: place.path.map { String($0) }.joined(separator: "."))
            devices.hubs.append(hub)
            ports.addHub(bus: place.bus, path: place.path)
        }
    }

    /// The USB devices in the order in which they get ports.
    private mutating func forEachUSBDevice(_ body: (inout DeviceInfo) -> Void) {
        for index in devices.hubs.indices { body(&devices.hubs[index].info) }
        for index in devices.hostdevs.indices where devices.hostdevs[index].type == "usb" {
            body(&devices.hostdevs[index].info)
        }
        for index in devices.disks.indices where devices.disks[index].target.bus == .usb {
            body(&devices.disks[index].info)
        }
        for index in devices.controllers.indices where devices.controllers[index].type == .ccid {
            body(&devices.controllers[index].info)
        }
        for index in devices.inputs.indices where devices.inputs[index].bus == "usb" {
            body(&devices.inputs[index].info)
        }
        for index in devices.serials.indices where devices.serials[index].target.type == "usb-serial" {
            body(&devices.serials[index].info)
        }
        for index in devices.sounds.indices where devices.sounds[index].model == "usb" {
            body(&devices.sounds[index].info)
        }
        for index in devices.redirdevs.indices { body(&devices.redirdevs[index].info) }
    }

    /// Gives every memory module a slot.
    mutating func assignMemorySlots() {
        var used: Set<UInt32> = []
        for memory in devices.memories {
            if case .dimm(let slot?, _)? = memory.info.address { used.insert(slot) }
        }
        for index in devices.memories.indices
        where devices.memories[index].model == "dimm" || devices.memories[index].model == "nvdimm" {
            var base: UInt64?
            if case .dimm(let slot, let at)? = devices.memories[index].info.address {
                if slot != nil { continue }
                base = at
            }
            var slot: UInt32 = 0
            while used.contains(slot) { slot += 1 }
            used.insert(slot)
            devices.memories[index].info.address = .dimm(slot: slot, base: base)
        }
    }
}
