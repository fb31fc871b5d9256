// What `migrate-set-parameters` takes, as QEMU's schema has it. Management programs read from it what a machine can do:
// libvirt makes incremental backups only where `block-bitmap-mapping` is there.
extension QMPCommandTable {
    private static let bitmapTransform = SchemaObject(
        "BitmapMigrationBitmapAliasTransform", [SchemaMember("persistent", .boolean, optional: true)])
    private static let bitmapAlias = SchemaObject(
        "BitmapMigrationBitmapAlias",
        [
            SchemaMember("name", .string), SchemaMember("alias", .string),
            SchemaMember("transform", .object(bitmapTransform), optional: true),
        ])
    private static let bitmapNode = SchemaObject(
        "BitmapMigrationNodeAlias",
        [
            SchemaMember("node-name", .string), SchemaMember("alias", .string),
            SchemaMember("bitmaps", .array(.object(bitmapAlias))),
        ])
    private static let text = SchemaType.alternate("StrOrNull", [.string, .null])

    static let migrationParameters: [SchemaMember] = [
        ("announce-initial", SchemaType.integer), ("announce-max", SchemaType.integer),
        ("announce-rounds", SchemaType.integer), ("announce-step", SchemaType.integer),
        ("compress-level", SchemaType.integer), ("compress-threads", SchemaType.integer),
        ("compress-wait-thread", SchemaType.boolean), ("decompress-threads", SchemaType.integer),
        ("throttle-trigger-threshold", SchemaType.integer), ("cpu-throttle-initial", SchemaType.integer),
        ("cpu-throttle-increment", SchemaType.integer), ("cpu-throttle-tailslow", SchemaType.boolean),
        ("tls-creds", text), ("tls-hostname", text), ("tls-authz", text),
        ("max-bandwidth", SchemaType.integer), ("downtime-limit", SchemaType.integer),
        ("x-checkpoint-delay", SchemaType.integer), ("block-incremental", SchemaType.boolean),
        ("multifd-channels", SchemaType.integer), ("xbzrle-cache-size", SchemaType.integer),
        ("max-postcopy-bandwidth", SchemaType.integer), ("max-cpu-throttle", SchemaType.integer),
        ("multifd-compression", SchemaType.enumeration("MultiFDCompression", ["none", "zlib", "zstd"])),
        ("multifd-zlib-level", SchemaType.integer), ("multifd-zstd-level", SchemaType.integer),
        ("block-bitmap-mapping", SchemaType.array(.object(bitmapNode))),
    ].map { SchemaMember($0.0, $0.1, optional: true) }
}
