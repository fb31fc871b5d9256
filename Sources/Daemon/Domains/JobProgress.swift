internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// How far the long job of a domain is, or was at its end.
struct JobProgress: Sendable {
    /// `virDomainJobType`: 0 none, 2 of unknown length, 3 completed.
    var type: Int32 = 0
    var operation: Int32 = 0
    /// Milliseconds.
    var elapsed: UInt64 = 0
    /// Bytes.
    var total: UInt64 = 0
    var done: UInt64 = 0
    var left: UInt64 = 0
    /// Of a machine on its way: rounds over its memory, pages a second that it writes, milliseconds that it stands.
    private var memory: [(name: String, value: UInt64)] = []
    /// Bytes of its disks.
    private var disks: (total: UInt64, done: UInt64)?

    init(_ domain: Domain) {
        guard let activity = domain.state.withLock({ $0.activity }) else { return }
        type = 2
        operation = activity.operation
        elapsed = (HostClock.monotonic - min(HostClock.monotonic, activity.since)) / 1_000_000
        guard let monitor = domain.machine?.monitor else { return }
        if operation == VirDomainJobOperation.backup {
            let jobs = (try? monitor.execute("query-block-jobs"))?.arrayValue ?? []
            for job in jobs where job["device"]?.stringValue?.hasPrefix("backup-") == true {
                total &+= job["len"]?.uint64Value ?? 0
                done &+= job["offset"]?.uint64Value ?? 0
            }
            left = total - min(total, done)
            return
        }
        if operation == VirDomainJobOperation.migrationOut {
            let jobs = (try? monitor.execute("query-block-jobs"))?.arrayValue ?? []
            for job in jobs where job["device"]?.stringValue?.hasPrefix("drive-") == true {
                let known = disks ?? (0, 0)
                disks = (known.total &+ (job["len"]?.uint64Value ?? 0), known.done &+ (job["offset"]?.uint64Value ?? 0))
            }
        }
        let answer = try? monitor.execute("query-migrate")
        let ram = answer?["ram"]
        total = ram?["total"]?.uint64Value ?? 0
        left = ram?["remaining"]?.uint64Value ?? 0
        done = ram?["transferred"]?.uint64Value ?? 0
        let figures: [(String, JSONValue?)] = [
            ("memory_dirty_rate", ram?["dirty-pages-rate"]), ("memory_iteration", ram?["dirty-sync-count"]),
            ("memory_constant", ram?["duplicate"]), ("memory_normal", ram?["normal"]),
            ("downtime", answer?["downtime"] ?? answer?["expected-downtime"]), ("setup_time", answer?["setup-time"]),
        ]
        memory = figures.compactMap { name, value in (value?.uint64Value).map { (name, $0) } }
    }

    /// The same as what has been.
    var completed: JobProgress {
        var copy = self
        copy.type = type == 0 ? 0 : 3
        return copy
    }

    /// The parameters of `domjobinfo`.
    var parameters: [RemoteTypedParam] {
        let isBackup = operation == VirDomainJobOperation.backup
        var list: [RemoteTypedParam] = [
            .init(field: "operation", value: .int(operation)),
            .init(field: "time_elapsed", value: .ulong(elapsed)),
        ]
        func add(_ name: String, _ value: UInt64) { list.append(.init(field: name, value: .ulong(value))) }
        if isBackup {
            for (name, value) in [("disk_total", total), ("disk_processed", done), ("disk_remaining", left)] {
                add(name, value)
            }
            list.append(.init(field: "success", value: .boolean(true)))
            return list
        }
        let (size, copied) = disks ?? (0, 0)
        let missing = size - min(size, copied)
        let figures = [("data", total &+ size, done &+ copied, left &+ missing), ("memory", total, done, left)]
        for (prefix, total, done, left) in figures + (disks == nil ? [] : [("disk", size, copied, missing)]) {
            add("\(prefix)_total", total)
            add("\(prefix)_processed", done)
            add("\(prefix)_remaining", left)
        }
        for (name, value) in memory { add(name, value) }
        return list
    }
}

extension DomainDriver {
    /// Ends what takes long.
    func abortJob(_ domain: Domain) throws(LibvirtError) {
        let machine = try domain.running()
        guard domain.state.withLock({ $0.activity }) != nil else {
            throw LibvirtError.operationInvalid("no job is active on the domain")
        }
        if try abortBackup(domain) { return }
        guard domain.state.withLock({ $0.migration?.isLate != true }) else {
            throw LibvirtError.operationInvalid("cannot abort migration in post-copy mode")
        }
        domain.state.withLock { $0.activity?.isAborted = true }
        try machine.qmp().execute("migrate_cancel")
    }
}
