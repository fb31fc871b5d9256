internal import CCrypto
internal import CLinux
internal import HostOS
internal import SystemPackage

/// What proves who one is to the other end of a TLS connection: QEMU's objects `tls-creds-psk` (keys that both ends
/// share) and `tls-creds-x509` (certificates), from files with QEMU's names in a folder. Any thread.
@safe public final class TLSCredentials: @unchecked Sendable {
    // Sendable: a context that nobody changes after `init`, and constants.
    private enum Kind {
        /// Keys by the name of who has them.
        case keys([String: [UInt8]], user: String)
        case certificates
    }

    let isServer: Bool
    /// Whether they are for the end that listens (`endpoint=server`).
    public var isForServers: Bool { isServer }
    /// Whether the other end's certificate must be a good one.
    let verifies: Bool
    private let kind: Kind
    private let context: OpaquePointer

    /// Whether the other end has a certificate to compare its name with.
    var hasCertificates: Bool { if case .certificates = kind { true } else { false } }

    /// Whether the other end has to prove its name by a certificate.
    public var knowsPeers: Bool { hasCertificates && verifies }

    private static let readLimit = 1 << 20
    /// SSL_CTRL_SET_MIN_PROTO_VERSION, SSL_CTRL_MODE; SSL_MODE_ENABLE_PARTIAL_WRITE and
    /// SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER: macros that are not imported.
    private static let (leastVersion, mode): (Int32, Int32) = (123, 33)
    private static let (partialWrites, movingBuffers) = (1, 2)
    private static let version12 = 0x0303

    /// Where certificates lie.
    public struct Files: Sendable {
        /// Whom to believe: the certificate of the authority.
        public var authority: String
        /// One's own certificate and its key; a client may have neither.
        public var certificate: String
        public var key: String

        public init(authority: String, certificate: String, key: String) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
        }
    }

    /// Certificates from files of any names. Reads them; blocks.
    public convenience init(_ files: Files, isServer: Bool, verifies: Bool = true) throws(TLSError) {
        try self.init(kind: .certificates, files, isServer: isServer, verifies: verifies)
    }

    /// The object of a type (`tls-creds-psk`, `tls-creds-x509`) with its options: `dir`, `endpoint`, `username`,
    /// `verify-peer`. Reads files; blocks.
    public convenience init(type: String, _ options: [String: String]) throws(TLSError) {
        for name in options.keys.sorted()
        where !["id", "qom-type", "dir", "endpoint", "username", "verify-peer", "priority"].contains(name) {
            throw TLSError("Property '\(type).\(name)' not found")
        }
        let (isServer, verifies): (Bool, Bool)
        switch options["endpoint"] ?? "client" {
        case "client": isServer = false
        case "server": isServer = true
        case let other: throw TLSError("Parameter 'endpoint' does not accept value '\(other)'")
        }
        switch options["verify-peer"] ?? "on" {
        case "on", "yes", "true": verifies = true
        case "off", "no", "false": verifies = false
        default: throw TLSError("Parameter 'verify-peer' expects 'on' or 'off'")
        }
        guard let folder = options["dir"], !folder.isEmpty else { throw TLSError("Parameter 'dir' is missing") }
        let end = isServer ? "server" : "client"
        let files = Files(
            authority: "\(folder)/ca-cert.pem", certificate: "\(folder)/\(end)-cert.pem",
            key: "\(folder)/\(end)-key.pem")
        let user = options["username"] ?? "qemu"
        let isKeys = type == "tls-creds-psk"
        let kind: Kind = isKeys ? .keys(try Self.keys("\(folder)/keys.psk"), user: user) : .certificates
        if case .keys(let all, _) = kind, !isServer, all[user] == nil {
            throw TLSError("Username \(user) not found in \(folder)/keys.psk")
        }
        try self.init(kind: kind, files, isServer: isServer, verifies: verifies)
    }

    private init(kind: Kind, _ files: Files, isServer: Bool, verifies: Bool) throws(TLSError) {
        self.kind = kind
        self.isServer = isServer
        self.verifies = verifies
        // The library writes to sockets whose other end may have gone: that is an error, not the end of the process.
        Signals.ignoreBrokenPipes()
        guard let made = unsafe apus_SSL_CTX_new(isServer ? apus_TLS_server_method() : apus_TLS_client_method()) else {
            throw TLSError("TLS needs OpenSSL's libssl, which cannot be opened")
        }
        unsafe context = made
        unsafe _ = apus_SSL_CTX_ctrl(context, Self.leastVersion, Self.version12)
        unsafe _ = apus_SSL_CTX_ctrl(context, Self.mode, Self.partialWrites | Self.movingBuffers)
        // Nobody comes back to a session here.
        unsafe _ = apus_SSL_CTX_set_num_tickets(context, 0)
        if hasCertificates { try useCertificates(files) } else { try useKeys() }
    }

    deinit { unsafe apus_SSL_CTX_free(context) }

    /// A new session, or nil for want of memory. The caller frees it, and keeps this object until then.
    func makeSession() -> OpaquePointer? {
        guard let session = unsafe apus_SSL_new(context) else { return nil }
        // What the callbacks find their keys by.
        unsafe _ = apus_SSL_set_ex_data(session, Unmanaged.passUnretained(self).toOpaque())
        return unsafe session
    }

    // MARK: Keys

    /// Lines of a name and a key in hexadecimal digits, with a colon between.
    private static func keys(_ path: String) throws(TLSError) -> [String: [UInt8]] {
        let bytes: [UInt8]
        do throws(HostError) { bytes = try HostFile.contents(path, limit: readLimit) } catch {
            throw TLSError("Unable to access credentials \(path): \(error.errno)")
        }
        var keys: [String: [UInt8]] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.first != UInt8(ascii: "#") {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon], as: UTF8.self)
            let digits = line[(colon + 1)...].filter { $0 > 32 }
            let text = String(decoding: digits, as: UTF8.self)
            guard digits.count % 2 == 0, !digits.isEmpty, digits.count <= 512 else {
                throw TLSError("The key of '\(name)' in \(path) is not one of hexadecimal digits")
            }
            var key: [UInt8] = []
            var rest = Substring(text)
            while !rest.isEmpty {
                guard let byte = UInt8(rest.prefix(2), radix: 16) else {
                    throw TLSError("The key of '\(name)' in \(path) is not one of hexadecimal digits")
                }
                key.append(byte)
                rest = rest.dropFirst(2)
            }
            keys[name] = key
        }
        return keys
    }

    private func useKeys() throws(TLSError) {
        // Of TLS 1.2 the ciphers whose key is shared; those of 1.3 go with any.
        guard unsafe apus_SSL_CTX_set_cipher_list(context, "ECDHE-PSK:DHE-PSK:PSK:!eNULL") == 1 else {
            throw TLSError("The TLS library has no ciphers for shared keys")
        }
        if isServer {
            unsafe apus_SSL_CTX_set_psk_server_callback(context) { session, name, room, count in
                guard let name = unsafe name, let room = unsafe room else { return 0 }
                // SAFETY: the library gives a text that ends with a zero, and room for `count` bytes.
                return unsafe TLSCredentials.give(
                    session, String(cString: name), UnsafeMutableRawBufferPointer(start: room, count: Int(count)))
            }
        } else {
            unsafe apus_SSL_CTX_set_psk_client_callback(context) { session, _, name, nameCount, room, count in
                guard let owner = unsafe TLSCredentials.owner(session), case .keys(_, let user) = owner.kind,
                    let name = unsafe name, let room = unsafe room, user.utf8.count < Int(nameCount)
                else { return 0 }
                for (index, byte) in user.utf8.enumerated() { unsafe name[index] = CChar(bitPattern: byte) }
                unsafe name[user.utf8.count] = 0
                // SAFETY: as above.
                return unsafe TLSCredentials.give(
                    session, user, UnsafeMutableRawBufferPointer(start: room, count: Int(count)))
            }
        }
    }

    private static func owner(_ session: OpaquePointer?) -> TLSCredentials? {
        guard let session = unsafe session, let pointer = unsafe apus_SSL_get_ex_data(session) else { return nil }
        // SAFETY: what `makeSession` has stored; whoever has the session keeps the credentials.
        return unsafe Unmanaged<TLSCredentials>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Hands a name's key to the library; 0: there is none.
    private static func give(
        _ session: OpaquePointer?, _ name: String, _ room: UnsafeMutableRawBufferPointer
    ) -> UInt32 {
        guard let owner = unsafe owner(session), case .keys(let all, _) = owner.kind, let key = all[name],
            key.count <= room.count
        else { return 0 }
        unsafe room.copyBytes(from: key)
        return UInt32(key.count)
    }

    // MARK: Certificates

    private func useCertificates(_ files: Files) throws(TLSError) {
        func path(_ path: String, isNeeded: Bool) throws(TLSError) -> String? {
            if unsafe access(path, R_OK) == 0 { return path }
            guard isNeeded else { return nil }
            throw TLSError("Unable to access credentials \(path): \(Errno(rawValue: apus_errno()))")
        }
        if let authority = try path(files.authority, isNeeded: true),
            unsafe apus_SSL_CTX_load_verify_locations(context, authority) != 1
        {
            throw TLSError("Cannot load CA certificate '\(authority)': \(Self.reason)")
        }
        // A client may have none; the server says whether it must.
        if let certificate = try path(files.certificate, isNeeded: isServer),
            let key = try path(files.key, isNeeded: true)
        {
            guard unsafe apus_SSL_CTX_use_certificate_chain_file(context, certificate) == 1,
                unsafe apus_SSL_CTX_use_PrivateKey_file(context, key) == 1,
                unsafe apus_SSL_CTX_check_private_key(context) == 1
            else { throw TLSError("Cannot load certificate '\(certificate)' & key '\(key)': \(Self.reason)") }
        }
        // SSL_VERIFY_PEER, and of a server SSL_VERIFY_FAIL_IF_NO_PEER_CERT.
        if verifies { unsafe apus_SSL_CTX_set_verify(context, isServer ? 3 : 1) }
    }

    /// What the library says of its last error on this thread.
    static var reason: String {
        let code = apus_ERR_get_error()
        apus_ERR_clear_error()
        guard code != 0, let text = unsafe apus_ERR_reason_error_string(code) else { return "unknown error" }
        // SAFETY: a constant of the library's.
        return unsafe String(cString: text)
    }
}
