internal import JSON
internal import Machine

/// -tpmdev.
enum TPMOptions {
    static let table = ParameterTable(
        implied: "type",
        [
            Parameter("type", Parameter.Kind.string, "emulator"), Parameter("id", Parameter.Kind.string),
            Parameter("chardev", Parameter.Kind.string, "The socket of swtpm"),
            Parameter("path", Parameter.Kind.string), Parameter("cancel-path", Parameter.Kind.string),
        ])

    static func tpmdev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let pairs = try OptionPairs(argument.text, implied: "type")
        if isHelp(pairs["type"] ?? "") {
            throw .information("Supported TPM types (choose only one):\n    emulator   swtpm, by its control socket\n")
        }
        let values = try table.values(pairs)
        switch values.string("type") {
        case "emulator": break
        case "passthrough": throw .invalid("a TPM of the host cannot be passed through; use -tpmdev emulator")
        case let other:
            throw .unknown("Parameter 'type' does not accept value", other ?? "", among: ["emulator"])
        }
        guard let id = values.string("id") else { throw .missing("id") }
        guard let chardev = values.string("chardev") else { throw .missing("chardev") }
        guard DeviceOptions.isIdentifier(id) else { throw .value("id", id, expects: DeviceOptions.identifierWords) }
        guard builder.configuration.tpmBackends.isEmpty else { throw .invalid("Only one TPM is allowed.") }
        guard values.string("path") == nil, values.string("cancel-path") == nil else {
            throw .invalid("'path' and 'cancel-path' are of the type 'passthrough'")
        }
        builder.configuration.tpmBackends.append(TPMConfiguration(id: id, characterDevice: chardev))
    }
}
