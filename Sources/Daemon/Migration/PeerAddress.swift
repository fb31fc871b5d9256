internal import HostOS
internal import RPCWire
internal import TLS

/// A connection's URI, as far as one daemon needs it to reach another: `qemu+tcp://host:port/system?name=value`.
struct PeerAddress: Sendable {
    var transport: String
    var user: String?
    var host: String
    var port: UInt16?
    var path: String
    private var parameters: [String: String] = [:]

    init(_ text: String) throws(LibvirtError) {
        func fail() -> LibvirtError { LibvirtError.invalidArgument("unable to parse connection URI '\(text)'") }
        guard let end = text.firstRange(of: "://") else { throw fail() }
        let scheme = text[..<end.lowerBound].split(separator: "+", maxSplits: 1).map(String.init)
        guard scheme.first == "qemu" else {
            throw LibvirtError(
                code: VirErrorNumber.noConnect, domain: VirErrorDomain.none,
                message: "no connection driver available for \(text)", detail: text)
        }
        let rest = text[end.upperBound...]
        let main = rest.prefix { $0 != "?" }
        guard let slash = main.firstIndex(of: "/") else { throw fail() }
        path = String(main[slash...])
        var authority = main[..<slash]
        if let at = authority.lastIndex(of: "@") {
            user = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        }
        if let place = ListenerOptions.Place(String(authority), usualPort: 0), !authority.allSatisfy(\.isNumber) {
            host = place.host
            port = place.port == 0 ? nil : place.port
        } else {
            host = String(authority)
        }
        transport = scheme.count > 1 ? scheme[1] : host.isEmpty ? "unix" : "tls"
        for pair in rest.dropFirst(main.count + 1).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { PeerAddress.plain(String($0)) }
            parameters[parts.first ?? ""] = parts.count > 1 ? parts[1] : ""
        }
        guard !host.hasPrefix("-"), user?.hasPrefix("-") != true else { throw fail() }
    }

    /// The file of names and passwords that it names.
    var credentials: String? { parameters["authfile"] }

    /// What the URI is for the daemon at the other end.
    var local: String { "qemu://\(path)" }

    /// A text in which `%xx` stands for a byte.
    static func plain(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Connects; waits. The process is what carries the connection, if one does.
    func connect() throws(LibvirtError) -> (FrameTransport, HostProcess?) {
        func reached<Result>(_ body: () throws(HostError) -> Result) throws(LibvirtError) -> Result {
            do throws(HostError) { return try body() } catch {
                throw LibvirtError.system("unable to connect to server at '\(host)': \(error)").from(VirErrorDomain.rpc)
            }
        }
        switch transport {
        case "unix":
            let path = socketPath
            return (
                FrameTransport(
                    try reached { () throws(HostError) in
                        try Socket.connect(SocketAddress.unix(path))
                    }), nil
            )
        case "tcp":
            return (FrameTransport(try reached { () throws(HostError) in try socket(ListenerOptions.tcpPort) }), nil)
        case "tls":
            return (try secure(try reached { () throws(HostError) in try socket(ListenerOptions.tlsPort) }), nil)
        case "ssh": return try reached { () throws(HostError) in try overSSH() }
        default: throw LibvirtError.invalidArgument("transport '\(transport)' in URI is not supported")
        }
    }

    private var socketPath: String {
        parameters["socket"] ?? (path == "/session" ? DaemonPaths.session : DaemonPaths.system).sockets
            + "/libvirt-sock"
    }

    private func socket(_ usual: UInt16) throws(HostError) -> Descriptor {
        let socket = try Socket.connect(anyOf: try SocketAddress.resolve(host: host, port: "\(port ?? usual)"))
        Socket.setNoDelay(socket)
        return socket
    }

    private func secure(_ socket: Descriptor) throws(LibvirtError) -> FrameTransport {
        let deadline = HostClock.monotonic + 30_000_000_000
        let session: TLSSession
        do throws(TLSError) {
            let verifies = (parameters["no_verify"] ?? "0") == "0"
            let credentials = try TLSCredentials(certificates, isServer: false, verifies: verifies)
            session = try TLSSession(socket.rawValue, credentials, host: host)
            try session.shakeHands(on: socket.rawValue, until: deadline)
        } catch { throw LibvirtError.rpc(error.description) }
        // The other end's word that our certificate is good enough.
        var word: [UInt8] = [0]
        while HostClock.monotonic < deadline {
            // SAFETY: the array lives for the call.
            switch unsafe word.withUnsafeMutableBytes({ unsafe session.receive(into: $0) }) {
            case .moved where word == [1]: return FrameTransport(socket, session)
            case .wouldBlock: _ = socket.wait(for: [.read], milliseconds: 1000)
            default: throw LibvirtError.rpc("server verification (of our certificate or IP address) failed")
            }
        }
        throw LibvirtError.rpc("the server does not answer over TLS")
    }

    private var certificates: TLSCredentials.Files {
        func files(_ folder: String) -> TLSCredentials.Files {
            TLSCredentials.Files(
                authority: "\(folder)/cacert.pem", certificate: "\(folder)/clientcert.pem",
                key: "\(folder)/clientkey.pem")
        }
        if let folder = parameters["pkipath"] { return files(folder) }
        let own = files("\(HostIdentity.home)/.pki/libvirt")
        if HostFile.status(own.authority).kind == .file { return own }
        return TLSCredentials.Files(
            authority: "/etc/pki/CA/cacert.pem", certificate: "/etc/pki/libvirt/clientcert.pem",
            key: "/etc/pki/libvirt/private/clientkey.pem")
    }

    /// What the other host's shell runs: libvirt's helper where it is, or netcat on the socket.
    private var remoteCommand: String {
        func quoted(_ text: String) -> String {
            "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        let netcat = "\(quoted(parameters["netcat"] ?? "nc")) -U \(quoted(socketPath))"
        let helper = "virt-ssh-helper \(quoted(local))"
        switch parameters["proxy"] {
        case "netcat": return netcat
        case "native": return helper
        default:
            if parameters["socket"] != nil { return netcat }
            return "if command -v virt-ssh-helper >/dev/null 2>&1; then exec \(helper); else exec \(netcat); fi"
        }
    }

    private func overSSH() throws(HostError) -> (FrameTransport, HostProcess?) {
        let (own, other) = try DescriptorPair.sockets()
        try own.setNonBlocking()
        let program = parameters["command"] ?? "/usr/bin/ssh"
        var words = [program]
        if let port { words += ["-p", "\(port)"] }
        if let user { words += ["-l", user] }
        if let key = parameters["keyfile"] { words += ["-i", key] }
        if parameters["no_tty"] == "1" { words += ["-T", "-o", "BatchMode=yes"] }
        words += ["-e", "none", "--", host, remoteCommand]
        let null = try HostFile.open("/dev/null", HostFile.Mode.readWrite)
        let process = try HostProcess.spawn(
            program, arguments: words,
            environment: ["HOME=\(HostIdentity.home)", "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [other, other, null])
        return (FrameTransport(own), process)
    }
}
