internal import JSON
internal import Machine

extension HMPCommandTable {
    /// A machine that is saved, moved, or looked at as a whole.
    static let state: [HMPCommand] = [
        HMPCommand(
            "migrate", [HMPArgument("detach", .flag("d")), HMPArgument("uri", .word)],
            "migrate to URI (using -d to not wait for completion)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.migrate(to: arguments.words["uri"] ?? "", descriptor: nil)
            }
            if !arguments.flags.contains("d") {
                monitor.machine.waitForMigration()
                if let error = monitor.machine.migration.error { throw .generic(error) }
            }
            return ""
        },
        HMPCommand("migrate_cancel", "cancel the current VM migration") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.cancelMigration()
            return ""
        },
        HMPCommand("migrate_incoming", [HMPArgument("uri", .word)], "continue an incoming migration from an -incoming defer") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.receiveMigration(from: arguments.words["uri"] ?? "", descriptor: nil)
            }
            return ""
        },
        HMPCommand(
            "migrate_set_parameter", [HMPArgument("parameter", .word), HMPArgument("value", .word)],
            "set the parameter for migration"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let (name, text) = (arguments.words["parameter"] ?? "", arguments.words["value"] ?? "")
            guard let current = monitor.machine.migrationParameters[name] else {
                throw .generic("Invalid parameter '\(printable(name))'")
            }
            let value: JSONValue? =
                switch current {
                case .bool: OptionValue.boolean(text).map { .bool($0) }
                case .string: .string(text)
                // Bandwidths are in MiB unless they say otherwise.
                default: number(text, isSize: name.hasSuffix("bandwidth")).map { .number($0) }
                }
            guard let value else { throw .generic("Parameter '\(name)' does not take '\(printable(text))'") }
            try monitored { () throws(MachineError) in try monitor.machine.setMigrationParameters([name: value]) }
            return ""
        },
        HMPCommand(
            "migrate_set_capability", [HMPArgument("capability", .word), HMPArgument("state", .word)],
            "enable/disable the usage of a capability for migration"
        ) { (monitor, arguments, _) throws(MonitorError) in
            guard let isOn = OptionValue.boolean(arguments.words["state"] ?? "") else {
                throw .generic("'on' or 'off' expected")
            }
            try monitored { () throws(MachineError) in
                try monitor.machine.setMigrationCapabilities([(arguments.words["capability"] ?? "", isOn)])
            }
            return ""
        },
        HMPCommand(
            "dump-guest-memory",
            [
                HMPArgument("paging", .flag("p")), HMPArgument("detach", .flag("d")), HMPArgument("zlib", .flag("z")),
                HMPArgument("filename", .word), HMPArgument("begin", .expression, optional: true),
                HMPArgument("length", .expression, optional: true),
            ], "dump guest memory into file 'filename' (-p: with linear addresses; -z: kdump-compressed by zlib)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var request = DumpRequest(address: "file:" + (arguments.words["filename"] ?? ""))
            request.paging = arguments.flags.contains("p")
            if arguments.flags.contains("z") { request.format = .kdumpZlib }
            request.begin = arguments.numbers["begin"]
            request.length = arguments.numbers["length"]
            let wanted = request
            try monitored { () throws(MachineError) in try monitor.machine.dumpMemory(wanted) }
            return ""
        },
    ]

    /// A number, or bytes with a suffix, MiB where there is none.
    private static func number(_ text: String, isSize: Bool) -> UInt64? {
        guard isSize else { return UInt64(text) }
        let suffixes: [Character: UInt64] = ["B": 0, "K": 10, "M": 20, "G": 30, "T": 40]
        let suffix = text.last?.uppercased().first
        let shift = suffix.flatMap { suffixes[$0] }
        guard let number = UInt64(shift == nil ? text : String(text.dropLast())), number < 1 << 22 else { return nil }
        return number << (shift ?? 20)
    }

    /// What `info` shows of it.
    static let infoState: [HMPCommand] = [
        HMPCommand("migrate", "show migration status") { (monitor, _, _) throws(MonitorError) in
            let information = monitor.machine.migration
            guard information.status != .none else { return "" }
            var text = "Migration status: \(information.status.rawValue)"
            if let error = information.error { text += " (\(printable(error)))" }
            text += "\n"
            guard !information.isIncoming else { return text }
            text += "total time: \(information.totalTime) ms\n"
            if let downtime = information.downtime {
                text += "downtime: \(downtime) ms\n"
            } else {
                text += "expected downtime: \(information.expectedDowntime) ms\n"
            }
            text += "setup: \(information.setupTime) ms\n"
            text += "transferred ram: \(information.transferred >> 10) kbytes\n"
            text += "remaining ram: \(information.remaining >> 10) kbytes\n"
            text += "total ram: \(information.total >> 10) kbytes\n"
            text += "duplicate: \(information.zeroPages) pages\n"
            text += "normal: \(information.fullPages) pages\n"
            text += "normal bytes: \(information.fullPages << 2) kbytes\n"
            text += "dirty sync count: \(information.rounds)\n"
            text += "page size: 4 kbytes\n"
            if information.dirtyRate > 0 { text += "dirty pages rate: \(information.dirtyRate) pages\n" }
            if information.throttle > 0 { text += "cpu throttle percentage: \(information.throttle)\n" }
            return text
        },
        HMPCommand("migrate_capabilities", "show current migration capabilities") {
            (monitor, _, _) throws(MonitorError) in
            monitor.machine.migrationCapabilities.map { "\($0.name): \($0.isOn ? "on" : "off")\n" }.joined()
        },
        HMPCommand("migrate_parameters", "show current migration parameters") {
            (monitor, _, _) throws(MonitorError) in
            monitor.machine.migrationParameters.members.map { member in
                let value =
                    switch member.value {
                    case .bool(let isOn): isOn ? "on" : "off"
                    case .string(let text): "'\(text)'"
                    default: "\(member.value.uint64Value ?? 0)"
                    }
                return "\(member.name): \(value)\n"
            }.joined()
        },
    ]
}
