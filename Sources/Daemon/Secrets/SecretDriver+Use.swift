internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import RPCWire

/// Values for machines and pools, which may have those that no client may read.
extension SecretDriver {
    /// The value that a document refers to, by UUID or by usage.
    func value(of reference: SecretReference, usage kind: String) throws(LibvirtError) -> [UInt8] {
        let wanted = reference.uuid?.description ?? reference.usage ?? ""
        let entry = all.first { entry in
            if let uuid = reference.uuid { return entry.uuid.bytes == uuid.bytes }
            return entry.definition.usageType == kind && entry.definition.usageID == reference.usage
        }
        guard let entry else {
            let name = reference.uuid == nil ? "usage" : "uuid"
            throw SecretDriver.none("no secret with matching \(name) '\(wanted)'")
        }
        guard let value = entry.value else { throw SecretDriver.none("secret '\(wanted)' does not have a value") }
        return value
    }

    /// Writes what a machine is to read into its folder, for the folder's owner.
    func write(_ secrets: [QEMUArguments.Secret], to folder: String) throws(LibvirtError) {
        for secret in secrets {
            let value = try value(of: secret.reference, usage: "volume")
            do throws(HostError) {
                let path = "\(folder)/\(secret.id)"
                try HostFile.replace(path, with: value, permissions: 0o600)
                let owner = try HostFile.details(folder)
                try HostFile.setOwner(path, owner.owner, group: owner.group)
            } catch { throw LibvirtError.system("\(error)") }
        }
    }

    /// It has read them.
    static func remove(_ secrets: [QEMUArguments.Secret], from folder: String) {
        for secret in secrets { try? HostFile.remove("\(folder)/\(secret.id)") }
    }
}
