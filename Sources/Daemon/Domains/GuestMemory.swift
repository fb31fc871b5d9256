internal import DomainModel
internal import JSON
internal import RPCWire

/// What a guest's balloon tells of its memory, and when it last did.
struct GuestMemoryFigures {
    /// By libvirt's tags and by the names of domains' statistics: KiB, and how often.
    private(set) var values: [(tag: Int32, name: String, value: UInt64)] = []
    /// Seconds since 1970; 0 where it has not.
    private(set) var lastUpdate: UInt64 = 0

    private typealias Tags = VirDomainMemoryStatTags
    /// QEMU's names, libvirt's, and what makes one of the other's unit.
    private static let known: [(name: String, tag: Int32, field: String, unit: UInt64)] = [
        ("stat-swap-in", Tags.swapIn, "swap_in", 1024), ("stat-swap-out", Tags.swapOut, "swap_out", 1024),
        ("stat-major-faults", Tags.majorFault, "major_fault", 1),
        ("stat-minor-faults", Tags.minorFault, "minor_fault", 1), ("stat-free-memory", Tags.unused, "unused", 1024),
        ("stat-total-memory", Tags.available, "available", 1024),
        ("stat-available-memory", Tags.usable, "usable", 1024),
        ("stat-disk-caches", Tags.diskCaches, "disk_caches", 1024),
        ("stat-htlb-pgalloc", Tags.hugetlbPgalloc, "hugetlb_pgalloc", 1),
        ("stat-htlb-pgfail", Tags.hugetlbPgfail, "hugetlb_pgfail", 1),
    ]

    /// Where the balloon of a machine is in its tree of objects; nil: it has none.
    static func path(_ live: XMLTree) -> JSONValue? {
        guard let balloon = DomainFigures.devices(live, "memballoon").first(where: { $0["model"] != "none" }) else {
            return nil
        }
        return .string("/machine/peripheral/\(balloon.child("alias")?["name"] ?? "balloon0")")
    }

    /// Asks the machine for what the guest told; nothing where that is not known.
    init(_ monitor: QMPClient?, _ live: XMLTree) {
        guard let path = Self.path(live),
            let answer = try? monitor?.execute("qom-get", ["path": path, "property": "guest-stats"])
        else { return }
        lastUpdate = answer["last-update"]?.uint64Value ?? 0
        for (name, tag, field, unit) in Self.known {
            // What a guest has not told is the greatest number, or a number below zero.
            guard let value = answer["stats"]?[name]?.uint64Value, value != UInt64.max else { continue }
            values.append((tag, field, value / unit))
        }
    }
}
