internal import HostOS
internal import RPCWire
internal import SASL

/// Names and passwords.
extension LibvirtConnection {
    /// Less than that is not secret; libvirt's own limit.
    private static let leastStrength: UInt32 = 56
    /// What TLS and SSH have at least.
    private static let strengthOfOthers: UInt32 = 128

    /// Proves who we are, with what `auth.conf` says, or the user.
    func authenticateBySASL(
        mechanism: String?, _ ask: ((SASLSession.Question) -> String?)?
    ) throws(ClientError) {
        func failure(_ words: String) -> ClientError {
            fail(ClientError(VirErrorNumber.authFailed, "authentication failed: \(words)"))
        }
        let isPlain = uri?.transport == .tcp
        let host = uri.flatMap { $0.host.isEmpty ? nil : $0.host } ?? "localhost"
        let session: SASLSession
        let file: CredentialFile?
        do throws(SASLError) {
            let socket = transport.descriptor
            session = try SASLSession.client(
                service: "libvirt", host: host, local: isPlain ? try? Socket.localAddress(socket) : nil,
                remote: isPlain ? try? Socket.peerAddress(socket) : nil,
                isPlain ? .wanted(bits: Self.leastStrength) : .given(bits: Self.strengthOfOthers))
            file = try CredentialFile.usual(named: uri?["authfile"])
        } catch { throw failure("\(error)") }
        let user = uri?.user
        let mechanisms = try call(Remote.AuthSASLInit.self, NoPayload(), within: options.greeting).mechlist
        let exchange = SASLExchange<ClientError>(
            session,
            ask: { question in
                if let answer = file?.answer(question.kind, host: host) { return answer }
                if question.kind == .name, let user { return user }
                // Who one wants to be seen as is who one is.
                if question.kind == .user || question.kind == .realm { return nil }
                return ask?(question)
            }, fail: { failure("\($0)") })
        try exchange.run(
            mechanisms: mechanisms, wanted: mechanism,
            start: { (arguments) throws(ClientError) in
                try self.call(Remote.AuthSASLStart.self, arguments, within: self.options.greeting)
            },
            step: { (arguments) throws(ClientError) in
                try self.call(Remote.AuthSASLStep.self, arguments, within: self.options.greeting)
            },
            refuse: failure)
        if session.hasLayer { try secure(by: session) }
    }
}
