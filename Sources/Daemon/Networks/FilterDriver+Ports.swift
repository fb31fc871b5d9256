internal import DomainModel
internal import NetworkSwitch
internal import RPCWire

/// Filters for the ports of machines: with all that they include, and with values for their variables.
extension FilterDriver {
    private typealias Variables = [String: [String]]
    /// Filters within filters, and rules that the values of variables make of one.
    private static let depthLimit = 16
    private static let ruleLimit = 4096

    /// Names of libvirt's own filters that forbid nothing.
    private static let harmless: Set<String> = [
        "allow-arp", "allow-dhcp", "allow-dhcp-server", "allow-incoming-ipv4", "allow-incoming-ipv6", "allow-ipv4",
        "allow-ipv6", "qemu-announce-self", "qemu-announce-self-rarp",
    ]

    /// Has a port keep out what a filter forbids.
    func apply(_ reference: FilterReference, to port: inout PortSettings) throws(LibvirtError) {
        var variables: Variables = [:]
        if let address = port.address { variables["MAC"] = ["\(address)"] }
        try add(reference, variables, 0, &port)
    }

    private func add(
        _ reference: FilterReference, _ outer: Variables, _ depth: Int, _ port: inout PortSettings
    ) throws(LibvirtError) {
        guard depth < Self.depthLimit else {
            throw FilterDriver.fail(.internalError("filter '\(reference.filter)' includes itself"))
        }
        var variables = outer
        for (name, values) in Dictionary(grouping: reference.parameters, by: \.name) {
            variables[name] = values.map(\.value)
        }
        for address in variables["IP"] ?? [] { port.addOnce(address: address) }
        guard let filter = all.first(where: { $0.name == reference.filter }) else {
            // libvirt brings these; ours are the switch's own.
            if let known = PortFilter(name: reference.filter) {
                port.filter.formUnion(known)
            } else if !Self.harmless.contains(reference.filter) {
                _ = try find(name: reference.filter)
            }
            return
        }
        var own = NetworkFilter()
        (own.name, own.chain, own.priority) = (filter.name, filter.chain, filter.priority)
        for entry in filter.entries {
            switch entry {
            case .include(let inner): try add(inner, variables, depth + 1, &port)
            case .rule(let rule):
                var one = rule
                one.matches = []
                for tree in rule.matches { one.matches += try Self.expand(tree, variables) }
                own.entries.append(.rule(one))
                guard own.entries.count <= Self.ruleLimit, one.matches.count <= Self.ruleLimit else {
                    throw FilterDriver.fail(.internalError("filter '\(filter.name)' has too many rules"))
                }
            }
        }
        if !own.entries.isEmpty { port.rules.append(own.xml()) }
    }

    /// A match for each combination of its variables' values.
    private static func expand(_ tree: XMLTree, _ variables: Variables) throws(LibvirtError) -> [XMLTree] {
        guard let place = tree.attributes.firstIndex(where: { $0.value.hasPrefix("$") && $0.value != "$IP" })
            ?? tree.attributes.firstIndex(where: { $0.value == "$IP" && variables["IP"] != nil })
        else { return [tree] }
        let text = tree.attributes[place].value
        // `$NAME[@1]` walks the values as `$NAME` does; `$NAME[2]` is one of them.
        let parts = text.dropFirst().split(separator: "[", maxSplits: 1).map(String.init)
        let name = parts.first ?? ""
        guard var values = variables[name], !values.isEmpty else {
            throw FilterDriver.fail(.internalError("Could not find value for variable '\(name)' in the filter"))
        }
        if parts.count > 1, let index = Int(parts[1].dropLast()) {
            guard values.indices.contains(index) else {
                throw FilterDriver.fail(.internalError("variable '\(name)' has no value \(index)"))
            }
            values = [values[index]]
        }
        var result: [XMLTree] = []
        for value in values {
            var one = tree
            one.set(tree.attributes[place].name, value)
            // A value that is a variable again would have no end.
            guard !value.hasPrefix("$") else { throw FilterDriver.fail(.invalidArgument("'\(value)' is no value")) }
            result += try expand(one, variables)
            guard result.count <= Self.ruleLimit else { break }
        }
        return result
    }
}
