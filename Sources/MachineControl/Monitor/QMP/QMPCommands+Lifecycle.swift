internal import JSON
internal import Machine

extension QMPCommandTable {
    static let runState = SchemaType.enumeration("RunState", RunState.allCases.map(\.rawValue))

    static let lifecycle: [QMPCommand] = [
        QMPCommand(
            "query-status",
            returns: SchemaType.object(
                SchemaObject(
                    "StatusInfo",
                    [
                        SchemaMember("running", .boolean), SchemaMember("singlestep", .boolean),
                        SchemaMember("status", runState),
                    ]))
        ) { (context, _) throws(MonitorError) in
            let state = context.machine.runState
            return ["status": .string(state.rawValue), "singlestep": false, "running": .bool(state.isRunning)]
        },
        QMPCommand("stop") { (context, _) throws(MonitorError) in
            context.machine.stop()
            return [:]
        },
        QMPCommand("cont") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.resume() }
            return [:]
        },
        QMPCommand("quit") { (context, _) throws(MonitorError) in
            context.machine.quit(cause: .hostQuit)
            return [:]
        },
        QMPCommand("system_reset") { (context, _) throws(MonitorError) in
            context.machine.reset(cause: .hostReset)
            return [:]
        },
        QMPCommand("system_powerdown") { (context, _) throws(MonitorError) in
            context.machine.powerDown()
            return [:]
        },
        QMPCommand("inject-nmi") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.injectNMI() }
            return [:]
        },
    ]
}
