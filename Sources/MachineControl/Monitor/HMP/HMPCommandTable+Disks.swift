internal import JSON
internal import Machine

extension HMPCommandTable {
    private static func run(
        _ monitor: HMPInterpreter, _ operation: BlockOperation, _ arguments: JSONObject
    ) throws(MonitorError) -> String {
        _ = try monitored { () throws(MachineError) in try monitor.machine.blockOperation(operation, arguments) }
        return ""
    }
    private static func job(_ name: String, _ operation: BlockOperation, _ help: String) -> HMPCommand {
        HMPCommand(name, [HMPArgument("device", .word)], help) { (monitor, arguments, _) throws(MonitorError) in
            try run(monitor, operation, ["device": .string(arguments.words["device"] ?? "")])
        }
    }

    /// Jobs, snapshots and limits of disks.
    static let disks: [HMPCommand] = [
        HMPCommand(
            "block_stream",
            [
                HMPArgument("device", .word), HMPArgument("speed", .expression, optional: true),
                HMPArgument("base", .word, optional: true),
            ], "copy data from a backing file into a block device"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: JSONObject = ["device": .string(arguments.words["device"] ?? "")]
            if let speed = arguments.numbers["speed"] { values["speed"] = .number(speed) }
            if let base = arguments.words["base"] { values["base"] = .string(base) }
            return try run(monitor, .stream, values)
        },
        HMPCommand(
            "block_job_set_speed", [HMPArgument("device", .word), HMPArgument("speed", .expression)],
            "set maximum speed for a background block operation"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try run(
                monitor, .setJobSpeed,
                [
                    "device": .string(arguments.words["device"] ?? ""),
                    "speed": .number(arguments.numbers["speed"] ?? 0),
                ])
        },
        HMPCommand(
            "block_job_cancel", [HMPArgument("force", .flag("f")), HMPArgument("device", .word)],
            "stop an active background block operation (use -f to abandon it at once)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try run(
                monitor, .cancelBlockJob,
                [
                    "device": .string(arguments.words["device"] ?? ""),
                    "force": .bool(arguments.flags.contains("f")),
                ])
        },
        job("block_job_complete", .completeBlockJob, "stop an active background block operation"),
        job("block_job_pause", .pauseBlockJob, "pause an active background block operation"),
        job("block_job_resume", .resumeBlockJob, "resume a paused background block operation"),
        HMPCommand(
            "snapshot_blkdev",
            [
                HMPArgument("reuse", .flag("n")), HMPArgument("device", .word), HMPArgument("new-image-file", .word),
                HMPArgument("format", .word, optional: true),
            ], "initiate a live snapshot of a device (-n: the image is there already)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: JSONObject = [
                "device": .string(arguments.words["device"] ?? ""),
                "snapshot-file": .string(arguments.words["new-image-file"] ?? ""),
                "mode": arguments.flags.contains("n") ? "existing" : "absolute-paths",
            ]
            if let format = arguments.words["format"] { values["format"] = .string(format) }
            return try run(monitor, .snapshotSync, values)
        },
        HMPCommand(
            "snapshot_blkdev_internal", [HMPArgument("device", .word), HMPArgument("name", .word)],
            "take an internal snapshot of a device"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try run(
                monitor, .internalSnapshot,
                ["device": .string(arguments.words["device"] ?? ""), "name": .string(arguments.words["name"] ?? "")])
        },
        HMPCommand(
            "snapshot_delete_blkdev_internal",
            [
                HMPArgument("device", .word), HMPArgument("name", .word), HMPArgument("id", .word, optional: true),
            ], "delete an internal snapshot of a device"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: JSONObject = [
                "device": .string(arguments.words["device"] ?? ""), "name": .string(arguments.words["name"] ?? ""),
            ]
            if let id = arguments.words["id"] { values["id"] = .string(id) }
            return try run(monitor, .deleteInternalSnapshot, values)
        },
        copy("drive_mirror", .driveMirror, "initiate live storage migration for a device"),
        copy("drive_backup", .driveBackup, "initiate a point-in-time copy for a device"),
        HMPCommand(
            "block_set_io_throttle",
            [HMPArgument("device", .word)] + ["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"].map {
                HMPArgument($0, .expression)
            }, "change I/O throttle limits for a block drive"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: JSONObject = ["device": .string(arguments.words["device"] ?? "")]
            for (name, number) in arguments.numbers { values[name] = .number(number) }
            return try run(monitor, .setThrottle, values)
        },
        HMPCommand(
            "block_resize", [HMPArgument("device", .word), HMPArgument("size", .word)],
            "resize a block image; the unit is MiB"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let text = arguments.words["size"] ?? ""
            guard let size = OptionValue.size(text, unit: 1 << 20) else {
                throw .generic("invalid size: '\(printable(text))'")
            }
            try monitored { () throws(MachineError) in
                try monitor.machine.resizeBlock(device: arguments.words["device"], node: nil, size: size)
            }
            return ""
        },
    ]

    private static func copy(_ name: String, _ operation: BlockOperation, _ help: String) -> HMPCommand {
        HMPCommand(
            name,
            [
                HMPArgument("reuse", .flag("n")), HMPArgument("full", .flag("f")), HMPArgument("device", .word),
                HMPArgument("target", .word), HMPArgument("format", .word, optional: true),
            ], "\(help) (-n: the image is there already; -f: the whole disk)"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values: JSONObject = [
                "device": .string(arguments.words["device"] ?? ""),
                "target": .string(arguments.words["target"] ?? ""),
                "mode": arguments.flags.contains("n") ? "existing" : "absolute-paths",
                "sync": arguments.flags.contains("f") ? "full" : "top",
            ]
            if let format = arguments.words["format"] { values["format"] = .string(format) }
            return try run(monitor, operation, values)
        }
    }

    /// The text of `info block-jobs`.
    static func blockJobs(_ monitor: HMPInterpreter) throws(MonitorError) -> String {
        let jobs = try monitored { () throws(MachineError) in
            try monitor.machine.blockOperation(.queryBlockJobs, [:])
        }
        let lines = (jobs.arrayValue ?? []).compactMap { value -> String? in
            guard let job = value.objectValue else { return nil }
            func number(_ name: String) -> UInt64 { job[name]?.uint64Value ?? 0 }
            let device = job.string("device") ?? ""
            let numbers =
                "Completed \(number("offset")) of \(number("len")) bytes, speed limit \(number("speed")) bytes/s\n"
            if job.string("type") == "stream" { return "Streaming device \(device): \(numbers)" }
            return "Type \(job.string("type") ?? ""), device \(device): \(numbers)"
        }
        return lines.isEmpty ? "No active jobs\n" : lines.joined()
    }
}
