internal import DomainModel
internal import HostOS
internal import RPCWire

/// As whom, and with which of root's powers, a machine's process runs under the system's daemon. Its program is started
/// by `setpriv` (util-linux), which becomes it.
struct MachineUser: Sendable {
    private static let setpriv = "/usr/bin/setpriv"
    /// libvirt's name of the model of users and groups.
    static let model = "dac"

    /// A user and a group as `chown` takes them; nil: the daemon's own.
    let owner: (user: String, group: String)?

    /// Reads `<seclabel type='static' model='dac' relabel='no'>`. A label that cannot be had is an error: who asks for a
    /// confinement must not go without it.
    init(_ definition: XMLTree) throws(LibvirtError) {
        var owner: (String, String)?
        for label in definition.all("seclabel") {
            switch label["model"] {
            case nil, "none", MachineConfinement.model: continue
            case Self.model where HostIdentity.userID == 0:
                guard label["type"] == "static", let text = label.child("label")?.text else { continue }
                guard label["relabel"] == "no" else {
                    throw LibvirtError.configUnsupported(
                        "owners of images are not changed: a static label of model 'dac' needs relabel='no'")
                }
                owner = try Self.parse(text)
            case let model?:
                throw LibvirtError.configUnsupported("Security driver model '\(model)' is not available")
            }
        }
        if let (user, group) = owner, Self.isRoot(user), Self.isRoot(group) { owner = nil }
        self.owner = owner
    }

    private static func isRoot(_ name: String) -> Bool { name == "root" || UInt32(name) == 0 }

    /// `user:group`, names or numbers, each of which may begin with a plus.
    private static func parse(_ text: String) throws(LibvirtError) -> (String, String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { part in
            part.hasPrefix("+") ? String(part.dropFirst()) : String(part)
        }
        let isFine = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.count < 64 && !part.hasPrefix("-")
                && part.utf8.allSatisfy { (33...126).contains($0) && $0 != 0x2F }
        }
        guard parts.count == 2, isFine else {
            throw LibvirtError.invalidArgument("Failed to parse label '\(text)'")
        }
        return (parts[0], parts[1])
    }

    /// The user's own places: a machine makes its sockets there.
    func take(_ paths: [String]) throws(LibvirtError) {
        guard let owner else { return }
        try ChildProgram.run("/usr/bin/chown", ["--", "\(owner.user):\(owner.group)"] + paths)
    }

    /// How a program is started so that it has no more than it needs; as it is where the daemon has nothing to take away.
    ///
    /// - Parameter mayMakeTaps: whether the machine may be given cards later for which it makes a tap.
    func start(
        _ path: String, _ arguments: [String], of live: XMLTree, mayMakeTaps: Bool
    ) -> (path: String, arguments: [String]) {
        guard HostIdentity.userID == 0, HostFile.status(Self.setpriv).kind == .file else { return (path, arguments) }
        var words = ["setpriv", "--inh-caps=-all"]
        if let owner {
            words += ["--reuid", owner.user, "--regid", owner.group]
            words += UInt32(owner.user) == nil ? ["--init-groups"] : ["--clear-groups"]
            words.append("--bounding-set=-all")
        } else {
            words.append("--bounding-set=-all,+" + Self.powers(live, arguments, mayMakeTaps).joined(separator: ",+"))
        }
        return (Self.setpriv, words + ["--", path] + arguments.dropFirst())
    }

    /// What is left of root's powers: images of any owner are opened, memory is locked, low ports are listened on.
    private static func powers(_ live: XMLTree, _ arguments: [String], _ mayMakeTaps: Bool) -> [String] {
        var list = ["dac_override", "dac_read_search", "ipc_lock", "net_bind_service"]
        let makesTaps = arguments.contains { word in
            word.hasPrefix("tap,") || word.filter { $0 != " " }.contains("\"type\":\"tap\"")
        }
        if makesTaps || mayMakeTaps { list.append("net_admin") }
        // Echoes of guests go out as the kernel lets root send them.
        if DomainFigures.devices(live, "interface").contains(where: { $0["type"] == "user" }) { list.append("net_raw") }
        // Files of a shared folder belong to whom the guest says.
        if !DomainFigures.devices(live, "filesystem").isEmpty {
            list += ["chown", "fowner", "fsetid", "setuid", "setgid", "mknod"]
        }
        return list
    }
}
