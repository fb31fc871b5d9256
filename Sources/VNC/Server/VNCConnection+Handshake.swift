internal import Display

/// From the first byte to the picture. RFC 6143, 7.1 to 7.3.
extension VNCConnection {
    private enum Security {
        static let none: UInt8 = 1
        static let password: UInt8 = 2
        static let extended: UInt8 = 19
    }

    /// Takes one step; false until there is more.
    func shakeHands() throws(ProtocolViolation) -> Bool {
        switch phase {
        case .version: return try takeVersion()
        case .security: return try takeSecurity()
        case .extendedVersion: return try takeExtendedVersion()
        case .extendedType: return try takeExtendedType()
        case .securing: return false
        case .challenge(let challenge): return takeAnswer(challenge)
        case .initialisation: return takeInitialisation()
        case .running: return false
        }
    }

    /// The type that viewers have to take; within a browser's TLS there is no other.
    private var offeredType: UInt8 {
        if skipsAuthentication { return Security.none }
        if server.security != nil, webSocket == nil { return Security.extended }
        return server.configuration.needsPassword ? Security.password : Security.none
    }

    private func takeVersion() throws(ProtocolViolation) -> Bool {
        guard handshake.count >= 12 else { return false }
        let line = handshake.prefix(12)
        handshake.removeFirst(12)
        guard line.starts(with: Array("RFB 003.".utf8)), line.last == 10,
            let minor = Int(String(decoding: line[8..<11], as: UTF8.self))
        else { throw ProtocolViolation(reason: "no version of the protocol") }
        minorVersion = minor >= 8 ? 8 : minor == 7 ? 7 : 3
        let type = offeredType
        if minorVersion == 3 {
            guard type != Security.extended else {
                let text = Array("Viewers need version 3.7 of the protocol for TLS".utf8)
                send([0, 0, 0, 0, 0, 0, 0, UInt8(text.count)] + text)
                closeWhenSent()
                return false
            }
            send([0, 0, 0, type])
            try begin(type)
        } else {
            send([1, type])
            phase = .security
        }
        return true
    }

    private func takeSecurity() throws(ProtocolViolation) -> Bool {
        guard let type = handshake.first else { return false }
        handshake.removeFirst()
        guard type == offeredType else {
            throw ProtocolViolation(reason: "security type \(type), which was not offered")
        }
        try begin(type)
        return true
    }

    private func begin(_ type: UInt8) throws(ProtocolViolation) {
        if type == Security.none {
            if minorVersion >= 8 { send([0, 0, 0, 0]) }
            phase = .initialisation
            return
        }
        if type == Security.extended { return beginExtended() }
        challenge()
    }

    func challenge() {
        var generator = SystemRandomNumberGenerator()
        let challenge = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        send(challenge)
        phase = .challenge(challenge)
    }

    private func takeAnswer(_ challenge: [UInt8]) -> Bool {
        guard handshake.count >= 16 else { return false }
        let answer = Array(handshake.prefix(16))
        handshake.removeFirst(16)
        // All bytes are compared, so that time tells nothing of where they differ.
        let isRight = server.password.map { password in
            zip(answer, DES.answer(challenge, password: password)).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
        }
        guard isRight == true else {
            refuse("Authentication failed")
            return false
        }
        send([0, 0, 0, 0])
        phase = .initialisation
        return true
    }

    private func refuse(_ reason: String) {
        let text = Array(reason.utf8)
        send([0, 0, 0, 1] + (minorVersion >= 8 ? [0, 0, 0, UInt8(text.count)] + text : []))
        closeWhenSent()
    }

    private func takeInitialisation() -> Bool {
        guard let shared = handshake.first else { return false }
        handshake.removeFirst()
        guard server.admit(self, isShared: shared != 0) else {
            closeWhenSent()
            return false
        }
        size = server.consoles[console].screen.look { ($0.width, $0.height) }
        var message: [UInt8] = []
        for value in [size.width, size.height] { message += [UInt8(value >> 8), UInt8(value & 0xFF)] }
        message += PixelFormat.native.bytes
        let name = Array(server.title.utf8)
        Encoder.word(UInt32(name.count), to: &message)
        send(message + name)
        phase = .running
        server.initialized(self)
        return true
    }
}
