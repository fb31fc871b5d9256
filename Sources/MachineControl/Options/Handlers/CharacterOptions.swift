internal import JSON
internal import Machine

/// -chardev, -serial, -parallel, -monitor, -qmp, -mon, -gdb, -debugcon.
enum CharacterOptions {
    static let monitorTable = ParameterTable(
        implied: "chardev",
        [
            Parameter("chardev", Parameter.Kind.string, "The character back-end"),
            Parameter("mode", Parameter.Kind.choice(MonitorConfiguration.Mode.words), "For people or for programs"),
            Parameter("pretty", Parameter.Kind.boolean, "Lays JSON out for reading"),
            Parameter("id", Parameter.Kind.string, "The monitor's name"),
        ])

    static func chardev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let pairs = try OptionPairs(argument.text, implied: "backend")
        if pairs.startsWithHelp {
            throw .information(
                "Available chardev backend types: \n"
                    + CharacterBackendSyntax.names.sorted().map { "  \($0)\n" }.joined())
        }
        let device = try CharacterBackendSyntax.device(pairs)
        try builder.add(device)
    }

    static func serial(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasSerial = true
        guard builder.configuration.serialPorts.count < 4 else { throw .invalid("the machine takes four serial ports") }
        try builder.addSerialPort(argument.text)
    }

    static func parallel(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasParallel = true
        guard builder.configuration.parallelPorts.count < 3 else {
            throw .invalid("the machine takes three parallel ports")
        }
        let label = "parallel\(builder.configuration.parallelPorts.count)"
        let id = try builder.attach(argument.text, label: label)
        builder.configuration.parallelPorts.append(id)
    }

    /// -monitor, -qmp and -qmp-pretty.
    static func monitor(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasMonitor = true
        guard argument.text != "none" else { return }
        try builder.addMonitor(
            on: argument.text, mode: argument.option == "monitor" ? .readline : .control,
            pretty: argument.option == "qmp-pretty")
    }

    static func mon(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasMonitor = true
        var monitor = MonitorConfiguration(
            characterDevice: try argument.required("chardev"), mode: argument.values.choice("mode") ?? .readline)
        monitor.pretty = argument.flag("pretty") ?? false
        monitor.id = argument.string("id")
        if monitor.pretty, monitor.mode == .readline { throw .invalid("'pretty' is not compatible with HMP monitors") }
        builder.configuration.monitors.append(monitor)
    }

    static func gdb(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard argument.text != "none" else {
            builder.configuration.gdbServer = nil
            return
        }
        guard builder.configuration.gdbServer == nil else { throw .invalid("there is already a GDB server") }
        builder.configuration.gdbServer = try builder.attach(gdbDevice(argument.text), label: "gdb")
    }

    /// GDB comes and goes: a port listens without waiting, a Unix socket unless it is said otherwise.
    static func gdbDevice(_ text: String) -> String {
        if text.hasPrefix("tcp:") { return text + ",wait=off,nodelay=on,server=on" }
        let says = text.split(separator: ",").dropFirst().contains { $0.hasPrefix("server") || $0 == "noserver" }
        return text.hasPrefix("unix:") && !says ? text + ",server=on,wait=off" : text
    }

    static func debugcon(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.configuration.debugConsole = try builder.attach(argument.text, label: "debugcon")
    }
}

extension ConfigurationBuilder {
    mutating func add(_ device: CharacterDeviceConfiguration) throws(OptionError) {
        guard !configuration.characterDevices.contains(where: { $0.id == device.id }) else {
            throw .invalid("Duplicate ID '\(device.id)' for chardev")
        }
        configuration.characterDevices.append(device)
    }

    /// Makes the back-end of a short form, `stdio` or `mon:tcp::4444,server`, under a label; its id, or nil for `none`.
    mutating func attach(_ text: String, label: String) throws(OptionError) -> String? {
        var rest = text
        if text == "none" { return nil }
        if text.hasPrefix("chardev:") { return String(text.dropFirst(8)) }
        let hasMonitor = text.hasPrefix("mon:")
        if hasMonitor { rest = String(text.dropFirst(4)) }
        var device = CharacterDeviceConfiguration(id: label, kind: try CharacterBackendSyntax.short(rest))
        if hasMonitor {
            self.hasMonitor = true
            device.isMultiplexed = true
            // Ctrl-C is the guest's on a terminal that it shares with the monitor.
            if case .stdio = device.kind { device.kind = .stdio(signal: false) }
            configuration.monitors.append(MonitorConfiguration(characterDevice: label, mode: .readline))
        }
        try add(device)
        return label
    }

    mutating func addSerialPort(_ text: String) throws(OptionError) {
        let id = try attach(text, label: "serial\(configuration.serialPorts.count)")
        configuration.serialPorts.append(id)
    }

    mutating func addMonitor(
        on text: String, mode: MonitorConfiguration.Mode, pretty: Bool = false
    ) throws(OptionError) {
        guard let id = try attach(text, label: "compat_monitor\(monitorCount)") else { return }
        monitorCount += 1
        var monitor = MonitorConfiguration(characterDevice: id, mode: mode)
        monitor.pretty = pretty
        configuration.monitors.append(monitor)
    }
}
