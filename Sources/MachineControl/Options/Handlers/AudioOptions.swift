internal import JSON
internal import Machine

/// -audiodev, -audio.
enum AudioOptions {
    private static let direction: [Parameter] = [
        Parameter("frequency", Parameter.Kind.number(8000...192_000)),
        Parameter("channels", Parameter.Kind.number(1...2)),
        Parameter("format", Parameter.Kind.choice(["u8", "s8", "u16", "s16", "u32", "s32", "f32"])),
        Parameter("fixed-settings", Parameter.Kind.boolean), Parameter("mixing-engine", Parameter.Kind.boolean),
        Parameter("voices", Parameter.natural), Parameter("buffer-length", Parameter.natural),
    ]
    private static let directionTable = ParameterTable(direction)
    static let table = ParameterTable(
        implied: "driver",
        [
            Parameter("driver", Parameter.Kind.string, "none, wav or spice"), Parameter("id", Parameter.Kind.string),
            Parameter("path", Parameter.Kind.string, "The file of wav"),
            Parameter("timer-period", Parameter.natural), Parameter("in", Parameter.Kind.any),
            Parameter("out", Parameter.Kind.any), Parameter("model", Parameter.Kind.string),
        ])

    static func audiodev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard try !asksForHelp(argument.text) else { throw .information("Available audio drivers:\nnone\nspice\nwav\n") }
        let values = try table.valuesOrJSON(argument.text)
        guard let id = values.string("id") else { throw .missing("id") }
        guard values["model"] == nil else { throw .unknown("Invalid parameter", "model", among: []) }
        try add(values, id: id, to: &builder)
    }

    /// A back-end and a card that uses it, in one option.
    static func audio(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        guard try !asksForHelp(argument.text) else { throw .information("Available audio drivers:\nnone\nspice\nwav\n") }
        let values = try table.valuesOrJSON(argument.text)
        let models = [("ac97", "Intel 82801AA AC97 Audio"), ("hda", "Intel HD Audio")]
        guard let model = values.string("model") else { throw .missing("model") }
        if isHelp(model) {
            throw .information(
                "Valid audio device model names:\n"
                    + models.map { "\($0.0)\(String(repeating: " ", count: 12 - $0.0.count))\($0.1)\n" }.joined())
        }
        let id = values.string("id") ?? "audiodev0"
        var device = DeviceConfiguration(driver: "AC97")
        device.origin = builder.origin
        switch model {
        case "ac97":
            device.properties["audiodev"] = .string(id)
            builder.configuration.devices.append(device)
        case "hda":
            device.driver = "intel-hda"
            builder.configuration.devices.append(device)
            device.driver = "hda-duplex"
            device.properties["audiodev"] = .string(id)
            builder.configuration.devices.append(device)
        default: throw .unknown("Unknown audio device model", model, among: models.map(\.0))
        }
        try add(values, id: id, to: &builder)
    }

    private static func asksForHelp(_ text: String) throws(OptionError) -> Bool {
        guard try jsonArgument(text) == nil else { return false }
        return isHelp(try OptionPairs(text, implied: "driver")["driver"] ?? "")
    }

    private static func add(
        _ values: JSONObject, id: String, to builder: inout ConfigurationBuilder
    ) throws(OptionError) {
        guard DeviceOptions.isIdentifier(id) else { throw .value("id", id, expects: DeviceOptions.identifierWords) }
        guard !builder.configuration.audioBackends.contains(where: { $0.id == id }) else {
            throw .invalid("Duplicate audiodev ID '\(id)'")
        }
        let name = values.string("driver") ?? ""
        guard let driver = AudioConfiguration.Driver(rawValue: name) else {
            throw .unknown("Parameter 'driver' does not accept value", name, among: AudioConfiguration.Driver.words)
        }
        var made = AudioConfiguration(id: id, driver: driver)
        for direction in ["in", "out"] {
            guard let tree = values[direction] else { continue }
            guard let object = tree.objectValue else {
                throw .value(direction, tree.description, expects: "parameters such as \(direction).frequency=44100")
            }
            let settings = try directionTable.values(object)
            guard direction == "out", driver == .wav else { continue }
            made.frequency = settings.int("frequency") ?? made.frequency
            made.channels = settings.int("channels") ?? made.channels
            switch settings.string("format") {
            case nil, "s16": break
            case "u8": made.bits = 8
            case let other?: throw .value("out.format", other, expects: "'u8' or 's16', which a WAV file here can hold")
            }
        }
        if let path = values.string("path") {
            guard driver == .wav else { throw .unknown("Invalid parameter", "path", among: []) }
            made.path = path
        }
        builder.configuration.audioBackends.append(made)
    }
}
