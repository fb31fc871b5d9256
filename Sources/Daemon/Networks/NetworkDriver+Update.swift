internal import DomainModel
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// Changes of a part of a network, in what runs and in what is defined.
extension NetworkDriver {
    func update(
        _ net: VirtualNet, command: Int32, section: Int32, parent: Int32, _ text: String, flags: UInt32
    ) throws(LibvirtError) {
        let part: XMLTree
        do throws(DefinitionError) { part = try XMLReader.parse(text, document: "(network_update)") } catch {
            throw LibvirtError(error, VirErrorDomain.network)
        }
        try net.job.run { () throws(LibvirtError) in
            let (definition, live) = net.state.withLock { ($0.definition, $0.live) }
            var wantsLive = flags & VirNetworkUpdateFlags.live != 0
            var wantsConfig = flags & VirNetworkUpdateFlags.config != 0
            if !wantsLive && !wantsConfig { (wantsLive, wantsConfig) = (live != nil, live == nil) }
            if wantsLive, live == nil { throw NetworkDriver.fail(.operationInvalid("network is not running")) }
            if wantsConfig, definition == nil {
                throw NetworkDriver.fail(.operationInvalid("cannot change persistent config of a transient network"))
            }
            let change = NetworkChange(command: command, section: section, parent: parent, part: part)
            // Both must be possible before either is done.
            let newLive = wantsLive ? try live.map { (old) throws(LibvirtError) in try change.applied(old) } : nil
            let newDefinition =
                wantsConfig ? try definition.map { (old) throws(LibvirtError) in try change.applied(old) } : nil
            if let newLive, NetworkProcesses.hasProcess(newLive) {
                try processes.call { () throws(NetworkError) in try processes.client.update(newLive) }
            }
            if let newDefinition { try keep(net, newDefinition) }
            if let newLive { try keepLive(net, newLive) }
        }
    }
}

/// One change of a network's document.
private struct NetworkChange {
    let command: Int32
    let section: Int32
    let parent: Int32
    let part: XMLTree

    private typealias Section = VirNetworkUpdateSection
    private typealias Command = VirNetworkUpdateCommand

    /// The elements above the part, its name, and what tells two of them apart.
    private var place: (path: [String], name: String, keys: [String])? {
        switch section {
        case Section.ipDhcpHost: (["ip", "dhcp"], "host", ["mac", "ip", "name"])
        case Section.ipDhcpRange: (["ip", "dhcp"], "range", ["start", "end"])
        case Section.forwardInterface: (["forward"], "interface", ["dev"])
        case Section.portgroup: ([], "portgroup", ["name"])
        case Section.dnsHost: (["dns"], "host", ["ip"])
        case Section.dnsTxt: (["dns"], "txt", ["name"])
        case Section.dnsSrv: (["dns"], "srv", ["service", "protocol"])
        default: nil
        }
    }

    func applied(_ network: VirtualNetwork) throws(LibvirtError) -> VirtualNetwork {
        guard let place else {
            throw NetworkDriver.fail(
                .operationUnsupported("can't update section \(section) of network '\(network.name)'"))
        }
        guard part.name == place.name else {
            throw NetworkDriver.fail(
                .xml("unexpected element <\(part.name)>, expecting <\(place.name)>, while updating network"))
        }
        var tree = network.tree()
        try change(&tree, place.path[...], place, network)
        do throws(DefinitionError) { return try VirtualNetwork(tree: tree) } catch {
            throw LibvirtError(error, VirErrorDomain.network)
        }
    }

    /// Goes down to the parent of the part and changes it.
    private func change(
        _ element: inout XMLTree, _ path: ArraySlice<String>, _ place: (path: [String], name: String, keys: [String]),
        _ network: VirtualNetwork
    ) throws(LibvirtError) {
        guard let name = path.first else { return try change(&element, place.name, place.keys, network) }
        // A network may have several addresses: the number says which; -1 the first that can.
        let candidates = element.nodes.indices.filter {
            if case .element(let child) = element.nodes[$0] { child.name == name } else { false }
        }
        var index = candidates.first
        if name == "ip" {
            if parent >= 0 {
                index = Int(parent) < candidates.count ? candidates[Int(parent)] : nil
            } else {
                index =
                    candidates.first {
                        if case .element(let child) = element.nodes[$0] { child.child("dhcp") != nil } else { false }
                    } ?? candidates.first
            }
            if index == nil {
                throw NetworkDriver.fail(
                    .operationFailed(
                        "couldn't update dhcp \(place.name) entry - no <ip> element found at index \(parent) in "
                            + "network '\(network.name)'"))
            }
        }
        if let index, case .element(var child) = element.nodes[index] {
            try change(&child, path.dropFirst(), place, network)
            element.nodes[index] = .element(child)
        } else {
            var child = XMLTree(name)
            try change(&child, path.dropFirst(), place, network)
            element.append(child)
        }
    }

    private func change(
        _ element: inout XMLTree, _ name: String, _ keys: [String], _ network: VirtualNetwork
    ) throws(LibvirtError) {
        let wanted = keys.compactMap { key in part[key].map { (key, $0.lowercased()) } }
        // Entries with a key in common are one; a deletion must agree in all that it names.
        func matches(_ child: XMLTree) -> Bool {
            guard child.name == name, !wanted.isEmpty else { return false }
            let same = wanted.filter { child[$0.0]?.lowercased() == $0.1 }
            return command == Command.delete || name == "range" || name == "srv"
                ? same.count == wanted.count : !same.isEmpty
        }
        let index = element.nodes.firstIndex {
            if case .element(let child) = $0 { matches(child) } else { false }
        }
        let what = wanted.map { "\($0.0)='\($0.1)'" }.joined(separator: " ")
        switch command {
        case Command.modify:
            guard let index else { throw missing(name, what, network) }
            if name == "range" {
                throw NetworkDriver.fail(
                    .operationInvalid("dhcp ranges cannot be modified, only added or deleted"))
            }
            element.nodes[index] = .element(part)
        case Command.delete:
            guard let index else { throw missing(name, what, network) }
            element.nodes.remove(at: index)
        case Command.addFirst, Command.addLast:
            guard index == nil else {
                throw NetworkDriver.fail(
                    .operationInvalid(
                        "there is an existing \(describe(name)) entry in network '\(network.name)' that matches "
                            + "\"<\(name) \(what)/>\""))
            }
            let first = element.nodes.firstIndex {
                if case .element(let child) = $0 { child.name == name } else { false }
            }
            element.nodes.insert(
                .element(part), at: command == Command.addFirst ? first ?? element.nodes.count : element.nodes.count)
        default:
            throw NetworkDriver.fail(.invalidArgument("unrecognized network update command code \(command)"))
        }
    }

    private func describe(_ name: String) -> String {
        switch section {
        case Section.ipDhcpHost, Section.ipDhcpRange: "dhcp \(name)"
        case Section.dnsHost, Section.dnsTxt, Section.dnsSrv: "DNS \(name)"
        default: name
        }
    }

    private func missing(_ name: String, _ what: String, _ network: VirtualNetwork) -> LibvirtError {
        NetworkDriver.fail(
            .operationInvalid(
                "couldn't locate an existing \(describe(name)) entry with \"\(what)\" in network '\(network.name)'"))
    }
}
