internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// Secrets: passwords that machines and pools refer to. A value is written down only for a secret that is to last, for
/// the daemon's user alone to read.
final class SecretDriver: Sendable {
    struct Entry: Sendable {
        let uuid: UUIDBytes
        var definition: DomainModel.Secret
        var value: [UInt8]?

        var isEphemeral: Bool { definition.ephemeral == .yes }
        var isPrivate: Bool { definition.isPrivate == .yes }
        var usage: Int32 {
            switch definition.usageType {
            case "volume": VirSecretUsageType.volume
            case "ceph": VirSecretUsageType.ceph
            case "iscsi": VirSecretUsageType.iscsi
            case "tls": VirSecretUsageType.tls
            case "vtpm": VirSecretUsageType.vtpm
            default: VirSecretUsageType.none
            }
        }
        var reference: RemoteSecret {
            RemoteSecret(uuid: uuid, usageType: usage, usageID: definition.usageID ?? "")
        }
    }

    /// What a value may be long: the protocol's limit.
    static let maximumValue = 65_536

    private let entries = Mutex<[UUIDBytes: Entry]>([:])
    private let folder: DocumentFolder
    /// Tells subscribers: an event of a secret's life, or nil when it has a new value.
    private let tell: @Sendable (RemoteSecret, Int32?) -> Void

    init(paths: DaemonPaths, tell: @escaping @Sendable (RemoteSecret, Int32?) -> Void) {
        folder = DocumentFolder(path: paths.configuration + "/secrets")
        self.tell = tell
    }

    private static func fail(_ error: LibvirtError) -> LibvirtError { error.from(VirErrorDomain.secret) }

    static func none(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noSecret, domain: VirErrorDomain.secret, message: "Secret not found: " + detail,
            detail: detail)
    }

    var all: [Entry] {
        entries.withLock { Array($0.values) }.sorted { $0.uuid.description < $1.uuid.description }
    }

    func find(_ uuid: UUIDBytes) throws(LibvirtError) -> Entry {
        if let entry = entries.withLock({ $0[uuid] }) { return entry }
        throw SecretDriver.none("no secret with matching uuid '\(uuid)'")
    }

    func find(usage: Int32, _ name: String) throws(LibvirtError) -> Entry {
        if let entry = all.first(where: { $0.usage == usage && $0.definition.usageID == name }) { return entry }
        throw SecretDriver.none("no secret with matching usage '\(name)'")
    }

    func define(_ text: String) throws(LibvirtError) -> Entry {
        var definition: DomainModel.Secret
        do throws(DefinitionError) { definition = try DomainModel.Secret(xml: text) } catch {
            throw LibvirtError(error, VirErrorDomain.secret)
        }
        let uuid = definition.uuid.flatMap { UUIDBytes($0.bytes) } ?? UUIDBytes.random()
        definition.uuid = UniqueID(bytes: uuid.bytes)
        let defined = definition
        let result = entries.withLock { entries -> Result<Entry, LibvirtError> in
            let same = entries.values.first {
                $0.uuid != uuid && $0.definition.usageType != "none" && $0.definition.usageType == defined.usageType
                    && $0.definition.usageID == defined.usageID
            }
            if let same {
                return .failure(
                    .internalError(
                        "a secret with UUID \(same.uuid) already defined for use with \(defined.usageID ?? "")"))
            }
            if let old = entries[uuid] {
                guard old.definition.usageID == defined.usageID, old.definition.usageType == defined.usageType else {
                    return .failure(
                        .internalError(
                            "a secret with UUID \(uuid) is already defined for use with "
                                + "\(old.definition.usageID ?? "")"))
                }
                if old.isPrivate, defined.isPrivate != .yes {
                    return .failure(.internalError("cannot change private flag on existing secret"))
                }
            }
            var entry = entries[uuid] ?? Entry(uuid: uuid, definition: defined)
            entry.definition = defined
            entries[uuid] = entry
            return .success(entry)
        }
        do {
            let entry = try result.get()
            try write(entry)
            tell(entry.reference, VirSecretEventLifecycleType.defined)
            return entry
        } catch {
            throw SecretDriver.fail(error)
        }
    }

    private func valuePath(_ uuid: UUIDBytes) -> String { "\(folder.path)/\(uuid).base64" }

    /// A secret that is not to last is nowhere but in memory.
    private func write(_ entry: Entry) throws(LibvirtError) {
        guard !entry.isEphemeral else {
            try folder.remove(entry.uuid.description)
            try? HostFile.remove(valuePath(entry.uuid))
            return
        }
        try folder.save(entry.uuid.description, entry.definition.tree())
        guard let value = entry.value else { return }
        do throws(HostError) {
            try HostFile.replace(valuePath(entry.uuid), with: Array(Base64.encode(value).utf8))
        } catch { throw LibvirtError.system("\(error)") }
    }

    func setValue(_ uuid: UUIDBytes, _ value: [UInt8]) throws(LibvirtError) {
        guard value.count <= SecretDriver.maximumValue else {
            throw SecretDriver.fail(.invalidArgument("a secret of \(value.count) bytes is too long"))
        }
        var entry = try find(uuid)
        entry.value = value
        let changed = entry
        entries.withLock { if $0[uuid] != nil { $0[uuid] = changed } }
        try write(changed)
        tell(changed.reference, nil)
    }

    func value(_ uuid: UUIDBytes) throws(LibvirtError) -> [UInt8] {
        let entry = try find(uuid)
        guard let value = entry.value else {
            throw SecretDriver.none("secret '\(uuid)' does not have a value")
        }
        guard !entry.isPrivate else {
            throw LibvirtError(
                code: VirErrorNumber.invalidSecret, domain: VirErrorDomain.secret,
                message: "Invalid secret: secret is private", detail: "secret is private")
        }
        return value
    }

    func undefine(_ uuid: UUIDBytes) throws(LibvirtError) {
        let entry = try find(uuid)
        try folder.remove(uuid.description)
        try? HostFile.remove(valuePath(uuid))
        entries.withLock { $0[uuid] = nil }
        tell(entry.reference, VirSecretEventLifecycleType.undefined)
    }

    func load() {
        for (name, tree) in folder.all {
            guard let definition = try? DomainModel.Secret(tree: tree), let uuid = UUIDBytes(name) else {
                Logger("secrets").error("A secret cannot be used: '\(name)'")
                continue
            }
            let text = try? HostFile.contents(valuePath(uuid), limit: 1 << 20)
            let value = text.flatMap { Base64.decode($0) }
            entries.withLock { $0[uuid] = Entry(uuid: uuid, definition: definition, value: value) }
        }
    }
}

/// RFC 4648, section 4.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            var group = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            group <<= UInt32(8 * (3 - part.count))
            for index in 0..<4 {
                text.append(index <= part.count ? digits[Int(group >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil: a byte is none of the alphabet's.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var count = 0
        for byte in text where byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "=") {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            group = group << 6 | UInt32(digit)
            count += 1
            if count == 4 {
                bytes += [UInt8(group >> 16 & 255), UInt8(group >> 8 & 255), UInt8(group & 255)]
                (group, count) = (0, 0)
            }
        }
        switch count {
        case 0: break
        case 2: bytes.append(UInt8(group >> 4 & 255))
        case 3: bytes += [UInt8(group >> 10 & 255), UInt8(group >> 2 & 255)]
        default: return nil
        }
        return bytes
    }
}
