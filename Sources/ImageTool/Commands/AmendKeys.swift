internal import BlockImage

/// Changing the key slots of an encrypted image: `amend -o state=…` of luks, `amend -o encrypt.state=…` of qcow2.
enum AmendKeys {
    static let options: [(name: String, kind: String, help: String)] = [
        ("iter-time", "<num>", "Time to spend in PBKDF in milliseconds"),
        ("keyslot", "<num>", "Select a single keyslot to modify explicitly"),
        ("new-secret", "<str>", "New secret to set in the matching keyslots. Empty string to erase"),
        ("old-secret", "<str>", "Select all keyslots that match this password"),
        ("state", "<str>", "Select new state of affected keyslots (active/inactive)"),
    ]

    static var help: String {
        "Amend options for 'luks':\n"
            + options.map { "  \(Formatting.pad("\($0.name)=\($0.kind)", 22, left: true)) - \($0.help)\n" }.joined()
    }

    /// Carries out the options, whose names are without the prefix (`encrypt.` for qcow2). `key` is the id of the secret
    /// that the image was opened with.
    static func run(
        _ image: OpenImage, _ given: [(name: String, value: String?)], prefix: String, key: String?, isForced: Bool,
        _ session: Session
    ) throws(ToolFailure) {
        var values: [String: String] = [:]
        for (name, value) in given {
            guard let option = options.first(where: { $0.name == name }) else {
                let isForCreation =
                    CreationFormat.named(image.format)?.options.contains { $0.name == prefix + name } ?? false
                throw ToolFailure(
                    lines: ["Invalid parameter '\(prefix)\(name)'"],
                    hint: isForCreation && name != "size" ? "This option is only supported for image creation" : nil)
            }
            guard option.kind != "<num>" || value.flatMap({ Int64($0) }) != nil else {
                throw ToolFailure("Parameter '\(prefix)\(name)' expects a number")
            }
            values[name] = value ?? "on"
        }
        guard let node = image.node as? any LUKSAmendable else {
            throw ToolFailure("Format driver '\(image.format)' does not support option amendment")
        }
        guard let state = values["state"] else { throw ToolFailure("Parameter 'state' is missing") }
        guard state == "active" || state == "inactive" else {
            throw ToolFailure("Parameter 'state' does not accept value '\(state)'")
        }
        func number(_ name: String) -> Int64? { values[name].flatMap { Int64($0) } }
        var change = LUKSAmendment(isActive: state == "active")
        if let slot = number("keyslot").map({ UInt32(truncatingIfNeeded: $0) }) {
            guard slot < 8 else { throw ToolFailure("Invalid keyslot \(slot) specified, must be between 0 and 7") }
            change.slot = Int(slot)
        }
        if change.isActive, values["old-secret"] != nil {
            throw ToolFailure("'old-secret' must not be given when activating keyslots")
        }
        if !change.isActive, values["new-secret"] != nil {
            throw ToolFailure("'new-secret' must not be given when erasing keyslots")
        }
        guard change.isActive || values["iter-time"] == nil else {
            throw ToolFailure("'iter-time' must not be given when erasing keyslots")
        }
        if let time = number("iter-time") {
            guard time >= 0 else { throw ToolFailure("Parameter 'iter-time' expects a number") }
            change.iterationTime = UInt64(time)
        }
        change.isForced = isForced
        do throws(BlockError) {
            if let id = values["old-secret"] { change.old = try session.secrets.value(id) }
            if let id = values["new-secret"] { change.new = try session.secrets.value(id) }
            let passphrase = try key.map { id throws(BlockError) in try session.secrets.value(id) } ?? []
            try node.amendKeys(change, passphrase: passphrase)
        } catch {
            throw ToolFailure(Wording.reason(error))
        }
    }
}
