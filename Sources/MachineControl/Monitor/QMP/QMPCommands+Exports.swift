internal import JSON
internal import Machine

extension QMPCommandTable {
    private static func options(_ type: SchemaType, _ names: String...) -> [SchemaMember] {
        names.map { SchemaMember($0, type, optional: true) }
    }

    /// Where a server listens, in the older of QMP's two forms.
    private static let address = SchemaObject(
        "SocketAddressLegacy",
        [SchemaMember("type", .enumeration("SocketAddressType", ["inet", "unix"]))], tag: "type",
        variants: [
            (
                "inet",
                SchemaObject(
                    "InetSocketAddressWrapper",
                    [
                        SchemaMember(
                            "data",
                            .object(
                                SchemaObject(
                                    "InetSocketAddress",
                                    [SchemaMember("host", .string), SchemaMember("port", .string)]
                                        + options(.boolean, "numeric", "ipv4", "ipv6", "keep-alive", "mptcp")
                                        + options(.integer, "to"))))
                    ])
            ),
            (
                "unix",
                SchemaObject(
                    "UnixSocketAddressWrapper",
                    [
                        SchemaMember(
                            "data",
                            .object(
                                SchemaObject(
                                    "UnixSocketAddress",
                                    [SchemaMember("path", .string)] + options(.boolean, "abstract", "tight"))))
                    ])
            ),
        ], checksVariants: true)

    private static let removeMode = SchemaMember(
        "mode", .enumeration("BlockExportRemoveMode", ["safe", "hard"]), optional: true)
    private static let exportType = SchemaType.enumeration("BlockExportType", ["nbd"])
    private static let export = SchemaObject(
        "BlockExportInfo",
        [
            SchemaMember("id", .string), SchemaMember("type", exportType), SchemaMember("node-name", .string),
            SchemaMember("shutting-down", .boolean),
        ])
    private static let nbdOptions = SchemaObject(
        "BlockExportOptionsNbd",
        options(.string, "name", "description") + [
            SchemaMember("bitmaps", .array(bitmapSource), optional: true)
        ] + options(.boolean, "allocation-depth"))

    private static func command(
        _ operation: BlockOperation, _ members: [SchemaMember], returns: SchemaType = SchemaType.empty,
        tag: String? = nil, variants: [(name: String, type: SchemaObject)] = []
    ) -> QMPCommand {
        QMPCommand(
            operation.rawValue, members, returns: returns, tag: tag, variants: variants, checksVariants: true
        ) { (context, arguments) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.blockOperation(operation, arguments) }
        }
    }

    /// The NBD server, and what it offers.
    static let exports: [QMPCommand] = [
        command(
            .startServer,
            [SchemaMember("addr", .object(address))] + options(.string, "tls-creds", "tls-authz")
                + options(.integer, "max-connections")),
        command(
            .addExport,
            [SchemaMember("device", .string)] + options(.string, "name", "description", "bitmap")
                + options(.boolean, "writable")),
        command(.removeExport, [SchemaMember("name", .string), removeMode]),
        command(.stopServer, []),
        command(
            .exportAdd,
            [SchemaMember("type", exportType), SchemaMember("id", .string), SchemaMember("node-name", .string)]
                + options(.string, "iothread") + options(.boolean, "fixed-iothread", "writable", "writethrough"),
            tag: "type", variants: [("nbd", nbdOptions)]),
        command(.exportDelete, [SchemaMember("id", .string), removeMode]),
        command(.queryExports, [], returns: .array(.object(export))),
    ]
}
