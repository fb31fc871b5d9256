internal import BlockImage
internal import Devices
internal import Firmware

/// Diskette drives: those of `-fda`, `-fdb`, `-drive if=floppy` and `-device floppy`.
extension BoardBuilder {
    /// A diskette drive to be, by its place.
    private struct Diskette {
        /// The drive or node that is in it, where there is one.
        var drive: String?
        var name: String
        var id: String?
        var path: String
    }

    private func diskettes() throws(MachineBuildError) -> [Diskette?] {
        var found: [Diskette?] = [nil, nil]
        for drive in configuration.drives where drive.interface == .floppy {
            guard found.indices.contains(drive.unit), drive.bus == 0 else {
                throw MachineBuildError("\(drive.origin): the floppy controller has two drives")
            }
            found[drive.unit] = Diskette(
                drive: drive.hasMedium ? drive.id : nil, name: drive.id, path: "/machine/unattached/floppy\(drive.unit)")
        }
        for device in configuration.devices where device.driver == "floppy" {
            guard configuration.board.kind.isPC else {
                throw MachineBuildError("\(device.origin): No 'floppy-bus' bus found for device 'floppy'")
            }
            try checkBus(device, "floppy-bus.0")
            let properties = withGlobals(device)
            let wanted = properties.number("unit").flatMap { $0 == 0xFFFF_FFFF || $0 < 0 ? nil : $0 }
            guard let unit = wanted ?? found.firstIndex(where: { $0 == nil }), found.indices.contains(unit) else {
                throw MachineBuildError("\(device.origin): the floppy controller has two drives")
            }
            guard found[unit] == nil else { throw MachineBuildError("\(device.origin): Floppy unit \(unit) is in use") }
            let bridge = configuration.board.kind == .q35 ? "isa@1f" : "isa@1"
            try noteBootIndex(device, properties, "\(bridge)/fdc@03f0/floppy@\(unit)")
            let drive = properties.string("drive")
            let isEmpty = configuration.drives.contains { $0.id == drive && !$0.hasMedium }
            found[unit] = Diskette(
                drive: isEmpty ? nil : drive, name: drive ?? "", id: device.id,
                path: device.id.map { "/machine/peripheral/\($0)" } ?? "/machine/unattached/floppy\(unit)")
        }
        return found
    }

    func addFloppies() throws(MachineBuildError) {
        let wanted = try diskettes()
        guard configuration.board.kind.isPC, wanted.contains(where: { $0 != nil }) else { return }
        let controllerName = stateName("fdc")
        var units: [FloppyUnit?] = []
        for (unit, drive) in wanted.enumerated() {
            guard let drive else {
                units.append(nil)
                continue
            }
            var backend: BlockDevice?
            if let image = drive.drive { backend = try storage.attach(image, to: drive.path) }
            units.append(FloppyUnit(backend: backend))
            storage.addRemovable(
                drive.name, id: drive.id, path: drive.path, channel: FloppyController.channel, unit: unit)
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
                    devices: wanted.enumerated().compactMap { unit, drive in
                        drive.map { drive in
                            DeviceNode(
                                model: "floppy", id: drive.id ?? "", path: drive.path,
                                properties: [DeviceNode.Property(name: "drive", value: "\"\(drive.name)\"")],
                                details: ["unit \(unit)"])
                        }
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
            let index = properties.number("index").flatMap { $0 == 0xFFFF_FFFF ? nil : $0 } ?? used
            guard ParallelPort.ports.indices.contains(index) else {
                throw MachineBuildError(
                    "\(device.origin): Max. supported number of parallel ports is \(ParallelPort.ports.count).")
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
