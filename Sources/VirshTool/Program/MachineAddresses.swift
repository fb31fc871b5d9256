internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Where a machine of the user's own daemon is.
public enum MachineAddresses {
    /// Milliseconds that the daemon, and a machine's agent behind it, may take.
    private static let patience: Int32 = 10_000

    /// The addresses of a machine that runs: by lease, by its own agent, by what its neighbours heard, in this order and
    /// each once; those of IPv4 first. Without those that lead nowhere from another machine. Empty where there is no
    /// daemon, no such machine, or no address.
    public static func find(_ name: String) -> [String] {
        var options = LibvirtConnection.Options()
        options.readOnly = true
        guard
            let connection = try? LibvirtConnection.open(HostIdentity.environment("LIBVIRT_DEFAULT_URI"), options),
            let found = try? connection.call(Remote.DomainLookupByName.self, .init(name: name), within: patience)
        else { return [] }
        defer { connection.close() }
        var addresses: [String] = []
        for source in [
            VirDomainInterfaceAddressesSource.lease, VirDomainInterfaceAddressesSource.arp,
            VirDomainInterfaceAddressesSource.agent,
        ] {
            // An agent tells those that it has of machines' own bridges, too: the others count more.
            guard addresses.isEmpty,
                let answer = try? connection.call(
                    Remote.DomainInterfaceAddresses.self, .init(dom: found.dom, source: UInt32(source), flags: 0),
                    within: patience)
            else { continue }
            for address in answer.ifaces.flatMap(\.addrs).map(\.addr)
            where !addresses.contains(address) && !address.hasPrefix("127.") && address != "::1"
                && !address.lowercased().hasPrefix("fe80:")
            { addresses.append(address) }
        }
        return addresses.filter { !$0.contains(":") } + addresses.filter { $0.contains(":") }
    }
}
