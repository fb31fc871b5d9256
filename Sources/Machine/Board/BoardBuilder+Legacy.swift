internal import DeviceModel
internal import Devices
internal import Display
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON

/// The devices of a PC that hang on I/O ports.
extension BoardBuilder {
    func addSerialPorts(announced: Bool = true) throws(MachineBuildError) {
        for (number, id) in configuration.serialPorts.enumerated() {
            guard let id else { continue }
            guard number < SerialPort.ports.count else {
                throw MachineBuildError("There are only \(SerialPort.ports.count) serial ports")
            }
            try addSerialPort(number, base: SerialPort.ports[number], irq: SerialPort.interrupts[number], chardev: id)
        }
        for device in configuration.devices where device.driver == "isa-serial" {
            guard device.properties.string("chardev") != nil else {
                throw MachineBuildError("\(device.origin): Can't create serial device, empty char device")
            }
            try checkBus(device, "isa.0")
            let used = acpi.serialPorts.count
            let index = device.properties.number("index").flatMap { $0 < 4 ? $0 : nil } ?? used
            guard index < SerialPort.ports.count else {
                throw MachineBuildError("\(device.origin): there are only \(SerialPort.ports.count) serial ports")
            }
            let base = device.properties.number("iobase").flatMap { $0 <= 0xFFF8 ? UInt64($0) : nil }
            let irq = device.properties.number("irq").flatMap { $0 < 16 ? $0 : nil }
            try addSerialPort(
                index, base: base ?? SerialPort.ports[index], irq: irq ?? SerialPort.interrupts[index],
                chardev: device.properties.string("chardev"))
        }
    }

    private func addSerialPort(_ number: Int, base: UInt64, irq: Int, chardev: String?) throws(MachineBuildError) {
        let port = SerialPort(
            name: stateName("serial\(number)"), clock: clock, line: line(irq),
            backend: chardev.flatMap { characters.port($0) })
        port.attach(to: io, base: base)
        devices.append(port)
        acpi.serialPorts.append(ACPIConfiguration.SerialPort(port: UInt16(base), irq: UInt8(irq)))
        note("isa-serial", bus: "isa.0", details: ["isa irq \(irq)"])
    }

    func addPowerManagement(_ settings: ACPIPowerManagementConfiguration = ACPIPowerManagementConfiguration()) {
        let lifecycle = lifecycle
        var settings = settings
        let states = configuration.sleepStates
        if let type = states.disk { settings.s4Type = type }
        (acpi.sleepTypeMemory, acpi.sleepTypeDisk) = (states.memory, states.disk)
        let power = ACPIPowerManagement(clock: clock, line: line(9), configuration: settings) { state in
            switch state {
            case .s3: if states.memory != nil { lifecycle.send(.suspended) }
            case .s4: if states.disk != nil { lifecycle.send(.suspendedToDisk) }
            case .s5: lifecycle.send(.shutdown(.guestShutdown))
            }
        }
        rtc?.observeAlarm { [weak power] in if power?.isAsleep == true { lifecycle.send(.alarm) } }
        powerRange = power.attach(to: io).first
        let place = devices.count
        devices.append(power)
        self.power = power
        acpi.power = .fixed(Self.powerRegisters(settings))
        if modules.region != nil { addMemoryHotplug() }
        guard configuration.board.kind.isPC else { return }
        let observer = processorEjectObserver
        let control = ProcessorHotplugControl(
            present: topology.processors, apicIDs: (0..<topology.maximum).map { APICNumbering.id(of: $0, topology) }
        ) { observer.tell($0) }
        // Firmware looks there also where nobody can come.
        control.attachRegisters(to: io, at: configuration.board.kind == .q35 ? 0xCD8 : 0xAF00)
        guard topology.maximum > topology.processors else {
            devices[place] = JoinedDevice(power, with: control, in: "processors")
            return
        }
        io.add(
            control, start: ProcessorHotplugControl.port, count: ProcessorHotplugControl.count, name: "acpi-cpu-hotplug")
        devices.append(control)
        processorHotplug = control
        // Firmware waits for as many processors as it is told of.
        let rtc = rtc
        afterReset.append { [weak rtc] in rtc?.setProcessorCount(control.present.count) }
        acpi.processorHotplug = ProcessorHotplug(
            port: UInt16(ProcessorHotplugControl.port), event: UInt8(ProcessorHotplugControl.event))
        if hasManagement, configuration.board.kind == .q35 {
            acpi.processorHotplug?.managementCommand = SMIRegisters.processorCommand
        }
    }

    private func addMemoryHotplug() {
        let (ejected, reported) = (moduleEjectObserver, moduleReportObserver)
        let control = MemoryHotplugControl(
            slots: configuration.memory.slots, onEject: { ejected.tell($0) }, onReport: { reported.tell($0) })
        io.add(
            control, start: MemoryHotplugControl.port, count: MemoryHotplugControl.count, name: "acpi-mem-hotplug")
        devices.append(control)
        modules.connect(control)
        acpi.memoryHotplug = MemoryHotplug(
            port: UInt16(MemoryHotplugControl.port), event: UInt8(MemoryHotplugControl.event),
            slots: configuration.memory.slots)
    }

    /// The PIT; nil where it is the engine's.
    func addPIT() -> IntervalTimer? {
        guard engine.controllers == nil else {
            note("kvm-pit", bus: "isa.0")
            return nil
        }
        let pit = IntervalTimer(clock: clock, line: line(0))
        pit.attach(to: io)
        devices.append(pit)
        note("isa-pit", bus: "isa.0")
        return pit
    }

    func addRTC() -> RealTimeClock {
        let base: RTCBase
        switch configuration.clock.base {
        case .utc: base = .utc
        case .localTime: base = .localtime
        case .date(let seconds): base = .date(seconds)
        }
        let seconds = Int64(clamping: clock.wallClock / 1_000_000_000)
        let rtc = RealTimeClock(
            clock: clock, line: line(8), base: base, localOffset: HostFacts.localTimeOffset(at: seconds))
        rtc.attach(to: io)
        let lifecycle = lifecycle
        rtc.observeSetting { lifecycle.send(.clockSet(offset: $0)) }
        let layout = layout
        rtc.setMemorySize(below4G: layout.low, above4G: layout.high)
        devices.append(rtc)
        let boot = BootDevices(
            rtc, Self.bootDevices(configuration.boot.order ?? "cad"),
            once: configuration.boot.once.map(Self.bootDevices))
        bootDevices = boot
        afterReset.append { [weak rtc] in
            rtc?.setMemorySize(below4G: layout.low, above4G: layout.high)
            boot.tell()
        }
        self.rtc = rtc
        acpi.hasRTC = true
        note("mc146818rtc", bus: "isa.0", details: ["isa irq 8"])
        return rtc
    }

    /// Drives' letters as CMOS memory has them for firmware; letters of no such drive are left out.
    static func bootDevices(_ letters: String) -> [UInt8] {
        letters.compactMap { (["a": 1, "c": 2, "d": 3, "n": 4] as [Character: UInt8])[$0] }
    }

    func addKeyboardController() {
        let (lifecycle, input) = (lifecycle, input)
        let controller = KeyboardController(
            clock: clock, keyboardLine: line(1), mouseLine: line(12),
            commandByte: !configuration.hasFirmware ? 0x43 : 0x03, onReset: { lifecycle.send(.reset(.guestReset)) },
            onLEDs: { input.leds = $0 })
        controller.attach(to: io)
        input.add(controller as any KeyboardInput)
        input.add(controller as any PointerInput)
        devices.append(controller)
        acpi.hasI8042 = true
        note("i8042", bus: "isa.0", details: ["isa irq 1", "isa irq 12"])
    }

    func addHPET(pit: IntervalTimer?, rtc: RealTimeClock?) {
        let controllers = engine.controllers
        let hpet = HPET(clock: clock, interrupts: interrupts, messages: engine) { [weak pit, weak rtc] replaces in
            pit?.setDrivesLine(!replaces)
            controllers?.setLegacyReplacement(replaces)
            rtc?.setDrivesLine(!replaces)
        }
        hpet.attach(to: mmio)
        devices.append(hpet)
        acpi.hpet = UInt32(HPET.address)
        note("hpet", bus: "main-system-bus")
    }

    func addResetControl() {
        let lifecycle = lifecycle
        let control = ResetControl { lifecycle.send(.reset(.guestReset)) }
        control.attach(to: io)
        devices.append(control)
        acpi.resetRegister = ACPIConfiguration.GenericAddress(.systemIO, bits: 8, address: ResetControl.port)
        acpi.resetValue = 6
    }

    /// Port 80, and the debug devices of `-device` and `-debugcon`.
    func addDebugPorts() throws(MachineBuildError) {
        let post = POSTCodeLatch()
        post.attach(to: io)
        devices.append(post)
        if let id = configuration.debugConsole, let port = characters.port(id) {
            let set = withGlobals(DeviceConfiguration(driver: "isa-debugcon"))
            addDebugConsole(
                port, at: UInt64(set.number("iobase").flatMap { 1...0xFFFF ~= $0 ? $0 : nil } ?? 0xE9),
                readback: UInt8(truncatingIfNeeded: set.number("readback") ?? 0xE9))
        }
        let lifecycle = lifecycle
        for device in configuration.devices {
            let properties = device.properties
            if ["isa-debug-exit", "isa-debugcon", "pvpanic"].contains(device.driver) { try checkBus(device, "isa.0") }
            switch device.driver {
            case "isa-debug-exit":
                let made = DebugExit(name: stateName(device.id ?? "isa-debug-exit")) { status in
                    lifecycle.send(.exit(Int32(truncatingIfNeeded: status)))
                }
                made.attach(
                    to: io, base: UInt64(try port(properties, "iobase", 0x501, device)),
                    count: UInt64(try port(properties, "iosize", 2, device)))
                devices.append(made)
            case "isa-debugcon":
                guard let id = properties.string("chardev"), let back = characters.port(id) else {
                    throw MachineBuildError("\(device.origin): Can't create serial device, empty char device")
                }
                addDebugConsole(
                    back, at: UInt64(try port(properties, "iobase", 0xE9, device)),
                    readback: UInt8(truncatingIfNeeded: properties.number("readback") ?? 0xE9))
            case "pvpanic":
                let place = try port(properties, "ioport", 0x505, device)
                let events = PVPanic.Event(rawValue: UInt8(truncatingIfNeeded: properties.number("events") ?? 3))
                let made = PVPanic(name: stateName(device.id ?? "pvpanic"), events: events) { told in
                    lifecycle.send(told.contains(.panicked) ? .panicked : .crashLoaded)
                }
                made.attach(to: io, port: UInt64(place))
                devices.append(made)
                acpi.pvpanic = UInt16(truncatingIfNeeded: place)
            case "pc-testdev", "testdev": try addPCTestDevice(device)
            default: continue
            }
            note(device.driver, id: device.id, bus: "isa.0")
        }
    }

    private func addDebugConsole(_ backend: any CharacterPort, at port: UInt64, readback: UInt8) {
        let console = DebugConsole(name: stateName("isa-debugcon"), backend: backend, readback: readback)
        console.attach(to: io, port: port)
        devices.append(console)
    }

    private func port(
        _ properties: JSONObject, _ name: String, _ usual: Int, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> Int {
        let value = properties.number(name) ?? usual
        guard 1...0xFFFF ~= value else {
            throw MachineBuildError("\(device.origin): '\(name)' \(value) is no I/O port")
        }
        return value
    }
}

extension JSONObject {
    func string(_ name: String) -> String? { self[name]?.stringValue }
    func number(_ name: String) -> Int? { self[name]?.intValue }
    func bool(_ name: String) -> Bool? { self[name]?.boolValue }
}
