internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Calls that take long: told how far they are with `--verbose`, and ended by Ctrl-C.
enum JobProgress {
    /// Makes the call and waits for its end.
    static func run<Procedure: RPCProcedure>(
        _ c: Call, _ domain: RemoteDomain, _ label: String, _ type: Procedure.Type, _ arguments: Procedure.Arguments,
        meanwhile: () -> Void = {}
    ) throws {
        let client = try c.client
        let interrupts = Interrupts()
        let serial = try client.begin(type, arguments)
        let verbose = c.has("verbose")
        while try !client.isAnswered(serial, within: 500) {
            if interrupts.came {
                // The call itself then ends in an error.
                _ = try? client.call(Remote.DomainAbortJob.self, .init(dom: domain))
                continue
            }
            meanwhile()
            guard verbose, let info = try? client.call(Remote.DomainGetJobInfo.self, .init(dom: domain)),
                info.dataTotal > 0
            else { continue }
            show(c, label, info.dataRemaining, info.dataTotal)
        }
        _ = try client.answer(type, to: serial)
        if verbose { show(c, label, 0, 1) }
    }

    /// `label: [ 42 %]` on the line of the one before.
    static func show(_ c: Call, _ label: String, _ remaining: UInt64, _ total: UInt64) {
        let percent =
            remaining == 0
            ? 100 : total == 0 ? 0 : min(99, Int(Double(total &- min(remaining, total)) * 100 / Double(total)))
        c.shell.aside("\r\(label): [\(NumberText.right("\(percent)", 3)) %]")
    }
}

/// Ctrl-C as something to look at while a command waits.
final class Interrupts {
    private let signals: SignalDescriptor?

    init() { signals = try? SignalDescriptor([Signals.interrupt]) }

    deinit {
        // One that came too late has no more to end.
        while signals?.next() != nil {}
        Signals.unblock([Signals.interrupt])
    }

    /// Whether it was pressed since the last time.
    var came: Bool { signals?.next() != nil }

    /// To be waited for.
    var descriptor: Descriptor? { signals?.descriptor }
}

extension Run {
    static func domjobabort(_ c: Call) throws {
        let domain = try c.domain()
        if c.has("postcopy") {
            try c.ask(
                Remote.DomainAbortJobFlags.self, .init(dom: domain, flags: VirDomainAbortJobFlagsValues.postcopy))
        } else {
            try c.ask(Remote.DomainAbortJob.self, .init(dom: domain))
        }
    }

    static func domjobinfo(_ c: Call) throws {
        let domain = try c.domain()
        try c.requires("keep-completed", "completed")
        let flags = c.bits(
            ("completed", VirDomainGetJobStatsFlags.completed),
            ("keep-completed", VirDomainGetJobStatsFlags.keepCompleted))
        let stats = try c.ask(Remote.DomainGetJobStats.self, .init(dom: domain, flags: flags))
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 17)) \(value)\n") }
        let types = ["None", "Bounded", "Unbounded", "Completed", "Failed", "Cancelled"]
        line("Job type:", NumberText.left(DomainText.name(types, stats.type), 12))
        if stats.type == VirDomainJobType.none { return }
        let params = stats.params
        if c.has("rawstats") {
            for param in params {
                c.out("  \(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n")
            }
            return
        }
        let operations = [
            "Unknown", "Start", "Save", "Restore", "Incoming migration", "Outgoing migration", "Snapshot",
            "Snapshot revert", "Dump", "Backup", "Snapshot delete",
        ]
        if let operation = ParameterText.number(params, "operation") {
            line("Operation:", NumberText.left(DomainText.name(operations, operation), 12))
        }
        func time(_ label: String, _ field: String) {
            if let value = ParameterText.number(params, field) { line(label, "\(NumberText.left("\(value)", 12)) ms") }
        }
        func size(_ label: String, _ field: String, perSecond: Bool = false) {
            guard let value = ParameterText.number(params, field) else { return }
            let pretty = NumberText.pretty(value)
            line(label, "\(NumberText.fixed(pretty.value, 3)) \(pretty.unit)\(perSecond ? "/s" : "")")
        }
        func count(_ label: String, _ field: String) {
            if let value = ParameterText.number(params, field) { line(label, "\(value)") }
        }
        time("Time elapsed:", "time_elapsed")
        time("Time elapsed w/o network:", "time_elapsed_net")
        if stats.type == VirDomainJobType.bounded { time("Time remaining:", "time_remaining") }
        if (ParameterText.number(params, "data_total") ?? 0) != 0
            || (ParameterText.number(params, "data_processed") ?? 0) != 0
        {
            size("Data processed:", "data_processed")
            size("Data remaining:", "data_remaining")
            size("Data total:", "data_total")
        }
        if (ParameterText.number(params, "memory_total") ?? 0) != 0
            || (ParameterText.number(params, "memory_processed") ?? 0) != 0
        {
            size("Memory processed:", "memory_processed")
            size("Memory remaining:", "memory_remaining")
            size("Memory total:", "memory_total")
            if (ParameterText.number(params, "memory_bps") ?? 0) != 0 {
                size("Memory bandwidth:", "memory_bps", perSecond: true)
            }
            count("Dirty rate:", "memory_dirty_rate")
            count("Page size:", "memory_page_size")
            count("Iteration:", "memory_iteration")
            count("Postcopy requests:", "memory_postcopy_requests")
        }
        if (ParameterText.number(params, "disk_total") ?? 0) != 0
            || (ParameterText.number(params, "disk_processed") ?? 0) != 0
        {
            size("File processed:", "disk_processed")
            size("File remaining:", "disk_remaining")
            size("File total:", "disk_total")
            if (ParameterText.number(params, "disk_bps") ?? 0) != 0 {
                size("File bandwidth:", "disk_bps", perSecond: true)
            }
        }
        if ParameterText.number(params, "memory_constant") != nil {
            count("Constant pages:", "memory_constant")
            count("Normal pages:", "memory_normal")
            size("Normal data:", "memory_normal_bytes")
        }
        if ParameterText.number(params, "downtime") != nil {
            time(stats.type == VirDomainJobType.completed ? "Total downtime:" : "Expected downtime:", "downtime")
        }
        time("Downtime w/o network:", "downtime_net")
        time("Setup time:", "setup_time")
        size("Compression cache:", "compression_cache")
        size("Compressed data:", "compression_bytes")
        count("Compressed pages:", "compression_pages")
        count("Compression cache misses:", "compression_cache_misses")
        count("Compression overflows:", "compression_overflow")
        count("Auto converge throttle:", "auto_converge_throttle")
        size("Temporary disk space use:", "disk_temp_used")
        size("Temporary disk space total:", "disk_temp_total")
        if let text = ParameterText.text(params, "errmsg") { line("Error message:", text) }
    }
}
