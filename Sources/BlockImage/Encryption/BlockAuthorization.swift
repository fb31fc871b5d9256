internal import HostOS
internal import JSON
public import TLS

/// QEMU's objects that say which clients may come, by the names in their certificates: `authz-simple`, `authz-list` and
/// `authz-list-file`.
public enum BlockAuthorization: Sendable {
    /// Rules that stay as they are.
    case rules(TLSAuthorization)
    /// Rules in a file, which is read at each question, so that they can be changed.
    case file(String)

    static let types = ["authz-simple", "authz-list", "authz-list-file", "authz-listfile", "authz-pam"]

    /// The object of a type with its options, whose rules are named `rules.0.match` and so on. Reads files; blocks.
    public init(type: String, _ options: [String: String]) throws(BlockError) {
        switch type {
        case "authz-pam": throw .secret("Objects of type 'authz-pam' are not there: no session of PAM is begun here")
        case "authz-simple", "authz-list": self = .rules(try Self.rules(type, options))
        default:
            for name in options.keys.sorted() where !["id", "qom-type", "filename", "refresh"].contains(name) {
                throw .secret("Property 'authz-list-file.\(name)' not found")
            }
            guard let path = options["filename"] else { throw .secret("Parameter 'filename' is missing") }
            let rules = try Self.read(path)
            let isKept = ["off", "no", "false"].contains(options["refresh"] ?? "on")
            self = isKept ? .rules(rules) : .file(path)
        }
    }

    private static func rules(_ type: String, _ options: [String: String]) throws(BlockError) -> TLSAuthorization {
        do throws(TLSError) { return try TLSAuthorization(type: type, options) } catch {
            throw .secret(error.description)
        }
    }

    /// The rules in a file, which is a JSON object.
    private static func read(_ path: String) throws(BlockError) -> TLSAuthorization {
        let bytes: [UInt8]
        do throws(HostError) { bytes = try HostFile.contents(path, limit: 1 << 20) } catch {
            throw .secret("Unable to read '\(path)': \(error.errno)")
        }
        guard let object = (try? JSONReader.parse(bytes))?.objectValue else {
            throw .secret("'\(path)' is no JSON object")
        }
        return try rules("authz-list", try ImageName.flat(object))
    }

    /// Whether somebody of that name may come. A file that cannot be read lets nobody in.
    public func allows(_ name: String) -> Bool {
        switch self {
        case .rules(let rules): rules.allows(name)
        case .file(let path): (try? Self.read(path))?.allows(name) ?? false
        }
    }
}
