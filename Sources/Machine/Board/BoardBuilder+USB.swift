internal import DeviceModel
internal import Devices
internal import Display
internal import JSON
internal import Log

/// The PIIX3's USB function with the devices of `-device usb-…`.
extension BoardBuilder {
    private static let models: [String: UHCI.Attachment] = [
        "usb-kbd": .keyboard, "usb-mouse": .mouse, "usb-tablet": .tablet,
    ]
    static func isUSB(_ driver: String) -> Bool { models[driver] != nil }

    func addUSB() throws(MachineBuildError) {
        let wanted = configuration.devices.filter { Self.isUSB($0.driver) }
        guard configuration.usb else {
            if let first = wanted.first {
                throw MachineBuildError(
                    "\(first.origin): No 'usb-bus' bus found for device '\(first.driver)'; -usb adds one")
            }
            return
        }
        guard let pci, configuration.board.kind == .pc else {
            if let first = wanted.first {
                throw MachineBuildError(
                    "\(first.origin): the board '\(configuration.board.name)' has no USB controller yet")
            }
            log.warning("The board '\(configuration.board.name)' has no USB controller yet: going on without")
            return
        }
        guard wanted.count <= UHCI.portCount else {
            throw MachineBuildError(
                "\(wanted[UHCI.portCount].origin): the USB controller has \(UHCI.portCount) ports, and there are no hubs")
        }
        for device in wanted { try checkBus(device, "usb-bus.0") }
        let input = input
        let controller = UHCI(
            wanted.compactMap { Self.models[$0.driver] }, memory: memory, clock: clock, stateName: stateName("uhci"),
            onLights: { input.leds = $0 })
        try MachineBuildError.wrapping { () throws(PCIBusError) in
            try pci.attach(controller.function, slot: 1, function: 2)
        }
        devices.append(controller)
        for (port, device) in wanted.enumerated() {
            let made = controller.input(port)
            if device.driver == "usb-kbd" { input.add(made as any KeyboardInput) } else { input.add(made as any PointerInput) }
        }
        let nodes = wanted.enumerated().map { port, device in
            DeviceNode(
                model: device.driver, id: device.id ?? "",
                path: device.id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/usb[\(port)]",
                details: ["addr 0.\(port + 1), port \(port + 1)"])
        }
        note(
            "piix3-usb-uhci", bus: "pci.0", details: ["addr 1.2"],
            buses: [DeviceNode.Bus(name: "usb-bus.0", type: "usb-bus", devices: nodes)])
    }
}
