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
        QMPCommand(
            "set-action",
            [
                SchemaMember(
                    "reboot", .enumeration("RebootAction", LifecycleConfiguration.Reboot.words), optional: true),
                SchemaMember(
                    "shutdown", .enumeration("ShutdownAction", LifecycleConfiguration.Shutdown.words), optional: true),
                SchemaMember("panic", .enumeration("PanicAction", LifecycleConfiguration.Panic.words), optional: true),
                SchemaMember(
                    "watchdog", .enumeration("WatchdogAction", LifecycleConfiguration.Watchdog.words), optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            func word(_ name: String) -> String { arguments[name]?.stringValue ?? "" }
            context.machine.changeActions { life in
                life.reboot = .init(rawValue: word("reboot")) ?? life.reboot
                life.shutdown = .init(rawValue: word("shutdown")) ?? life.shutdown
                life.panic = .init(rawValue: word("panic")) ?? life.panic
                life.watchdog = .init(rawValue: word("watchdog")) ?? life.watchdog
            }
            return [:]
        },
        QMPCommand(
            "watchdog-set-action",
            [SchemaMember("action", .enumeration("WatchdogAction", LifecycleConfiguration.Watchdog.words))]
        ) { (context, arguments) throws(MonitorError) in
            guard let action = LifecycleConfiguration.Watchdog(rawValue: arguments["action"]?.stringValue ?? "") else {
                return [:]
            }
            context.machine.changeActions { $0.watchdog = action }
            return [:]
        },
        QMPCommand("inject-nmi") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.injectNMI() }
            return [:]
        },
    ]
}
