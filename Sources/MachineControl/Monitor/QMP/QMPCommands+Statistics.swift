internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let statisticsTarget = SchemaType.enumeration("StatsTarget", ["vm", "vcpu"])
    private static let statisticsProvider = SchemaType.enumeration("StatsProvider", ["kvm"])
    private static let statisticsRequest = SchemaObject(
        "StatsRequest",
        [SchemaMember("provider", statisticsProvider), SchemaMember("names", .array(.string), optional: true)])
    private static let statistic = SchemaObject("Stats", [SchemaMember("name", .string), SchemaMember("value", .any)])
    private static let statisticsResult = SchemaObject(
        "StatsResult",
        [
            SchemaMember("provider", statisticsProvider), SchemaMember("qom-path", .string, optional: true),
            SchemaMember("stats", .array(.object(statistic))),
        ])
    private static let statisticsSchema = SchemaObject(
        "StatsSchema",
        [
            SchemaMember("provider", statisticsProvider), SchemaMember("target", statisticsTarget), SchemaMember("stats", .array(.any)),
        ])
    private static let dumpResult = SchemaObject(
        "DumpQueryResult",
        [
            SchemaMember("status", .enumeration("DumpStatus", ["none", "active", "completed", "failed"])),
            SchemaMember("completed", .integer), SchemaMember("total", .integer),
        ])

    /// Counters of the engine, of which there are none that have a name there, and the way of a dump.
    static let statistics: [QMPCommand] = [
        QMPCommand(
            "query-stats",
            [
                SchemaMember("target", statisticsTarget), SchemaMember("providers", .array(.object(statisticsRequest)), optional: true),
                SchemaMember("vcpus", .array(.string), optional: true),
            ], returns: .array(.object(statisticsResult))
        ) { (_, _) throws(MonitorError) in [] },
        QMPCommand(
            "query-stats-schemas", [SchemaMember("provider", statisticsProvider, optional: true)],
            returns: .array(.object(statisticsSchema))
        ) { (_, _) throws(MonitorError) in [] },
        QMPCommand("query-dump", returns: .object(dumpResult)) { (context, _) throws(MonitorError) in
            let dump = context.machine.dumpProgress
            return [
                "status": .string(dump.status.rawValue), "completed": .number(dump.done), "total": .number(dump.total),
            ]
        },
    ]
}
