internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Disks that go with their machine. The destination exports its images by NBD while it waits for the state; the source
/// mirrors to them while the guest writes, and ends the mirrors while the machine stands before the switch.
extension DomainDriver {
    private typealias Flags = VirDomainMigrateFlags

    // MARK: - The source

    /// What the destination is told in the beginning.
    func offeredDisks(_ domain: Domain, _ live: XMLTree, _ request: MigrationRequest) throws(LibvirtError)
        -> [CopiedDisk]
    {
        let chosen = try request.copiedDisks(live)
        guard !chosen.isEmpty else { return [] }
        let nodes = try domain.running().qmp().execute("query-named-block-nodes", ["flat": true]).arrayValue ?? []
        return chosen.map { disk in
            let node = nodes.first { $0["node-name"]?.stringValue == disk.formatNode }
            let size = node?["image"]?["virtual-size"]?.uint64Value ?? 0
            return CopiedDisk(
                target: disk.child("target")?["dev"] ?? "", capacity: size,
                image: DomainFigures.path(disk).flatMap(CopiedDisk.identity))
        }
    }

    /// Begins the mirrors and waits until all of them have everything. What was begun is in `copies`, also after an error.
    func mirrorDisks(
        _ domain: Domain, _ live: XMLTree, _ request: MigrationRequest, _ cookie: MigrationCookie,
        _ copies: inout [String]
    ) throws(LibvirtError) {
        let disks = try request.copiedDisks(live)
        guard !disks.isEmpty else { return }
        let monitor = try domain.running().qmp()
        let place = try request.disksPlace(port: cookie.disksPort)
        var server: JSONObject =
            switch place {
            case .tcp(let place): ["type": "inet", "host": .string(place.host), "port": .string("\(place.port)")]
            case .unix(let path): ["type": "unix", "path": .string(path)]
            }
        var relay: SocketRelay?
        if try domain.running().hasOwnRoot {
            let path = "\(folder(domain))/copies.sock"
            relay = try onHost { () throws(HostError) in
                try SocketRelay(try SocketRelay.listen(path, in: folder(domain))) { () throws(HostError) in
                    try Socket.connect(to: place)
                }
            }
            server = ["type": "unix", "path": .string(path)]
        }
        domain.state.withLock { $0.relay = relay }
        for (index, disk) in disks.enumerated() {
            let name = disk.driveName
            var storage: JSONObject = [
                "driver": "nbd", "server": .object(server), "export": .string(name),
                "node-name": .string("migration-\(index)-storage"),
            ]
            if request.has(Flags.tls) {
                storage["tls-creds"] = .string(DomainDriver.credentialsName)
                storage["tls-hostname"] = .string(try request.certifiedHost)
            }
            try monitor.execute(
                "blockdev-add",
                [
                    "node-name": .string("migration-\(index)-format"), "driver": "raw", "file": .object(storage),
                ])
            copies.append(name)
            var arguments: JSONObject = [
                "job-id": .string(name), "device": .string(disk.formatNode),
                "target": .string("migration-\(index)-format"),
                "sync": request.has(Flags.nonSharedInc) ? "top" : "full", "auto-dismiss": false, "auto-finalize": true,
            ]
            if request.bandwidth > 0, request.bandwidth < 1 << 32 {
                arguments["speed"] = .number(request.bandwidth << 20)
            }
            if request.has(Flags.nonSharedSynchronousWrites) { arguments["copy-mode"] = "write-blocking" }
            try monitor.execute("blockdev-mirror", arguments)
        }
        let pause = Bell()
        while true {
            let jobs = try monitor.execute("query-jobs").arrayValue ?? []
            try checkAborted(domain)
            var ready = 0
            for name in copies {
                let job = jobs.first { $0["id"]?.stringValue == name }
                switch job?["status"]?.stringValue {
                case "ready": ready += 1
                case "running", "created", "paused", "standby": break
                default: throw DomainDriver.copyFailed(name, job)
                }
            }
            if ready == copies.count { return }
            pause.wait(nanoseconds: 10_000_000)
        }
    }

    private static func copyFailed(_ name: String, _ job: JSONValue?) -> LibvirtError {
        LibvirtError.operationFailed(
            "migration of disk \(name.dropFirst("drive-".count)) failed: "
                + (job?["error"]?.stringValue ?? "the mirror has ended"))
    }

    /// Ends the mirrors: with the machine standing both ends have the same then; not `whole`: as they are.
    func endMirrors(_ monitor: QMPClient, _ copies: [String], whole: Bool) throws(LibvirtError) {
        for name in copies {
            do throws(LibvirtError) {
                try monitor.execute("block-job-cancel", ["device": .string(name), "force": .bool(!whole)])
            } catch { if whole { throw error } }
        }
        let pause = Bell()
        let deadline = HostClock.monotonic + 60_000_000_000
        for (index, name) in copies.enumerated() {
            while true {
                let jobs = try monitor.execute("query-jobs").arrayValue ?? []
                guard let job = jobs.first(where: { $0["id"]?.stringValue == name }) else { break }
                if job["status"]?.stringValue == "concluded" {
                    _ = try? monitor.execute("job-dismiss", ["id": .string(name)])
                    if whole, job["error"] != nil { throw DomainDriver.copyFailed(name, job) }
                    break
                }
                guard HostClock.monotonic < deadline else { throw DomainDriver.copyFailed(name, job) }
                pause.wait(nanoseconds: 2_000_000)
            }
            for part in ["format", "storage"] {
                _ = try? monitor.execute("blockdev-del", ["node-name": .string("migration-\(index)-\(part)")])
            }
        }
    }

    /// A client wants no more of the migration that is under way.
    func checkAborted(_ domain: Domain) throws(LibvirtError) {
        guard domain.state.withLock({ $0.activity?.isAborted == true }) else { return }
        throw DomainDriver.migrationAborted
    }

    static let migrationAborted = LibvirtError(
        code: VirErrorNumber.operationAborted, message: "operation aborted: job 'migration out' canceled by client",
        detail: "job 'migration out' canceled by client")

    // MARK: - The destination

    /// Makes the images that are not there yet: what was made.
    func makeImages(
        _ form: XMLTree, _ request: MigrationRequest, _ offered: [CopiedDisk]
    ) throws(LibvirtError) -> [String] {
        var made: [String] = []
        do throws(LibvirtError) {
            for disk in try request.copiedDisks(form) {
                guard let path = DomainFigures.path(disk), disk["type"] == "file" || disk["type"] == "block" else {
                    continue
                }
                let target = disk.child("target")?["dev"] ?? ""
                let offer = offered.first { $0.target == target }
                if HostFile.status(path).kind != .nothing {
                    if let image = offer?.image, image == CopiedDisk.identity(path) {
                        throw LibvirtError.operationInvalid("disk \(target) is the same image at both ends: '\(path)'")
                    }
                    continue
                }
                guard disk["type"] == "file", let offer, offer.capacity > 0, !request.has(Flags.nonSharedInc) else {
                    throw LibvirtError.operationUnsupported(
                        "pre-creation of storage target '\(path)' is not supported: make it first")
                }
                let format = disk.child("driver")?["type"] ?? "raw"
                try ImageProgram.run(["create", "-q", "-f", format, path, "\(offer.capacity)"])
                made.append(path)
            }
        } catch {
            for path in made { try? HostFile.remove(path) }
            throw error
        }
        return made
    }

    /// Exports the images of a machine that waits for its state; the port of TCP. A name that the socket is given goes into
    /// `link`, also before an error.
    func exportDisks(
        _ domain: Domain, _ machine: RunningMachine, _ request: MigrationRequest, address: String,
        link: inout String?
    ) throws(LibvirtError) -> Int32? {
        let disks = try request.copiedDisks(domain.state.withLock { $0.live ?? XMLTree("domain") })
        guard !disks.isEmpty else { return nil }
        let monitor = try machine.qmp()
        let port = try startDiskServer(domain, monitor, request, address: address, link: &link)
        for disk in disks {
            try monitor.execute(
                "nbd-server-add",
                ["device": .string(disk.formatNode), "name": .string(disk.driveName), "writable": true])
        }
        return port
    }

    private func startDiskServer(
        _ domain: Domain, _ monitor: QMPClient, _ request: MigrationRequest, address: String, link: inout String?
    ) throws(LibvirtError) -> Int32? {
        for parameter in request.others {
            guard parameter.field == "disks_uri", case .string(let text) = parameter.value,
                case .unix(let path) = try MigrationRequest.place(text)
            else { continue }
            // A confined machine makes sockets in its own folder alone.
            let own = "\(folder(domain))/disks.sock"
            guard HostFile.status(path).kind == .nothing else {
                throw LibvirtError.operationFailed("socket '\(path)' is there already")
            }
            try onHost { () throws(HostError) in
                // One that leads nowhere is left from another time.
                try HostFile.remove(path)
                try HostFile.link(path, to: own)
            }
            link = path
            try startServer(monitor, ["type": "unix", "data": .object(["path": .string(own)])], request)
            return nil
        }
        // As far out as the state's own way, and no farther.
        let isLocal = ["127.0.0.1", "::1", "localhost"].contains(address)
        let host = request.listenAddress ?? (isLocal ? address : address.contains(":") ? "::" : "0.0.0.0")
        let isApart = try domain.running().hasOwnNetwork
        let ports = request.disksPort > 0 ? request.disksPort...request.disksPort : 49_152...49_215
        var failure = LibvirtError.operationFailed("no port for disks is free")
        for port in ports {
            let place: JSONObject = ["host": .string(host), "port": .string("\(port)")]
            do throws(LibvirtError) {
                if isApart {
                    try serve(
                        domain, monitor, host: host, port: "\(port)", path: "\(folder(domain))/disks.sock",
                        request: request)
                } else {
                    try startServer(monitor, ["type": "inet", "data": .object(place)], request)
                }
                return port
            } catch { failure = error }
        }
        throw failure
    }

    /// Where TLS is wanted for the state it is for disks, too.
    private func startServer(
        _ monitor: QMPClient, _ address: JSONObject, _ request: MigrationRequest?
    ) throws(LibvirtError) {
        var arguments: JSONObject = ["addr": .object(address)]
        if request?.has(Flags.tls) == true { arguments["tls-creds"] = .string(DomainDriver.credentialsName) }
        try monitor.execute("nbd-server-start", arguments)
    }

    /// Serves images of a machine that has no network of the host's: what comes to the port goes on to its socket.
    func serve(
        _ domain: Domain, _ monitor: QMPClient, host: String, port: String, path: String,
        request: MigrationRequest? = nil
    ) throws(LibvirtError) {
        let relay = try onHost { () throws(HostError) -> SocketRelay in
            let places = try SocketAddress.resolve(host: host, port: port, listening: true)
            guard let place = places.first else { throw HostError.noDescriptor("listen at '\(host):\(port)'") }
            return try SocketRelay(try Socket.listen(place, backlog: 16)) { () throws(HostError) in
                try Socket.connect(SocketAddress.unix(path))
            }
        }
        try startServer(monitor, ["type": "unix", "data": .object(["path": .string(path)])], request)
        domain.state.withLock { $0.relay = relay }
    }
}

extension Socket {
    /// Connects to where a machine's state or disks go.
    static func connect(to place: MigrationPlace) throws(HostError) -> Descriptor {
        switch place {
        case .unix(let path): return try connect(SocketAddress.unix(path))
        case .tcp(let place):
            let socket = try connect(anyOf: try SocketAddress.resolve(host: place.host, port: "\(place.port)"))
            setNoDelay(socket)
            return socket
        }
    }
}
