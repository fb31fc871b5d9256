internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// What both ends of a migration have to do alike: several connections, TLS, memory that follows.
extension DomainDriver {
    private typealias Flags = VirDomainMigrateFlags

    /// The object that holds the certificates of a migration.
    static let credentialsName = "objlibvirt_migrate_tls0"

    /// Turns on what both machines' programs have to do.
    func agree(
        _ monitor: QMPClient, _ request: MigrationRequest, besides others: [(String, UInt32)] = []
    ) throws(LibvirtError) {
        let wanted = [("multifd", Flags.parallel), ("postcopy-ram", Flags.postcopy)] + others
        let capabilities = wanted.map { name, flag in
            JSONValue.object(["capability": .string(name), "state": .bool(request.has(flag))])
        }
        try monitor.execute("migrate-set-capabilities", ["capabilities": .array(capabilities)])
        if request.has(Flags.parallel) {
            try monitor.execute(
                "migrate-set-parameters", ["multifd-channels": .number(UInt64(request.connections ?? 2))])
        }
    }

    // MARK: - Several connections

    /// The way of the source's state. Over several connections the machine makes them for itself: where it cannot, it
    /// makes them to the daemon, which goes on from there.
    func way(_ domain: Domain, _ request: MigrationRequest, to place: MigrationPlace) throws(LibvirtError) -> StateWay {
        guard request.has(Flags.parallel) else { return try StateWay(to: place) }
        let machine = try domain.running()
        let isReached: Bool =
            switch place {
            case .tcp: !machine.hasOwnNetwork
            case .unix: !machine.hasOwnRoot
            }
        if isReached { return .address(place.address, nil) }
        let path = "\(folder(domain))/state.sock"
        let relay = try onHost { () throws(HostError) in
            try SocketRelay(try SocketRelay.listen(path, in: folder(domain))) { () throws(HostError) in
                try Socket.connect(to: place)
            }
        }
        return .address("unix:\(path)", relay)
    }

    /// Lets a machine that comes listen in its own folder; whoever joins connections with it.
    func listenInFolder(_ domain: Domain, _ machine: RunningMachine) throws(LibvirtError) -> SocketRelay {
        let path = "\(folder(domain))/state.sock"
        try onHost { () throws(HostError) in try HostFile.remove(path) }
        try machine.qmp().execute("migrate-incoming", ["uri": .string("unix:\(path)")])
        return SocketRelay { () throws(HostError) in try Socket.connect(SocketAddress.unix(path)) }
    }

    // MARK: - TLS

    /// Gives a machine's program the certificates of this host, where TLS is wanted. They are copied to its folder: it
    /// sees no other.
    func secure(
        _ domain: Domain, _ monitor: QMPClient, _ request: MigrationRequest, isServer: Bool
    ) throws(LibvirtError) {
        guard request.has(Flags.tls) else { return }
        let target = "\(folder(domain))/pki"
        try copyCertificates(to: target, of: folder(domain), isServer: isServer)
        try monitor.execute(
            "object-add",
            [
                "qom-type": "tls-creds-x509", "id": .string(DomainDriver.credentialsName), "dir": .string(target),
                "endpoint": isServer ? "server" : "client", "verify-peer": true,
            ])
        // They are read by now.
        HostFile.removeTree(target)
        try monitor.execute(
            "migrate-set-parameters",
            [
                "tls-creds": .string(DomainDriver.credentialsName),
                "tls-hostname": .string(isServer ? "" : try request.certifiedHost),
            ])
    }

    /// Takes them away again.
    func unsecure(_ domain: Domain, _ monitor: QMPClient) {
        guard let answer = try? monitor.execute("query-migrate-parameters"),
            answer["tls-creds"]?.stringValue == DomainDriver.credentialsName
        else { return }
        _ = try? monitor.execute("migrate-set-parameters", ["tls-creds": "", "tls-hostname": ""])
        _ = try? monitor.execute("object-del", ["id": .string(DomainDriver.credentialsName)])
    }

    /// The folder of certificates, with QEMU's names.
    private var certificates: String {
        if let own = paths.migrationCertificates { return own }
        return HostFile.status("/etc/pki/libvirt-migrate").kind == .folder
            ? "/etc/pki/libvirt-migrate" : "/etc/pki/qemu"
    }

    private func copyCertificates(to target: String, of owner: String, isServer: Bool) throws(LibvirtError) {
        let end = isServer ? "server" : "client"
        try onHost { () throws(HostError) in
            HostFile.removeTree(target)
            try HostFolder.make(target, permissions: 0o700)
            let details = try HostFile.details(owner)
            try HostFile.setOwner(target, details.owner, group: details.group)
            for name in ["ca-cert.pem", "\(end)-cert.pem", "\(end)-key.pem"] {
                // A client may have none, and then the other end decides.
                if !isServer, name != "ca-cert.pem", HostFile.status("\(certificates)/\(name)").kind == .nothing {
                    continue
                }
                let bytes = try HostFile.contents("\(certificates)/\(name)", limit: 1 << 20)
                try HostFile.replace("\(target)/\(name)", with: bytes, permissions: 0o600)
                try HostFile.setOwner("\(target)/\(name)", details.owner, group: details.group)
            }
        }
    }
}

extension MigrationRequest {
    /// Whose certificate the destination must have.
    var certifiedHost: String {
        get throws(LibvirtError) {
            for parameter in others {
                if parameter.field == "tls.destination", case .string(let host) = parameter.value { return host }
            }
            if let uri, case .tcp(let place) = try MigrationRequest.place(uri), !place.host.isEmpty {
                return place.host
            }
            throw LibvirtError.invalidArgument("TLS over a socket of the host needs the name of the destination")
        }
    }
}
