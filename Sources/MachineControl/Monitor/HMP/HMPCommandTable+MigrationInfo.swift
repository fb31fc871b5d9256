internal import JSON
internal import Machine

extension HMPCommandTable {
    /// What a parameter counts, where that is shown.
    private static func unit(of name: String) -> String {
        switch name {
        case "announce-initial", "announce-max", "announce-step", "downtime-limit", "x-checkpoint-delay": " ms"
        case "max-bandwidth": " bytes/second"
        case "xbzrle-cache-size": " bytes"
        default: ""
        }
    }

    /// What QEMU says first of how it migrates, for those who read the text.
    private static let globals = """
        globals:
        store-global-state: on
        only-migratable: off
        send-configuration: on
        send-section-footer: on
        decompress-error-check: on
        clear-bitmap-shift: 18

        """

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
            let blockers = monitor.machine.migrationBlockers
            var text = Self.globals
            if !blockers.isEmpty { text += "Outgoing migration blocked:\n" }
            for reason in blockers { text += "  \(printable(reason))\n" }
            guard information.status != .none else { return text }
            text += "Migration status: \(information.status.rawValue)"
            if let error = information.error { text += " (\(printable(error)))" }
            text += "\n"
            guard !information.isIncoming else {
                text += "total time: 0 ms\n"
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
            if information.dirtyRate > 0 { text += "dirty pages rate: \(information.dirtyRate) pages\n" }
            if information.requests > 0 { text += "postcopy request count: \(information.requests)\n" }
            for (name, bytes) in [
                ("precopy", information.bytesBefore), ("downtime", information.bytesStanding),
                ("postcopy", information.bytesLate),
            ] where bytes > 0 { text += "\(name) ram: \(bytes >> 10) kbytes\n" }
            if let pages = information.packedPages {
                let ratio = information.packedBytes == 0 ? 0 : Double(pages << 12) / Double(information.packedBytes)
                text += "compression pages: \(pages) pages\ncompression busy: 0\ncompression busy rate: 0.00\n"
                text += "compressed size: \(information.packedBytes >> 10) kbytes\n"
                text += "compression rate: \(Self.rate(ratio))\n"
            }
            if information.throttle > 0 { text += "cpu throttle percentage: \(information.throttle)\n" }
            return text
        },
        HMPCommand("migrate_capabilities", "show current migration capabilities") {
            (monitor, _, _) throws(MonitorError) in
            monitor.machine.migrationCapabilities.map { "\($0.name): \($0.isOn ? "on" : "off")\n" }.joined()
        },
        HMPCommand("migrate_parameters", "show current migration parameters") {
            (monitor, _, _) throws(MonitorError) in
            // As QEMU's monitor has it, which leaves these two to QMP.
            monitor.machine.migrationParameters.members.filter {
                !["multifd-zlib-level", "multifd-zstd-level"].contains($0.name)
            }.map { member in
                if case .array(let nodes) = member.value {
                    return "\(member.name):\n" + nodes.map(lines).joined()
                }
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

    /// The aliases of a node's bitmaps.
    private static func lines(_ node: JSONValue) -> String {
        func line(_ entry: JSONValue, _ name: String, _ indent: String) -> String {
            let (name, alias) = (entry[name]?.stringValue ?? "", entry["alias"]?.stringValue ?? "")
            return "\(indent)'\(printable(name))' -> '\(printable(alias))'\n"
        }
        let bitmaps = (node["bitmaps"]?.arrayValue ?? []).map { line($0, "name", "    ") }
        return line(node, "node-name", "  ") + bitmaps.joined()
    }
}
