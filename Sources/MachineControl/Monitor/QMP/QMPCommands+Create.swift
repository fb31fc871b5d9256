internal import JSON
internal import Machine

/// What `blockdev-create` takes: a table for each driver that can make images.
enum BlockCreateOptions {
    private static let size = Parameter("size", Parameter.size)
    private static let file = Parameter("file", Parameter.Kind.string)
    private static let secret = Parameter("key-secret", Parameter.Kind.string)
    private static let cipher: [Parameter] = [
        Parameter(
            "cipher-alg",
            Parameter.Kind.choice(
                ["aes", "serpent", "twofish"].flatMap { name in [128, 192, 256].map { "\(name)-\($0)" } }
                    + ["cast5-128"])),
        Parameter("cipher-mode", Parameter.Kind.choice(["cbc", "ctr", "ecb", "xts"])),
        Parameter("ivgen-alg", Parameter.Kind.choice(["plain", "plain64", "essiv"])),
        Parameter("ivgen-hash-alg", Parameter.Kind.choice(hashes)),
        Parameter("hash-alg", Parameter.Kind.choice(hashes)), Parameter("iter-time", Parameter.Kind.unsigned),
    ]
    private static let hashes = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"]
    private static func reserve(_ words: String...) -> Parameter {
        Parameter("preallocation", Parameter.Kind.choice(words))
    }
    private static let fixedOrNot = Parameter("subformat", Parameter.Kind.choice(["dynamic", "fixed"]))

    /// Each driver with its parameters and those that must be there.
    static let drivers: [(name: String, parameters: [Parameter], required: [String])] = [
        (
            "file", [Parameter("filename", Parameter.Kind.string), size, reserve("off", "falloc", "full")],
            ["filename", "size"]
        ),
        ("luks", [file, secret, size, reserve("off", "metadata", "falloc", "full")] + cipher, ["file", "size"]),
        (
            "qcow2",
            [
                file, size, Parameter("version", Parameter.Kind.choice(["v2", "v3"])),
                Parameter("extended-l2", Parameter.Kind.boolean), Parameter("backing-file", Parameter.Kind.string),
                Parameter("backing-fmt", Parameter.Kind.string), Parameter("encrypt", Parameter.Kind.any),
                Parameter("cluster-size", Parameter.size), reserve("off", "metadata", "falloc", "full"),
                Parameter("lazy-refcounts", Parameter.Kind.boolean),
                Parameter("refcount-bits", Parameter.Kind.unsigned),
                Parameter("compression-type", Parameter.Kind.choice(["zlib", "zstd"])),
                Parameter("data-file", Parameter.Kind.string), Parameter("data-file-raw", Parameter.Kind.boolean),
            ], ["file", "size"]
        ),
        ("vdi", [file, size, reserve("off", "metadata")], ["file", "size"]),
        (
            "vhdx",
            [
                file, size, Parameter("log-size", Parameter.size), Parameter("block-size", Parameter.size), fixedOrNot,
                Parameter("block-state-zero", Parameter.Kind.boolean),
            ], ["file", "size"]
        ),
        (
            "vmdk",
            [
                file, size,
                Parameter(
                    "subformat",
                    Parameter.Kind.choice([
                        "monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
                        "streamOptimized",
                    ])),
                Parameter("backing-file", Parameter.Kind.string),
                Parameter("adapter-type", Parameter.Kind.choice(["ide", "buslogic", "lsilogic", "legacyESX"])),
                Parameter("hwversion", Parameter.Kind.string), Parameter("toolsversion", Parameter.Kind.string),
                Parameter("zeroed-grain", Parameter.Kind.boolean), Parameter("extents", Parameter.Kind.any),
            ], ["file", "size"]
        ),
        ("vpc", [file, size, fixedOrNot, Parameter("force-size", Parameter.Kind.boolean)], ["file", "size"]),
    ]

    /// The options as QMP's schema has them.
    static let schema = SchemaObject(
        "BlockdevCreateOptions", [SchemaMember("driver", .enumeration("BlockdevDriver", BlockNodeOptions.drivers))],
        tag: "driver",
        variants: drivers.map { driver in
            let name = "BlockdevCreateOptions-\(driver.name)"
            let members = driver.parameters.map {
                SchemaMember($0, of: name, optional: !driver.required.contains($0.name))
            }
            return (driver.name, SchemaObject("q_obj_\(name)", members))
        })

    /// Checks the types and presence of what is given.
    static func check(_ options: JSONObject) throws(OptionError) {
        let name = options.string("driver") ?? ""
        guard let driver = drivers.first(where: { $0.name == name }) else {
            throw .invalid("Driver '\(name)' does not support blockdev-create")
        }
        for name in driver.required where options[name] == nil { throw .missing("options.\(name)") }
        for member in options.members where member.name != "driver" {
            guard let parameter = driver.parameters.first(where: { $0.name == member.name }) else {
                throw .invalid("Parameter 'options.\(printable(member.name))' is unexpected")
            }
            _ = try parameter.typed(member.value, path: "options.")
        }
        guard let encryption = options["encrypt"] else { return }
        guard let members = encryption.objectValue?.members else {
            throw Parameter.mismatch("options.encrypt", "object")
        }
        let known = [Parameter("format", Parameter.Kind.choice(["luks", "aes", "qcow"])), secret] + cipher
        for member in members {
            guard let parameter = known.first(where: { $0.name == member.name }) else {
                throw .invalid("Parameter 'options.encrypt.\(printable(member.name))' is unexpected")
            }
            _ = try parameter.typed(member.value, path: "options.encrypt.")
        }
    }
}

extension QMPCommandTable {
    /// New images.
    static let images: [QMPCommand] = [
        QMPCommand(
            "blockdev-create",
            [SchemaMember("job-id", .string), SchemaMember("options", .object(BlockCreateOptions.schema))]
        ) { (context, arguments) throws(MonitorError) in
            do throws(OptionError) {
                try BlockCreateOptions.check(arguments["options"]?.objectValue ?? JSONObject())
            } catch { throw MonitorError(error) }
            return try monitored { () throws(MachineError) in
                try context.machine.blockOperation(.create, arguments)
            }
        }
    ]
}
