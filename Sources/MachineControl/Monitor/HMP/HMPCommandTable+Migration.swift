internal import HostOS
internal import JSON
internal import Machine

extension HMPCommandTable {
    /// A machine that is saved, moved, or looked at as a whole.
    static let state: [HMPCommand] = [
        HMPCommand(
            "migrate",
            [HMPArgument("detach", .flag("d")), HMPArgument("resume", .flag("r")), HMPArgument("uri", .word)],
            "migrate to URI (using -d to not wait for completion, -r to resume a paused postcopy migration)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                let address = arguments.words["uri"] ?? ""
                if arguments.flags.contains("r") {
                    try monitor.machine.resumeMigration(to: address, descriptor: nil)
                } else {
                    try monitor.machine.migrate(to: address, descriptor: nil)
                }
            }
            if !arguments.flags.contains("d") {
                monitor.machine.waitForMigration()
                if let error = monitor.machine.migration.error { throw .generic(error) }
            }
            return ""
        },
        HMPCommand(
            "announce_self",
            [HMPArgument("interfaces", .word, optional: true), HMPArgument("id", .word, optional: true)],
            "Trigger GARP/RARP announcements"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                var parameters = try monitor.machine.announceParameters
                parameters.cards = arguments.words["interfaces"]?.split(separator: ",").map(String.init)
                monitor.machine.announce(parameters)
            }
            return ""
        },
        HMPCommand("migrate_cancel", "cancel the current VM migration") { (monitor, _, _) throws(MonitorError) in
            monitor.machine.cancelMigration()
            return ""
        },
        HMPCommand(
            "migrate_continue", [HMPArgument("state", .word)], "let a migration go on that waits in this state"
        ) { (monitor, arguments, _) throws(MonitorError) in
            guard let state = MigrationStatus(rawValue: arguments.words["state"] ?? "") else {
                throw .generic("invalid parameter value: \(printable(arguments.words["state"] ?? ""))")
            }
            try monitored { () throws(MachineError) in try monitor.machine.continueMigration(from: state) }
            return ""
        },
        HMPCommand(
            "migrate_start_postcopy",
            "have the machine run at the other end now, with memory following (needs postcopy-ram)"
        ) { (monitor, _, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try monitor.machine.startLateMigration() }
            return ""
        },
        HMPCommand(
            "migrate_recover", [HMPArgument("uri", .word)], "wait for a sender whose connection broke"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.recoverMigration(at: arguments.words["uri"] ?? "", descriptor: nil)
            }
            return ""
        },
        HMPCommand("migrate_pause", "break the connection of a migration whose memory follows") {
            (monitor, _, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try monitor.machine.pauseMigration() }
            return ""
        },
        HMPCommand(
            "migrate_incoming", [HMPArgument("uri", .word)], "continue an incoming migration from an -incoming defer"
        ) { (monitor, arguments, _) throws(MonitorError) in
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
            guard name != "block-bitmap-mapping" else {
                throw .generic("The block-bitmap-mapping parameter can only be set through QMP")
            }
            guard let current = monitor.machine.migrationParameters[name] else {
                throw .generic("invalid parameter value: \(printable(name))")
            }
            let value: JSONValue? =
                switch current {
                case .bool: OptionValue.boolean(text).map { .bool($0) }
                case .string: .string(text)
                // Bandwidths are in MiB unless they say otherwise.
                default: number(text, isSize: name.hasSuffix("bandwidth")).map { .number($0) }
                }
            guard let value else {
                throw .generic(
                    name.hasSuffix("bandwidth")
                        ? "Invalid size \(printable(text))" : "Parameter '\(name)' expects \(Self.kind(of: current))")
            }
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
            "savevm", [HMPArgument("tag", .rest, optional: true)],
            "save a VM snapshot. If no tag is provided, a new snapshot is created"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.saveSnapshot(
                    arguments.words["tag"] ?? "", vmstate: nil, devices: nil, replaces: true)
            }
            return ""
        },
        HMPCommand("loadvm", [HMPArgument("tag", .rest)], "restore a VM snapshot from its tag") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.loadSnapshot(arguments.words["tag"] ?? "", vmstate: nil, devices: nil)
            }
            return ""
        },
        HMPCommand("delvm", [HMPArgument("tag", .rest)], "delete a VM snapshot from its tag") {
            (monitor, arguments, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try monitor.machine.deleteSnapshot(arguments.words["tag"] ?? "", devices: nil)
            }
            return ""
        },
        HMPCommand(
            "dump-guest-memory",
            [
                HMPArgument("paging", .flag("p")), HMPArgument("detach", .flag("d")), HMPArgument("zlib", .flag("z")),
                HMPArgument("filename", .word), HMPArgument("begin", .expression, optional: true),
                HMPArgument("length", .expression, optional: true),
            ], "dump guest memory into file 'filename' (-p: with linear addresses, -z: as kdump-zlib)"
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

    /// What a parameter's value is, in words.
    private static func kind(of value: JSONValue) -> String {
        if case .bool = value { return "'on' or 'off'" }
        return "a whole number"
    }

    /// A number, or bytes with a suffix, MiB where there is none.
    private static func number(_ text: String, isSize: Bool) -> UInt64? {
        guard isSize else { return UInt64(text) }
        let suffixes: [Character: UInt64] = ["B": 0, "K": 10, "M": 20, "G": 30, "T": 40]
        let suffix = text.last?.uppercased().first
        let shift = suffix.flatMap { suffixes[$0] }
        guard let number = UInt64(shift == nil ? text : String(text.dropLast())), number < 1 << 22 else { return nil }
        return number << (shift ?? 20)
    }
}
