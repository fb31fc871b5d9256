internal import JSON
internal import Machine

extension QMPCommandTable {
    /// The names of limits of throughput; the first six are always told.
    static let limitNames = [
        "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr", "bps_max", "bps_rd_max", "bps_wr_max", "iops_max",
        "iops_rd_max", "iops_wr_max", "bps_max_length", "bps_rd_max_length", "bps_wr_max_length", "iops_max_length",
        "iops_rd_max_length", "iops_wr_max_length", "iops_size",
    ]
    private static func text(_ names: String...) -> [SchemaMember] { names.map { SchemaMember($0, .string) } }
    private static func options(_ names: String...) -> [SchemaMember] {
        names.map { SchemaMember($0, .string, optional: true) }
    }
    private static func flags(_ names: String...) -> [SchemaMember] {
        names.map { SchemaMember($0, .boolean, optional: true) }
    }
    private static func numbers(_ names: String...) -> [SchemaMember] {
        names.map { SchemaMember($0, .integer, optional: true) }
    }
    private static func words(_ name: String, _ type: String, _ words: [String], optional: Bool = true) -> SchemaMember
    {
        SchemaMember(name, .enumeration(type, words), optional: optional)
    }
    private static func rule(_ name: String) -> SchemaMember {
        words(name, "BlockdevOnError", ["report", "ignore", "enospc", "stop", "auto"])
    }
    private static let mode = words("mode", "NewImageMode", ["existing", "absolute-paths"])
    private static let sync = words(
        "sync", "MirrorSyncMode", ["top", "full", "none", "incremental", "bitmap"], optional: false)
    private static let life = numbers("speed") + flags("auto-finalize", "auto-dismiss")

    private static let mirrorOptions =
        options("job-id", "replaces", "filter-node-name") + text("device", "target") + [
            sync, rule("on-source-error"), rule("on-target-error"),
            words("copy-mode", "MirrorCopyMode", ["background", "write-blocking"]),
        ] + numbers("granularity", "buf-size") + life
    private static let backupOptions =
        options("job-id", "bitmap", "filter-node-name") + text("device", "target") + [
            sync, rule("on-source-error"), rule("on-target-error"),
            words("bitmap-mode", "BitmapSyncMode", ["on-success", "never", "always"]),
            SchemaMember(
                "x-perf",
                .object(
                    SchemaObject(
                        "BackupPerf", flags("use-copy-range") + numbers("max-workers") + numbers("max-chunk"))),
                optional: true),
        ] + flags("compress") + life
    private static let bitmap = text("node", "name")
    private static let newBitmap = bitmap + numbers("granularity") + flags("persistent", "disabled")
    /// A bitmap of the node in question, or of another.
    static let bitmapSource = SchemaType.alternate(
        "BlockDirtyBitmapOrStr", [.string, .object(SchemaObject("BlockDirtyBitmap", bitmap))])
    private static let bitmapMerge =
        text("node", "target") + [SchemaMember("bitmaps", .array(bitmapSource))]
    private static let snapshotSync =
        options("device", "node-name", "snapshot-node-name", "format") + text("snapshot-file") + [mode]
    private static let driveBackup = backupOptions + options("format") + [mode]

    private static func step(_ operation: BlockOperation, _ members: [SchemaMember]) -> (String, SchemaObject) {
        step(operation.rawValue, members)
    }
    private static func step(_ name: String, _ members: [SchemaMember]) -> (String, SchemaObject) {
        let data = SchemaObject("q_obj_TransactionAction-\(name)", members)
        return (name, SchemaObject("\(name)-wrapper", [SchemaMember("data", .object(data))]))
    }
    /// The steps of a transaction, with what each takes.
    private static let steps: [(String, SchemaObject)] = [
        step(.addBitmap, newBitmap), step(.removeBitmap, bitmap), step(.clearBitmap, bitmap),
        step(.enableBitmap, bitmap), step(.disableBitmap, bitmap), step(.mergeBitmap, bitmapMerge),
        step(.backup, backupOptions), step(.driveBackup, driveBackup), step(.snapshot, text("node", "overlay")),
        step(.snapshotSync, snapshotSync), step(.internalSnapshot, text("device", "name")), step("abort", []),
    ]
    private static let action = SchemaType.object(
        SchemaObject(
            "TransactionAction",
            [SchemaMember("type", .enumeration("TransactionActionKind", steps.map(\.0)))], tag: "type",
            variants: steps.map { (name: $0.0, type: $0.1) }, checksVariants: true))
    private static let properties = SchemaObject(
        "TransactionProperties", [words("completion-mode", "ActionCompletionMode", ["individual", "grouped"])])
    private static let job = text("device")
    private static let status = SchemaType.any

    private static func command(
        _ operation: BlockOperation, _ members: [SchemaMember] = [], returns: SchemaType = SchemaType.empty
    ) -> QMPCommand {
        QMPCommand(operation.rawValue, members, returns: returns) { (context, arguments) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.blockOperation(operation, arguments) }
        }
    }

    /// Jobs, snapshots, bitmaps, limits and exports of disks.
    static let disks: [QMPCommand] = [
        command(
            .stream,
            options("job-id", "base", "base-node", "backing-file", "bottom", "snapshot-file", "filter-node-name")
                + text("device") + [rule("on-error")] + life),
        command(
            .commit,
            options("job-id", "base-node", "base", "top-node", "top", "backing-file", "filter-node-name")
                + text("device") + [rule("on-error")] + life),
        command(.driveMirror, mirrorOptions + options("format", "node-name") + [mode] + flags("unmap")),
        command(.mirror, mirrorOptions),
        command(.driveBackup, driveBackup),
        command(.backup, backupOptions),
        command(.snapshot, text("node", "overlay")),
        command(.snapshotSync, snapshotSync),
        command(.internalSnapshot, text("device", "name")),
        command(.deleteInternalSnapshot, text("device") + options("id", "name"), returns: .any),
        command(
            .transaction,
            [SchemaMember("actions", .array(action)), SchemaMember("properties", .object(properties), optional: true)]),
        command(.changeBacking, text("device", "image-node-name", "backing-file")),
        command(.addBitmap, newBitmap),
        command(.removeBitmap, bitmap), command(.clearBitmap, bitmap), command(.enableBitmap, bitmap),
        command(.disableBitmap, bitmap),
        command(.mergeBitmap, bitmapMerge),
        command(.setJobSpeed, job + [SchemaMember("speed", .integer)]),
        command(.pauseBlockJob, job), command(.resumeBlockJob, job), command(.cancelBlockJob, job + flags("force")),
        command(.completeBlockJob, job), command(.finalizeBlockJob, text("id")), command(.dismissBlockJob, text("id")),
        command(.pauseJob, text("id")), command(.resumeJob, text("id")), command(.cancelJob, text("id")),
        command(.completeJob, text("id")), command(.finalizeJob, text("id")), command(.dismissJob, text("id")),
        command(.queryBlockJobs, returns: .array(.any)), command(.queryJobs, returns: .array(.any)),
        command(.setWriteThreshold, text("node-name") + [SchemaMember("write-threshold", .integer)]),
        command(
            .setThrottle,
            options("device", "id", "group")
                + limitNames.prefix(6).map { SchemaMember($0, .integer) }
                + limitNames.dropFirst(6).map { SchemaMember($0, .integer, optional: true) }),
    ]
}
