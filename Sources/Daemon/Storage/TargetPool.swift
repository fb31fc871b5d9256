internal import DomainModel
internal import HostOS
internal import RPCWire

/// A pool of kind `iscsi`: the units of a target, by open-iscsi's `iscsiadm`.
struct TargetPool: UnitPool {
    /// `HOST:PORT`.
    private let portal: String
    private let target: String
    private let initiator: String?
    private let folder: String
    /// Who logs in, by CHAP, and whose password it is.
    private let login: Authentication?

    var key: String { "iscsi:\(portal):\(target)" }

    init(_ tree: XMLTree) throws(LibvirtError) {
        let source = tree.child("source")
        portal = try Self.portal(source?.child("host")?["name"], source?.child("host")?["port"])
        target = try Self.word(source?.child("device")?["path"], "missing storage pool source device path")
        let name = source?.at("initiator", "iqn")?["name"]
        initiator = name == nil ? nil : try Self.word(name, "")
        login = try source?.child("auth").map { (tree) throws(LibvirtError) in try Self.login(tree) }
        folder = tree.at("target", "path")?.text ?? "/dev"
    }

    private static func login(_ tree: XMLTree) throws(LibvirtError) -> Authentication {
        guard tree["type"] == "chap" else {
            throw StorageDriver.fail(.xml("iSCSI pools log in by 'chap', not by '\(tree["type"] ?? "")'"))
        }
        var login = Authentication()
        login.username = try word(tree["username"], "missing username for auth")
        var reference = SecretReference()
        reference.usage = tree.child("secret")?["usage"]
        reference.uuid = tree.child("secret")?["uuid"].flatMap { UUIDBytes($0) }.flatMap { UniqueID(bytes: $0.bytes) }
        guard reference.usage != nil || reference.uuid != nil else {
            throw StorageDriver.fail(.xml("missing usage or uuid of the secret for auth"))
        }
        login.secret = reference
        return login
    }

    /// A host as iscsiadm takes it.
    static func portal(_ host: String?, _ port: String?) throws(LibvirtError) -> String {
        let host = try word(host, "missing storage pool source host name")
        guard let number = UInt16(port ?? "3260"), number > 0 else {
            throw StorageDriver.fail(.xml("port '\(port ?? "")' is no port"))
        }
        return host.contains(":") ? "[\(host)]:\(number)" : "\(host):\(number)"
    }

    /// Lines such as `tcp: [3] 10.0.0.1:3260,1 iqn.2024-01.x:disk (non-flash)`: the session's number with a target.
    static func session(_ text: String, of target: String) -> UInt32? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 4, words[3] == target, words[1].hasPrefix("["), words[1].hasSuffix("]") else {
                continue
            }
            if let number = UInt32(words[1].dropFirst().dropLast()) { return number }
        }
        return nil
    }

    /// Lines such as `10.0.0.1:3260,1 iqn.2024-01.x:disk`: the targets.
    static func targets(_ text: String) -> [String] {
        var list: [String] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0].contains(","), !list.contains(String(words[1])) {
                list.append(String(words[1]))
            }
        }
        return list
    }

    /// The number of the session with the target; nil: there is none. (Without any, iscsiadm fails.)
    private func session() throws(LibvirtError) -> UInt32? {
        let tool = try Self.tool("iscsiadm")
        return Self.session((try? StorageDriver.run(tool, ["--mode", "session"])) ?? "", of: target)
    }

    func start() throws(LibvirtError) { try start(password: nil) }

    func start(_ secrets: SecretDriver) throws(LibvirtError) {
        guard let reference = login?.secret else { return try start() }
        let value = try secrets.value(of: reference, usage: "iscsi")
        guard let password = String(validating: value, as: UTF8.self), !password.isEmpty,
            password.utf8.allSatisfy({ $0 > 31 && $0 != 127 })
        else { throw StorageDriver.fail(.operationFailed("the secret of the iSCSI login is no line of text")) }
        try start(password: password)
    }

    private func start(password: String?) throws(LibvirtError) {
        guard try session() == nil else { return }
        var words: [String] = []
        if let initiator {
            let name = "libvirt-iface-" + initiator.filter { $0.isLetter || $0.isNumber || ".-".contains($0) }
            let known = (try? Self.run(tool: "iscsiadm", ["--mode", "iface"])) ?? ""
            if !known.split(separator: "\n").contains(where: { $0.hasPrefix(name + " ") }) {
                try Self.run(tool: "iscsiadm", ["--mode", "iface", "--interface", name, "--op", "new"])
                try Self.run(
                    tool: "iscsiadm",
                    [
                        "--mode", "iface", "--interface", name, "--op", "update", "--name", "iface.initiatorname",
                        "--value", initiator,
                    ])
            }
            words = ["--interface", name]
        }
        try Self.run(
            tool: "iscsiadm", ["--mode", "discovery", "--type", "sendtargets", "--portal", portal] + words)
        let node = ["--mode", "node", "--portal", portal, "--targetname", target]
        // It is the pool that decides when it is there.
        try Self.run(tool: "iscsiadm", node + ["--op", "update", "--name", "node.startup", "--value", "manual"])
        if let login, let password {
            // The program has no other way to be told; it keeps them in a file of root's.
            for (name, value) in [("authmethod", "CHAP"), ("username", login.username), ("password", password)] {
                try Self.run(
                    tool: "iscsiadm",
                    node + ["--op", "update", "--name", "node.session.auth.\(name)", "--value", value])
            }
        }
        try Self.run(tool: "iscsiadm", node + words + ["--login"])
    }

    func stop() throws(LibvirtError) {
        guard try session() != nil else { return }
        try Self.run(tool: "iscsiadm", ["--mode", "node", "--portal", portal, "--targetname", target, "--logout"])
    }

    func look() throws(LibvirtError) -> BlockPoolState {
        guard let session = try session() else {
            throw StorageDriver.fail(.internalError("cannot find iscsiadm session: \(target)"))
        }
        try Self.run(tool: "iscsiadm", ["--mode", "session", "-r", "\(session)", "-R"])
        let device = "/sys/class/iscsi_session/session\(session)/device"
        let hosts = ((try? HostFolder.names(in: device)) ?? []).compactMap { name -> UInt32? in
            // `target3:0:0`
            guard name.hasPrefix("target") else { return nil }
            return UInt32(name.dropFirst(6).prefix { $0 != ":" })
        }
        guard let host = hosts.first else {
            throw StorageDriver.fail(
                .internalError("Failed to get host number for iSCSI session with path '\(device)'"))
        }
        return LogicalUnits.state(LogicalUnits.volumes(host: host, folder: folder))
    }

    /// Targets of a host, for a client that looks for pools.
    static func sources(_ specification: String?) throws(LibvirtError) -> [XMLTree] {
        guard let text = specification, let tree = try? XMLReader.parse(text), let host = tree.child("host") else {
            throw StorageDriver.fail(.invalidArgument("hostname must be specified for iscsi sources"))
        }
        let portal = try portal(host["name"], host["port"])
        let answer = try run(tool: "iscsiadm", ["--mode", "discovery", "--type", "sendtargets", "--portal", portal])
        return targets(answer).map { target in
            var source = XMLTree("source")
            source.append(XMLTree("host", attributes: host.attributes))
            source.append(.of("device", ["path": target]))
            return source
        }
    }
}
