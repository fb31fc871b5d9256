internal import JSON
internal import Machine

extension QMPCommandTable {
    static let monitorCommands: [QMPCommand] = [
        QMPCommand(
            "qmp_capabilities",
            [SchemaMember("enable", .array(.enumeration("QMPCapability", ["oob"])), optional: true)]
        ) { (_, _) throws(MonitorError) in
            // The session answers the first; a second one is a mistake.
            throw .commandNotFound("Capabilities negotiation is already complete, command ignored")
        },
        QMPCommand(
            "query-commands",
            returns: SchemaType.array(.object(SchemaObject("CommandInfo", [SchemaMember("name", .string)])))
        ) { (_, _) throws(MonitorError) in .array(all.map { ["name": .string($0.name)] }) },
        QMPCommand("query-qmp-schema", returns: SchemaType.array(.any)) { (_, _) throws(MonitorError) in
            QMPSchema.description
        },
        QMPCommand(
            "human-monitor-command",
            [SchemaMember("command-line", .string), SchemaMember("cpu-index", .integer, optional: true)],
            returns: SchemaType.string
        ) { (context, arguments) throws(MonitorError) in
            var state = HMPState()
            if let index = arguments["cpu-index"]?.intValue {
                guard context.machine.processors.contains(where: { $0.index == index }) else {
                    throw .generic("Parameter 'cpu-index' expects a CPU number")
                }
                state.processor = index
            }
            let text = context.human.run(arguments["command-line"]?.stringValue ?? "", &state)
            return .string(text.replacing("\n", with: "\r\n"))
        },
    ]
}
