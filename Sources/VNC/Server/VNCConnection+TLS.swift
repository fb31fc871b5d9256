internal import HostOS
internal import Log

/// VeNCrypt (security type 19 of the community's protocol), version 0.2, with certificates of the server's.
extension VNCConnection {
    private enum Subtype {
        static let none: UInt32 = 260
        static let password: UInt32 = 261
    }
    private var subtype: UInt32 { server.configuration.needsPassword ? Subtype.password : Subtype.none }

    /// The viewer has chosen VeNCrypt.
    func beginExtended() {
        send([0, 2])
        phase = .extendedVersion
    }

    func takeExtendedVersion() throws(ProtocolViolation) -> Bool {
        guard handshake.count >= 2 else { return false }
        let version = Array(handshake.prefix(2))
        handshake.removeFirst(2)
        guard version == [0, 2] else {
            send([1])
            closeWhenSent()
            throw ProtocolViolation(reason: "VeNCrypt of version \(version[0]).\(version[1])")
        }
        var message: [UInt8] = [0, 1]
        Encoder.word(subtype, to: &message)
        send(message)
        phase = .extendedType
        return true
    }

    func takeExtendedType() throws(ProtocolViolation) -> Bool {
        guard handshake.count >= 4 else { return false }
        let wanted = handshake.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        handshake.removeFirst(4)
        guard wanted == subtype else {
            send([0])
            throw ProtocolViolation(reason: "VeNCrypt's subtype \(wanted), which was not offered")
        }
        // What somebody put here in plain text must not count as said in secret.
        guard handshake.isEmpty else { throw ProtocolViolation(reason: "bytes before TLS") }
        phase = .securing
        send([1])
        return false
    }

    /// All that goes in plain text has gone: TLS begins.
    func beginTLS() {
        guard secure == nil, !isClosed else { return }
        phase = .securing
        guard let session = server.security?.makeSession(socket) else { return close() }
        secure = session
        watch([.read])
        goOnSecuring()
    }

    func goOnSecuring() {
        guard let secure, !isClosed else { return }
        let step: (isDone: Bool, wantsWrite: Bool)
        do throws(VNCError) { step = try secure.shakeHands() } catch {
            server.log.info("VNC viewer \(viewer.host):\(viewer.service): TLS handshake failed: \(error)")
            return close()
        }
        guard step.isDone else { return watch(step.wantsWrite ? [.read, .write] : [.read]) }
        watch([.read])
        if webSocket != nil {
            phase = .version
        } else if server.configuration.needsPassword {
            challenge()
        } else {
            send([0, 0, 0, 0])
            phase = .initialisation
        }
        // What came with the handshake's end is in the session already.
        readAll()
    }
}
