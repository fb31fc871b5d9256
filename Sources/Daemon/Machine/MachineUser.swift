internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import RPCWire

/// As whom, and with which of root's powers, a machine's process runs under the system's daemon.
struct MachineUser: Sendable {
    /// libvirt's name of the model of users and groups.
    static let model = "dac"

    /// A user and a group by their numbers.
    struct Owner: Equatable, Sendable {
        let user: UInt32
        let group: UInt32
        /// libvirt's form.
        var label: String { "+\(user):+\(group)" }
    }

    /// Nil: the daemon's own.
    private(set) var owner: Owner?
    /// Whether images become the owner's while the machine runs.
    private(set) var changesOwners: Bool
    /// Whether the definition leaves the choice to the daemon.
    private let isDynamic: Bool

    /// Reads `<seclabel model='dac'>`. A label that cannot be had is an error: who asks for a confinement must not go
    /// without it. Without a label a machine gets a user that no other has, where it can do with one.
    init(_ definition: XMLTree, uuid: UUIDBytes) throws(LibvirtError) {
        var (owner, changes, isFree): (Owner?, Bool, Bool) = (nil, false, true)
        for label in definition.all("seclabel") {
            switch label["model"] {
            case nil, "none": if label["type"] == "none" { isFree = false }
            case MachineConfinement.model, MachineLabel.model: continue
            case Self.model where HostIdentity.userID == 0:
                if label["type"] == "none" { isFree = false }
                guard label["type"] == "static", let text = label.child("label")?.text else { continue }
                (owner, changes, isFree) = (try Self.parse(text), label["relabel"] != "no", false)
            case Self.model where label["type"] == "none": continue
            case let model?:
                throw LibvirtError.configUnsupported("Security driver model '\(model)' is not available")
            }
        }
        if owner?.user == 0, owner?.group == 0 { (owner, changes) = (nil, false) }
        isDynamic = isFree && HostIdentity.userID == 0
        changesOwners = changes
        self.owner = owner
        own = Owner(user: Self.number(of: uuid), group: Self.number(of: uuid))
    }

    /// The user that belongs to this machine alone.
    private let own: Owner

    /// Whether a user is one of a machine's.
    static func isOwn(_ user: UInt32) -> Bool { (1_900_000_000..<1_990_000_000).contains(user) }

    /// The numbers of machines' users: above those of containers, and of nobody else on the usual host. The same machine
    /// has the same on each host.
    private static func number(of uuid: UUIDBytes) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for byte in uuid.description.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return 1_900_000_000 + hash % 90_000_000
    }

    /// Gives the machine its own user where the choice is ours and it needs nothing that only root has.
    mutating func choose(_ live: XMLTree, attachments: [Int: LaunchPlan.Attachment], folder: String) {
        guard isDynamic, MachineNeeds.noRoot(live, attachments, folder) else { return }
        (owner, changesOwners) = (own, true)
    }

    /// The machine runs as root after all.
    mutating func giveUp() { if isDynamic { (owner, changesOwners) = (nil, false) } }

    /// `user:group`, names or numbers, each of which may begin with a plus.
    private static func parse(_ text: String) throws(LibvirtError) -> Owner {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let isFine = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.count < 64 && !part.hasPrefix("-")
                && part.utf8.allSatisfy { (33...126).contains($0) && $0 != 0x2F }
        }
        guard parts.count == 2, isFine else {
            throw LibvirtError.invalidArgument("Failed to parse label '\(text)'")
        }
        return Owner(user: try number(parts[0], "passwd"), group: try number(parts[1], "group"))
    }

    /// A name's number, as the host's services of names know it.
    private static func number(_ name: String, _ list: String) throws(LibvirtError) -> UInt32 {
        if name.hasPrefix("+") || UInt32(name) != nil {
            guard let number = UInt32(name.hasPrefix("+") ? String(name.dropFirst()) : name) else {
                throw LibvirtError.invalidArgument("Failed to parse label '\(name)'")
            }
            return number
        }
        let line = (try? ChildProgram.run("/usr/bin/getent", ["--", list, name])) ?? ""
        let fields = line.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count > 2, let number = UInt32(fields[2]) else {
            let kind = list == "passwd" ? "user" : "group"
            throw LibvirtError.invalidArgument("Failed to parse \(kind) '\(name)'")
        }
        return number
    }

    /// The user's own places: a machine makes its sockets there, and finds those that wait for it.
    func take(_ folder: String) throws(HostError) {
        guard let owner else { return }
        for name in try HostFolder.names(in: folder) {
            try HostFile.setOwner("\(folder)/\(name)", owner.user, group: owner.group)
        }
        try HostFile.setOwner(folder, owner.user, group: owner.group)
    }

    /// Writes the user into a machine's live form, as libvirt does.
    func label(_ live: inout XMLTree) {
        guard isDynamic, let owner else { return }
        var label = XMLTree.of("seclabel", ["type": "dynamic", "model": Self.model, "relabel": "yes"])
        label.append(.text("label", owner.label))
        label.append(.text("imagelabel", owner.label))
        live.nodes.removeAll { node in
            if case .element(let old) = node { old.name == "seclabel" && old["model"] == Self.model } else { false }
        }
        live.insert(label, before: ["keywrap", "qemu:commandline", "qemu:capabilities", "qemu:override"])
    }

    /// What a machine's process is started as so that it has no more than it needs; nil where the daemon has nothing to
    /// take away.
    ///
    /// - Parameters:
    ///   - powers: those that it needs besides those of every machine; nil: it keeps all.
    ///   - label: what SELinux is to know its process as; an error where that cannot be.
    func identity(
        _ arguments: [String], of live: XMLTree, powers more: ProcessIdentity.Powers?, label: SecurityContext?
    ) -> ProcessIdentity? {
        guard HostIdentity.userID == 0, let more else { return label.map { ProcessIdentity(label: $0) } }
        let needed = Self.powers(live, arguments)
        guard let owner else { return ProcessIdentity(powers: needed.union(more), label: label) }
        if isDynamic {
            let kept = needed.subtracting([.overridePermissions, .readEverything]).union(more)
            return ProcessIdentity(owner: .init(user: owner.user, group: owner.group), powers: kept, label: label)
        }
        let groups = Self.groups(of: owner)
        return ProcessIdentity(
            owner: .init(user: owner.user, group: owner.group, groups: groups), powers: [], label: label)
    }

    /// All groups of a user; none of one that nobody knows.
    private static func groups(of owner: Owner) -> [UInt32] {
        let line = try? ChildProgram.run("/usr/bin/getent", ["passwd", "\(owner.user)"])
        guard let name = line?.split(separator: ":").first else { return [] }
        let groups = (try? ChildProgram.run("/usr/bin/getent", ["initgroups", "--", String(name)])) ?? ""
        let numbers = groups.split(whereSeparator: \.isWhitespace).dropFirst().compactMap { UInt32($0) }
        return [owner.group] + numbers.filter { $0 != owner.group }
    }

    /// What is left of root's powers: images of any owner are opened, memory is locked, low ports are listened on.
    private static func powers(_ live: XMLTree, _ arguments: [String]) -> ProcessIdentity.Powers {
        var powers: ProcessIdentity.Powers = [.overridePermissions, .readEverything, .lockMemory, .lowPorts]
        let makesTaps = arguments.contains { $0.contains("ifname=") || $0.contains("\"ifname\"") }
        if makesTaps { powers.insert(.networks) }
        // Echoes of guests go out as the kernel lets root send them.
        if DomainFigures.devices(live, "interface").contains(where: { $0["type"] == "user" }) { powers.insert(.rawSockets) }
        // Files of a shared folder belong to whom the guest says.
        if !DomainFigures.devices(live, "filesystem").isEmpty {
            powers.formUnion([.changeOwners, .actAsOwner, .keepSetBits, .setUsers, .setGroups, .makeDevices])
        }
        return powers
    }
}
