internal import CCrypto
internal import HostOS
internal import SystemPackage

/// TLS over TCP, with libvirt's certificates: `cacert.pem`, `clientcert.pem`, `clientkey.pem`.
@safe final class SecureTransport: ClientTransport {
    let descriptor: Descriptor
    private let context: OpaquePointer
    private let session: OpaquePointer

    /// SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN.
    private static let (wantsRead, wantsWrite, closed): (Int32, Int32, Int32) = (2, 3, 6)
    /// SSL_CTRL_SET_MIN_PROTO_VERSION and TLS 1.2; SSL_CTRL_MODE with partial writes from moving buffers.
    private static let (leastVersion, version12): (Int32, Int) = (123, 0x0303)
    private static let (mode, partialMoving): (Int32, Int) = (33, 3)
    /// SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name.
    private static let (setName, hostName): (Int32, Int) = (55, 0)

    /// Does the handshake. Waits for at most half a minute.
    init(_ socket: Descriptor, uri: ConnectionURI) throws(ClientError) {
        descriptor = socket
        guard let context = unsafe apus_SSL_CTX_new(apus_TLS_client_method()) else {
            throw Self.failure("OpenSSL's libssl cannot be opened")
        }
        unsafe self.context = context
        guard let session = unsafe Self.makeSession(context, uri) else {
            unsafe apus_SSL_CTX_free(context)
            throw Self.failure("Unable to load the certificates of \(Self.folders(uri).authority): \(Self.reason)")
        }
        unsafe self.session = session
        unsafe _ = apus_SSL_set_fd(session, socket.rawValue)
        unsafe apus_SSL_set_connect_state(session)
        if !Self.isUnverified(uri) { unsafe _ = apus_SSL_set1_host(session, uri.host) }
        var name = Array(uri.host.utf8CString)
        // SAFETY: the library copies the text.
        unsafe _ = name.withUnsafeMutableBytes {
            unsafe apus_SSL_ctrl(session, Self.setName, Self.hostName, $0.baseAddress)
        }
        let deadline = HostClock.monotonic + 30_000_000_000
        while true {
            apus_ERR_clear_error()
            let status = unsafe apus_SSL_do_handshake(session)
            if status == 1 { break }
            let reason = unsafe apus_SSL_get_error(session, status)
            guard reason == Self.wantsRead || reason == Self.wantsWrite else {
                throw Self.failure("TLS handshake failed: \(Self.reason)")
            }
            guard HostClock.monotonic < deadline else { throw Self.failure("TLS handshake failed: no answer") }
            _ = socket.wait(for: reason == Self.wantsRead ? .read : .write, milliseconds: 1000)
        }
        // The server looks at our certificate, and says by one byte whether it will do.
        while true {
            let (verdict, byte) = readByte()
            switch verdict {
            case .moved where byte == 1: return
            case .wouldBlock where HostClock.monotonic < deadline: _ = socket.wait(for: .read, milliseconds: 1000)
            default: throw Self.failure("server verification (of our certificate or IP address) failed")
            }
        }
    }

    deinit {
        unsafe apus_SSL_free(session)
        unsafe apus_SSL_CTX_free(context)
    }

    private func readByte() -> (Descriptor.Transfer, UInt8) {
        var byte: UInt8 = 0
        // SAFETY: the byte outlives the call.
        let result = unsafe withUnsafeMutableBytes(of: &byte) { unsafe receive(into: $0).0 }
        return (result, byte)
    }

    private static func isUnverified(_ uri: ConnectionURI) -> Bool { uri["no_verify"].map { $0 != "0" } ?? false }

    /// Where the authority's and the client's certificates are: of `pkipath`, of the user, or of the host.
    private static func folders(_ uri: ConnectionURI) -> (authority: String, client: String, key: String) {
        if let path = uri["pkipath"] {
            return ("\(path)/cacert.pem", "\(path)/clientcert.pem", "\(path)/clientkey.pem")
        }
        let own = "\(HostIdentity.home)/.pki/libvirt"
        if HostIdentity.userID != 0, HostFile.status("\(own)/clientcert.pem").kind == .file {
            let authority = "\(own)/cacert.pem"
            return (
                HostFile.status(authority).kind == .file ? authority : "/etc/pki/CA/cacert.pem",
                "\(own)/clientcert.pem", "\(own)/clientkey.pem"
            )
        }
        return (
            "/etc/pki/CA/cacert.pem", "/etc/pki/libvirt/clientcert.pem", "/etc/pki/libvirt/private/clientkey.pem"
        )
    }

    private static func makeSession(_ context: OpaquePointer, _ uri: ConnectionURI) -> OpaquePointer? {
        let files = folders(uri)
        unsafe _ = apus_SSL_CTX_ctrl(context, leastVersion, version12)
        unsafe _ = apus_SSL_CTX_ctrl(context, mode, partialMoving)
        if !isUnverified(uri) {
            guard unsafe apus_SSL_CTX_load_verify_locations(context, files.authority) == 1 else { return nil }
            // SSL_VERIFY_PEER.
            unsafe apus_SSL_CTX_set_verify(context, 1)
        }
        // A client without a certificate is the server's to judge.
        if HostFile.status(files.client).kind == .file {
            guard unsafe apus_SSL_CTX_use_certificate_chain_file(context, files.client) == 1,
                unsafe apus_SSL_CTX_use_PrivateKey_file(context, files.key) == 1,
                unsafe apus_SSL_CTX_check_private_key(context) == 1
            else { return nil }
        }
        return unsafe apus_SSL_new(context)
    }

    private static func failure(_ text: String) -> ClientError {
        // 40 is VIR_ERR_GNUTLS_ERROR, which stands for any TLS library.
        ClientError(VirErrorNumberTLS, text)
    }

    /// What the library says of its last error on this thread.
    private static var reason: String {
        let code = apus_ERR_get_error()
        apus_ERR_clear_error()
        guard code != 0, let text = unsafe apus_ERR_reason_error_string(code) else { return "connection closed" }
        // SAFETY: a constant of the library's.
        return unsafe String(cString: text)
    }

    var lastWords: String? { nil }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        apus_ERR_clear_error()
        // SAFETY: the caller's buffer has room for its count.
        let moved = unsafe apus_SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count))
        return (moved > 0 ? .moved(Int(moved)) : outcome(moved), [])
    }

    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        apus_ERR_clear_error()
        // SAFETY: the caller's buffer is valid for the call.
        let moved = unsafe apus_SSL_write(session, buffer.baseAddress, Int32(clamping: buffer.count))
        return moved > 0 ? .moved(Int(moved)) : outcome(moved)
    }

    private func outcome(_ status: Int32) -> Descriptor.Transfer {
        switch unsafe apus_SSL_get_error(session, status) {
        case Self.wantsRead, Self.wantsWrite: .wouldBlock
        case Self.closed: .end
        default: .failed(Errno.ioError.rawValue)
        }
    }

    func pass(_ passed: Descriptor) throws(HostError) {
        throw HostError("pass a descriptor over TLS", Errno.notSupported)
    }
}

/// `VIR_ERR_GNUTLS_ERROR`.
let VirErrorNumberTLS: Int32 = 40
