internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// How far the long job of a domain is.
struct JobProgress {
    /// `virDomainJobType`: 0 none, 2 of unknown length.
    var type: Int32 = 0
    var operation: Int32 = 0
    /// Milliseconds.
    var elapsed: UInt64 = 0
    /// Bytes.
    var total: UInt64 = 0
    var done: UInt64 = 0
    var left: UInt64 = 0

    init(_ domain: Domain) {
        guard let activity = domain.state.withLock({ $0.activity }) else { return }
        type = 2
        operation = activity.operation
        elapsed = (HostClock.monotonic - min(HostClock.monotonic, activity.since)) / 1_000_000
        let memory = (try? domain.machine?.monitor?.execute("query-migrate"))?["ram"]
        total = memory?["total"]?.uint64Value ?? 0
        left = memory?["remaining"]?.uint64Value ?? 0
        done = memory?["transferred"]?.uint64Value ?? 0
    }

    static func abort(_ domain: Domain) throws(LibvirtError) {
        let machine = try domain.running()
        guard domain.state.withLock({ $0.activity }) != nil else {
            throw LibvirtError.operationInvalid("no job is active on the domain")
        }
        try machine.qmp().execute("migrate_cancel")
    }
}
