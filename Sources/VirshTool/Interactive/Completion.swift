internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// How a line can go on: names of commands, of their options, and of what the daemon has.
struct Completion {
    private let shell: Shell

    init(_ shell: Shell) { self.shell = shell }

    /// For a line up to the cursor.
    func words(of line: String) -> [String] {
        // Of several commands the last one goes on.
        let last = line.split(separator: ";", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        return words(
            last.split(separator: " ", omittingEmptySubsequences: false).map(String.init).enumerated().filter {
                index, word in
                !word.isEmpty || index == last.split(separator: " ", omittingEmptySubsequences: false).count - 1
            }.map(\.element))
    }

    /// For words of which the last one is being typed.
    func words(_ words: [String]) -> [String] {
        guard words.count > 1, let name = words.first, let command = CommandGroup.command(name) else {
            let typed = words.last ?? ""
            return CommandGroup.all.flatMap(\.commands).filter { !$0.isHidden }.map(\.name)
                .filter { $0.hasPrefix(typed) }.sorted()
        }
        let typed = words[words.count - 1]
        let options = command.options
        let before = words.dropFirst().dropLast()
        if typed.hasPrefix("-") {
            let used = Set(before)
            return options.filter { option in
                if case .alias = option.kind { return false }
                return !used.contains("--\(option.name)")
            }.map { "--\($0.name)" }.filter { $0.hasPrefix(typed) }.sorted()
        }
        guard let option = wanted(options, Array(before)) else { return [] }
        return values(option.name, command.name, Array(before)).filter { $0.hasPrefix(typed) }.sorted()
    }

    /// The option that the next word is the value of.
    private func wanted(_ options: [CommandOption], _ before: [String]) -> CommandOption? {
        if let last = before.last, last.hasPrefix("--"),
            let option = options.first(where: { "--\($0.name)" == last && $0.kind != .flag })
        {
            return option
        }
        var open = options.filter(\.isPositional)
        var index = 0
        while index < before.count {
            let word = before[index]
            if word.hasPrefix("--"), let option = options.first(where: { "--\($0.name)" == word }) {
                if option.kind != .flag {
                    open.removeAll { $0.name == option.name }
                    index += 1
                }
            } else if let first = open.first, !first.takesRest {
                open.removeFirst()
            }
            index += 1
        }
        return open.first
    }

    private func values(_ option: String, _ command: String, _ before: [String]) -> [String] {
        if option == "command", command == "help" { return CommandGroup.all.flatMap(\.commands).map(\.name) }
        guard let client = try? shell.connection() else { return [] }
        func domain() -> RemoteDomain? {
            before.first { !$0.hasPrefix("-") }.flatMap {
                try? client.call(Remote.DomainLookupByName.self, .init(name: $0)).dom
            }
        }
        switch option {
        case "domain":
            // Only those on which the command can do something.
            let flags: UInt32 =
                ["start", "create"].contains(command)
                ? VirConnectListAllDomainsFlags.inactive
                : ["shutdown", "destroy", "reboot", "reset", "console", "suspend", "save"].contains(command)
                    ? VirConnectListAllDomainsFlags.active : 3
            return
                ((try? client.call(Remote.ConnectListAllDomains.self, .init(needResults: 1, flags: flags)).domains)
                ?? []).map(\.name)
        case "network":
            return ((try? client.call(Remote.ConnectListAllNetworks.self, .init(needResults: 1, flags: 0)).nets) ?? [])
                .map(\.name)
        case "pool", "inputpool":
            return
                ((try? client.call(Remote.ConnectListAllStoragePools.self, .init(needResults: 1, flags: 0)).pools) ?? [])
                .map(\.name)
        case "secret":
            return
                ((try? client.call(Remote.ConnectListAllSecrets.self, .init(needResults: 1, flags: 0)).secrets) ?? [])
                .map { "\($0.uuid)" }
        case "device" where command.hasPrefix("nodedev"):
            return
                ((try? client.call(Remote.ConnectListAllNodeDevices.self, .init(needResults: 1, flags: 0)).devices)
                ?? []).map(\.name)
        case "nwfilter":
            return
                ((try? client.call(Remote.ConnectListAllNwfilters.self, .init(needResults: 1, flags: 0)).filters) ?? [])
                .map(\.name)
        case "interface" where command.hasPrefix("iface"):
            return
                ((try? client.call(Remote.ConnectListAllInterfaces.self, .init(needResults: 1, flags: 0)).ifaces) ?? [])
                .map(\.name)
        case "snapshotname", "from":
            guard let domain = domain() else { return [] }
            return
                ((try? client.call(
                    Remote.DomainListAllSnapshots.self, .init(dom: domain, needResults: 1, flags: 0)
                ).snapshots) ?? []).map(\.name)
        case "path", "target", "interface":
            guard let domain = domain(),
                let xml = try? client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml,
                let root = XMLDocument.parse(xml)
            else { return [] }
            let place = option == "interface" ? "devices/interface/target" : "devices/disk/target"
            return root.all(place).compactMap { $0["dev"] }
        default: return []
        }
    }
}
