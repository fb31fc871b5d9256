/// Where addresses were last seen. Bounded as a whole and for each port, so that one port that makes up addresses
/// cannot push out those of others. A pure value; the caller gives the time.
struct ForwardingTable {
    struct Key: Hashable {
        let vlan: UInt16
        let address: HardwareAddress
    }
    private struct Entry {
        var port: Int
        var seen: UInt64
    }
    /// Addresses of all ports.
    static let limit = 8192
    /// Addresses of one port.
    static let portLimit = 256
    /// Nanoseconds without a frame after which an address is forgotten (802.1D's 300 s).
    static let lifetime: UInt64 = 300_000_000_000

    private var entries: [Key: Entry] = [:]
    private var counts: [Int: Int] = [:]

    /// The port behind which an address is.
    func port(of key: Key) -> Int? { entries[key]?.port }

    /// Notes that a frame from an address came in by a port.
    mutating func learn(_ key: Key, port: Int, now: UInt64) {
        if let place = entries.index(forKey: key) {
            let old = entries.values[place].port
            entries.values[place].seen = now
            guard old != port else { return }
            guard counts[port, default: 0] < Self.portLimit else { return }
            entries.values[place].port = port
            counts[old, default: 1] -= 1
            counts[port, default: 0] += 1
            return
        }
        guard entries.count < Self.limit, counts[port, default: 0] < Self.portLimit else { return }
        entries[key] = Entry(port: port, seen: now)
        counts[port, default: 0] += 1
    }

    /// Forgets what has not been seen for long.
    mutating func age(now: UInt64) {
        remove { now &- $0.seen > Self.lifetime && now > $0.seen }
    }

    /// Forgets a port's addresses.
    mutating func forget(port: Int) {
        remove { $0.port == port }
        counts[port] = nil
    }

    private mutating func remove(_ matches: (Entry) -> Bool) {
        for (key, entry) in entries where matches(entry) {
            entries[key] = nil
            counts[entry.port, default: 1] -= 1
        }
    }

    /// How many addresses are known.
    var count: Int { entries.count }
    /// The addresses of a port.
    func addresses(port: Int) -> [HardwareAddress] {
        entries.filter { $0.value.port == port }.map(\.key.address).sorted { $0.rawValue < $1.rawValue }
    }
}
