internal import CLinux
internal import HostOS
internal import Synchronization
public import TLS

/// The secrets that options name (`-object secret`): passphrases by id. Any thread.
public final class BlockSecrets: Sendable {
    private let values = Mutex<[String: [UInt8]]>([:])
    private let peers = Mutex<[String: TLSCredentials]>([:])
    private let authorities = Mutex<[String: BlockAuthorization]>([:])

    /// No secrets.
    public init() {}

    /// Adds a secret, in place of one of the same id.
    public func set(_ id: String, _ value: [UInt8]) { values.withLock { $0[id] = value } }

    /// Forgets a secret.
    public func remove(_ id: String) {
        _ = values.withLock { $0.removeValue(forKey: id) }
        _ = peers.withLock { $0.removeValue(forKey: id) }
        _ = authorities.withLock { $0.removeValue(forKey: id) }
    }

    /// The TLS credentials of an id.
    public func credentials(_ id: String) throws(BlockError) -> TLSCredentials {
        guard let found = peers.withLock({ $0[id] }) else { throw .secret("No TLS credentials with id '\(id)'") }
        return found
    }

    /// Whether `add` takes objects of a type.
    public static func takes(_ type: String) -> Bool {
        ["secret", "tls-creds-psk", "tls-creds-x509"].contains(type) || BlockAuthorization.types.contains(type)
    }

    /// The object of an id that says which TLS clients may come. The credentials must make them prove their names: rules
    /// that nobody would be asked about are refused.
    public func authorization(_ id: String, for credentials: TLSCredentials) throws(BlockError) -> BlockAuthorization {
        guard credentials.knowsPeers else {
            throw .secret("TLS authorization needs tls-creds-x509 with verify-peer=on: other clients have no names")
        }
        guard let found = authorities.withLock({ $0[id] }) else {
            throw .secret("Cannot find QAuthZ object ID \(id)")
        }
        return found
    }

    /// Adds the object of a type (`secret`, `tls-creds-psk`, `tls-creds-x509`, `authz-…`), whose options are flat. Reads
    /// files; blocks.
    public func add(type: String, _ options: [String: String]) throws(BlockError) {
        guard type != "secret" else { return try add(options) }
        guard let id = options["id"], !id.isEmpty else { throw .secret("Parameter 'id' is missing") }
        guard !BlockAuthorization.types.contains(type) else {
            let made = try BlockAuthorization(type: type, options)
            return authorities.withLock { $0[id] = made }
        }
        let made: TLSCredentials
        do throws(TLSError) { made = try TLSCredentials(type: type, options) } catch {
            throw .secret(error.description)
        }
        peers.withLock { $0[id] = made }
    }

    /// The secret of an id.
    public func value(_ id: String) throws(BlockError) -> [UInt8] {
        guard let value = values.withLock({ $0[id] }) else { throw .secret("No secret with id '\(id)'") }
        return value
    }

    /// Adds the object of options such as `id=sec0,data=…` or `id=sec0,file=…`, with `format=raw` or `base64`.
    /// Reads the file; blocks.
    public func add(_ options: [String: String]) throws(BlockError) {
        guard let id = options["id"], !id.isEmpty else { throw .secret("Parameter 'id' is missing") }
        for name in options.keys.sorted() where !["id", "data", "file", "format", "qom-type"].contains(name) {
            throw .secret(
                name == "keyid" || name == "iv"
                    ? "Secret '\(id)' is encrypted itself, which is not supported"
                    : "Property 'secret.\(name)' not found")
        }
        var bytes: [UInt8]
        switch (options["data"], options["file"]) {
        case (.some, .some): throw .secret("'file' and 'data' are mutually exclusive")
        case (nil, nil): throw .secret("Either 'file' or 'data' must be provided")
        case (.some(let data), nil): bytes = Array(data.utf8)
        case (nil, .some(let path)):
            do throws(HostError) {
                bytes = try HostFile.contents(path, limit: 1 << 20)
            } catch {
                throw .secret("Unable to read \(path): \(error.errno)")
            }
        }
        switch options["format"] {
        case nil, "raw": break
        case "base64":
            guard let decoded = BlockSecrets.base64(bytes) else {
                throw .secret("Base64 data of the secret '\(id)' is invalid")
            }
            bytes = decoded
        case .some(let other): throw .secret("Parameter 'format' does not accept value '\(other)'")
        }
        set(id, bytes)
    }

    /// The bytes of a text in base64 (RFC 4648, section 4); white space counts for nothing.
    static func base64(_ text: [UInt8]) -> [UInt8]? {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        var (bits, count): (UInt32, Int) = (0, 0)
        var isAtEnd = false
        for letter in text where letter > 32 {
            if letter == UInt8(ascii: "=") {
                isAtEnd = true
                continue
            }
            guard !isAtEnd, let value = letters.firstIndex(of: letter) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return count < 6 ? result : nil
    }
}
