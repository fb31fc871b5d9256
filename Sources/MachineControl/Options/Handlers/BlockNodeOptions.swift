internal import JSON
internal import Machine

/// -blockdev: nodes of the block graph, nested by JSON or dotted keys.
enum BlockNodeOptions {
    /// Formats that an image may have.
    static let formats = ["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc"]
    private static let files = ["file", "host_device", "host_cdrom"]
    /// Formats that are only read.
    static let legacy = ["bochs", "cloop", "dmg", "parallels", "qcow", "qed"]
    private static let filters = ["copy-on-read", "throttle"]
    private static let others = ["null-co", "null-aio", "blkdebug", "nbd", "luks"]
    static let drivers = files + others + filters + formats + legacy

    private static let common: [Parameter] = [
        Parameter("driver", Parameter.Kind.choice(drivers)), Parameter("node-name", Parameter.Kind.string),
        Parameter("read-only", Parameter.Kind.boolean), Parameter("auto-read-only", Parameter.Kind.boolean),
        Parameter("force-share", Parameter.Kind.boolean), Parameter("cache", Parameter.Kind.any),
        Parameter("discard", Parameter.Kind.choice(["ignore", "unmap"])),
        Parameter("detect-zeroes", Parameter.Kind.choice(DetectZeroes.words)),
    ]
    private static let file: [Parameter] = [
        Parameter("filename", Parameter.Kind.string), Parameter("aio", Parameter.Kind.choice(AsynchronousIO.words)),
        Parameter("locking", Parameter.onOffAuto), Parameter("pr-manager", Parameter.Kind.string),
        Parameter("drop-cache", Parameter.Kind.boolean), Parameter("aio-max-batch", Parameter.natural),
    ]
    private static let null: [Parameter] = [
        Parameter("size", Parameter.size), Parameter("latency-ns", Parameter.Kind.unsigned),
        Parameter("read-zeroes", Parameter.Kind.boolean),
    ]
    private static let format: [Parameter] = [Parameter("file", Parameter.Kind.any)]
    private static let raw: [Parameter] = [Parameter("offset", Parameter.size), Parameter("size", Parameter.size)]
    private static let qcow2: [Parameter] = [
        Parameter("backing", Parameter.Kind.any), Parameter("lazy-refcounts", Parameter.Kind.boolean),
        Parameter("pass-discard-request", Parameter.Kind.boolean),
        Parameter("pass-discard-snapshot", Parameter.Kind.boolean),
        Parameter("pass-discard-other", Parameter.Kind.boolean), Parameter("overlap-check", Parameter.Kind.any),
        Parameter("cache-size", Parameter.size), Parameter("l2-cache-size", Parameter.size),
        Parameter("l2-cache-entry-size", Parameter.size), Parameter("refcount-cache-size", Parameter.size),
        Parameter("cache-clean-interval", Parameter.Kind.unsigned), Parameter("encrypt", Parameter.Kind.any),
        Parameter("data-file", Parameter.Kind.any),
    ]
    private static let blkdebug: [Parameter] = [
        Parameter("image", Parameter.Kind.any), Parameter("config", Parameter.Kind.string),
        Parameter("align", Parameter.size), Parameter("inject-error", Parameter.Kind.any),
        Parameter("set-state", Parameter.Kind.any), Parameter("take-child-perms", Parameter.Kind.any),
        Parameter("unshare-child-perms", Parameter.Kind.any), Parameter("max-transfer", Parameter.size),
        Parameter("opt-write-zero", Parameter.size), Parameter("max-write-zero", Parameter.size),
        Parameter("opt-discard", Parameter.size), Parameter("max-discard", Parameter.size),
    ]
    private static let nbd: [Parameter] = [
        Parameter("server", Parameter.Kind.any), Parameter("export", Parameter.Kind.string),
        Parameter("path", Parameter.Kind.string), Parameter("host", Parameter.Kind.string),
        Parameter("port", Parameter.Kind.string), Parameter("tls-creds", Parameter.Kind.string),
        Parameter("tls-hostname", Parameter.Kind.string), Parameter("x-dirty-bitmap", Parameter.Kind.string),
        Parameter("reconnect-delay", Parameter.Kind.unsigned), Parameter("open-timeout", Parameter.Kind.unsigned),
    ]
    private static let cacheTable = ParameterTable([
        Parameter("direct", Parameter.Kind.boolean), Parameter("no-flush", Parameter.Kind.boolean),
    ])

    private static let encryption = ParameterTable([
        Parameter("format", Parameter.Kind.choice(["aes", "luks"])), Parameter("key-secret", Parameter.Kind.string),
    ])
    private static let overlapChecks = ParameterTable(
        [Parameter("template", Parameter.Kind.choice(["none", "constant", "cached", "all"]))]
            + [
                "main-header", "active-l1", "active-l2", "refcount-table", "refcount-block", "snapshot-table",
                "inactive-l1",
                "inactive-l2", "bitmap-directory",
            ].map { Parameter($0, Parameter.Kind.boolean) })

    /// Checks what options of qcow2 have inside.
    private static func checkInner(_ values: JSONObject, isTyped: Bool, path: String) throws(OptionError) {
        if let encrypt = values["encrypt"] {
            guard let object = encrypt.objectValue else { throw Parameter.mismatch("\(path)encrypt", "object") }
            let inner = try encryption.values(object, isTyped: isTyped, path: "\(path)encrypt.")
            guard inner["format"] != nil else { throw .missing("\(path)encrypt.format") }
        }
        switch values["overlap-check"] {
        case nil: break
        case .string(let word)?:
            let levels = ["none", "constant", "cached", "all"]
            guard levels.contains(word) else {
                throw .unknown("Parameter 'overlap-check' does not accept value", word, among: levels)
            }
        case .object(let object)?:
            _ = try overlapChecks.values(object, isTyped: isTyped, path: "\(path)overlap-check.")
        default: throw Parameter.mismatch("\(path)overlap-check", "Qcow2OverlapChecks")
        }
    }

    static func table(_ driver: String) -> ParameterTable {
        switch driver {
        case "file", "host_device", "host_cdrom": ParameterTable(common + file)
        case "null-co", "null-aio": ParameterTable(common + null)
        case "raw": ParameterTable(common + format + raw)
        case "blkdebug": ParameterTable(common + blkdebug)
        case "nbd": ParameterTable(common + nbd)
        case "luks":
            ParameterTable(common + format + [Parameter("key-secret", Parameter.Kind.string)])
        case "qcow2": ParameterTable(common + format + qcow2)
        case "qcow":
            ParameterTable(
                common + format + [
                    Parameter("backing", Parameter.Kind.any), Parameter("encrypt", Parameter.Kind.any),
                ])
        case "throttle": ParameterTable(common + format + [Parameter("throttle-group", Parameter.Kind.string)])
        case "copy-on-read": ParameterTable(common + format + [Parameter("bottom", Parameter.Kind.string)])
        default: ParameterTable(common + format + [Parameter("backing", Parameter.Kind.any)])
        }
    }

    static func blockdev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let object: JSONObject
        let json = try jsonArgument(argument.text)
        if let json {
            object = json
        } else {
            let pairs = try OptionPairs(argument.text, implied: "driver")
            if pairs.asksForHelp {
                throw .information("Block drivers:\n" + drivers.sorted().map { "  \($0)\n" }.joined())
            }
            object = try pairs.nested()
        }
        let node = try node(object, isTyped: json != nil)
        guard let name = node.nodeName else { throw .invalid("'node-name' must be specified for the root node") }
        guard !allNodes(builder.configuration.blockNodes).contains(name) else {
            throw .invalid("Duplicate nodes with node-name='\(name)'")
        }
        builder.configuration.blockNodes.append(node)
    }

    /// The node that an object of -blockdev or `blockdev-add` describes, whose members have their types or are texts of
    /// options; `path` is that of an inner node.
    static func node(
        _ object: JSONObject, depth: Int = 0, isTyped: Bool = true, path: String = ""
    ) throws(OptionError) -> BlockNodeConfiguration {
        guard depth < 32 else { throw .invalid("block nodes are nested too deep") }
        guard let driver = object.string("driver") else { throw .missing("driver") }
        guard drivers.contains(driver) else {
            throw .unknown("Parameter 'driver' does not accept value", driver, among: drivers)
        }
        var values = try table(driver).values(object, isTyped: isTyped, path: path)
        var node = BlockNodeConfiguration(driver: driver)
        if let name = values.string("node-name") {
            guard DeviceOptions.isIdentifier(name), name.utf8.count < 32 else {
                throw .value("node-name", name, expects: "an identifier of at most 31 characters")
            }
            node.nodeName = name
        }
        node.readOnly = values.flag("read-only") ?? false
        node.autoReadOnly = values.flag("auto-read-only") ?? false
        node.forceShare = values.flag("force-share") ?? false
        node.discardUnmap = values.string("discard") == "unmap"
        node.detectZeroes = values.choice("detect-zeroes") ?? .off
        if let cache = values["cache"] {
            guard let object = cache.objectValue else {
                throw .value("cache", cache.description, expects: "cache.direct=on|off and cache.no-flush=on|off")
            }
            let flags = try cacheTable.values(object, isTyped: isTyped, path: path + "cache.")
            node.cacheDirect = flags.flag("direct") ?? false
            node.cacheNoFlush = flags.flag("no-flush") ?? false
        }
        node.filename = values.string("filename")
        node.asynchronousIO = values.choice("aio")
        if let file = values["file"] { node.file = try child(file, "file", depth, isTyped, path) }
        if let backing = values["backing"] {
            node.backing = backing == .null ? .some(nil) : try child(backing, "backing", depth, isTyped, path)
        }
        if driver == "qcow2" { try checkInner(values, isTyped: isTyped, path: path) }
        if files.contains(driver), node.filename == nil { throw .missing("filename") }
        if (formats + legacy + filters).contains(driver), node.file == nil { throw .missing("file") }
        if driver == "throttle", values["throttle-group"] == nil { throw .missing("throttle-group") }
        for name in common.map(\.name) + ["filename", "aio", "file", "backing"] { values[name] = nil }
        node.other = values
        return node
    }

    private static func child(
        _ value: JSONValue, _ name: String, _ depth: Int, _ isTyped: Bool, _ path: String
    ) throws(OptionError) -> BlockNodeConfiguration.Child {
        switch value {
        case .string(let reference): return .reference(reference)
        case .object(let object):
            return .node(try node(object, depth: depth + 1, isTyped: isTyped, path: "\(path)\(name)."))
        default: throw .value(name, value.description, expects: "a node's name or a node")
        }
    }

    /// The names of all nodes, nested ones too.
    static func allNodes(_ nodes: [BlockNodeConfiguration]) -> Set<String> {
        var names: Set<String> = []
        func visit(_ node: BlockNodeConfiguration) {
            if let name = node.nodeName { names.insert(name) }
            if case .node(let inner)? = node.file { visit(inner) }
            if case .node(let inner)?? = node.backing { visit(inner) }
        }
        nodes.forEach(visit)
        return names
    }

    /// The names of nodes that nodes refer to.
    static func references(_ nodes: [BlockNodeConfiguration]) -> [(node: String, child: String, target: String)] {
        var result: [(node: String, child: String, target: String)] = []
        func visit(_ node: BlockNodeConfiguration, _ root: String) {
            func look(_ child: BlockNodeConfiguration.Child?, _ name: String) {
                switch child {
                case .reference(let target)?: result.append((root, name, target))
                case .node(let inner)?: visit(inner, root)
                case nil: break
                }
            }
            look(node.file, "file")
            look(node.backing ?? nil, "backing")
        }
        for node in nodes { visit(node, node.nodeName ?? "") }
        return result
    }
}
