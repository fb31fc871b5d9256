internal import DomainModel
internal import RPCWire

/// What a client wants of a migration: flags, and the parameters that both forms of the third protocol have.
struct MigrationRequest: Sendable {
    typealias Flags = VirDomainMigrateFlags

    /// `VirDomainMigrateFlags`.
    var flags: UInt32
    /// The domain's name at the destination; nil: as here.
    var name: String?
    /// The document that the destination starts.
    var document: String?
    /// The document that the destination defines.
    var persistentDocument: String?
    /// Where the state goes: `tcp:HOST:PORT`, `unix:PATH`.
    var uri: String?
    /// The destination's address that it listens on for the state.
    var listenAddress: String?
    /// MiB a second; 0: as the domain has it.
    var bandwidth: UInt64 = 0
    /// Disks that are copied; empty: all that are not shared.
    var disks: [String] = []
    var disksPort: Int32 = 0
    /// Connections for memory, where several are wanted.
    var connections: Int32?
    /// What this daemon takes no part in, but hands on.
    var others: [RemoteTypedParam] = []

    init(flags: UInt32) { self.flags = flags }

    /// The form with parameters. One of the wrong kind is an error.
    init(_ parameters: [RemoteTypedParam], flags: UInt32) throws(LibvirtError) {
        self.init(flags: flags)
        for parameter in parameters {
            switch (parameter.field, parameter.value) {
            case ("destination_name", .string(let text)): name = text
            case ("destination_xml", .string(let text)): document = text
            case ("persistent_xml", .string(let text)): persistentDocument = text
            case ("migrate_uri", .string(let text)): uri = text
            case ("listen_address", .string(let text)): listenAddress = text
            case ("bandwidth", .ulong(let value)): bandwidth = value
            case ("migrate_disks", .string(let text)): disks.append(text)
            case ("disks_port", .int(let value)): disksPort = value
            case ("parallel.connections", .int(let value)): connections = value
            case ("graphics_uri", .string), ("compression", .string), ("bandwidth.postcopy", .ulong),
                ("auto_converge.initial", .int), ("auto_converge.increment", .int), ("disks_uri", .string),
                ("tls.destination", .string):
                others.append(parameter)
            case ("destination_name", _), ("destination_xml", _), ("persistent_xml", _), ("migrate_uri", _),
                ("listen_address", _), ("bandwidth", _), ("migrate_disks", _), ("disks_port", _),
                ("parallel.connections", _):
                throw LibvirtError.invalidArgument("invalid type for parameter '\(parameter.field)'")
            default: throw LibvirtError.invalidArgument("parameter '\(parameter.field)' not supported")
            }
        }
    }

    /// The form without parameters. Its flags have room for more, which nobody has used.
    init(flags: UInt64, name: String?, bandwidth: UInt64) {
        self.init(flags: UInt32(truncatingIfNeeded: flags))
        self.name = name
        self.bandwidth = bandwidth
    }

    /// Our machines take no more.
    static let maximumConnections: Int32 = 16

    func has(_ flag: UInt32) -> Bool { flags & flag != 0 }

    /// The parameters again, for the destination of a migration by either end.
    func parameters(document: String, uri: String?, name: String) -> [RemoteTypedParam] {
        var list: [RemoteTypedParam] = [
            .init(field: "destination_name", value: .string(self.name ?? name)),
            .init(field: "destination_xml", value: .string(document)),
        ]
        if let persistentDocument { list.append(.init(field: "persistent_xml", value: .string(persistentDocument))) }
        if let uri = uri ?? self.uri { list.append(.init(field: "migrate_uri", value: .string(uri))) }
        if let listenAddress { list.append(.init(field: "listen_address", value: .string(listenAddress))) }
        if bandwidth > 0 { list.append(.init(field: "bandwidth", value: .ulong(bandwidth))) }
        for disk in disks { list.append(.init(field: "migrate_disks", value: .string(disk))) }
        if let connections { list.append(.init(field: "parallel.connections", value: .int(connections))) }
        if disksPort > 0 { list.append(.init(field: "disks_port", value: .int(disksPort))) }
        return list + others
    }

    /// Refuses what cannot be done, before anything is.
    func check() throws(LibvirtError) {
        let absent: [(UInt32, String)] = [
            (Flags.rdmaPinAll, "RDMA"), (Flags.postcopyResume, "a new way for memory that follows its machine"),
            (Flags.zerocopy, "sending without copies"),
        ]
        for (flag, words) in absent where has(flag) {
            throw LibvirtError.operationUnsupported("migration with \(words) is not supported")
        }
        if has(Flags.tunnelled), !has(Flags.peer2peer) {
            throw LibvirtError.invalidArgument("tunnelled migration needs the peer-to-peer flag")
        }
        if has(Flags.tunnelled) {
            for (isWanted, words) in [
                (copiesDisks, "of disks"), (has(Flags.parallel), "over several connections"),
                (has(Flags.tls), "with TLS for the state"), (has(Flags.postcopy), "with post-copy"),
            ] where isWanted {
                throw LibvirtError.operationUnsupported("migration \(words) through a tunnel is not supported")
            }
        }
        if has(Flags.parallel), has(Flags.postcopy) {
            throw LibvirtError.operationUnsupported("post-copy and several connections exclude each other")
        }
        if let connections {
            guard has(Flags.parallel) else {
                throw LibvirtError.invalidArgument("Turn parallel migration on to tune it")
            }
            guard (1...MigrationRequest.maximumConnections).contains(connections) else {
                throw LibvirtError.invalidArgument(
                    "number of parallel connections \(connections) is not between 1 and "
                        + "\(MigrationRequest.maximumConnections)")
            }
        }
        if has(Flags.nonSharedDisk), has(Flags.nonSharedInc) {
            throw LibvirtError.invalidArgument("flags 'non_shared_disk' and 'non_shared_inc' exclude each other")
        }
    }

    /// An address of a machine's state out of a URI: `tcp:HOST:PORT`, `tcp://HOST:PORT`, `unix:PATH`, `unix://PATH`.
    static func place(_ uri: String) throws(LibvirtError) -> MigrationPlace {
        func rest(_ prefix: String) -> String? { uri.hasPrefix(prefix) ? String(uri.dropFirst(prefix.count)) : nil }
        if var path = rest("unix:") {
            while path.hasPrefix("//") { path.removeFirst() }
            guard path.hasPrefix("/") else { throw LibvirtError.invalidArgument("path '\(path)' is not absolute") }
            return .unix(path)
        }
        guard let address = rest("tcp://") ?? rest("tcp:"), !address.isEmpty else {
            throw LibvirtError.invalidArgument("unsupported scheme in migration URI \(uri)")
        }
        let plain = address.split(separator: "/", maxSplits: 1).first.map(String.init) ?? ""
        guard let place = ListenerOptions.Place(plain, usualPort: 0) else {
            throw LibvirtError.invalidArgument("unable to parse URI: \(uri)")
        }
        return .tcp(place)
    }
}

/// Where a machine's state goes.
enum MigrationPlace: Sendable, Equatable {
    case tcp(ListenerOptions.Place)
    case unix(String)
}
