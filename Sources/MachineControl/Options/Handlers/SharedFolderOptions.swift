internal import FileSharing
internal import JSON
internal import Machine

/// -fsdev and -virtfs.
enum SharedFolderOptions {
    private static let parameters: [Parameter] = [
        Parameter("fsdriver", Parameter.Kind.string, "local"),
        Parameter("id", Parameter.Kind.string),
        Parameter("path", Parameter.Kind.string, "The folder"),
        Parameter("security_model", Parameter.Kind.string, "passthrough, none or mapped-xattr"),
        Parameter("writeout", Parameter.Kind.choice(["immediate"])),
        Parameter("readonly", Parameter.Kind.boolean),
        Parameter("fmode", Parameter.Kind.string, "Mode of new files, as 0600"),
        Parameter("dmode", Parameter.Kind.string, "Mode of new folders, as 0700"),
        Parameter(
            "multidevs", Parameter.Kind.choice(ShareOptions.Devices.allCases.map(\.rawValue))),
    ]
    static let table = ParameterTable(implied: "fsdriver", parameters)
    static let virtualTable = ParameterTable(
        implied: "fsdriver", parameters + [Parameter("mount_tag", Parameter.Kind.string)])

    static func fsdev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let values = try table.values(try OptionPairs(argument.text, implied: "fsdriver"))
        try checkDriver(values)
        guard let id = values.string("id") else { throw .missing("id") }
        try add(&builder, try folder(values, id: id))
    }

    static func virtfs(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let values = try virtualTable.values(try OptionPairs(argument.text, implied: "fsdriver"))
        try checkDriver(values)
        guard let tag = values.string("mount_tag") else { throw .missing("mount_tag") }
        // Without a name of its own, the folder has one that no option can give.
        let id = values.string("id") ?? "virtfs \(tag)"
        let folder = try folder(values, id: id, isNamed: values.string("id") != nil)
        try add(&builder, folder)
        var device = DeviceConfiguration(driver: "virtio-9p-pci")
        device.properties["fsdev"] = .string(id)
        device.properties["mount_tag"] = .string(tag)
        device.origin = builder.origin
        builder.configuration.devices.append(device)
    }

    private static func add(
        _ builder: inout ConfigurationBuilder, _ folder: SharedFolderConfiguration
    ) throws(OptionError) {
        guard !builder.configuration.sharedFolders.contains(where: { $0.id == folder.id }) else {
            throw .invalid("Duplicate ID '\(printable(folder.id))' for fsdev")
        }
        builder.configuration.sharedFolders.append(folder)
    }

    private static func checkDriver(_ values: JSONObject) throws(OptionError) {
        switch values.string("fsdriver") {
        case "local": break
        case "synth", "proxy":
            throw .invalid("fsdriver '\(values.string("fsdriver") ?? "")' is not supported; use 'local'")
        case nil: throw .missing("fsdriver")
        case let other?: throw .unknown("Parameter 'fsdriver' does not accept value", other, among: ["local"])
        }
    }

    private static func folder(
        _ values: JSONObject, id: String, isNamed: Bool = true
    ) throws(OptionError) -> SharedFolderConfiguration {
        guard !isNamed || DeviceOptions.isIdentifier(id) else {
            throw .value("id", id, expects: DeviceOptions.identifierWords)
        }
        guard let path = values.string("path"), !path.isEmpty else { throw .missing("path") }
        guard let words = values.string("security_model") else { throw .missing("security_model") }
        let models = ShareOptions.SecurityModel.allCases
        if words == "mapped-file" {
            throw .invalid("security_model 'mapped-file' is not supported; use 'mapped-xattr'")
        }
        guard let model = models.first(where: { $0.rawValue == (words == "mapped" ? "mapped-xattr" : words) })
        else {
            throw .unknown(
                "Parameter 'security_model' does not accept value", words, among: models.map(\.rawValue))
        }
        var options = ShareOptions(path: path, securityModel: model)
        options.isReadOnly = values["readonly"]?.boolValue ?? false
        options.writesThrough = values.string("writeout") == "immediate"
        if let mode = try mode("fmode", values, model) { options.fileMode = mode }
        if let mode = try mode("dmode", values, model) { options.folderMode = mode }
        options.devices = values.string("multidevs").flatMap { ShareOptions.Devices(rawValue: $0) } ?? .warn
        return SharedFolderConfiguration(id: id, options: options)
    }

    private static func mode(
        _ name: String, _ values: JSONObject, _ model: ShareOptions.SecurityModel
    ) throws(OptionError) -> UInt32? {
        guard let text = values.string(name) else { return nil }
        guard model == .mapped else { throw .invalid("'\(name)' is only for security_model=mapped-xattr") }
        guard text.hasPrefix("0"), let mode = UInt32(text, radix: 8), mode <= 0o777 else {
            throw .value(name, text, expects: "an octal mode, from 0000 to 0777")
        }
        return mode
    }
}
