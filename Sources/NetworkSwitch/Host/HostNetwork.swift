internal import HostOS
internal import JSON
internal import Log
internal import Network
internal import Synchronization

/// A network as a bridge of the host's kernel: its address, its rules, and our own DHCP and name server on it. As root.
final class HostNetwork: Sendable {
    private let plan: NetworkPlan
    private let paths: NetworkPaths
    let services: NetworkServices
    private let sources: [EventSource]
    private let listener: DNSListener?
    private let log = Logger("network")

    /// The bridge's hardware address: as the definition says, or one that follows from its name.
    static func address(_ plan: NetworkPlan) -> HardwareAddress {
        if let given = plan.bridgeAddress { return given }
        let hash = plan.name.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
        return HardwareAddress([0x52, 0x54, 0, UInt8(hash >> 16 & 255), UInt8(hash >> 8 & 255), UInt8(hash & 255)])
    }

    init(_ plan: NetworkPlan, paths: NetworkPaths, loop: EventLoop) throws {
        self.plan = plan
        self.paths = paths
        guard HostIdentity.userID == 0 else { throw NetworkError("a bridge of this host needs root") }
        guard !HostLink.exists(plan.bridge) else { throw NetworkError("interface '\(plan.bridge)' is there already") }
        // What is noted before it is made can be removed whatever happens.
        try HostTraces(paths: paths).write(plan)
        let address = Self.address(plan)
        do {
            try HostLink.addBridge(plan.bridge)
            try HostLink.setHardwareAddress(plan.bridge, address.bytes)
            if let mtu = plan.mtu { try HostLink.setMTU(plan.bridge, mtu) }
            if plan.hasAddress {
                try HostLink.setAddress(plan.bridge, plan.dhcp.server.rawValue, mask: plan.dhcp.mask)
            }
            try HostLink.setUp(plan.bridge, true)
            let script = FirewallRules(plan: plan).script
            if !script.isEmpty { try HostTools.run("nft", ["-f", "-"], input: script) }
            if plan.forward != .isolated {
                try HostFile.open("/proc/sys/net/ipv4/ip_forward", .write).writeAll(Array("1\n".utf8))
            }
            let socket = try PacketSocket.open(interface: plan.bridge, promiscuous: false)
            let services = NetworkServices(
                loop: loop, gatewayAddress: address, isGateway: false, dhcp: plan.dhcp, dns: plan.dns,
                leases: paths.leases(plan.name),
                reply: { frame, _ in unsafe frame.withUnsafeBytes { _ = unsafe socket.write($0) } }, leased: { _, _ in }
            )
            self.services = services
            var sources = [try loop.add(socket, [.read]) { _ in Self.receive(socket, services) }]
            if plan.hasAddress, plan.dns.isEnabled {
                let listener = DNSListener(loop) { [weak services] query, done in
                    services?.resolve(query, overTCP: true, done: done)
                }
                sources.append(try listener.listen(SocketAddress.ipv4(plan.dhcp.server.rawValue, port: 53)))
                self.listener = listener
            } else {
                listener = nil
            }
            // The kernel would answer that nobody listens.
            for port in [UInt16(53), 67] where plan.hasAddress {
                let deaf = try Socket.datagram(
                    local: SocketAddress.ipv4(port == 67 ? 0 : plan.dhcp.server.rawValue, port: port), remote: nil)
                try PacketSocket.bind(deaf, toInterface: plan.bridge)
                sources.append(
                    try loop.add(deaf, [.read]) { _ in
                        while let bytes = try? deaf.readAvailable(limit: 2048), !bytes.isEmpty {}
                    })
            }
            self.sources = sources
        } catch {
            HostTraces(paths: paths).remove(plan.name)
            throw error
        }
    }

    private static func receive(_ socket: Descriptor, _ services: NetworkServices) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        for _ in 0..<128 {
            // SAFETY: the array lives for the call; a frame is cut to the count that was read.
            let goesOn = unsafe buffer.withUnsafeMutableBytes { bytes in
                guard case .moved(let count) = unsafe socket.read(into: bytes) else { return false }
                if count >= 14 { _ = unsafe services.take(UnsafeRawBufferPointer(rebasing: bytes[..<count]), 0) }
                return true
            }
            if !goesOn { return }
        }
    }

    /// Removes all that was made.
    func close() {
        for source in sources { source.remove() }
        listener?.close()
        HostTraces(paths: paths).remove(plan.name)
    }
}

/// What networks have made on the host, noted in files, so that it can be removed after a kill.
struct HostTraces {
    let paths: NetworkPaths

    func write(_ plan: NetworkPlan) throws {
        let traces: JSONValue = ["bridge": .string(plan.bridge), "table": .string(FirewallRules.table(plan.name))]
        try HostFile.replace(paths.traces(plan.name), with: Array(traces.description.utf8))
    }

    /// Removes what a network has made, and the note. Nothing happens where there is none.
    func remove(_ name: String) {
        guard let bytes = try? HostFile.contents(paths.traces(name), limit: 1 << 16),
            let traces = try? JSONReader.parse(String(decoding: bytes, as: UTF8.self))
        else { return }
        if let table = traces["table"]?.stringValue, table.hasPrefix("apus_") {
            _ = try? HostTools.run("nft", ["delete", "table", "ip", table])
        }
        if let bridge = traces["bridge"]?.stringValue, HostLink.exists(bridge) {
            try? HostLink.setUp(bridge, false)
            try? HostLink.removeBridge(bridge)
        }
        try? HostFile.remove(paths.traces(name))
    }

    /// The networks that have a note.
    var names: [String] {
        ((try? HostFolder.names(in: paths.state)) ?? []).filter { $0.hasSuffix(".host") }.map { String($0.dropLast(5)) }
    }
}

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
}
