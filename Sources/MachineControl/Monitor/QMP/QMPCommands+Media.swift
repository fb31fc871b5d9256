internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let drive = [
        SchemaMember("device", .string, optional: true), SchemaMember("id", .string, optional: true),
    ]
    private static let force = SchemaMember("force", .boolean, optional: true)

    /// The drive that a command's `device` or `id` names; one of them.
    private static func target(_ arguments: JSONObject) throws(MonitorError) -> MediumTarget {
        switch (arguments["device"]?.stringValue, arguments["id"]?.stringValue) {
        case (let name?, nil): return .device(name)
        case (nil, let id?): return .id(id)
        default: throw .generic("Need exactly one of 'device' and 'id'")
        }
    }

    /// Media of drives, and nodes of the block graph.
    static let media: [QMPCommand] = [
        QMPCommand("eject", drive + [force]) { (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            let force = arguments["force"] == true
            try monitored { () throws(MachineError) in try context.machine.eject(drive, force: force) }
            return [:]
        },
        QMPCommand("blockdev-open-tray", drive + [force]) { (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            let force = arguments["force"] == true
            try monitored { () throws(MachineError) in try context.machine.openTray(drive, force: force) }
            return [:]
        },
        QMPCommand("blockdev-close-tray", drive) { (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            try monitored { () throws(MachineError) in try context.machine.closeTray(drive) }
            return [:]
        },
        QMPCommand("blockdev-remove-medium", [SchemaMember("id", .string)]) {
            (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            try monitored { () throws(MachineError) in try context.machine.removeMedium(drive) }
            return [:]
        },
        QMPCommand("blockdev-insert-medium", [SchemaMember("id", .string), SchemaMember("node-name", .string)]) {
            (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            let node = arguments["node-name"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.insertMedium(drive, node: node) }
            return [:]
        },
        QMPCommand(
            "blockdev-change-medium",
            drive + [
                SchemaMember("filename", .string), SchemaMember("format", .string, optional: true), force,
                SchemaMember(
                    "read-only-mode",
                    .enumeration("BlockdevChangeReadOnlyMode", ["retain", "read-only", "read-write"]), optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let drive = try target(arguments)
            let file = arguments["filename"]?.stringValue ?? ""
            let format = arguments["format"]?.stringValue
            if let format, !BlockNodeOptions.formats.contains(format) {
                throw .generic("Invalid parameter 'format': there is no format '\(printable(format))'")
            }
            let force = arguments["force"] == true
            try monitored { () throws(MachineError) in
                try context.machine.changeMedium(drive, file: file, format: format, force: force)
            }
            return [:]
        },
        QMPCommand(
            "blockdev-add",
            [
                SchemaMember("driver", .enumeration("BlockdevDriver", BlockNodeOptions.drivers)),
                SchemaMember("node-name", .string, optional: true),
            ], tag: "driver", variants: BlockNodeOptions.drivers.map { ($0, nodeProperties($0)) }
        ) { (context, arguments) throws(MonitorError) in
            let node: BlockNodeConfiguration
            do throws(OptionError) { node = try BlockNodeOptions.node(arguments, depth: 0) } catch {
                throw MonitorError(error)
            }
            guard node.nodeName != nil else { throw .generic("'node-name' must be specified for the root node") }
            try monitored { () throws(MachineError) in try context.machine.addBlockNode(node) }
            return [:]
        },
        QMPCommand("blockdev-reopen", [SchemaMember("options", .array(.any))]) {
            (context, arguments) throws(MonitorError) in
            var nodes: [BlockNodeConfiguration] = []
            for (index, options) in (arguments["options"]?.arrayValue ?? []).enumerated() {
                guard let object = options.objectValue else {
                    throw .generic("Invalid parameter type for 'options[\(index)]', expected: object")
                }
                do throws(OptionError) { nodes.append(try BlockNodeOptions.node(object, depth: 0)) } catch {
                    throw MonitorError(error)
                }
                guard nodes[index].nodeName != nil else { throw .generic("node-name not specified") }
            }
            try monitored { () throws(MachineError) in try context.machine.reopenBlockNodes(nodes) }
            return [:]
        },
        QMPCommand("blockdev-del", [SchemaMember("node-name", .string)]) {
            (context, arguments) throws(MonitorError) in
            let name = arguments["node-name"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.removeBlockNode(name) }
            return [:]
        },
        QMPCommand(
            "block_resize",
            [
                SchemaMember("device", .string, optional: true), SchemaMember("node-name", .string, optional: true),
                SchemaMember("size", .integer),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let (device, node) = (arguments["device"]?.stringValue, arguments["node-name"]?.stringValue)
            guard (device == nil) != (node == nil) else {
                throw .generic("Need exactly one of 'device' and 'node-name'")
            }
            guard let size = arguments["size"]?.uint64Value else {
                throw .generic("Parameter 'size' expects a >0 size")
            }
            try monitored { () throws(MachineError) in
                try context.machine.resizeBlock(device: device, node: node, size: size)
            }
            return [:]
        },
        QMPCommand(
            "query-named-block-nodes", [SchemaMember("flat", .boolean, optional: true)],
            returns: SchemaType.array(.object(inserted))
        ) { (context, _) throws(MonitorError) in .array(context.machine.blockNodes.map { imageValue($0.image) }) },
    ]

    /// The members that nodes of a driver take besides those that every node has.
    private static func nodeProperties(_ driver: String) -> SchemaObject {
        let common = ["driver", "node-name"]
        let members = BlockNodeOptions.table(driver).parameters.filter { !common.contains($0.name) }.map {
            SchemaMember($0, of: "Blockdev-\(driver)", optional: $0.name != "filename" && $0.name != "file")
        }
        return SchemaObject("q_obj_blockdev-\(driver)", members)
    }
}
