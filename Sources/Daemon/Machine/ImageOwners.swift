internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire

/// Images that belong to machines' users while those run. Whose they were is remembered as libvirt does, in attributes of
/// the files, with a count of who uses them; what each machine took is written down, so that the next daemon gives it back.
struct ImageOwners: TakenImages {
    let records: DocumentFolder
    private static let memory = FileMemory(model: MachineUser.model)

    /// - Parameter path: the folder of what is written down. It is root's alone: whoever writes there says whose a file is.
    init(path: String) { records = DocumentFolder(path: path) }

    /// Lets a user at what a machine is to open: files that it writes become the user's, others that not everybody may
    /// read can be read by the user too.
    func take(
        _ domain: UUIDBytes, _ places: [MachineConfinement.Place], shared: Set<String>, _ owner: MachineUser.Owner
    ) throws(LibvirtError) {
        var record = XMLTree.of("owners", ["user": "\(owner.user)"])
        var wanted: [(path: String, writes: Bool)] = []
        for (path, rights) in MachineRoot.ordered(places) {
            let kind = HostFile.status(path).kind
            guard kind == .file || kind == .blockDevice, HostFile.realPath(path) == path,
                let details = try? HostFile.details(path)
            else { continue }
            // In a root of its own the machine has nodes of its own for devices.
            if kind == .blockDevice, MachineRoot.isSupported, path.hasPrefix("/dev/") { continue }
            let writes = rights.contains(.write)
            if details.mode & (writes ? 6 : 4) == (writes ? 6 : 4) { continue }
            wanted.append((path, writes))
            let isOwned = writes && !shared.contains(path)
            if isOwned, details.owner != owner.user, Self.memory.users(path) > 0 {
                throw LibvirtError.operationInvalid(
                    "Setting different DAC user or group on \(path) which is already in use")
            }
            let before = "+\(details.owner):+\(details.group)"
            record.append(.of("image", ["path": path, "kind": isOwned ? "owner" : "list", "before": before]))
        }
        guard !wanted.isEmpty else { return }
        // Written down first: who is killed in between leaves nothing that is not known.
        try records.save(domain.description, record)
        for (index, (path, writes)) in wanted.enumerated() {
            do throws(HostError) {
                if writes, !shared.contains(path) {
                    try Self.take(path, owner)
                } else {
                    var list = try AccessList(of: path)
                    if list.allow(user: owner.user, writing: writes) { try list.apply(to: path) }
                }
            } catch {
                // What was not taken is not to be given back.
                try forget(domain, Set(wanted[index...].map(\.path)), in: record)
                release(domain)
                throw LibvirtError.system("\(error)")
            }
        }
    }

    private static func take(_ path: String, _ owner: MachineUser.Owner) throws(HostError) {
        let details = try HostFile.details(path)
        // File systems without such attributes have what is written down.
        memory.add(path, "+\(details.owner):+\(details.group)")
        do throws(HostError) { try HostFile.setOwner(path, owner.user, group: owner.group) } catch {
            giveBack(path, remembered: nil, from: owner.user)
            throw error
        }
    }

    /// Gives a file back when nobody uses it any more.
    private static func giveBack(_ path: String, remembered: String?, from user: UInt32) {
        guard case .nobody(let label) = memory.remove(path) else { return }
        // Whoever gave it to somebody else meanwhile meant that, unless that is another machine's user, which has failed.
        guard let owner = (try? HostFile.details(path))?.owner, owner == user || MachineUser.isOwn(owner) else {
            return
        }
        let parts = (label ?? remembered ?? "").split(separator: ":").compactMap { UInt32($0.drop { $0 == "+" }) }
        try? HostFile.setOwner(path, parts.first ?? 0, group: parts.count > 1 ? parts[1] : 0)
    }

    static func giveBack(_ image: XMLTree, _ path: String, of record: XMLTree) {
        guard let user = record["user"].flatMap({ UInt32($0) }), user != 0 else { return }
        if image["kind"] == "owner" {
            giveBack(path, remembered: image["before"], from: user)
        } else if var list = try? AccessList(of: path) {
            list.remove(user: user)
            try? list.apply(to: path)
        }
    }
}
