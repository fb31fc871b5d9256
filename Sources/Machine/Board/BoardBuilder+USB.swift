internal import BlockImage
internal import DeviceModel
internal import Devices
internal import Display
internal import JSON
internal import Log

/// USB controllers with their buses, and devices at their ports.
extension BoardBuilder {
    /// A controller's bus: where devices that name it or no bus go.
    struct USBBus {
        let name: String
        let host: any USBHost
        /// The EHCI controller that takes companions, where it is one.
        let master: EHCI?
        /// The controller's path in Open Firmware's form.
        let path: String
        /// What is connected, by the way to it: `1`, `1.4`.
        var devices: [(port: String, device: USBPeripheral)] = []
        var hasAddress = 0
    }

    static let usbControllers: Set<String> = Set(
        DeviceCatalogue.usb.filter { $0.bus == "PCI" }.map(\.name))
    static let usbDevices: Set<String> = Set(DeviceCatalogue.usb.filter { $0.bus == "usb-bus" }.map(\.name))

    static func isUSB(_ driver: String) -> Bool { usbControllers.contains(driver) || usbDevices.contains(driver) }

    // MARK: Controllers

    /// The controllers of `-usb`: the PIIX3's, or the ICH9's with its companions.
    func addUSB() throws(MachineBuildError) {
        guard configuration.usb else { return }
        guard pci != nil, configuration.board.kind.isPC else {
            log.warning("The board '\(configuration.board.name)' has no USB controller: going on without")
            return
        }
        func add(_ model: String, _ address: String, _ more: JSONObject = JSONObject()) throws(MachineBuildError) {
            var device = DeviceConfiguration(driver: model)
            device.origin = "-usb"
            device.properties = more
            device.properties["addr"] = .string(address)
            try addUSBController(device)
        }
        guard configuration.board.kind == .q35 else { return try add("piix3-usb-uhci", "01.2") }
        try add("ich9-usb-ehci1", "1d.7")
        for number in 0..<3 {
            var more = JSONObject()
            more["masterbus"] = .string("usb-bus.0")
            more["firstport"] = .integer(Int64(number * 2))
            try add("ich9-usb-uhci\(number + 1)", "1d.\(number)", more)
        }
    }

    func addUSBController(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let name = stateName(device.id ?? device.driver)
        let busName = device.id.map { "\($0).0" } ?? "usb-bus.\(usbBusNumber)"
        let (made, function, host, master): (any Device, PCIFunction, any USBHost, EHCI?)
        switch device.driver {
        case "qemu-xhci", "nec-usb-xhci":
            let xhci = XHCI(
                try xhciProperties(device, properties), memory: memory, clock: clock, scheduler: try worker(name),
                stateName: name)
            (made, function, host, master) = (xhci, xhci.function, xhci, nil)
        case "usb-ehci", "ich9-usb-ehci1", "ich9-usb-ehci2":
            let model: EHCI.Model =
                device.driver == "usb-ehci" ? .ich4 : device.driver.hasSuffix("1") ? .ich9 : .ich9Second
            let ehci = EHCI(model, memory: memory, clock: clock, stateName: name)
            (made, function, host, master) = (ehci, ehci.function, ehci, ehci)
        default:
            let model: UHCI.Model =
                switch device.driver {
                case "piix3-usb-uhci": .piix3
                case "piix4-usb-uhci": .piix4
                default: .ich9(device.driver.last.flatMap { Int(String($0)) } ?? 1)
                }
            let uhci = UHCI(model, memory: memory, clock: clock, stateName: name)
            (made, function, host, master) = (uhci, uhci.function, uhci, nil)
        }
        let wanted = properties.string("masterbus")
        let owner = wanted.flatMap { wanted in usbBuses.first { $0.name == wanted }?.master }
        if let wanted, owner == nil {
            throw MachineBuildError("\(device.origin): USB bus '\(wanted)' not found, or it takes no companions")
        }
        if let owner, !owner.addCompanion(host, firstPort: properties.number("firstport") ?? 0) {
            throw MachineBuildError(
                "\(device.origin): firstport \(properties.number("firstport") ?? 0) is odd, taken or out of range")
        }
        try attach(function, device, properties)
        devices.append(made)
        guard owner == nil else { return }
        var path = ""
        if case .slot(let bus, _, let slot, let number) = lastPlace {
            let unit = String(slot, radix: 16) + (number > 0 ? ",\(number)" : "")
            path = bridgePath(bus) + "usb@\(unit)/"
        }
        if device.id == nil { usbBusNumber += 1 }
        usbBuses.append(USBBus(name: busName, host: host, master: master, path: path))
        tree[tree.count - 1].node.buses = [DeviceNode.Bus(name: busName, type: "usb-bus")]
    }

    private func xhciProperties(
        _ device: DeviceConfiguration, _ properties: JSONObject
    ) throws(MachineBuildError) -> XHCIProperties {
        func number(_ name: String, _ range: ClosedRange<Int>, _ usual: Int) throws(MachineBuildError) -> Int {
            let value = properties.number(name) ?? usual
            guard range.contains(value) else {
                throw MachineBuildError(
                    "\(device.origin): \(name) \(value) is not one of \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
        var options = XHCIProperties()
        options.isNEC = device.driver == "nec-usb-xhci"
        options.ports2 = try number("p2", 1...15, 4)
        options.ports3 = try number("p3", 0...15, 4)
        options.slots = try number("slots", 1...64, 64)
        options.interrupters = try number("intrs", 1...16, 16)
        options.hasMSIX = properties.string("msix") != "off"
        options.hasMSI = properties.string("msi") == "on"
        return options
    }

    // MARK: Devices

    func addUSBDevice(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        guard !usbBuses.isEmpty else {
            throw MachineBuildError(
                "\(device.origin): No 'usb-bus' bus found for device '\(device.driver)'; -usb adds one")
        }
        // The bus of -usb has the name that QEMU gives it.
        let wanted = device.bus
        let found = usbBuses.indices.first { index in
            wanted == nil || usbBuses[index].name == wanted
                || (wanted == "usb.0" && usbBuses[index].name == "usb-bus.0")
        }
        guard let place = found else {
            throw MachineBuildError("\(device.origin): Bus '\(wanted ?? "")' not found")
        }
        let name = stateName(device.id ?? device.driver)
        let made = try makeUSBDevice(device, properties, name)
        guard let (host, number, port) = connect(made, usbBuses[place], properties.string("port")) else {
            throw MachineBuildError(
                "\(device.origin): "
                    + (properties.string("port").map {
                        "usb port \($0) (bus \(usbBuses[place].name)) is in use, not there or too slow"
                    }
                        ?? "tried to attach usb device \(device.driver) to a bus with no free ports"))
        }
        usbBuses[place].devices.append((port, made))
        usbBuses[place].hasAddress += 1
        devices.append(made)
        switch device.driver {
        case "usb-kbd": addUSBInput(name, made.input, isKeyboard: true)
        case "usb-mouse", "usb-tablet": addUSBInput(name, made.input, isKeyboard: false)
        default: break
        }
        lastPlace = .port(host, port: number)
        let hubs = port.split(separator: ".").dropLast().map { "hub@\($0)/" }.joined()
        let last = port.split(separator: ".").last.map(String.init) ?? "1"
        try noteBootIndex(device, properties, "\(usbBuses[place].path)\(hubs)storage@\(last)/channel@0/disk@0,0")
        note(
            device.driver, id: device.id, bus: usbBuses[place].name, properties: device.properties,
            details: [
                "addr 0.\(usbBuses[place].hasAddress), port \(port), speed \(made.speedText), name \(device.driver)"
            ])
    }

    private func addUSBInput(_ name: String, _ input: any KeyboardInput & PointerInput, isKeyboard: Bool) {
        if isKeyboard { self.input.add(input as any KeyboardInput) } else { self.input.add(input as any PointerInput) }
        inputs[name] = input
    }

    private func makeUSBDevice(
        _ device: DeviceConfiguration, _ properties: JSONObject, _ name: String
    ) throws(MachineBuildError) -> USBPeripheral {
        let isOld = properties.number("usb_version") == 1
        let serial = properties.string("serial")
        let input = input
        switch device.driver {
        case "usb-kbd":
            return .keyboard(stateName: name, isOld: isOld, serial: serial, onLights: { input.leds = $0 })
        case "usb-mouse": return .mouse(stateName: name, isOld: isOld, serial: serial)
        case "usb-tablet": return .tablet(stateName: name, isOld: isOld, serial: serial)
        case "usb-hub": return .hub(stateName: name, serial: serial)
        default: return try makeUSBStorage(device, properties, name)
        }
    }

    private func makeUSBStorage(
        _ device: DeviceConfiguration, _ properties: JSONObject, _ name: String
    ) throws(MachineBuildError) -> USBPeripheral {
        guard let drive = properties.string("drive") else {
            throw MachineBuildError("\(device.origin): drive property not set")
        }
        let configured = configuration.drives.first { $0.id == drive }
        let isCD = configured?.media == .cdrom
        var unit = SCSIUnitProperties(isCD: isCD)
        unit.identifier = drive
        if let size = properties.number("logical_block_size"), size != 0, !isCD {
            guard size >= 512, size <= 4096, size.nonzeroBitCount == 1 else {
                throw MachineBuildError("\(device.origin): logical_block_size must be a power of two from 512 to 4096")
            }
            unit.blockSize = size
            unit.physicalBlockSize = size
        }
        let path = device.id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/\(name)"
        guard let configured, configured.file == nil, isCD else {
            let backend = try storage.attach(drive, to: path)
            storage.setErrorRules(backend, properties, lifecycle)
            unit.writeCache = backend.isWriteCacheEnabled
            let made = USBPeripheral.storage(
                unit, backend: backend, isRemovable: properties.bool("removable") ?? false, stateName: name,
                serial: properties.string("serial"))
            if isCD { connectMedia(drive, device, path, made) }
            return made
        }
        let made = USBPeripheral.storage(
            unit, backend: nil, isRemovable: true, stateName: name, serial: properties.string("serial"))
        connectMedia(drive, device, path, made)
        return made
    }

    private func connectMedia(_ drive: String, _ device: DeviceConfiguration, _ path: String, _ made: USBPeripheral) {
        storage.addRemovable(drive, id: device.id, path: path, channel: 0, unit: 0)
        storage.removableDrives.last?.connect(made)
    }

    /// Connects a device to a port, by the way to it or to the first that is free: where it sits then, and its way.
    private func connect(
        _ device: USBPeripheral, _ bus: USBBus, _ wanted: String?
    ) -> (host: any USBHost, number: Int, port: String)? {
        guard let wanted else {
            for number in 0..<bus.host.portCount {
                let isTaken = bus.devices.contains { $0.port == "\(number + 1)" }
                if !isTaken, bus.host.connect(device, port: number) { return (bus.host, number, "\(number + 1)") }
            }
            return nil
        }
        let numbers = wanted.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        // Five hubs after one another at most. USB 2.0, 4.1.1.
        guard 1...6 ~= numbers.count, let last = numbers.last, last > 0 else { return nil }
        var host = bus.host
        if numbers.count > 1 {
            let way = numbers.dropLast().map(String.init).joined(separator: ".")
            guard let hub = bus.devices.first(where: { $0.port == way })?.device, hub.portCount > 0 else { return nil }
            host = hub
        }
        let port = numbers.map(String.init).joined(separator: ".")
        guard last <= host.portCount, host.connect(device, port: last - 1) else { return nil }
        return (host, last - 1, port)
    }

    /// Takes a device off its port, and all that hangs on it where it is a hub.
    func disconnectUSB(_ removed: [any Device], _ host: any USBHost, _ port: Int) {
        host.disconnect(port: port)
        for device in removed {
            for index in usbBuses.indices { usbBuses[index].devices.removeAll { $0.device === device } }
        }
    }
}
