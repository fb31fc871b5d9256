internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Secrets of the daemon.
extension Run {
    private static let usages = ["none", "volume", "ceph", "iscsi", "tls", "vtpm"]

    static func secretDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let secret = try failing("Failed to set attributes from \(path)") {
            try c.ask(
                Remote.SecretDefineXML.self,
                .init(xml: xml, flags: c.has("validate") ? VirSecretDefineFlags.validate : 0)
            ).secret
        }
        c.say("Secret \(secret.uuid) created\n")
    }

    static func secretDumpxml(_ c: Call) throws {
        try printXML(c, try c.ask(Remote.SecretGetXMLDesc.self, .init(secret: try c.secret(), flags: 0)).xml)
    }

    static func secretSetValue(_ c: Call) throws {
        for pair in [
            ("file", "base64"), ("interactive", "base64"), ("interactive", "file"), ("interactive", "plain"),
            ("plain", "base64"),
        ] {
            try c.exclusive(pair.0, pair.1)
        }
        let secret = try c.secret()
        var bytes: [UInt8]
        if let text = c["base64"] {
            c.complain("Passing secret value as command-line argument is insecure!")
            bytes = Base64.decode(text)
        } else if let path = c["file"] {
            do throws(HostError) { bytes = try HostFile.contents(path, limit: 65_536) } catch {
                throw CommandFailure("Failed to open file '\(path)': \(error.errno)")
            }
            if !c.has("plain") {
                bytes = Base64.decode(String(decoding: bytes, as: UTF8.self))
            }
        } else if c.has("interactive") {
            bytes = Array(try c.shell.lines.secret("Enter new value for secret:", c.shell).utf8)
        } else {
            throw CommandFailure("Input secret value is missing")
        }
        try failing("Failed to set secret value") {
            try c.ask(Remote.SecretSetValue.self, .init(secret: secret, value: bytes, flags: 0))
        }
        c.say("Secret value set\n")
    }

    static func secretGetValue(_ c: Call) throws {
        let secret = try c.secret()
        let value = try c.ask(Remote.SecretGetValue.self, .init(secret: secret, flags: 0)).value
        if c.has("plain") {
            c.shell.flush()
            try Descriptor(borrowing: 1).writeAll(value)
            return
        }
        c.out(Base64.encode(value))
    }

    static func secretUndefine(_ c: Call) throws {
        let secret = try c.secret()
        try failing("Failed to delete secret \(secret.uuid)") {
            try c.ask(Remote.SecretUndefine.self, .init(secret: secret))
        }
        c.say("Secret \(secret.uuid) deleted\n")
    }

    static func secretList(_ c: Call) throws {
        typealias Flags = VirConnectListAllSecretsFlags
        let flags = c.bits(
            ("ephemeral", Flags.ephemeral), ("no-ephemeral", Flags.noEphemeral), ("private", Flags.private),
            ("no-private", Flags.noPrivate))
        let secrets = try failing("Failed to list node secrets") {
            try c.ask(Remote.ConnectListAllSecrets.self, .init(needResults: 1, flags: flags)).secrets
        }
        var table = TextTable("UUID", "Usage")
        for secret in secrets.sorted(by: { "\($0.uuid)" < "\($1.uuid)" }) {
            let kind = DomainText.name(usages, secret.usageType)
            table.add("\(secret.uuid)", secret.usageType != 0 ? "\(kind) \(secret.usageID)" : "Unused")
        }
        c.table(table)
    }
}

/// Base64 (RFC 4648), lines of any length.
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(3))
            rest = rest.dropFirst(3)
            let word = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
            for index in 0..<4 {
                text.append(index <= part.count ? letters[Int(word >> UInt32(18 - 6 * index)) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text, as glib reads it: what is no letter of the alphabet is passed over.
    static func decode(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var (word, bits): (UInt32, Int) = (0, 0)
        for byte in text.utf8 {
            guard let value = letters.firstIndex(of: byte) else { continue }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        return bytes
    }
}
