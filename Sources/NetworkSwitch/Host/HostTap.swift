internal import HostOS

/// A machine's tap on a bridge of the host.
public enum HostTap {
    /// Opens `name`, or the first free `vnetN`, with the machine's address but for its first byte, which is `fe`, and
    /// puts it on the bridge. It goes with its descriptor, which a machine takes over by `-netdev tap,fd=…`.
    public static func open(
        name: String? = nil, address: HardwareAddress, bridge: String, mtu: Int? = nil
    ) throws(NetworkError) -> (name: String, descriptor: Int32) {
        do {
            let tap = try TapDevice(name: name ?? "vnet%d", hasHeaders: true)
            try join(tap.name, address: address, bridge: bridge, mtu: mtu)
            return (tap.name, try tap.descriptor.rawCopy().get())
        } catch {
            throw NetworkError("\(error)")
        }
    }

    /// Puts a tap that is there on a bridge, with the machine's address but for its first byte, which is `fe`: so the
    /// bridge never takes it for its own.
    public static func join(
        _ name: String, address: HardwareAddress, bridge: String, mtu: Int? = nil
    ) throws(NetworkError) {
        do {
            try HostLink.setHardwareAddress(name, [0xFE] + address.bytes[1...])
            if let mtu { try HostLink.setMTU(name, mtu) }
            try HostLink.setMember(name, of: bridge, true)
            try HostLink.setUp(name, true)
        } catch {
            throw NetworkError("\(error)")
        }
    }

    /// Has a tap keep out what a port of a switch would: filters, rules, and the limit of what the machine sends; limits
    /// what it gets. Before the tap is on a bridge, or again. `unlimited`: takes a limit away that was there.
    public static func protect(
        _ name: String, _ settings: PortSettings, unlimited: Bool = false
    ) throws(NetworkError) {
        try PortFirewall(name, settings).install()
        guard settings.inbound != nil || unlimited else { return }
        do { try HostBridge.limit(name, to: settings.inbound) } catch { throw NetworkError("\(error)") }
    }

    /// Whether settings can be kept on a bridge: an error says what cannot.
    public static func check(_ settings: PortSettings) throws(NetworkError) {
        if let fault = settings.fault { throw NetworkError(fault) }
        guard settings.vlan == nil, settings.trunk.isEmpty else {
            throw NetworkError("a port of a bridge of this host has no VLAN of its own")
        }
        _ = try PortFirewall("x", settings).script()
        if settings.inbound != nil, HostTools.path("tc") == nil { throw NetworkError("this host has no 'tc'") }
    }

    /// Keeps a tap on a bridge apart from the others that are so.
    public static func isolate(_ name: String) throws(NetworkError) {
        do {
            try HostFile.open("/sys/class/net/\(name)/brport/isolated", .write).writeAll(Array("1\n".utf8))
        } catch {
            throw NetworkError("interface '\(name)' cannot be isolated: \(error)")
        }
    }

    /// Has a bridge know a machine by its address alone: it learns nothing at the tap, and floods nothing there
    /// (`macTableManager='libvirt'`).
    public static func fix(_ name: String, address: HardwareAddress) throws(NetworkError) {
        do {
            for file in ["learning", "unicast_flood"] {
                try HostFile.open("/sys/class/net/\(name)/brport/\(file)", .write).writeAll(Array("0\n".utf8))
            }
            try HostTools.run("bridge", ["fdb", "replace", "\(address)", "dev", name, "master", "static"])
        } catch {
            throw NetworkError("the table of the bridge of '\(name)' cannot be managed: \(error)")
        }
    }

    /// Shares what a bridge's machines get from beyond, of which some have a part for themselves: `floors`, in bytes a
    /// second, by their addresses.
    public static func share(
        _ bridge: String, _ inbound: RateLimit, floors: [(address: HardwareAddress, rate: UInt64)]
    ) throws(NetworkError) {
        do { try HostBridge.limit(bridge, to: inbound, floors: floors) } catch { throw NetworkError("\(error)") }
    }

    /// A tap has gone: its rules go.
    public static func release(_ name: String) { PortFirewall.remove(name) }

    /// Takes rules away whose taps are gone.
    public static func releaseStale() { PortFirewall.removeStale() }
}
