internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// A card of a machine that runs, in its live form.
struct LiveCard: Sendable {
    /// The machine's name.
    let machine: String
    /// Whether its frames have headers: where its program is ours.
    let hasHeaders: Bool
    let interface: NetworkInterface
}

/// Machines' cards on networks.
extension NetworkDriver {
    /// Descriptors that a machine is given with its cards.
    struct Passed {
        /// The number of the first, for a process that inherits them; nil: they have names, for `getfd`.
        let first: Int32?
        private(set) var all: [(name: String, descriptor: Descriptor)] = []

        init(first: Int32?) { self.first = first }

        /// Adds one; what the machine knows it by.
        mutating func add(_ descriptor: Descriptor, _ name: String) -> String {
            let known = first.map { "\($0 + Int32(all.count))" } ?? "fd-\(name)"
            all.append((known, descriptor))
            return known
        }
    }

    /// Plugs the cards of a machine that starts into their networks: what the machine is to be told of each, by the
    /// card's place. The domain gets the names that clients look for.
    ///
    /// - Parameter taken: names of cards that run already.
    func attach(
        _ domain: inout DomainModel.Domain, emulator: Emulator, taken: Set<String>, passed: inout Passed
    ) throws(LibvirtError) -> [Int: LaunchPlan.Attachment] {
        var attachments: [Int: LaunchPlan.Attachment] = [:]
        var taken = taken
        for device in domain.devices.hostdevs where device.type == "pci" {
            if let address = device.source?.address?.pci { try HostAssignment.check(address, emulator: emulator) }
        }
        for index in domain.devices.interfaces.indices {
            attachments[index] = try attach(
                &domain.devices.interfaces[index], of: domain.name, emulator: emulator, taken: &taken, passed: &passed)
        }
        return attachments
    }

    /// Plugs one card in; nil where its definition says all.
    func attach(
        _ interface: inout NetworkInterface, of machine: String, emulator: Emulator, taken: inout Set<String>,
        passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment? {
        switch interface.type {
        case .hostdev:
            if let address = interface.source?.hostAddress?.pci {
                try HostAssignment.check(address, emulator: emulator)
            }
            return nil
        case .network where mode(of: interface.source?.network ?? "default") == "hostdev":
            try assign(&interface, emulator)
            return nil
        case .network: return try attachToNetwork(&interface, machine, emulator, &taken, &passed)
        case .direct:
            guard makesTaps, let link = interface.source?.dev else { return nil }
            let mode = interface.source?.mode ?? "vepa"
            return try macvtap(&interface, on: link, mode, VirtualNetwork(), &taken, &passed)
        case .bridge where makesTaps:
            try check(interface, machine, VirtualNetwork())
            return try tap(&interface, &taken, &passed)
        default: return nil
        }
    }

    private func mode(of name: String) -> String? {
        (try? find(name: name))?.state.withLock { $0.live?.forward?.mode }
    }

    /// Gives a card a device of its network's: what the machine has then is a device of the host.
    private func assign(_ interface: inout NetworkInterface, _ emulator: Emulator) throws(LibvirtError) {
        let net = try find(name: interface.source?.network ?? "default")
        guard let live = net.state.withLock({ $0.live }) else {
            throw NetworkDriver.fail(.operationInvalid("network '\(net.name)' is not active"))
        }
        let used = Set(liveCards.compactMap { $0.interface.source?.hostAddress?.pci?.text })
        let address = try HostAssignment.free(live, used: used)
        try HostAssignment.check(address, emulator: emulator)
        interface.type = .hostdev
        var host = HostAddress()
        (host.type, host.domain, host.bus) = ("pci", address.domain, "0x" + String(address.bus, radix: 16))
        (host.slot, host.function) = (address.slot, address.function)
        interface.source?.hostAddress = host
    }

    /// Whether machines on bridges have taps that are named and plugged in here; otherwise QEMU's helper makes them.
    var makesTaps: Bool { HostIdentity.userID == 0 && HostLink.mayChange }

    private func attachToNetwork(
        _ interface: inout NetworkInterface, _ machine: String, _ emulator: Emulator, _ taken: inout Set<String>,
        _ passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        let name = interface.source?.network ?? "default"
        let net = try find(name: name)
        guard let live = net.state.withLock({ $0.live }) else {
            throw NetworkDriver.fail(.operationInvalid("network '\(name)' is not active"))
        }
        interface.source?.bridge = live.bridge?.name
        if interface.source?.portID == nil { interface.source?.portID = UUIDBytes.random().description }
        guard NetworkProcesses.hasProcess(live) else {
            if live.bridge?.name == nil, let link = macvtapLink(live), let mode = live.forward?.mode, makesTaps {
                return try macvtap(&interface, on: link, mode, live, &taken, &passed)
            }
            guard live.forward?.mode == "bridge", let bridge = live.bridge?.name else {
                throw NetworkDriver.fail(
                    .configUnsupported(
                        "network '\(name)' of forward mode '\(live.forward?.mode ?? "")' needs devices of the host"))
            }
            guard makesTaps else { return .bridge(bridge) }
            try check(interface, machine, live)
            return try tap(&interface, &taken, &passed)
        }
        if processes.usesBridges {
            try check(interface, machine, live)
            return try tap(&interface, &taken, &passed)
        }
        guard emulator.isApus || emulator.version >= 7_002_000 else {
            return .userNetwork(try userNetwork(live, &interface, &taken))
        }
        for port in ports(of: net) where port.owner != NetworkDriver.owner { taken.insert(port.name) }
        let device = self.name(&interface, &taken)
        let settings = try settings(interface, machine, live, hasHeaders: emulator.isApus)
        let path = try processes.call { () throws(NetworkError) in
            // What a machine left that ended while no daemon looked.
            try? processes.client.removePort(name, device)
            return try processes.client.addPort(name, settings)
        }
        return .stream(path: path, options: NetworkDriver.streamOptions(emulator))
    }

    /// What cannot be kept out or limited on a bridge must not seem to be.
    private func check(
        _ interface: NetworkInterface, _ machine: String, _ network: VirtualNetwork
    ) throws(LibvirtError) {
        var settings = try settings(interface, machine, network, hasHeaders: false)
        settings.name = "port"
        do throws(NetworkError) { try HostTap.check(settings) } catch {
            throw NetworkDriver.fail(.configUnsupported(error.description))
        }
    }

    /// A switch that was killed comes back under the same path.
    private static func streamOptions(_ emulator: Emulator) -> JSONObject {
        if emulator.isApus { return ["reconnect": 1, "vnet_hdr": true] }
        if emulator.version >= 9_002_000 { return ["reconnect-ms": 1000] }
        return emulator.version >= 8_000_000 ? ["reconnect": 1] : [:]
    }

    /// For emulators without stream sockets: NAT of their own, with the network's addresses.
    private func userNetwork(
        _ live: VirtualNetwork, _ interface: inout NetworkInterface, _ taken: inout Set<String>
    ) throws(LibvirtError) -> LaunchPlan.UserNetwork {
        _ = name(&interface, &taken)
        guard let subnet = IPv4Subnet(live) else {
            throw NetworkDriver.fail(.configUnsupported("the emulator has no stream sockets for '\(live.name)'"))
        }
        var user = LaunchPlan.UserNetwork(
            network: "\(IPv4Subnet.text(subnet.network))/\(subnet.prefix)", host: IPv4Subnet.text(subnet.address),
            nameServer: IPv4Subnet.text(subnet.spare))
        user.domainName = live.domain?.name
        // Without forwarding the guest reaches the host and its neighbours only.
        user.isRestricted = live.forward?.mode == nil || live.forward?.mode == "none"
        return user
    }

    /// The card of the host that a network of a macvtap mode is on: the one with the fewest machines.
    private func macvtapLink(_ live: VirtualNetwork) -> String? {
        let links = (live.forward?.interfaces.map(\.dev) ?? []) + [live.forward?.dev].compactMap { $0 }
        let used = liveCards.compactMap { $0.interface.source?.dev }
        return links.filter { !$0.isEmpty }.min { one, other in
            used.count { $0 == one } < used.count { $0 == other }
        }
    }

    /// Who made a macvtap: this daemon's, as others are told from it by their folders.
    var macvtapOwner: String { "apus \(processes.client.paths.run)" }

    private func macvtap(
        _ interface: inout NetworkInterface, on link: String, _ mode: String, _ network: VirtualNetwork,
        _ taken: inout Set<String>, _ passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        let limits = try macvtapLimits(interface, network)
        guard let mac = interface.mac else { throw NetworkDriver.fail(.internalError("a card has no address")) }
        // Others' may be there.
        let present = Set((try? HostFolder.names(in: "/sys/class/net")) ?? [])
        let device = name(&interface, prefix: "macvtap", &taken, besides: present)
        interface.source?.dev = link
        if interface.type == .direct { interface.source?.mode = mode }
        let (name, mtu) = (device, interface.mtu.map { Int(clamping: $0) })
        let descriptor = try processes.call { () throws(NetworkError) in
            let made = try MacVTap.open(
                name, on: link, mode: mode, address: HardwareAddress(mac.bytes), mtu: mtu, owner: macvtapOwner)
            do throws(NetworkError) {
                if limits.inbound != nil || limits.outbound != nil {
                    try MacVTap.limit(name, inbound: limits.inbound, outbound: limits.outbound)
                }
            } catch {
                MacVTap.remove(name)
                throw error
            }
            return made
        }
        return .openTap(passed.add(descriptor, device))
    }

    /// The limits of a card on a card of the host, where nothing filters and no tags are known: what asks for that must
    /// not seem to get it.
    func macvtapLimits(
        _ interface: NetworkInterface, _ network: VirtualNetwork
    ) throws(LibvirtError) -> (inbound: RateLimit?, outbound: RateLimit?) {
        if interface.filter != nil {
            throw NetworkDriver.fail(
                .configUnsupported("filterref is not supported for network interfaces of type direct"))
        }
        let settings = try settings(interface, "", network, hasHeaders: false)
        guard settings.vlan == nil, settings.trunk.isEmpty else {
            throw NetworkDriver.fail(
                .configUnsupported(
                    "an interface of type 'direct' is requesting a vlan tag, but that is not supported for this type "
                        + "of connection"))
        }
        return (settings.inbound, settings.outbound)
    }

    /// Names a card as clients expect, unless its definition does: `vnet0`.
    func name(
        _ interface: inout NetworkInterface, prefix: String = "vnet", _ taken: inout Set<String>,
        besides present: Set<String> = []
    ) -> String {
        var device = self.name(interface.mac, prefix: prefix, besides: taken.union(present))
        if let given = interface.target?.dev, !given.hasPrefix(prefix), !given.hasPrefix("vnet") {
            device = given
            if let mac = interface.mac { note(mac, given) }
        } else {
            if interface.target == nil { interface.target = NetworkInterface.Target() }
            interface.target?.dev = device
        }
        taken.insert(device)
        return device
    }

    // MARK: - Ports

    /// Who made a port of a switch: others' are left alone.
    static let owner = "apus daemon"

    /// What a card asks of its port, with what its port group says.
    func settings(
        _ interface: NetworkInterface, _ machine: String, _ network: VirtualNetwork, hasHeaders: Bool
    ) throws(LibvirtError) -> PortSettings {
        var port = PortSettings(name: interface.target?.dev ?? "")
        port.owner = NetworkDriver.owner
        port.machine = machine
        port.address = interface.mac.map { HardwareAddress($0.bytes) }
        port.isIsolated = interface.isolated == .yes
        port.hasHeaders = hasHeaders
        let group = NetworkDriver.group(interface, network)
        let bandwidth = interface.bandwidth ?? group?.bandwidth
        port.inbound = RateLimit(bandwidth?.inbound)
        port.outbound = RateLimit(bandwidth?.outbound)
        if let vlan = interface.vlan ?? group?.vlan ?? network.vlan {
            let tags = vlan.tags.compactMap { UInt16(exactly: $0.id) }
            let native = vlan.tags.first { $0.nativeMode != nil }.flatMap { UInt16(exactly: $0.id) }
            if vlan.trunk == .yes || tags.count > 1 {
                port.trunk = tags
                port.vlan = native
            } else {
                port.vlan = tags.first
            }
        }
        if let filter = interface.filter { try filters.apply(filter, to: &port) }
        let isOfOthers = [interface.virtualPort, group?.virtualPort, network.virtualPort].contains { $0?.type != nil }
        if isOfOthers {
            throw NetworkDriver.fail(
                .configUnsupported("<virtualport> needs a switch that is not of this host's kernel, and not ours"))
        }
        port.floor = try floor(bandwidth, interface, network)
        return port
    }

    /// The group of ports that a card is of.
    static func group(_ interface: NetworkInterface, _ network: VirtualNetwork) -> VirtualNetwork.PortGroup? {
        let wanted = interface.source?.portgroup
        return network.portGroups.first { wanted == nil ? $0.isDefault == .yes : $0.name == wanted }
    }

    func ports(of net: VirtualNet) -> [(name: String, owner: String?)] {
        let answer = (try? processes.client.call(net.name, "ports"))?.arrayValue ?? []
        return answer.compactMap { port in
            port["name"]?.stringValue.map { ($0, port["owner"]?.stringValue) }
        }
    }

    /// The daemon has come back: ports of machines that have gone go, and those of machines that run are there.
    func plugAgain() {
        for net in all where net.isActive { plugAgain(net) }
        guard makesTaps else { return }
        let used = Set(liveCards.compactMap { $0.interface.target?.dev }).union(names)
        HostTap.releaseStale()
        for device in MacVTap.all(of: macvtapOwner) where !used.contains(device) { MacVTap.remove(device) }
        MacVTap.releaseStale()
    }

    /// Plugs cards of machines that run into a network that has just started, or that was found again.
    func plugAgain(_ net: VirtualNet) {
        guard let live = net.state.withLock({ $0.live }) else { return }
        let cards = liveCards.filter { $0.interface.type == .network && $0.interface.source?.network == net.name }
        if usesTaps(live) {
            for card in cards { try? join(card.interface, of: card.machine) }
            return
        }
        guard NetworkProcesses.hasProcess(live) else { return }
        let present = ports(of: net)
        let wanted = Set(cards.compactMap { $0.interface.target?.dev }).union(names)
        for port in present where port.owner == NetworkDriver.owner && !wanted.contains(port.name) {
            try? processes.client.removePort(net.name, port.name)
        }
        for card in cards where !present.contains(where: { $0.name == card.interface.target?.dev }) {
            do throws(LibvirtError) {
                let settings = try settings(card.interface, card.machine, live, hasHeaders: card.hasHeaders)
                _ = try processes.call { () throws(NetworkError) in
                    try processes.client.addPort(net.name, settings)
                }
            } catch { log.error("Machine '\(card.machine)' cannot be put back on network '\(net.name)': \(error)") }
        }
    }
}
