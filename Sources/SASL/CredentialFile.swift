internal import HostOS

/// libvirt's `auth.conf`: names and passwords for services of hosts, so that nobody has to be asked. Groups of keys:
///
///     [credentials-test]
///     authname=fred
///     password=123456
///
///     [auth-libvirt-host.example.com]
///     credentials=test
///
/// `[auth-libvirt-default]` is for hosts that have no group.
public struct CredentialFile: Sendable, Equatable {
    private var groups: [String: [String: String]] = [:]

    private static let limit = 1 << 20

    /// Reads the text. A line that is none is an error, which names it.
    public init(_ text: String, path: String = "auth.conf") throws(SASLError) {
        var group: String?
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, raw) in lines.enumerated() {
            let line = Self.trimmed(raw)
            guard let first = line.first, first != "#", first != ";" else { continue }
            if first == "[" {
                guard line.hasSuffix("]"), line.utf8.count > 2 else {
                    throw SASLError("\(path):\(number + 1): '\(line)' is no group")
                }
                let name = String(line.dropFirst().dropLast())
                group = name
                groups[name, default: [:]] = groups[name] ?? [:]
                continue
            }
            guard let group, let sign = line.firstIndex(of: "=") else {
                throw SASLError("\(path):\(number + 1): '\(line)' is no key of a group")
            }
            groups[group]?[String(Self.trimmed(line[..<sign]))] = String(Self.trimmed(line[line.index(after: sign)...]))
        }
    }

    /// Reads a file.
    public init(path: String) throws(SASLError) {
        let bytes: [UInt8]
        do throws(HostError) { bytes = try HostFile.contents(path, limit: Self.limit) } catch {
            throw SASLError("\(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw SASLError("'\(path)' is no text") }
        try self.init(text, path: path)
    }

    /// The file that libvirt's clients take: that of the URI, of `LIBVIRT_AUTH_FILE`, the user's own, the host's; nil
    /// where there is none.
    public static func usual(named path: String?) throws(SASLError) -> CredentialFile? {
        if let path { return try CredentialFile(path: path) }
        if let path = HostIdentity.environment("LIBVIRT_AUTH_FILE"), !path.isEmpty {
            return try CredentialFile(path: path)
        }
        let folder = HostIdentity.environment("XDG_CONFIG_HOME") ?? "\(HostIdentity.home)/.config"
        for path in ["\(folder)/libvirt/auth.conf", "/etc/libvirt/auth.conf"] where HostFile.status(path).kind == .file
        {
            return try CredentialFile(path: path)
        }
        return nil
    }

    /// What it says to a question of a host's service.
    public func answer(_ kind: SASLSession.Question.Kind, service: String = "libvirt", host: String) -> String? {
        let group = groups["auth-\(service)-\(host)"] ?? groups["auth-\(service)-default"]
        guard let name = group?["credentials"], let credentials = groups["credentials-\(name)"] else { return nil }
        switch kind {
        case .name: return credentials["authname"]
        case .user: return credentials["username"]
        case .password: return credentials["password"]
        case .realm: return credentials["realm"]
        }
    }

    private static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while let last = rest.last, last == " " || last == "\t" || last == "\r" { rest.removeLast() }
        return rest.drop { $0 == " " || $0 == "\t" }
    }
}
