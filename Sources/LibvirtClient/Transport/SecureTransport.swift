internal import HostOS
internal import RPCWire
internal import SystemPackage
internal import TLS

/// TLS over TCP, with libvirt's certificates: `cacert.pem`, `clientcert.pem`, `clientkey.pem`.
final class SecureTransport: ClientTransport {
    let descriptor: Descriptor
    private let session: TLSSession

    /// Does the handshake. Waits for at most half a minute.
    init(_ socket: Descriptor, uri: ConnectionURI) throws(ClientError) {
        descriptor = socket
        let deadline = HostClock.monotonic + 30_000_000_000
        let isVerified = uri["no_verify"].map { $0 == "0" } ?? true
        do throws(TLSError) {
            let credentials = try TLSCredentials(Self.files(uri), isServer: false, verifies: isVerified)
            session = try TLSSession(socket.rawValue, credentials, host: uri.host)
            try session.shakeHands(on: socket.rawValue, until: deadline)
        } catch {
            throw Self.failure("\(error)")
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

    private func readByte() -> (Descriptor.Transfer, UInt8) {
        var byte: UInt8 = 0
        // SAFETY: the byte outlives the call.
        let result = unsafe withUnsafeMutableBytes(of: &byte) { unsafe session.receive(into: $0) }
        return (result, byte)
    }

    /// Where the authority's and the client's certificates are: of `pkipath`, of the user, or of the host.
    private static func files(_ uri: ConnectionURI) -> TLSCredentials.Files {
        if let path = uri["pkipath"] {
            return TLSCredentials.Files(
                authority: "\(path)/cacert.pem", certificate: "\(path)/clientcert.pem", key: "\(path)/clientkey.pem")
        }
        let own = "\(HostIdentity.home)/.pki/libvirt"
        if HostIdentity.userID != 0, HostFile.status("\(own)/clientcert.pem").kind == .file {
            let authority = "\(own)/cacert.pem"
            return TLSCredentials.Files(
                authority: HostFile.status(authority).kind == .file ? authority : "/etc/pki/CA/cacert.pem",
                certificate: "\(own)/clientcert.pem", key: "\(own)/clientkey.pem")
        }
        return TLSCredentials.Files(
            authority: "/etc/pki/CA/cacert.pem", certificate: "/etc/pki/libvirt/clientcert.pem",
            key: "/etc/pki/libvirt/private/clientkey.pem")
    }

    private static func failure(_ text: String) -> ClientError {
        // The protocol's number for errors of any TLS library.
        ClientError(VirErrorNumber.gnutlsError, text)
    }

    var lastWords: String? { nil }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        // SAFETY: the caller's buffer is valid for the call.
        (unsafe session.receive(into: buffer), [])
    }

    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        // SAFETY: as above.
        unsafe session.send(buffer)
    }

    func pass(_ passed: Descriptor) throws(HostError) {
        throw HostError("pass a descriptor over TLS", Errno.notSupported)
    }
}
