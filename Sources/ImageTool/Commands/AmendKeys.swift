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

    /// Carries out the options, whose names are without `encrypt.`. `key` is the id of the secret that the image was
    /// opened with.
    static func run(
        _ image: OpenImage, _ given: [(name: String, value: String?)], key: String?, isForced: Bool, _ session: Session
    ) throws(ToolFailure) {
        var values: [String: String] = [:]
        for (name, value) in given {
            guard options.contains(where: { $0.name == name }) else {
                throw ToolFailure("Invalid parameter '\(name)'")
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
        func number(_ name: String) throws(ToolFailure) -> UInt64? {
            guard let text = values[name] else { return nil }
            guard let number = UInt64(text) else { throw ToolFailure("Parameter '\(name)' expects a number") }
            return number
        }
        var change = LUKSAmendment(isActive: state == "active")
        if let slot = try number("keyslot") {
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
        if let time = try number("iter-time") { change.iterationTime = time }
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
