internal import DomainModel
package import HostOS
internal import JSON
internal import Log
internal import Network
internal import Synchronization

/// A network that runs: its switch, its services, its gateway and its sockets, on one loop. `close` ends it.
package final class NetworkInstance: Sendable {
    let plan: Mutex<NetworkPlan>
    let paths: NetworkPaths
    let name: String
    let loop: EventLoop
    package let vswitch: VirtualSwitch
    let services: NetworkServices
    /// The host's bridge, where that is the switch.
    private let host: HostNetwork?
    private let gateway: UserNetwork?
    private let sockets = Mutex<[String: EventSource]>([:])
    private let ageing = Mutex<EventTimer?>(nil)
    let forwards = Mutex<[HostForward]>([])
    private static let ageInterval: UInt64 = 30_000_000_000

    /// A network of our own switch; `onHost`: of a bridge of the host's kernel, which needs root.
    package init(_ plan: NetworkPlan, paths: NetworkPaths, loop: EventLoop, onHost: Bool = false) throws {
        self.plan = Mutex(plan)
        self.paths = paths
        self.loop = loop
        name = plan.name
        let vswitch = VirtualSwitch(loop: loop, gatewayAddress: plan.gatewayAddress, hasIPv6: plan.ipv6 != nil)
        self.vswitch = vswitch
        if onHost {
            let made = try HostNetwork(plan, paths: paths, loop: loop)
            (host, gateway, services) = (made, nil, made.services)
            return
        }
        if let more = plan.host.addresses.first {
            throw NetworkError(
                "'\(more.text)' is one more address of network '\(plan.name)', which takes a bridge of this host")
        }
        host = nil
        gateway = plan.forward == .isolated ? nil : try Self.makeGateway(plan)
        let reply: NetworkServices.Reply = { frame, port in
            // SAFETY: the array lives for the call.
            if port == IPv6Services.everyPort { return unsafe frame.withUnsafeBytes { unsafe vswitch.inject($0) } }
            vswitch.state.withLock { state in
                vswitch.reply(frame, to: port, &state)
                vswitch.flushAll(&state)
            }
        }
        services = NetworkServices(
            loop: loop, gatewayAddress: plan.gatewayAddress, isGateway: plan.forward == .isolated && plan.hasAddress,
            dhcp: plan.dhcp, dns: plan.dns, leases: paths.leases(plan.name),
            six: Self.ipv6(plan, paths, reply), reply: reply,
            leased: { port, address in
                vswitch.state.withLock { $0.ports[port]?.guarding.setLease(address) }
            })
        if plan.hasAddress || plan.ipv6 != nil { services.takeStreams() }
        vswitch.setService(services)
        try setLimits(plan)
        if let gateway {
            vswitch.setGateway(gateway)
            gateway.setReceiver(GatewayReceiver(vswitch, hidesRouter: plan.ipv6 != nil))
        }
    }

    /// The network's own limits: what machines get from the gateway, and what they send there.
    package func setLimits(_ plan: NetworkPlan) throws {
        vswitch.setLimits(VirtualSwitch.gatewayPort, inbound: plan.outbound, outbound: plan.inbound)
        try host?.setLimits(plan)
    }

    /// Who answers for IPv6 in our own switch: libslirp, whose router is fe80::2 and goes by addresses that follow from
    /// those of IPv6; where nothing is behind the gateway, we.
    private static func ipv6(
        _ plan: NetworkPlan, _ paths: NetworkPaths, _ reply: @escaping NetworkServices.Reply
    ) -> IPv6Services? {
        guard let ipv6 = plan.ipv6 else { return nil }
        let isOurs = plan.forward == .isolated
        let identity = HardwareAddress([0x52, 0x56] + ipv6.dhcp.server.bytes.suffix(4))
        let gateway = IPv6Services.Gateway(
            hardware: isOurs ? identity : HardwareAddress(rawValue: NetworkPlan.gatewayPrefix6 << 32 | 2),
            link: isOurs ? IPv6Address(linkOf: identity) : IPv6Address(number: 0xFE80 << 112 | 2), isOurs: isOurs,
            isRouter: !isOurs, mtu: plan.mtu)
        return IPv6Services(
            ipv6.dhcp, gateway: gateway, identity: identity, leases: paths.leases6(plan.name), reply: reply)
    }

    /// libslirp with the plan's addresses. Its own DHCP and name server are never asked.
    private static func makeGateway(_ plan: NetworkPlan) throws -> UserNetwork {
        var user = UserNetworkConfiguration()
        user.hasIPv4 = plan.hasAddress
        if plan.hasAddress { setIPv4(plan, &user) }
        user.tftpFolder = plan.tftp
        user.hasIPv6 = plan.ipv6 != nil
        if let ipv6 = plan.ipv6 {
            user.ipv6Network = ipv6.dhcp.server.masked(ipv6.dhcp.prefixLength)
            user.ipv6PrefixLength = ipv6.dhcp.prefixLength
            user.ipv6Host = ipv6.dhcp.server
            // A server that nobody asks, where no machine is likely to be.
            user.ipv6DNS = IPv6Address(number: ipv6.dhcp.server.number & ipv6.dhcp.mask | (~ipv6.dhcp.mask &- 2))
        }
        return try UserNetwork(user, name: plan.name)
    }

    private static func setIPv4(_ plan: NetworkPlan, _ user: inout UserNetworkConfiguration) {
        let server = plan.dhcp.server.rawValue
        user.network = IPv4Address(rawValue: server & plan.dhcp.mask)
        user.prefixLength = plan.dhcp.prefixLength
        user.host = plan.dhcp.server
        // Sixteen addresses beside the gateway's, of which none is given; RFC 5737's for a server that nobody asks.
        let first = server &- (server & plan.dhcp.mask)
        user.dhcpStart = IPv4Address(rawValue: first < 3 ? server &+ 1 : (server & plan.dhcp.mask) &+ 1)
        if first >= 3, first < 17 { user.dhcpStart = IPv4Address(rawValue: server &+ 1) }
        user.dns = IPv4Address(rawValue: 0xC000_0235)
    }

    /// Whether its switch is a bridge of the host.
    var isOnHost: Bool { host != nil }

    // MARK: - Sockets

    /// Opens the sockets of machines without ports of their own, and begins.
    package func open() throws {
        services.six?.start(loop)
        // Machines of a host's bridge have taps.
        guard host == nil else { return }
        try listen(paths.socket(name)) { [weak self] in self?.join($0, hasHeaders: false) }
        try listen(paths.offloadSocket(name)) { [weak self] in self?.join($0, hasHeaders: true) }
        let timer = loop.makeTimer { [weak self] in
            self?.vswitch.age()
            self?.ageing.withLock { $0?.arm(after: Self.ageInterval) }
        }
        timer.arm(after: Self.ageInterval)
        ageing.withLock { $0 = timer }
    }

    func listen(_ path: String, accepted: @escaping @Sendable (Descriptor) -> Void) throws {
        try? HostFile.remove(path)
        let listener = try Socket.listen(try SocketAddress.unix(path), backlog: 64)
        try HostFile.setPermissions(path, 0o600)
        let source = try loop.add(listener, [.read]) { _ in
            while let peer = try? Socket.accept(listener) { accepted(peer) }
        }
        sockets.withLock { $0[path] = source }
    }

    private func join(_ socket: Descriptor, hasHeaders: Bool) {
        var settings = PortSettings(name: "port\(UInt32.random(in: 0...UInt32.max))")
        settings.hasHeaders = hasHeaders
        settings.isIsolated = plan.withLock { $0.isIsolated }
        guard let number = vswitch.makePort(settings, isLasting: false) else { return Socket.shutDown(socket) }
        vswitch.connect(socket, to: number)
    }

    /// Makes a port with a socket of its own.
    package func addPort(_ given: PortSettings) throws {
        if let fault = given.fault { throw NetworkError(fault) }
        guard host == nil else {
            throw NetworkError("network '\(name)' is a bridge of this host: its machines have taps")
        }
        var settings = given
        if plan.withLock({ $0.isIsolated }) { settings.isIsolated = true }
        guard let number = vswitch.makePort(settings, isLasting: true) else {
            throw NetworkError("port '\(settings.name)' is there, or there are too many")
        }
        do {
            try listen(paths.portSocket(name, settings.name)) { [weak self] in self?.vswitch.connect($0, to: number) }
        } catch {
            vswitch.removePort(number)
            throw error
        }
        if let address = settings.address, let machine = settings.machine { services.setName(machine, of: address) }
    }

    /// Other limits for a port that is there.
    func setLimits(port name: String, inbound: RateLimit?, outbound: RateLimit?) throws {
        guard let number = vswitch.port(named: name) else { throw NetworkError("there is no port '\(name)'") }
        vswitch.setLimits(number, inbound: inbound, outbound: outbound)
    }

    package func removePort(_ port: String) throws {
        guard let number = vswitch.port(named: port) else { throw NetworkError("there is no port '\(port)'") }
        let settings = vswitch.ports.first { $0.settings.name == port }?.settings
        let path = paths.portSocket(name, port)
        sockets.withLock { $0.removeValue(forKey: path) }?.remove()
        try? HostFile.remove(path)
        vswitch.removePort(number)
        services.forget(port: number)
        if let address = settings?.address { services.setName(nil, of: address) }
    }

    // MARK: - Forwards

    package func addForward(_ rule: String) throws {
        guard let gateway else { throw NetworkError("network '\(name)' forwards no ports") }
        let forward = try HostForward(rule)
        guard forward.guestAddress != nil else { throw NetworkError("'\(rule)' names no machine's address") }
        try gateway.addHostForward(forward)
        forwards.withLock { $0.append(forward) }
    }

    func removeForward(_ rule: String) throws {
        guard let gateway else { throw NetworkError("an isolated network forwards no ports") }
        let key = try HostForwardKey(rule)
        try gateway.removeHostForward(key)
        forwards.withLock { $0.removeAll { $0.key == key } }
    }

    /// Ends everything and removes the sockets.
    package func close() {
        ageing.withLock { $0?.cancel() }
        services.six?.stop()
        vswitch.setService(nil)
        host?.close()
        gateway?.stop()
        let all = sockets.withLock { sockets in
            defer { sockets = [:] }
            return sockets
        }
        for (path, source) in all {
            source.remove()
            try? HostFile.remove(path)
        }
        for port in vswitch.ports {
            if let number = vswitch.port(named: port.settings.name) { vswitch.removePort(number) }
        }
    }
}

/// What libslirp brings, on its thread.
private final class GatewayReceiver: FrameReceiver {
    private let vswitch: VirtualSwitch
    /// Whether our own router speaks for it: two would say different things.
    private let hidesRouter: Bool
    init(_ vswitch: VirtualSwitch, hidesRouter: Bool) {
        self.vswitch = vswitch
        self.hidesRouter = hidesRouter
    }
    private func isHidden(_ frame: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: the count is compared before any place is read.
        unsafe hidesRouter && frame.count > 54 && PacketBytes.word(frame, 12) == 0x86DD && frame[20] == 58
            && frame[54] == NeighbourDiscovery.routerAdvertisement
    }
    func canReceive() -> Bool { true }
    // SAFETY: frames are the caller's and valid for the call; they are handed on as whole pieces.
    func receive(_ frame: UnsafeRawBufferPointer) { if unsafe !isHidden(frame) { unsafe vswitch.inject(frame) } }
    func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) { unsafe vswitch.inject(frame, offload) }
}

extension IPv6Address {
    func masked(_ length: Int) -> IPv6Address {
        IPv6Address(
            bytes: bytes.enumerated().map { place, byte in
                let kept = min(max(length - place * 8, 0), 8)
                return kept == 8 ? byte : byte & ~(0xFF >> UInt8(kept))
            })
    }
}
