internal import HostOS
internal import RPCWire
public import SASL

extension LibvirtConnection {
    /// Connects, proves who we are, and opens the driver. Without a URI it is the default daemon: root's is the
    /// system's, another user's the user's own.
    ///
    /// - Parameter ask: asks the user what no file says, where a daemon wants it by SASL; nil: the user gives up.
    public static func open(
        _ text: String?, _ options: Options = Options(), ask: ((SASLSession.Question) -> String?)? = nil
    ) throws(ClientError) -> LibvirtConnection {
        Signals.ignoreBrokenPipes()
        let uri = try text.map { text throws(ClientError) in try ConnectionURI(text) }
        let connection = LibvirtConnection(try connect(uri, options), uri: uri, options: options)
        try connection.authenticate(ask)
        connection.startKeepalive()
        try connection.call(
            Remote.ConnectOpen.self,
            .init(name: uri?.remoteName, flags: options.readOnly ? VirConnectFlags.ro : 0))
        return connection
    }

    private static func connect(_ uri: ConnectionURI?, _ options: Options) throws(ClientError) -> any ClientTransport {
        guard let uri, uri.transport != .unix else {
            let path = uri?["socket"] ?? socketPath(isSession: uri?.isSession ?? (HostIdentity.userID != 0), options)
            let isOwn = uri?["socket"] == nil && (uri?.isSession ?? (HostIdentity.userID != 0))
            guard isOwn, HostIdentity.userID != 0, !options.readOnly,
                HostIdentity.environment("LIBVIRT_AUTOSTART") != "0"
            else { return SocketTransport(try socket(path)) }
            if let found = try? socket(path) { return SocketTransport(found) }
            try startDaemon(options.starter)
            return SocketTransport(try socket(socketPath(isSession: true, options)))
        }
        switch uri.transport {
        case .unix: throw ClientError.broken("no socket")
        case .tcp, .tls:
            let port = uri.port ?? (uri.transport == .tcp ? "16509" : "16514")
            let host = uri.host.isEmpty ? "localhost" : uri.host
            let socket: Descriptor
            do throws(HostError) {
                socket = try Socket.connect(anyOf: try SocketAddress.resolve(host: host, port: port))
                Socket.setNoDelay(socket)
            } catch {
                throw ClientError(
                    VirErrorNumber.systemError, "unable to connect to server at '\(host):\(port)': \(error.errno)")
            }
            return uri.transport == .tcp ? SocketTransport(socket) : try SecureTransport(socket, uri: uri)
        case .ssh, .ext:
            let path = uri["socket"] ?? remoteSocketPath(uri, options)
            let words: [String]
            if uri.transport == .ext {
                guard let command = uri["command"] else {
                    throw ClientError(
                        VirErrorNumber.invalidArg, "remote_open: for 'ext' transport, command is required")
                }
                words = [command]
            } else {
                words = SSHCommand.words(uri, socketPath: path, readOnly: options.readOnly)
            }
            do throws(HostError) { return try ProgramTransport(words) } catch {
                throw ClientError(VirErrorNumber.systemError, "\(error)")
            }
        }
    }

    /// Starts the user's daemon, which goes into the background when it can be reached.
    private static func startDaemon(_ words: [String]) throws(ClientError) {
        guard let program = words.first else { return }
        do throws(HostError) {
            let null = try HostFile.open("/dev/null", .readWrite)
            let process = try HostProcess.spawnInSession(
                program, arguments: words, environment: HostEnvironment.all, descriptors: [null, null, null])
            _ = process.waitForEnd(milliseconds: 60_000)
            process.reap()
        } catch { throw ClientError(VirErrorNumber.systemError, "\(error)") }
    }

    private static func socket(_ path: String) throws(ClientError) -> Descriptor {
        do throws(HostError) { return try Socket.connect(try SocketAddress.unix(path)) } catch {
            throw ClientError(
                VirErrorNumber.systemError, "Failed to connect socket to '\(path)': \(error.errno)")
        }
    }

    /// Where the daemon of this host listens: that of QEMU alone where there is one, else the one for all.
    public static func socketPath(isSession: Bool, _ options: Options = Options()) -> String {
        let suffix = options.readOnly && !isSession ? "-sock-ro" : "-sock"
        let folder =
            isSession
            ? (HostIdentity.environment("XDG_RUNTIME_DIR") ?? "\(HostIdentity.home)/.cache") + "/libvirt"
            : "/var/run/libvirt"
        let divided = "\(folder)/virtqemud\(suffix)"
        return HostFile.status(divided).kind == .socket ? divided : "\(folder)/libvirt\(suffix)"
    }

    /// Where it probably does on another host, for netcat.
    private static func remoteSocketPath(_ uri: ConnectionURI, _ options: Options) -> String {
        uri.isSession
            ? ".cache/libvirt/libvirt-sock" : "/var/run/libvirt/libvirt-sock\(options.readOnly ? "-ro" : "")"
    }

    /// `AUTH_LIST`, then what the daemon wants. `remote_auth_type`: 0 none, 1 SASL, 2 polkit.
    private func authenticate(_ ask: ((SASLSession.Question) -> String?)?) throws(ClientError) {
        var types = try call(Remote.AuthList.self, NoPayload(), within: options.greeting).types
        // `auth=` says which way the user wants.
        let wanted = uri?["auth"].map { $0.split(separator: ".", maxSplits: 1).map(String.init) } ?? []
        if let word = wanted.first {
            guard let kind: Int32 = ["none": 0, "sasl": 1, "polkit": 2][word] else {
                throw fail(ClientError(VirErrorNumber.authFailed, "unknown authentication type \(word)"))
            }
            guard types.contains(kind) || types.isEmpty && kind == 0 else {
                throw fail(
                    ClientError(VirErrorNumber.authFailed, "requested authentication type \(word) rejected"))
            }
            types = [kind]
        }
        if types.isEmpty || types.contains(0) { return }
        if types.contains(2) {
            // The user may have to be asked.
            let done = try call(Remote.AuthPolkit.self, NoPayload())
            guard done.complete != 0 else {
                throw fail(ClientError(VirErrorNumber.authFailed, "authentication failed: polkit did not complete"))
            }
            return
        }
        guard types.contains(1) else {
            throw fail(
                ClientError(
                    VirErrorNumber.authFailed,
                    "unsupported authentication type \(types.first.map { "\($0)" } ?? "")"))
        }
        try authenticateBySASL(mechanism: wanted.count > 1 ? wanted[1] : nil, ask)
    }
}
