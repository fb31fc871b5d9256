internal import BlockImage

/// Encrypted images.
extension CreationFormat {
    static var luks: CreationFormat {
        let options = [
            size,
            Option("key-secret", Kind.text, "ID of the secret that provides the keyslot passphrase"),
            Option("cipher-alg", Kind.text, "Name of encryption cipher algorithm"),
            Option("cipher-mode", Kind.text, "Name of encryption cipher mode"),
            Option("ivgen-alg", Kind.text, "Name of IV generator algorithm"),
            Option("ivgen-hash-alg", Kind.text, "Name of IV generator hash algorithm"),
            Option("hash-alg", Kind.text, "Name of encryption hash algorithm"),
            Option("iter-time", Kind.number, "Time to spend in PBKDF in milliseconds"),
        ]
        return CreationFormat(name: "luks", options: options) { path, values, session throws(ToolFailure) in
            let way = try preallocation(values, allowed: ["off", "metadata", "falloc", "full"])
            try made(path, "create") { () throws(BlockError) in
                let passphrase = try passphrase(values, "key-secret", session)
                let options = luksOptions(values, "")
                try withNewFile(path, session) { file throws(BlockError) in
                    try LUKSNode.create(
                        options, size: (values.size + 511) / 512 * 512, passphrase: passphrase,
                        preallocation: way == .metadata ? .off : way, in: file)
                }
            }
        }
    }

    /// The options of a LUKS header, whose names begin with `prefix`.
    static func luksOptions(_ values: CreationValues, _ prefix: String) -> LUKSOptions {
        var options = LUKSOptions()
        if let value = values.text("\(prefix)cipher-alg") { options.cipher = value }
        if let value = values.text("\(prefix)cipher-mode") { options.mode = value }
        if let value = values.text("\(prefix)ivgen-alg") { options.vector = value }
        options.vectorHash = values.text("\(prefix)ivgen-hash-alg")
        if let value = values.text("\(prefix)hash-alg") { options.hash = value }
        if let value = values.number("\(prefix)iter-time") { options.iterationTime = value }
        return options
    }

    private static func passphrase(
        _ values: CreationValues, _ name: String, _ session: Session
    ) throws(BlockError) -> [UInt8] {
        guard let id = values.text(name) else { throw .secret("Parameter '\(name)' is required for cipher") }
        return try session.secrets.value(id)
    }

    /// Takes the options `encrypt.…` of a qcow2 image.
    static func encrypt(
        _ options: inout QCow2CreateOptions, _ values: CreationValues, _ path: String, _ session: Session
    ) throws(ToolFailure) {
        var format = values.text("encrypt.format")
        if values.flag("encryption") {
            guard format == nil else {
                throw ToolFailure("\(path): Options encryption and encrypt.format are mutually exclusive")
            }
            format = "aes"
        }
        guard let format else { return }
        guard format == "aes" || format == "luks" else {
            throw ToolFailure("\(path): Parameter 'format' does not accept value '\(format)'")
        }
        var encrypted = options
        try made(path, "create") { () throws(BlockError) in
            encrypted.passphrase = try passphrase(values, "encrypt.key-secret", session)
        }
        if format == "luks" {
            encrypted.luks = luksOptions(values, "encrypt.")
        } else {
            encrypted.isAES = true
        }
        options = encrypted
    }
}
