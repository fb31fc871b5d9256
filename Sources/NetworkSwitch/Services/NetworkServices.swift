internal import HostOS
internal import Log
internal import Network
internal import Synchronization

/// What a network gives its machines itself: addresses, names, and, where nothing else is behind the gateway, a
/// gateway that answers. Frames in by `take`, frames out by `reply`. Any thread; the work is done on the loop's.
final class NetworkServices: FrameService {
    /// Sends a frame out by a port.
    typealias Reply = @Sendable ([UInt8], Int) -> Void
    /// Work of machines that may wait; more is dropped.
    private static let pendingLimit = 512

    private let loop: EventLoop
    private let gateway: IPv4Address
    private let gatewayAddress: HardwareAddress
    /// Whether ARP and ICMP for the gateway are answered here.
    private let isGateway: Bool
    private let hasDHCP: Bool
    private let dhcp: Mutex<DHCPServer>
    private let dns: Mutex<DNSServer>
    /// The network's IPv6; nil: it has none.
    let six: IPv6Services?
    private let forwarder: DNSForwarder
    /// Questions over TCP, where no kernel speaks TCP for the gateway.
    private let streams = Mutex<DNSStreams?>(nil)
    private let file: LeaseFile<DHCPLease>
    private let names = Mutex<[HardwareAddress: DNSName]>([:])
    private let neighbours: Mutex<NeighbourTable<IPv4Address>>
    private let pending = Atomic(0)
    private let reply: Reply
    private let leased: @Sendable (Int, IPv4Address) -> Void
    private let log = RateLimitedLogger(Logger("network"))

    init(
        loop: EventLoop, gatewayAddress: HardwareAddress, isGateway: Bool, dhcp: DHCPConfiguration,
        dns: DNSConfiguration, leases: String, six: IPv6Services? = nil,
        portLimit: Int = NeighbourTable<IPv4Address>.usualLimit, reply: @escaping Reply,
        leased: @escaping @Sendable (Int, IPv4Address) -> Void
    ) {
        self.loop = loop
        gateway = dhcp.server
        self.gatewayAddress = gatewayAddress
        self.isGateway = isGateway
        self.six = six
        neighbours = Mutex(NeighbourTable(depth: 1, portLimit: portLimit))
        hasDHCP = !dhcp.ranges.isEmpty || !dhcp.hosts.isEmpty
        file = LeaseFile(path: leases)
        self.dhcp = Mutex(DHCPServer(dhcp, leases: file.read(), now: Self.now))
        self.dns = Mutex(DNSServer(dns))
        forwarder = DNSForwarder(loop)
        self.reply = reply
        self.leased = leased
        updateNames()
    }

    static var now: UInt64 { HostClock.realtime / 1_000_000_000 }

    /// Looks at a machine's frame of 14 bytes or more; true: it is for the services alone.
    func take(_ frame: UnsafeRawBufferPointer, _ port: Int) -> Bool {
        // SAFETY: the frame is valid for the call, and each place is compared with its count before it is read.
        switch unsafe PacketBytes.word(frame, 12) {
        case 0x0806:
            guard frame.count >= 42 else { return false }
            let (sender, target) = unsafe (PacketBytes.ipv4(frame, 28), PacketBytes.ipv4(frame, 38))
            unsafe note(HardwareAddress(frame, at: 22), sender, port)
            if isGateway, target == gateway { unsafe queue(frame, port) }
            return false
        case 0x0800:
            guard frame.count >= 34 else { return false }
            let header = unsafe Int(frame[14] & 15) * 4
            let target = unsafe PacketBytes.ipv4(frame, 30)
            if isGateway, target == gateway, unsafe frame[23] == 1 {
                unsafe queue(frame, port)
                return true
            }
            if unsafe frame[23] == 6, target == gateway, header >= 20, frame.count >= 14 + header + 20,
                unsafe PacketBytes.word(frame, 14 + header + 2) == 53, streams.withLock({ $0 }) != nil
            {
                unsafe queue(frame, port)
                return true
            }
            guard unsafe frame[23] == 17, header >= 20, frame.count >= 14 + header + 8 else { return false }
            let (from, to) = unsafe (PacketBytes.word(frame, 14 + header), PacketBytes.word(frame, 14 + header + 2))
            if hasDHCP {
                // A machine that gives addresses itself would lead others astray.
                if from == 67, to == 68 { return true }
                if to == 67 {
                    unsafe queue(frame, port)
                    return true
                }
            }
            if to == 53, target == gateway {
                unsafe queue(frame, port)
                return true
            }
            return false
        case 0x86DD:
            if unsafe six?.opensStream(frame) == true, streams.withLock({ $0 }) != nil {
                unsafe queue(frame, port)
                return true
            }
            switch unsafe six?.interest(frame, port) {
            case .shared: unsafe queue(frame, port)
            case .alone:
                unsafe queue(frame, port)
                return true
            case .blocked: return true
            case .nothing, nil: break
            }
            return false
        default: return false
        }
    }

    private func note(_ hardware: HardwareAddress, _ address: IPv4Address, _ port: Int) {
        guard address.rawValue != 0, !hardware.isGroup else { return }
        neighbours.withLock { _ = $0.note(hardware, address, port) }
    }

    private func queue(_ frame: UnsafeRawBufferPointer, _ port: Int) {
        guard frame.count <= 9200, pending.load(ordering: .relaxed) < Self.pendingLimit else { return }
        pending.add(1, ordering: .relaxed)
        let bytes = unsafe Array(frame)
        loop.post { [weak self] in
            guard let self else { return }
            pending.subtract(1, ordering: .relaxed)
            handle(bytes, port)
        }
    }

    // MARK: - On the loop's thread

    private func handle(_ frame: [UInt8], _ port: Int) {
        if frame[12] == 8, frame[13] == 6 { return answerARP(frame, port) }
        if frame[12] == 0x86 {
            if let six, let ip = IPv6Frame(frame), ip.proto == 6 {
                let ends = DNSStreams.Way.Ends.six(machine: ip.from.bytes, gateway: ip.to.bytes)
                streams.withLock { $0 }?.take(
                    ip.payload,
                    DNSStreams.Way(port: port, machine: ip.source, gateway: six.gateway.hardware, ends: ends))
                return
            }
            let hasChanged = six?.handle(frame, port) { query, done in resolve(query, overTCP: false, done: done) }
            if hasChanged == true { updateNames() }
            return
        }
        if let udp = UDPFrame(frame) {
            if udp.toPort == 67 { answerDHCP(udp, port) } else if udp.toPort == 53 { answerDNS(udp, port) }
        } else if let ip = IPv4Frame(frame), ip.proto == 6 {
            let ends = DNSStreams.Way.Ends.four(machine: ip.from, gateway: gateway)
            streams.withLock { $0 }?.take(
                ip.payload,
                DNSStreams.Way(
                    port: port, machine: HardwareAddress(frame[6..<12]), gateway: gatewayAddress, ends: ends))
        } else if let ip = IPv4Frame(frame), ip.proto == 1, ip.payload.first == 8, ip.payload.count >= 8 {
            var echo = Array(ip.payload)
            echo.replaceSubrange(0..<4, with: [0, 0, 0, 0])
            let value = unsafe echo.withUnsafeBytes { unsafe InternetChecksum.checksum($0) }
            echo[2] = UInt8(value >> 8)
            echo[3] = UInt8(value & 255)
            reply(
                IPv4Frame.bytes(
                    source: gatewayAddress, destination: HardwareAddress(frame[6..<12]), from: gateway, to: ip.from,
                    proto: 1, payload: echo), port)
        }
    }

    private func answerARP(_ frame: [UInt8], _ port: Int) {
        guard frame.count >= 42, Array(frame[14..<22]) == [0, 1, 8, 0, 6, 4, 0, 1] else { return }
        let sender = Array(frame[22..<32])
        reply(
            Array(sender[..<6]) + gatewayAddress.bytes + [8, 6, 0, 1, 8, 0, 6, 4, 0, 2] + gatewayAddress.bytes
                + gateway.bytes + sender, port)
    }

    private func answerDHCP(_ udp: UDPFrame, _ port: Int) {
        guard let message = DHCPMessage(udp.payload), message.hardware == udp.source else { return }
        let (answer, leases) = dhcp.withLock { server -> (DHCPMessage?, [DHCPLease]?) in
            let answer = server.answer(message, port: port, now: Self.now)
            guard server.hasChanged else { return (answer, nil) }
            server.hasChanged = false
            return (answer, server.leases(now: Self.now))
        }
        if let leases { save(leases) }
        guard let answer else { return }
        if answer.kind == .ack, answer.yours.rawValue != 0 { leased(port, answer.yours) }
        let everybody = IPv4Address(rawValue: UInt32.max)
        let knows = message.client.rawValue != 0 && answer.kind != .nak
        let isBroadcast = !knows && (message.wantsBroadcast || answer.kind == .nak)
        reply(
            UDPFrame(
                source: gatewayAddress, destination: isBroadcast ? HardwareAddress.broadcast : message.hardware,
                from: gateway, to: isBroadcast ? everybody : knows ? message.client : answer.yours, fromPort: 67,
                toPort: 68, payload: answer.bytes
            ).bytes, port)
    }

    private func save(_ leases: [DHCPLease]) {
        do throws(HostError) { try file.write(leases) } catch { log.warning("Leases are not kept: \(error)") }
        updateNames()
    }

    private func answerDNS(_ udp: UDPFrame, _ port: Int) {
        @Sendable func answer(_ bytes: [UInt8]) {
            reply(
                UDPFrame(
                    source: gatewayAddress, destination: udp.source, from: gateway, to: udp.from, fromPort: 53,
                    toPort: udp.fromPort, payload: bytes
                ).bytes, port)
        }
        resolve(udp.payload, overTCP: false) { answer($0) }
    }

    /// Answers a query, now or when another server has.
    func resolve(_ query: [UInt8], overTCP: Bool, done: @escaping @Sendable ([UInt8]) -> Void) {
        if six?.takeChange() == true { updateNames() }
        switch dns.withLock({ $0.verdict(query, overTCP: overTCP) }) {
        case .drop: break
        case .answer(let bytes): done(bytes)
        case .forward(let servers): forwarder.ask(query, servers, overTCP: overTCP, done: done)
        }
    }

    /// Takes questions over TCP too, in packets that machines send to the gateway.
    func takeStreams() {
        guard dns.withLock({ $0.configuration.isEnabled }) else { return }
        let streams = DNSStreams(
            loop: loop, ask: { [weak self] query, done in self?.resolve(query, overTCP: true, done: done) },
            reply: reply)
        self.streams.withLock { $0 = streams }
    }

    // MARK: - Names

    /// Names a machine by its hardware address, or takes its name away.
    func setName(_ name: String?, of hardware: HardwareAddress) {
        names.withLock { $0[hardware] = name.flatMap { DNSName($0) } }
        updateNames()
    }

    private func updateNames() {
        let (leases, hosts) = dhcp.withLock { ($0.leases(now: Self.now), $0.configuration.hosts) }
        let given = names.withLock { $0 }
        var machines: [DNSName: IPv4Address] = [:]
        for lease in leases {
            if let name = lease.hostName.flatMap({ DNSName($0) }), machines[name] == nil {
                machines[name] = lease.address
            }
        }
        for host in hosts {
            if let address = host.address, let name = host.name.flatMap({ DNSName($0) }) { machines[name] = address }
        }
        // What the host's owner says counts more than what a machine says of itself.
        for lease in leases { if let name = given[lease.hardware] { machines[name] = lease.address } }
        let (all, six) = (machines, names6(given))
        dns.withLock { server in
            server.machines = all
            server.machines6 = six
        }
    }

    private func names6(_ given: [HardwareAddress: DNSName]) -> [DNSName: [IPv6Address]] {
        var machines: [DNSName: [IPv6Address]] = [:]
        // Machines that made their addresses themselves told them their neighbours.
        if !given.isEmpty {
            for (hardware, addresses) in six?.seen ?? [:] {
                guard let name = given[hardware] else { continue }
                machines[name] = addresses.filter { !$0.isLinkLocal }
            }
        }
        for lease in six?.leases ?? [] {
            guard let name = given[lease.hardware] ?? lease.hostName.flatMap({ DNSName($0) }) else { continue }
            if machines[name]?.contains(lease.address) != true { machines[name, default: []].append(lease.address) }
        }
        for host in six?.hosts ?? [] {
            if let address = host.address, let name = host.name.flatMap({ DNSName($0) }) { machines[name] = [address] }
        }
        return machines
    }

    // MARK: - For others

    /// The address of a machine by its name: what DHCP gave it, or what it told its neighbours.
    func address(of text: String) -> IPv4Address? {
        guard let name = DNSName(text) else { return nil }
        if let address = dns.withLock({ $0.machines[name] }) { return address }
        guard let hardware = names.withLock({ $0.first { $0.value == name }?.key }) else { return nil }
        return neighbours.withLock { $0.all[hardware]?.first }
    }

    /// An address of IPv6 of a machine by its name.
    func address6(of text: String) -> IPv6Address? {
        guard let name = DNSName(text) else { return nil }
        updateNames()
        return dns.withLock { $0.machines6[name]?.first }
    }

    var leases: [DHCPLease] { dhcp.withLock { $0.leases(now: Self.now) } }
    /// Addresses that machines told by ARP.
    var seen: [HardwareAddress: IPv4Address] { neighbours.withLock { $0.all.compactMapValues(\.first) } }

    /// Goes on with other settings; leases that hold stay.
    func update(dhcp new: DHCPConfiguration, dns names: DNSConfiguration, six new6: DHCPv6Configuration?) {
        dhcp.withLock { $0.configuration = new }
        if let new6 { six?.update(new6) }
        dns.withLock { $0.configuration = names }
        updateNames()
    }

    func forget(port: Int) {
        dhcp.withLock { $0.forget(port: port) }
        neighbours.withLock { $0.forget(port: port) }
        six?.forget(port: port)
    }
}
