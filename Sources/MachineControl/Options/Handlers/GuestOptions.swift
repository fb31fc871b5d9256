internal import HostOS
internal import JSON
internal import Machine

/// -rtc, -smbios, -fw_cfg, -boot, -display, -vga.
enum GuestOptions {
    static let clockTable = ParameterTable([
        Parameter("base", Parameter.Kind.string, "utc, localtime or a date"),
        Parameter("clock", Parameter.Kind.choice(ClockConfiguration.Source.words), "What drives it"),
        Parameter("driftfix", Parameter.Kind.choice(["none", "slew"]), "Whether lost ticks are made up for"),
    ])
    static let firmwareTable = ParameterTable(
        implied: "name",
        [
            Parameter("name", Parameter.Kind.string), Parameter("file", Parameter.Kind.string),
            Parameter("string", Parameter.Kind.string),
        ])
    static let bootTable = ParameterTable(
        implied: "order",
        [
            Parameter("order", Parameter.Kind.string, "Boot devices as letters"),
            Parameter("once", Parameter.Kind.string, "Boot devices of the first boot"),
            Parameter("menu", Parameter.Kind.boolean, "Whether firmware offers a menu"),
            Parameter("splash", Parameter.Kind.string, "A picture to show"),
            Parameter("splash-time", Parameter.Kind.number(0...65535), "How long, in milliseconds"),
            Parameter("reboot-timeout", Parameter.Kind.number(-1...65535), "Milliseconds until a reboot"),
            Parameter("strict", Parameter.Kind.boolean, "Only devices with a boot index"),
        ])

    /// What every display takes, whether there is a window or not.
    private static let displayTable = ParameterTable([
        Parameter("full-screen", Parameter.Kind.boolean), Parameter("window-close", Parameter.Kind.boolean),
        Parameter("show-cursor", Parameter.Kind.boolean),
        Parameter("gl", Parameter.Kind.choice(["on", "off", "core", "es"])),
    ])

    static func rtc(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        switch argument.string("base") {
        case nil: break
        case "utc": builder.configuration.clock.base = .utc
        case "localtime": builder.configuration.clock.base = .localTime
        case let text?:
            guard let seconds = CivilTime(text)?.seconds else {
                throw .value(
                    "base", text, expects: "'utc', 'localtime' or a date such as 2006-06-17T16:01:21 or 2006-06-17")
            }
            builder.configuration.clock.base = .date(seconds)
        }
        if let source: ClockConfiguration.Source = argument.values.choice("clock") {
            builder.configuration.clock.source = source
        }
        if let fix = argument.string("driftfix") { builder.configuration.clock.slewsLostTicks = fix == "slew" }
    }

    private static func strings(_ names: String) -> [Parameter] {
        names.split(separator: " ").map { Parameter(String($0), Parameter.Kind.string) }
    }
    /// The fields of each type of structure.
    static let smbiosTables: [Int: ParameterTable] = [
        0: ParameterTable(strings("vendor version date release") + [Parameter("uefi", Parameter.Kind.boolean)]),
        1: ParameterTable(strings("manufacturer product version serial uuid sku family")),
        2: ParameterTable(strings("manufacturer product version serial asset location")),
        3: ParameterTable(strings("manufacturer version serial asset sku")),
        4: ParameterTable(
            strings("sock_pfx manufacturer version serial asset part") + [
                Parameter("max-speed", Parameter.Kind.number(0...65535)),
                Parameter("current-speed", Parameter.Kind.number(0...65535)),
                Parameter("processor-id", Parameter.Kind.unsigned),
            ]),
        8: ParameterTable(
            strings("internal_reference external_reference") + [
                Parameter("connector_type", Parameter.Kind.number(0...255)),
                Parameter("port_type", Parameter.Kind.number(0...255)),
            ]),
        11: ParameterTable([
            Parameter("value", Parameter.Kind.string, repeats: true),
            Parameter("path", Parameter.Kind.string, repeats: true),
        ]),
        17: ParameterTable(
            strings("loc_pfx bank manufacturer serial asset part") + [
                Parameter("speed", Parameter.Kind.number(0...65535))
            ]),
        41: ParameterTable(
            strings("designation pcidev") + [
                Parameter("instance", Parameter.Kind.number(0...255)),
                Parameter(
                    "kind",
                    Parameter.Kind.choice([
                        "other", "unknown", "video", "scsi", "ethernet", "tokenring", "sound", "pata", "sata", "sas",
                    ])),
            ]),
    ]

    static func smbios(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        var pairs = try OptionPairs(argument.text, implied: nil)
        if let file = pairs["file"] {
            guard pairs.pairs.count == 1 else { throw .invalid("'file' stands alone") }
            return builder.configuration.smbios.append(.file(file))
        }
        guard let text = pairs.remove("type") else { throw .invalid("expects 'file=' or 'type='") }
        guard let type = Int(text), let table = smbiosTables[type] else {
            throw .value(
                "type", text, expects: "one of " + smbiosTables.keys.sorted().map { "\($0)" }.joined(separator: ", "))
        }
        let values = try table.values(pairs)
        if type == 1, let uuid = values.string("uuid"), OptionValue.uuid(uuid) == nil {
            throw .value("uuid", uuid, expects: "a UUID")
        }
        builder.configuration.smbios.append(.fields(type: type, values))
    }

    static func firmwareEntry(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard let name = argument.string("name"), !name.isEmpty,
            (argument.string("file") == nil) != (argument.string("string") == nil)
        else { throw .invalid("name, plus exactly one of file and string, are needed") }
        // FW_CFG_MAX_FILE_PATH: 56 bytes with the terminator.
        guard name.utf8.count <= 55, name.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw .value("name", name, expects: "1 to 55 printable characters")
        }
        if !name.hasPrefix("opt/") {
            builder.warn("externally provided fw_cfg item names should be prefixed with \"opt/\"")
        }
        let content: FirmwareEntry.Content =
            argument.string("file").map { .file($0) } ?? .string(argument.string("string") ?? "")
        guard !builder.configuration.firmwareEntries.contains(where: { $0.name == name }) else {
            throw .invalid("duplicate fw_cfg item name: \(name)")
        }
        builder.configuration.firmwareEntries.append(FirmwareEntry(name: name, content: content))
    }

    static func boot(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        for name in ["order", "once"] {
            guard let letters = argument.string(name) else { continue }
            var seen: Set<Character> = []
            for letter in letters {
                guard "abcdn".contains(letter) else {
                    throw .invalid("Invalid boot device '\(printable(String(letter)))'; valid: a, b, c, d, n")
                }
                guard seen.insert(letter).inserted else { throw .invalid("Boot device '\(letter)' was given twice") }
            }
        }
        var boot = builder.configuration.boot
        boot.order = argument.string("order") ?? boot.order
        boot.once = argument.string("once") ?? boot.once
        boot.menu = argument.flag("menu") ?? boot.menu
        boot.splash = argument.string("splash") ?? boot.splash
        boot.splashTime = argument.int("splash-time") ?? boot.splashTime
        boot.rebootTimeout = argument.int("reboot-timeout") ?? boot.rebootTimeout
        boot.strict = argument.flag("strict") ?? boot.strict
        builder.configuration.boot = boot
    }

    static func display(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if argument.text.hasPrefix("vnc=") { return try VNCOptions.add(String(argument.text.dropFirst(4)), to: &builder) }
        let pairs = try OptionPairs(argument.text, implied: "type")
        let type = pairs["type"] ?? ""
        if isHelp(type) { throw .information("Available display backend types:\nnone\ncurses\nvnc\n") }
        if type == "vnc" { throw .invalid("expects a display: -display vnc=:0") }
        guard let display = DisplayConfiguration(rawValue: type) else {
            let known = ["gtk", "sdl", "spice-app", "egl-headless", "dbus"]
            guard known.contains(type) else {
                throw .unknown("Parameter 'type' does not accept value", type, among: DisplayConfiguration.words)
            }
            throw .invalid("display '\(type)' is not supported yet; valid: none, curses, vnc")
        }
        for pair in pairs.pairs where pair.key != "type" {
            if display == .curses, pair.key == "charset" {
                let name = pair.value?.uppercased() ?? ""
                guard ["CP437", "IBM437", "437"].contains(name) else {
                    throw .value("charset", pair.value ?? "", expects: "'CP437'")
                }
                continue
            }
            guard let parameter = displayTable.parameter(pair.key) else {
                throw .invalid("Parameter '\(printable(pair.key))' is unexpected")
            }
            guard let value = pair.value else { throw .invalid("Expected '=' after parameter '\(pair.key)'") }
            _ = try parameter.value(value)
            if pair.key == "gl", value != "off" { throw .invalid("OpenGL is not supported by the display") }
        }
        builder.configuration.display = display
        builder.hasDisplay = true
    }

    static func vga(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if isHelp(argument.text) {
            throw .information(
                "none                 no graphic card\nstd                  standard VGA\n"
                    + "cirrus               Cirrus VGA\nvirtio               Virtio VGA\n")
        }
        guard let adapter = GraphicsAdapter(rawValue: argument.text) else {
            throw .unknown("unknown vga type", argument.text, among: GraphicsAdapter.words)
        }
        builder.configuration.graphics = adapter
        builder.hasGraphics = true
    }
}
