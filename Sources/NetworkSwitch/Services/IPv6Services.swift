internal import HostOS
internal import Log
internal import Network
internal import Synchronization

/// What a network gives its machines of IPv6: a router that tells of itself, addresses by DHCP, the addresses that were
/// seen. Asked by `NetworkServices`; all but `interest` on the loop's thread.
final class IPv6Services: Sendable {
    /// Who answers for the network.
    struct Gateway: Sendable {
        var hardware: HardwareAddress
        /// Its address of the link.
        var link: IPv6Address
        /// Whether neighbour discovery and ICMP for it are answered here.
        var isOurs: Bool
        /// Whether it leads anywhere.
        var isRouter: Bool
        var mtu: Int?
    }
    /// What is to become of a machine's frame.
    enum Interest {
        /// It is not meant here.
        case nothing
        /// It is meant here and elsewhere.
        case shared
        /// It is meant here alone.
        case alone
        /// It would lead others astray.
        case blocked
    }
    /// A port number that stands for all.
    static let everyPort = -1
    private static let addressLimit = 8
    /// Nanoseconds between announcements: three soon (RFC 4861, 6.2.4), then seldom.
    private static let soon: UInt64 = 4_000_000_000
    private static let seldom: UInt64 = 200_000_000_000

    let gateway: Gateway
    private let server: Mutex<DHCPv6Server>
    private let file: LeaseFile<DHCPv6Lease>
    private let neighbours: Mutex<NeighbourTable<IPv6Address>>
    private let hasNews = Atomic(false)
    private let timer = Mutex<(timer: EventTimer?, count: Int)>((nil, 0))
    private let reply: NetworkServices.Reply
    private let log = RateLimitedLogger(Logger("network"))

    init(
        _ dhcp: DHCPv6Configuration, gateway: Gateway, identity: HardwareAddress, leases: String,
        portLimit: Int = NeighbourTable<IPv6Address>.usualLimit, reply: @escaping NetworkServices.Reply
    ) {
        neighbours = Mutex(NeighbourTable(depth: Self.addressLimit, portLimit: portLimit))
        self.gateway = gateway
        self.reply = reply
        file = LeaseFile(path: leases)
        server = Mutex(
            DHCPv6Server(dhcp, hardware: identity, leases: file.read(), now: NetworkServices.now))
    }

    /// Tells machines of the router, now and again and again.
    func start(_ loop: EventLoop) {
        let made = loop.makeTimer { [weak self] in self?.announce() }
        timer.withLock { $0.timer = made }
        made.arm(after: 100_000_000)
    }

    func stop() { timer.withLock { $0.timer }?.cancel() }

    private func announce() {
        advertise(to: HardwareAddress(rawValue: 0x3333_0000_0001), Self.everyPort)
        timer.withLock { state in
            state.count += 1
            state.timer?.arm(after: state.count < 4 ? Self.soon : Self.seldom)
        }
    }

    private func advertise(to hardware: HardwareAddress, _ port: Int) {
        let dhcp = server.withLock { $0.configuration }
        let router = NeighbourDiscovery.Router(
            hardware: gateway.hardware, prefix: dhcp.server, prefixLength: dhcp.prefixLength,
            isRouter: gateway.isRouter, isManaged: dhcp.isStateful, mtu: gateway.mtu, nameServers: dhcp.nameServers,
            domain: dhcp.domain)
        reply(
            IPv6Frame.bytes(
                source: gateway.hardware, destination: hardware, from: gateway.link, to: IPv6Address.allNodes,
                proto: 58,
                payload: router.advertisement, checksumAt: 2), port)
    }

    // MARK: - Frames

    /// Whether a frame of IPv6 is part of a connection to the gateway's name server. Any thread.
    func opensStream(_ frame: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: the frame is valid for the call, and its count is compared before any place is read.
        unsafe frame.count >= 74 && frame[20] == 6 && PacketBytes.word(frame, 56) == 53 && isGateway(frame)
    }

    /// Looks at a frame of IPv6, and the port that it is of. Any thread.
    func interest(_ frame: UnsafeRawBufferPointer, _ port: Int) -> Interest {
        // SAFETY: the frame is valid for the call, and each place is compared with its count before it is read.
        guard frame.count >= 62 else { return .nothing }
        switch unsafe (frame[20], frame[54]) {
        case (58, NeighbourDiscovery.routerSolicitation): return .alone
        case (58, NeighbourDiscovery.routerAdvertisement): return .blocked
        case (58, NeighbourDiscovery.neighbourSolicitation):
            unsafe note(frame, at: 22, port)
            return gateway.isOurs ? .shared : .nothing
        case (58, NeighbourDiscovery.neighbourAdvertisement):
            if frame.count >= 78 { unsafe note(frame, at: 62, port) }
            return .nothing
        case (58, NeighbourDiscovery.echoRequest):
            return unsafe gateway.isOurs && isGateway(frame) ? .alone : .nothing
        case (17, _):
            let (from, to) = unsafe (PacketBytes.word(frame, 54), PacketBytes.word(frame, 56))
            if to == 547 { return .alone }
            // A machine that gives addresses itself would lead others astray.
            if from == 547, to == 546 { return .blocked }
            return unsafe to == 53 && isGateway(frame) ? .alone : .nothing
        default: return .nothing
        }
    }

    private func isGateway(_ frame: UnsafeRawBufferPointer) -> Bool {
        let target = unsafe IPv6Address(bytes: Array(frame[38..<54]))
        return target == gateway.link || target == server.withLock { $0.configuration.server }
    }

    private func note(_ frame: UnsafeRawBufferPointer, at place: Int, _ port: Int) {
        // Neighbours do not come through routers (RFC 4861, 7.1).
        guard unsafe frame[21] == 255, unsafe frame[place] != 0xFF else { return }
        let address = unsafe IPv6Address(bytes: Array(frame[place..<place + 16]))
        let hardware = unsafe HardwareAddress(frame, at: 6)
        guard address.number != 0, !hardware.isGroup else { return }
        if neighbours.withLock({ $0.note(hardware, address, port) }) { hasNews.store(true, ordering: .relaxed) }
    }

    // MARK: - On the loop's thread

    /// Answers what `interest` wanted. Questions for names go to `ask`. True: the leases have changed.
    func handle(
        _ frame: [UInt8], _ port: Int, ask: ([UInt8], @escaping @Sendable ([UInt8]) -> Void) -> Void
    ) -> Bool {
        guard let ip = IPv6Frame(frame) else { return false }
        if let udp = UDPv6Frame(ip) {
            if udp.toPort == 547 { return answerDHCP(udp, port) }
            guard udp.toPort == 53 else { return false }
            let (hardware, reply) = (gateway.hardware, reply)
            ask(udp.payload) { answer in
                reply(
                    UDPv6Frame.bytes(
                        source: hardware, destination: ip.source, from: ip.to, to: ip.from, fromPort: 53,
                        toPort: udp.fromPort, payload: answer), port)
            }
            return false
        }
        guard ip.proto == 58, let type = ip.payload.first else { return false }
        let body = Array(ip.payload)
        switch type {
        case NeighbourDiscovery.routerSolicitation: if ip.hopLimit == 255 { advertise(to: ip.source, port) }
        case NeighbourDiscovery.neighbourSolicitation:
            guard body.count >= 24, ip.hopLimit == 255, ip.from.number != 0 else { return false }
            let wanted = IPv6Address(bytes: Array(body[8..<24]))
            guard wanted == gateway.link || wanted == server.withLock({ $0.configuration.server }) else { return false }
            send(
                NeighbourDiscovery.answer(for: wanted, at: gateway.hardware, isRouter: gateway.isRouter), from: wanted,
                to: ip, port)
        case NeighbourDiscovery.echoRequest where body.count >= 8:
            send([129, 0, 0, 0] + body[4...], from: ip.to, to: ip, port)
        default: break
        }
        return false
    }

    private func send(_ message: [UInt8], from: IPv6Address, to ip: IPv6Frame, _ port: Int) {
        reply(
            IPv6Frame.bytes(
                source: gateway.hardware, destination: ip.source, from: from, to: ip.from, proto: 58, payload: message,
                checksumAt: 2), port)
    }

    private func answerDHCP(_ udp: UDPv6Frame, _ port: Int) -> Bool {
        guard let message = DHCPv6Message(udp.payload), udp.ip.from.isLinkLocal else { return false }
        let (answer, leases) = server.withLock { server -> (DHCPv6Message?, [DHCPv6Lease]?) in
            let answer = server.answer(message, hardware: udp.ip.source, port: port, now: NetworkServices.now)
            guard server.hasChanged else { return (answer, nil) }
            server.hasChanged = false
            return (answer, server.leases(now: NetworkServices.now))
        }
        if let leases {
            do throws(HostError) { try file.write(leases) } catch { log.warning("Leases are not kept: \(error)") }
        }
        if let answer {
            reply(
                UDPv6Frame.bytes(
                    source: gateway.hardware, destination: udp.ip.source, from: gateway.link, to: udp.ip.from,
                    fromPort: 547, toPort: 546, payload: answer.bytes), port)
        }
        return leases != nil
    }

    // MARK: - For others

    var leases: [DHCPv6Lease] { server.withLock { $0.leases(now: NetworkServices.now) } }
    var hosts: [DHCPv6Configuration.Host] { server.withLock { $0.configuration.hosts } }
    /// Addresses that machines told their neighbours, the latest first.
    var seen: [HardwareAddress: [IPv6Address]] { neighbours.withLock { $0.all } }
    /// Whether an address was seen for the first time since the last call.
    func takeChange() -> Bool { hasNews.exchange(false, ordering: .relaxed) }

    /// Goes on with other settings; leases that hold stay.
    func update(_ new: DHCPv6Configuration) { server.withLock { $0.configuration = new } }

    /// A port has gone.
    func forget(port: Int) { neighbours.withLock { $0.forget(port: port) } }
}
