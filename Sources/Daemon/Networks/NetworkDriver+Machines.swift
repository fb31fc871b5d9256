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
            return try macvtap(&interface, on: link, interface.source?.mode ?? "vepa", &taken, &passed)
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
                return try macvtap(&interface, on: link, mode, &taken, &passed)
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
    private var macvtapOwner: String { "apus \(processes.client.paths.run)" }

    private func macvtap(
        _ interface: inout NetworkInterface, on link: String, _ mode: String, _ taken: inout Set<String>,
        _ passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        guard let mac = interface.mac else { throw NetworkDriver.fail(.internalError("a card has no address")) }
        // Others' may be there.
        let present = Set((try? HostFolder.names(in: "/sys/class/net")) ?? [])
        let device = name(&interface, prefix: "macvtap", &taken, besides: present)
        interface.source?.dev = link
        if interface.type == .direct { interface.source?.mode = mode }
        let (name, mtu) = (device, interface.mtu.map { Int(clamping: $0) })
        let descriptor = try processes.call { () throws(NetworkError) in
            try MacVTap.open(
                name, on: link, mode: mode, address: HardwareAddress(mac.bytes), mtu: mtu, owner: macvtapOwner)
        }
        return .openTap(passed.add(descriptor, device))
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
    private static let owner = "apus daemon"

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
        let wanted = interface.source?.portgroup
        let group = network.portGroups.first { wanted == nil ? $0.isDefault == .yes : $0.name == wanted }
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
        return port
    }

    private func ports(of net: VirtualNet) -> [(name: String, owner: String?)] {
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

    // MARK: - Taps

    /// Whether machines on a network have taps.
    private func usesTaps(_ live: VirtualNetwork) -> Bool {
        if NetworkProcesses.hasProcess(live) { return processes.usesBridges }
        return live.forward?.mode == "bridge" && live.bridge?.name != nil && makesTaps
    }

    /// Plugs the taps that a machine has made into their bridges. The machine has not run yet.
    func join(_ interfaces: [NetworkInterface], of machine: String) throws(LibvirtError) {
        for interface in interfaces { try join(interface, of: machine) }
    }

    private func join(_ interface: NetworkInterface, of machine: String) throws(LibvirtError) {
        var (mtu, network, definition): (UInt32?, String?, VirtualNetwork) = (interface.mtu, nil, VirtualNetwork())
        switch interface.type {
        case .bridge: guard makesTaps else { return }
        case .network:
            guard let net = try? find(name: interface.source?.network ?? "default"),
                let live = net.state.withLock({ $0.live }), usesTaps(live)
            else { return }
            (mtu, definition) = (mtu ?? live.mtu, live)
            if NetworkProcesses.hasProcess(live) { network = net.name }
        default: return
        }
        guard let device = interface.target?.dev, let bridge = interface.source?.bridge, let mac = interface.mac else {
            return
        }
        let settings = try settings(interface, machine, definition, hasHeaders: false)
        try processes.call { () throws(NetworkError) in
            try HostTap.protect(device, settings)
            try HostTap.join(
                device, address: HardwareAddress(mac.bytes), bridge: bridge, mtu: mtu.map { Int(clamping: $0) })
            if settings.isIsolated || definition.isolated == .yes { try HostTap.isolate(device) }
            if let network {
                try processes.client.call(network, "name", ["mac": .string(mac.xml), "name": .string(machine)])
            }
        }
    }

    /// The machine of a live form has ended, or one of its cards is gone.
    func release(_ interface: XMLTree) {
        guard let mac = interface.child("mac")?["address"].flatMap({ MACAddress(xml: $0) }) else { return }
        // A definition's own word counts less than what its card was given.
        let device = name(of: mac) ?? interface.child("target")?["dev"]
        forget(mac)
        // What other programs have made keeps its name to itself: this takes macvtaps alone.
        if let device, device.hasPrefix("macvtap"), MacVTap.all(of: macvtapOwner).contains(device) {
            return MacVTap.remove(device)
        }
        if makesTaps, let device, interface["type"] == "network" || interface["type"] == "bridge" {
            HostTap.release(device)
        }
        guard interface["type"] == "network", let device, let name = interface.child("source")?["network"],
            let net = try? find(name: name), let live = net.state.withLock({ $0.live }),
            NetworkProcesses.hasProcess(live)
        else { return }
        if processes.usesBridges {
            _ = try? processes.client.call(name, "name", ["mac": .string(mac.xml)])
        } else if ports(of: net).contains(where: { $0.name == device && $0.owner == NetworkDriver.owner }) {
            try? processes.client.removePort(name, device)
        }
    }
}
