internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// What `virsh migrate` does to a migration that takes long: after `--timeout` the machine stands, or its memory follows it;
/// with `--postcopy-after-precopy` it follows after the first round.
final class Hurry {
    private let connection: LibvirtConnection
    private let domain: RemoteDomain
    private let deadline: UInt64?
    private let endsInPostcopy: Bool
    private let followsFirstRound: Bool
    private var isDone = false

    init(_ c: Call, _ domain: RemoteDomain) throws {
        connection = try c.client
        self.domain = domain
        let seconds = try c.number("timeout", UInt32.self)
        guard seconds != 0 else { throw CommandFailure("migrate: Invalid timeout") }
        deadline = seconds.map { HostClock.monotonic + UInt64($0) * 1_000_000_000 }
        endsInPostcopy = c.has("timeout-postcopy")
        followsFirstRound = c.has("postcopy-after-precopy")
    }

    /// To be called again and again while the migration is under way.
    func look() {
        guard !isDone else { return }
        if followsFirstRound, hasSentOnce {
            startPostcopy()
        } else if let deadline, HostClock.monotonic >= deadline {
            if endsInPostcopy { return startPostcopy() }
            isDone = true
            _ = try? connection.call(Remote.DomainSuspend.self, .init(dom: domain))
        }
    }

    private func startPostcopy() {
        isDone = (try? connection.call(Remote.DomainMigrateStartPostCopy.self, .init(dom: domain, flags: 0))) != nil
    }

    /// Whether all of the memory has been sent once.
    private var hasSentOnce: Bool {
        let job = try? connection.call(Remote.DomainGetJobStats.self, .init(dom: domain, flags: 0))
        return job?.params.contains { parameter in
            guard parameter.field == "memory_iteration", case .ulong(let round) = parameter.value else { return false }
            return round >= 2
        } ?? false
    }
}
