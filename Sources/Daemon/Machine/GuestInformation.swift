internal import DomainModel
internal import JSON
internal import RPCWire
internal import Synchronization

/// What `virsh guestinfo` shows, by the names of libvirt's typed parameters (`VIR_DOMAIN_GUEST_INFO_…`).
struct GuestInformation {
    private(set) var parameters: [RemoteTypedParam] = []
    /// More of one kind is not shown.
    private static let most = 256

    private mutating func add(_ name: String, _ value: JSONValue?) {
        if let text = value?.stringValue { parameters.append(.init(field: name, value: .string(text))) }
    }

    private mutating func add(_ name: String, number: Int64?) {
        if let number { parameters.append(.init(field: name, value: .ulong(UInt64(clamping: number)))) }
    }

    private mutating func count(_ name: String, _ list: Int) {
        parameters.append(.init(field: name + ".count", value: .uint(UInt32(clamping: list))))
    }

    /// `types`: users 1, system 2, time zone 4, host name 8, file systems 16, disks 32, interfaces 64; 0 is all.
    init(_ domain: Domain, types: UInt32) throws(LibvirtError) {
        let live = domain.state.withLock { $0.current }
        // One that the agent does not know is left out, unless it alone was asked for.
        var failure: LibvirtError?
        func ask(_ type: UInt32, _ command: String) -> JSONValue? {
            guard types == 0 || types & type != 0 else { return nil }
            do throws(LibvirtError) { return try GuestAgent.execute(domain, command) } catch {
                failure = error
                return nil
            }
        }
        if let users = ask(1, "guest-get-users")?.arrayValue?.prefix(Self.most) {
            count("user", users.count)
            for (index, user) in users.enumerated() {
                add("user.\(index).name", user["user"])
                add("user.\(index).domain", user["domain"])
                // Seconds there, milliseconds here.
                add(
                    "user.\(index).login-time",
                    number: user["login-time"]?.doubleValue.flatMap { Int64(exactly: ($0 * 1000).rounded()) })
            }
        }
        if let system = ask(2, "guest-get-osinfo") {
            for name in [
                "id", "name", "pretty-name", "version", "version-id", "machine", "variant", "variant-id",
                "kernel-release", "kernel-version",
            ] { add("os." + name, system[name]) }
        }
        if let zone = ask(4, "guest-get-timezone") {
            add("timezone.name", zone["zone"])
            parameters.append(
                .init(field: "timezone.offset", value: .int(Int32(clamping: zone["offset"]?.int64Value ?? 0))))
        }
        if let name = ask(8, "guest-get-host-name") { add("hostname", name["host-name"]) }
        if let systems = ask(16, "guest-get-fsinfo")?.arrayValue?.prefix(Self.most) {
            count("fs", systems.count)
            for (index, system) in systems.enumerated() { addFileSystem("fs.\(index)", system, live) }
        }
        if let disks = ask(32, "guest-get-disks")?.arrayValue?.prefix(Self.most) {
            count("disk", disks.count)
            for (index, disk) in disks.enumerated() { addDisk("disk.\(index)", disk, live) }
        }
        if types == 0 || types & 64 != 0, let cards = try? GuestAgent.interfaces(domain) {
            count("if", cards.count)
            for (index, card) in cards.enumerated() { addCard("if.\(index)", card) }
        }
        if parameters.isEmpty, let failure { throw failure }
    }

    private mutating func addFileSystem(_ name: String, _ system: JSONValue, _ live: XMLTree) {
        add(name + ".mountpoint", system["mountpoint"])
        add(name + ".name", system["name"])
        add(name + ".fstype", system["type"])
        add(name + ".total-bytes", number: system["total-bytes"]?.int64Value)
        add(name + ".used-bytes", number: system["used-bytes"]?.int64Value)
        let disks = system["disk"]?.arrayValue?.prefix(Self.most) ?? []
        count(name + ".disk", disks.count)
        for (index, disk) in disks.enumerated() {
            if let target = Self.target(disk, live) { add("\(name).disk.\(index).alias", .string(target)) }
            add("\(name).disk.\(index).serial", disk["serial"])
            add("\(name).disk.\(index).device", disk["dev"])
        }
    }

    private mutating func addDisk(_ name: String, _ disk: JSONValue, _ live: XMLTree) {
        add(name + ".name", disk["name"])
        parameters.append(
            .init(field: name + ".partition", value: .boolean(disk["partition"]?.boolValue == true)))
        let others = disk["dependencies"]?.arrayValue?.prefix(Self.most) ?? []
        if !others.isEmpty { count(name + ".dependency", others.count) }
        for (index, other) in others.enumerated() { add("\(name).dependency.\(index).name", other) }
        if let address = disk["address"] {
            add(name + ".serial", address["serial"])
            if let target = Self.target(address, live) { add(name + ".alias", .string(target)) }
            add(name + ".guest_bus", address["bus-type"])
        }
        add(name + ".guest_alias", disk["alias"])
    }

    private mutating func addCard(_ name: String, _ card: RemoteDomainInterface) {
        add(name + ".name", .string(card.name))
        if let address = card.hwaddr { add(name + ".hwaddr", .string(address)) }
        count(name + ".addr", card.addrs.count)
        for (place, address) in card.addrs.enumerated() {
            add("\(name).addr.\(place).type", .string(address.type == VirIPAddrType.ipv6 ? "ipv6" : "ipv4"))
            add("\(name).addr.\(place).addr", .string(address.addr))
            parameters.append(.init(field: "\(name).addr.\(place).prefix", value: .uint(address.prefix)))
        }
    }

    /// What a domain calls a disk that its guest sees at an address: `vda`.
    static func target(_ address: JSONValue, _ live: XMLTree) -> String? {
        func number(_ element: XMLTree?, _ name: String) -> Int64? {
            guard let text = element?[name] else { return nil }
            return text.hasPrefix("0x") ? Int64(text.dropFirst(2), radix: 16) : Int64(text)
        }
        func isHere(_ device: XMLTree) -> Bool {
            guard let own = device.child("address"), own["type"] == "pci", let place = address["pci-controller"] else {
                return false
            }
            return ["domain", "bus", "slot", "function"].allSatisfy { number(own, $0) == place[$0]?.int64Value }
        }
        for disk in DomainFigures.devices(live, "disk") {
            if isHere(disk) { return disk.child("target")?["dev"] }
            guard let own = disk.child("address"), own["type"] == "drive" else { continue }
            let kind = ["sata": "sata", "ide": "ide", "scsi": "scsi"][disk.child("target")?["bus"] ?? ""]
            let controller = DomainFigures.devices(live, "controller").first {
                $0["type"] == kind && $0["index"] == own["controller"] ?? "0"
            }
            guard let controller, isHere(controller) else { continue }
            if ["bus", "target", "unit"].allSatisfy({ number(own, $0) ?? 0 == address[$0]?.int64Value ?? 0 }) {
                return disk.child("target")?["dev"]
            }
        }
        return nil
    }
}
