internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import JSON
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// Machines' taps on bridges of the host, opened here and handed over, so that no machine needs the right to make any;
/// and what goes with a card that is gone.
extension NetworkDriver {
    /// Whether machines on a network have taps.
    func usesTaps(_ live: VirtualNetwork) -> Bool {
        if NetworkProcesses.hasProcess(live) { return processes.usesBridges }
        return live.forward?.mode == "bridge" && live.bridge?.name != nil && makesTaps
    }

    /// Plugs the taps that a machine has made into their bridges. The machine has not run yet.
    func join(_ interfaces: [NetworkInterface], of machine: String) throws(LibvirtError) {
        for interface in interfaces { try join(interface, of: machine) }
    }

    func join(_ interface: NetworkInterface, of machine: String) throws(LibvirtError) {
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
        let address = HardwareAddress(mac.bytes)
        try processes.call { () throws(NetworkError) in
            try HostTap.protect(device, settings)
            try HostTap.join(device, address: address, bridge: bridge, mtu: mtu.map { Int(clamping: $0) })
            if settings.isIsolated || definition.isolated == .yes { try HostTap.isolate(device) }
            if definition.bridge?.macTableManager == "libvirt" { try HostTap.fix(device, address: address) }
            if let floor = settings.floor, let inbound = RateLimit(definition.bandwidth?.inbound) {
                let others = floors(on: definition, except: mac)
                try HostTap.share(bridge, inbound, floors: others + [(address: address, rate: floor)])
            }
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
            if let bridge = live.bridge?.name, let inbound = RateLimit(live.bandwidth?.inbound) {
                try? HostTap.share(bridge, inbound, floors: floors(on: live, except: mac))
            }
        } else if ports(of: net).contains(where: { $0.name == device && $0.owner == NetworkDriver.owner }) {
            try? processes.client.removePort(name, device)
        }
    }

    /// Opens the tap of a card that is to be on a bridge, a queue each for as many as the card has. It goes with the
    /// machine.
    func tap(
        _ interface: inout NetworkInterface, _ taken: inout Set<String>, _ passed: inout Passed
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        let device = name(&interface, &taken)
        let count = Int(min(max(interface.driver?.queues ?? 1, 1), 64))
        var known: [String] = []
        do throws(HostError) {
            for index in 0..<count {
                let queue = try TapDevice(name: device, hasHeaders: true, hasManyQueues: count > 1)
                known.append(passed.add(queue.descriptor, index == 0 ? device : "\(device)-\(index)"))
            }
        } catch { throw NetworkDriver.fail(.system("\(error)")) }
        return .openTap(known.joined(separator: ":"), vhost: try vhost(interface, count, device, &passed))
    }

    /// Opens the kernel's vhost for each queue of a card whose driver it is to be.
    private func vhost(
        _ interface: NetworkInterface, _ count: Int, _ device: String, _ passed: inout Passed
    ) throws(LibvirtError) -> String? {
        guard interface.driver?.name == "vhost" else { return nil }
        var known: [String] = []
        do throws(HostError) {
            for index in 0..<count {
                let queue = try HostFile.open(KernelVhost.networkPath, .readWrite)
                known.append(passed.add(queue, "vhost-\(device)-\(index)"))
            }
        } catch {
            throw NetworkDriver.fail(
                .system("vhost-net was requested for an interface, but is unavailable: \(error)"))
        }
        return known.joined(separator: ":")
    }
}
