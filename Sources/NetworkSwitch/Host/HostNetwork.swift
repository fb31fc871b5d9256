internal import HostOS
internal import Network

/// A network as a bridge of the host's kernel: its addresses, its rules, and our own DHCP, router advertisements and name
/// server on it. As root.
final class HostNetwork: Sendable {
    private let plan: NetworkPlan
    private let paths: NetworkPaths
    let services: NetworkServices
    private let sources: [EventSource]
    private let listener: DNSListener?
    private let files: TFTPServer?

    init(_ plan: NetworkPlan, paths: NetworkPaths, loop: EventLoop) throws {
        self.plan = plan
        self.paths = paths
        guard HostIdentity.userID == 0 else { throw NetworkError("a bridge of this host needs root") }
        guard !HostLink.exists(plan.bridge) else { throw NetworkError("interface '\(plan.bridge)' is there already") }
        // What is noted before it is made can be removed whatever happens.
        try HostTraces(paths: paths).write(plan)
        do {
            try HostBridge.make(plan)
            try FirewallRules(plan: plan).install()
            let socket = try PacketSocket.open(interface: plan.bridge, promiscuous: false)
            let services = Self.services(plan, paths, loop, socket)
            self.services = services
            var sources = [try loop.add(socket, [.read]) { _ in Self.receive(socket, services) }]
            let addresses = Self.addresses(plan)
            if addresses.isEmpty || !plan.dns.isEnabled {
                listener = nil
            } else {
                let listener = DNSListener(loop) { [weak services] query, done in
                    services?.resolve(query, overTCP: true, done: done)
                }
                for address in addresses { sources.append(try listener.listen(address)) }
                self.listener = listener
            }
            files = plan.tftp.flatMap { root in
                plan.hasAddress
                    ? TFTPServer(loop, root: root, address: plan.dhcp.server.rawValue, interface: plan.bridge) : nil
            }
            if let files { sources.append(try files.listen()) }
            for deaf in try Self.deaf(plan) {
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

    private static func services(
        _ plan: NetworkPlan, _ paths: NetworkPaths, _ loop: EventLoop, _ socket: Descriptor
    ) -> NetworkServices {
        let address = HostBridge.address(plan)
        // SAFETY: the array lives for the call.
        let reply: NetworkServices.Reply = { frame, _ in unsafe frame.withUnsafeBytes { _ = unsafe socket.write($0) } }
        let six = plan.ipv6.map {
            IPv6Services(
                $0.dhcp,
                gateway: IPv6Services.Gateway(
                    hardware: address, link: IPv6Address(linkOf: address), isOurs: false,
                    isRouter: plan.forward != .isolated, mtu: plan.mtu),
                identity: address, leases: paths.leases6(plan.name), portLimit: 1024, reply: reply)
        }
        return NetworkServices(
            loop: loop, gatewayAddress: address, isGateway: false, dhcp: plan.dhcp, dns: plan.dns,
            leases: paths.leases(plan.name), six: six, portLimit: 1024, reply: reply, leased: { _, _ in })
    }

    /// Where names are asked for.
    private static func addresses(_ plan: NetworkPlan) -> [SocketAddress] {
        (plan.hasAddress ? [SocketAddress.ipv4(plan.dhcp.server.rawValue, port: 53)] : [])
            + (plan.ipv6.map { [SocketAddress.ipv6($0.dhcp.server.bytes, port: 53)] } ?? [])
    }

    /// Sockets for what our own frames answer: the kernel would answer that nobody listens.
    private static func deaf(_ plan: NetworkPlan) throws -> [Descriptor] {
        var places = addresses(plan)
        // At the network's own addresses: another network has the same ports. Nobody answers what is for everybody.
        if plan.hasAddress { places.append(SocketAddress.ipv4(plan.dhcp.server.rawValue, port: 67)) }
        let servers: UInt16 = 547
        if let ipv6 = plan.ipv6 { places.append(SocketAddress.ipv6(ipv6.dhcp.server.bytes, port: servers)) }
        return try places.map { place in
            let socket = try Socket.datagram(local: place, remote: nil)
            try PacketSocket.bind(socket, toInterface: plan.bridge)
            // A bridge that watches groups brings us those alone that we are in (RFC 8415, 7.1: all servers).
            if place.port == servers {
                let group: [UInt8] = [0xFF, 2] + [UInt8](repeating: 0, count: 11) + [1, 0, 2]
                try PacketSocket.join(socket, group: group, interface: plan.bridge)
            }
            return socket
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

    /// Limits what machines get from the host and send to it.
    func setLimits(_ plan: NetworkPlan) throws {
        try HostBridge.limit(plan.bridge, to: plan.inbound)
        if plan.outbound == nil { FirewallRules.removeLimit(plan.name) }
        try FirewallRules(plan: plan).install()
    }

    /// Removes all that was made.
    func close() {
        for source in sources { source.remove() }
        listener?.close()
        files?.close()
        HostTraces(paths: paths).remove(plan.name)
    }
}
