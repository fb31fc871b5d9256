internal import Display
public import HostOS
internal import JSON
internal import SPICE
internal import Synchronization
internal import TLS
public import VNC

extension VirtualMachine {
    /// The servers of a configuration, which listen but let nobody in yet.
    static func makeServers(
        _ configuration: MachineConfiguration, _ board: Board, report: @escaping @Sendable (String, VNCEvent) -> Void
    ) throws(MachineBuildError) -> [VNCServer] {
        var servers: [VNCServer] = []
        do throws(MachineBuildError) {
            for wanted in configuration.vncServers {
                let name = configuration.name
                let security = try wanted.tlsCredentials.map { (id) throws(MachineBuildError) in
                    try Self.security(id, configuration)
                }
                let server = try MachineBuildError.wrapping("-vnc: ") { () throws(VNCError) in
                    try VNCServer(
                        wanted, title: name.isEmpty ? "QEMU" : "QEMU (\(name))", consoles: board.consoles,
                        input: board.input, clipboard: board.characters.clipboard, security: security
                    ) { report(wanted.id, $0) }
                }
                servers.append(server)
                if let secret = wanted.passwordSecret {
                    server.setPassword(try Self.secret(secret, "-vnc", configuration))
                }
            }
        } catch {
            for server in servers { server.close() }
            throw error
        }
        return servers
    }

    /// The certificates of an object.
    private static func security(
        _ id: String, _ configuration: MachineConfiguration
    ) throws(MachineBuildError) -> any VNCSecurity {
        guard let object = configuration.objects.first(where: { $0.id == id && $0.type.hasPrefix("tls-creds-") }) else {
            throw MachineBuildError("-vnc: No TLS credentials with id '\(id)'")
        }
        guard object.type == "tls-creds-x509" else {
            throw MachineBuildError("-vnc: '\(id)' is a \(object.type): VNC needs tls-creds-x509")
        }
        var options: [String: String] = [:]
        for member in object.properties.members {
            options[member.name] =
                member.value.stringValue ?? object.properties.bool(member.name).map { $0 ? "on" : "off" }
        }
        options["id"] = id
        let credentials = try MachineBuildError.wrapping("-vnc: ") { () throws(TLSError) in
            try TLSCredentials(type: object.type, options)
        }
        guard credentials.isForServers else {
            throw MachineBuildError("-vnc: Expecting TLS credentials with a server endpoint")
        }
        return ViewerSecurity(credentials)
    }

    /// What a secret of an option's holds.
    static func secret(
        _ id: String, _ option: String, _ configuration: MachineConfiguration
    ) throws(MachineBuildError) -> String {
        guard let object = configuration.objects.first(where: { $0.id == id && $0.type == "secret" }) else {
            throw MachineBuildError("\(option): No secret with id '\(id)'")
        }
        if let data = object.properties.string("data") { return data }
        guard let path = object.properties.string("file"), let bytes = try? HostFile.contents(path, limit: 4096) else {
            throw MachineBuildError("\(option): the secret '\(id)' cannot be read")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    public var vncServers: [VNCStatus] { servers.map(\.status) }

    private func server(_ id: String?) throws(MachineError) -> VNCServer {
        guard let id else {
            if let first = servers.first { return first }
            throw .failed("VNC is not active")
        }
        guard let found = servers.first(where: { $0.configuration.id == id }) else {
            throw .failed("VNC display '\(id)' is not active")
        }
        return found
    }

    public func setVNCPassword(_ password: String, display: String?) throws(MachineError) {
        let server = try server(display)
        guard server.configuration.needsPassword else {
            throw .failed("Could not set password: the VNC display takes none; it needs password=on")
        }
        server.setPassword(password)
    }

    public func setVNCExpiry(_ time: UInt64?, display: String?) throws(MachineError) {
        try server(display).setExpiry(time)
    }

    public func addVNCViewer(_ socket: Descriptor, skipsAuthentication: Bool) throws(MachineError) {
        let server = try server(nil)
        do throws(VNCError) { try server.add(socket, skipsAuthentication: skipsAuthentication) } catch {
            throw .failed("\(error)")
        }
    }
}

/// The wire from servers, which are made first, to the machine that they belong to.
final class EventReporter: Sendable {
    /// What a server tells.
    enum Event: Sendable {
        case vnc(id: String, VNCEvent)
        case spice(SPICEEvent)
    }
    private let handler = Mutex<(@Sendable (Event) -> Void)?>(nil)

    func connect(_ handler: @escaping @Sendable (Event) -> Void) { self.handler.withLock { $0 = handler } }
    func send(_ event: Event) { handler.withLock { $0 }?(event) }
}

/// TLS for viewers, by the library that disks use too.
private final class ViewerSecurity: VNCSecurity {
    private let credentials: TLSCredentials
    init(_ credentials: TLSCredentials) { self.credentials = credentials }
    func makeSession(_ socket: Descriptor) -> (any VNCSecureSession)? {
        (try? TLSSession(socket.rawValue, credentials, host: nil)).map { Session($0) }
    }

    private final class Session: VNCSecureSession {
        private let session: TLSSession
        init(_ session: TLSSession) { self.session = session }
        func shakeHands() throws(VNCError) -> (isDone: Bool, wantsWrite: Bool) {
            do throws(TLSError) {
                switch try session.shakeHands() {
                case .done: return (true, false)
                case .wantsRead: return (false, false)
                case .wantsWrite: return (false, true)
                }
            } catch { throw VNCError(String(error.description.trimmingPrefix("TLS handshake failed: "))) }
        }
        func receive(into buffer: UnsafeMutableRawBufferPointer) -> Descriptor.Transfer {
            // SAFETY: the caller's buffer, for as long as the call.
            unsafe session.receive(into: buffer)
        }
        func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer { unsafe session.send(buffer) }
    }
}
