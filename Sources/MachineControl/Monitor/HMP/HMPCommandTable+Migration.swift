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

    /// What a parameter counts, where that is shown.
    private static func unit(of name: String) -> String {
        switch name {
        case "announce-initial", "announce-max", "announce-step", "downtime-limit": " ms"
        case "max-bandwidth": " bytes/second"
        case "xbzrle-cache-size": " bytes"
        default: ""
        }
    }

    /// With two digits behind the point.
    private static func rate(_ value: Double) -> String {
        let hundredths = UInt64((max(0, min(value, 1e12)) * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }

    /// What `info` shows of it.
    static let infoState: [HMPCommand] = [
        HMPCommand("snapshots", "show the currently saved VM snapshots") { (monitor, _, _) throws(MonitorError) in
            let all = try monitored { () throws(MachineError) in try monitor.machine.snapshots }
            guard !all.isEmpty else { return "There is no snapshot available.\n" }
            let lines = all.map { SnapshotText.row(["--", $0.name] + SnapshotText.columns($0) + [""]) }
            return "List of snapshots present on all disks:\n"
                + SnapshotText.row(["ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT"]) + lines.joined()
        },
        HMPCommand("migrate", "show migration status") { (monitor, _, _) throws(MonitorError) in
            let information = monitor.machine.migration
            guard information.status != .none else { return "" }
            var text = "Migration status: \(information.status.rawValue)"
            if let error = information.error { text += " (\(printable(error)))" }
            text += "\n"
            guard !information.isIncoming else {
                if let address = information.address { text += "socket address: [\n\t\(address)\n]\n" }
                return text
            }
            text += "total time: \(information.totalTime) ms\n"
            if let downtime = information.downtime {
                text += "downtime: \(downtime) ms\n"
            } else {
                text += "expected downtime: \(information.expectedDowntime) ms\n"
            }
            text += "setup: \(information.setupTime) ms\n"
            text += "transferred ram: \(information.transferred >> 10) kbytes\n"
            text += "throughput: \(Self.rate(information.megabitsPerSecond)) mbps\n"
            text += "remaining ram: \(information.remaining >> 10) kbytes\n"
            text += "total ram: \(information.total >> 10) kbytes\n"
            text += "duplicate: \(information.zeroPages) pages\n"
            text += "skipped: 0 pages\n"
            text += "normal: \(information.fullPages) pages\n"
            text += "normal bytes: \(information.fullPages << 2) kbytes\n"
            text += "dirty sync count: \(information.rounds)\n"
            text += "page size: 4 kbytes\n"
            text += "multifd bytes: \(information.laneBytes >> 10) kbytes\n"
            text += "pages-per-second: \(information.pagesPerSecond)\n"
            for (name, bytes) in [
                ("precopy", information.bytesBefore), ("downtime", information.bytesStanding),
                ("postcopy", information.bytesLate),
            ] where bytes > 0 { text += "\(name) ram: \(bytes >> 10) kbytes\n" }
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
                    case .string(let text): member.name.hasPrefix("tls-") ? "'\(text)'" : text
                    default: "\(member.value.uint64Value ?? 0)" + unit(of: member.name)
                    }
                return "\(member.name): \(value)\n"
            }.joined()
        },
    ]
}

/// The table of snapshots, in the columns that QEMU's tools print.
enum SnapshotText {
    static func row(_ cells: [String]) -> String {
        func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
            let space = String(repeating: " ", count: max(0, width - text.count))
            return left ? text + space : space + text
        }
        return pad(cells[0], 9, left: true) + " " + pad(cells[1], 16, left: true) + " " + pad(cells[2], 8)
            + pad(cells[3], 20) + pad(cells[4], 13) + pad(cells[5], 11) + "\n"
    }

    /// Size, date and the guest's clock.
    static func columns(_ snapshot: SnapshotInformation) -> [String] {
        [size(snapshot.stateSize), date(snapshot.seconds), clock(snapshot.guestClock)]
    }

    private static func two(_ value: UInt64) -> String { (value < 10 ? "0" : "") + String(value) }

    /// Three digits that count, with a binary unit.
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var unit = 0
        var value = Double(bytes)
        while value >= 1000, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let scale = digits == 0 ? 1.0 : digits == 1 ? 10.0 : 100.0
        let scaled = UInt64((value * scale).rounded())
        let whole = scaled / UInt64(scale)
        var fraction = digits == 0 ? "" : String(scaled % UInt64(scale))
        while fraction.count < digits { fraction = "0" + fraction }
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole)\(fraction.isEmpty ? "" : "." + fraction) \(units[unit])"
    }

    private static func date(_ seconds: UInt32) -> String {
        let local = Int64(seconds) + HostFacts.localTimeOffset(at: Int64(seconds))
        let (days, rest) = (local / 86400, UInt64(local % 86400))
        // Days to a date of the Gregorian calendar, by eras of 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
        return "\(year)-\(two(UInt64(calendarMonth)))-\(two(UInt64(day))) "
            + "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
    }

    private static func clock(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        var fraction = String(nanoseconds / 1_000_000 % 1000)
        while fraction.count < 3 { fraction = "0" + fraction }
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fraction)"
    }
}
