internal import DomainModel
internal import RPCWire
internal import Synchronization

extension Call {
    var networks: NetworkDriver { session.daemon.networks }
}

extension HandlerTable {
    /// Virtual networks.
    mutating func addNetworks() {
        add(Remote.ConnectNumOfNetworks.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.networks.all.filter(\.isActive).count))
        }
        add(Remote.ConnectListNetworks.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = call.networks.all.filter(\.isActive).map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectNumOfDefinedNetworks.self, .loop) { (call, _) throws(LibvirtError) in
            .init(num: Int32(clamping: call.networks.all.filter { !$0.isActive }.count))
        }
        add(Remote.ConnectListDefinedNetworks.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = call.networks.all.filter { !$0.isActive }.map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.ConnectListAllNetworks.self, .loop) { (call, arguments) throws(LibvirtError) in
            typealias Flags = VirConnectListAllNetworksFlags
            let filter = ListFilter(flags: arguments.flags)
            let nets = call.networks.all.filter { net in
                filter.admits(net.isActive, Flags.active, Flags.inactive)
                    && filter.admits(net.isPersistent, Flags.persistent, Flags.transient)
                    && filter.admits(net.state.withLock { $0.autostart }, Flags.autostart, Flags.noAutostart)
            }
            return .init(
                nets: arguments.needResults != 0 ? nets.map(\.reference) : [], ret: UInt32(clamping: nets.count))
        }
        add(Remote.NetworkLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.find(name: arguments.name).reference)
        }
        add(Remote.NetworkLookupByUUID.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.find(uuid: arguments.uuid).reference)
        }
        add(Remote.NetworkGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            let net = try call.networks.find(arguments.net)
            let inactive = arguments.flags & VirNetworkXMLFlags.inactive != 0
            var network = net.state.withLock { inactive ? $0.definition ?? $0.current : $0.current }
            let users = call.driver.cards(on: net.name)
            if !inactive, net.isActive, users > 0 { network.connections = UInt32(clamping: users) }
            return .init(xml: network.xml(options: inactive ? [.inactive] : []))
        }
        add(Remote.NetworkGetBridgeName.self, .loop) { (call, arguments) throws(LibvirtError) in
            let net = try call.networks.find(arguments.net)
            guard let name = net.state.withLock({ $0.current.bridge?.name }) else {
                throw NetworkDriver.fail(.internalError("network '\(net.name)' does not have a bridge name."))
            }
            return .init(name: name)
        }
        add(Remote.NetworkGetAutostart.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(autostart: try call.networks.find(arguments.net).state.withLock { $0.autostart } ? 1 : 0)
        }
        add(Remote.NetworkIsActive.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(active: try call.networks.find(arguments.net).isActive ? 1 : 0)
        }
        add(Remote.NetworkIsPersistent.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(persistent: try call.networks.find(arguments.net).isPersistent ? 1 : 0)
        }
        add(Remote.NetworkGetDHCPLeases.self, .loop) { (call, arguments) throws(LibvirtError) in
            let net = try call.networks.find(arguments.net)
            let mac = arguments.mac.flatMap { MACAddress(xml: $0) }
            if let text = arguments.mac, mac == nil {
                throw NetworkDriver.fail(.invalidArgument("malformed MAC address '\(text)'"))
            }
            let leases = call.networks.leases(net, mac: mac)
            return .init(leases: arguments.needResults != 0 ? leases : [], ret: UInt32(clamping: leases.count))
        }
        add(Remote.NetworkListAllPorts.self, .loop) { (call, arguments) throws(LibvirtError) in
            let net = try call.networks.find(arguments.network)
            guard net.isActive else {
                throw LibvirtError.operationInvalid("network '\(net.name)' is not active").from(VirErrorDomain.network)
            }
            let ports = call.driver.ports(on: net.name).map { RemoteNetworkPort(net: net.reference, uuid: $0) }
            return .init(ports: arguments.needResults != 0 ? ports : [], ret: UInt32(clamping: ports.count))
        }
        addNetworkChanges()
    }

    private mutating func addNetworkChanges() {
        add(Remote.NetworkDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.define(arguments.xml).reference)
        }
        add(Remote.NetworkDefineXMLFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.define(arguments.xml).reference)
        }
        add(Remote.NetworkCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.create(arguments.xml).reference)
        }
        add(Remote.NetworkCreateXMLFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            .init(net: try call.networks.create(arguments.xml).reference)
        }
        add(Remote.NetworkCreate.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.networks.start(try call.networks.find(arguments.net))
        }
        add(Remote.NetworkDestroy.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.networks.stop(try call.networks.find(arguments.net))
        }
        add(Remote.NetworkUndefine.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.networks.undefine(try call.networks.find(arguments.net))
        }
        add(Remote.NetworkSetAutostart.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.networks.setAutostart(try call.networks.find(arguments.net), arguments.autostart != 0)
        }
        add(Remote.NetworkUpdate.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.networks.update(
                try call.networks.find(arguments.net), command: Int32(clamping: arguments.command),
                section: Int32(clamping: arguments.section), parent: arguments.parentIndex, arguments.xml,
                flags: arguments.flags)
        }
    }
}

extension DomainDriver {
    private func live(on network: String) -> [XMLTree] {
        list.all.flatMap { domain -> [XMLTree] in
            guard let live = domain.state.withLock({ $0.live }) else { return [] }
            return DomainFigures.devices(live, "interface").filter {
                $0["type"] == "network" && $0.child("source")?["network"] == network
            }
        }
    }

    /// Cards of running machines on a network.
    func cards(on network: String) -> Int { live(on: network).count }

    /// Their plugs.
    func ports(on network: String) -> [UUIDBytes] {
        live(on: network).compactMap { $0.child("source")?["portid"].flatMap { UUIDBytes($0) } }
    }
}
