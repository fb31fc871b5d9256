internal import Devices
internal import Firmware

/// Diskette drives: those of `-fda`, `-fdb` and `-drive if=floppy`.
extension BoardBuilder {
    func addFloppies() throws(MachineBuildError) {
        let wanted = configuration.drives.filter { $0.interface == .floppy }
        guard configuration.board.kind.isPC, !wanted.isEmpty else { return }
        let controllerName = stateName("fdc")
        var units: [FloppyUnit?] = [nil, nil]
        for drive in wanted {
            guard units.indices.contains(drive.unit), drive.bus == 0 else {
                throw MachineBuildError("\(drive.origin): the floppy controller has two drives")
            }
            let path = "/machine/unattached/floppy\(drive.unit)"
            units[drive.unit] = FloppyUnit(backend: drive.hasMedium ? try storage.attach(drive.id, to: path) : nil)
            storage.addRemovable(
                drive.id, id: nil, path: path, channel: FloppyController.channel, unit: drive.unit)
        }
        let dma = ISADMA(memory: memory, stateName: stateName("dma"))
        dma.attach(to: io)
        devices.append(dma)
        let controller = FloppyController(
            units: units, line: line(6), dma: dma, scheduler: try worker(controllerName), stateName: controllerName)
        controller.attach(to: io)
        devices.append(controller)
        for drive in storage.removableDrives where drive.isDiskette { drive.connect(controller) }
        let rtc = rtc
        afterReset.append { [weak rtc] in rtc?.setDisketteDrives(controller.driveTypes) }
        acpi.isaDevices.append(
            ACPIConfiguration.ISADevice(
                name: "FDC0", id: "PNP0700",
                resources: [
                    ACPIResource.io(0x3F2, count: 4), ACPIResource.io(0x3F7, count: 1), ACPIResource.irq([6]),
                    ACPIResource.dma([2]),
                ]))
        note(
            "isa-fdc", bus: "isa.0", details: ["isa irq 6"],
            buses: [
                DeviceNode.Bus(
                    name: "floppy-bus.0", type: "floppy-bus",
                    devices: wanted.map { drive in
                        DeviceNode(
                            model: "floppy", id: "", path: "/machine/unattached/floppy\(drive.unit)",
                            properties: [DeviceNode.Property(name: "drive", value: "\"\(drive.id)\"")],
                            details: ["unit \(drive.unit)"])
                    })
            ])
    }

    // MARK: Parallel ports

    /// The ports of `-parallel` and of `-device isa-parallel`.
    func addParallelPorts() throws(MachineBuildError) {
        var used = 0
        for (number, id) in configuration.parallelPorts.enumerated() {
            used = number + 1
            guard let id else { continue }
            guard number < ParallelPort.ports.count else {
                throw MachineBuildError("-parallel: there are only \(ParallelPort.ports.count) parallel ports")
            }
            try addParallelPort(
                number, base: ParallelPort.ports[number], irq: ParallelPort.interrupts[number], chardev: id, id: nil)
        }
        for device in configuration.devices where device.driver == "isa-parallel" {
            try checkBus(device, "isa.0")
            let properties = withGlobals(device)
            guard let chardev = properties.string("chardev") else {
                throw MachineBuildError("\(device.origin): Can't create parallel device, empty char device")
            }
            let index = properties.number("index").flatMap { $0 < 3 ? $0 : nil } ?? used
            guard index < ParallelPort.ports.count else {
                throw MachineBuildError("\(device.origin): there are only \(ParallelPort.ports.count) parallel ports")
            }
            used = max(used, index + 1)
            let base = properties.number("iobase").flatMap { 1...0xFFF0 ~= $0 ? UInt64($0) : nil }
            let irq = properties.number("irq").flatMap { 0..<16 ~= $0 ? $0 : nil }
            try addParallelPort(
                index, base: base ?? ParallelPort.ports[index], irq: irq ?? ParallelPort.interrupts[index],
                chardev: chardev, id: device.id)
        }
    }

    private func addParallelPort(
        _ number: Int, base: UInt64, irq: Int, chardev: String, id: String?
    ) throws(MachineBuildError) {
        guard let backend = characters.port(chardev) else {
            throw MachineBuildError("chardev \"\(chardev)\" not found")
        }
        let port = ParallelPort(name: stateName("parallel\(number)"), line: line(irq), backend: backend)
        port.attach(to: io, base: base)
        devices.append(port)
        acpi.isaDevices.append(
            ACPIConfiguration.ISADevice(
                name: "LPT\(number + 1)", id: "PNP0400", uid: UInt64(number + 1),
                resources: [
                    ACPIResource.io(UInt16(truncatingIfNeeded: base), count: 8),
                    ACPIResource.irq([UInt8(truncatingIfNeeded: irq)]),
                ]))
        note("isa-parallel", id: id, bus: "isa.0", details: ["isa irq \(irq)"])
    }
}
