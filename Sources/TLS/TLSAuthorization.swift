/// Who may come, by the name in a certificate: what QEMU's objects `authz-simple` and `authz-list` say. A value.
public struct TLSAuthorization: Sendable {
    private struct Rule {
        var name: String
        var isPattern = false
        var allows: Bool
    }

    /// In the order in which they are tried; the first that fits decides.
    private var rules: [Rule] = []
    /// What holds where none fits.
    private var allowsOthers = false

    private static let maximumRules = 4096

    /// The object of a type with its options: `identity`; or `policy`, and `match`, `policy` and `format` below
    /// `rules.0.` and so on.
    public init(type: String, _ options: [String: String]) throws(TLSError) {
        var rest = options
        for name in ["id", "qom-type"] { rest[name] = nil }
        if type == "authz-simple" {
            guard let identity = rest.removeValue(forKey: "identity") else {
                throw TLSError("Parameter 'identity' is missing")
            }
            rules = [Rule(name: identity, allows: true)]
        } else {
            allowsOthers = try Self.policy(rest.removeValue(forKey: "policy") ?? "deny")
            while let match = rest.removeValue(forKey: "rules.\(rules.count).match") {
                let prefix = "rules.\(rules.count)."
                guard rules.count < Self.maximumRules else { throw TLSError("Too many rules") }
                guard let policy = rest.removeValue(forKey: prefix + "policy") else {
                    throw TLSError("Parameter '\(prefix)policy' is missing")
                }
                let format = rest.removeValue(forKey: prefix + "format") ?? "exact"
                guard ["exact", "glob"].contains(format) else {
                    throw TLSError("Parameter '\(prefix)format' does not accept value '\(format)'")
                }
                rules.append(Rule(name: match, isPattern: format == "glob", allows: try Self.policy(policy)))
            }
        }
        if let name = rest.keys.min() {
            throw TLSError(
                name.hasPrefix("rules.")
                    ? "Parameter 'rules.\(rules.count).match' is missing" : "Property '\(type).\(name)' not found")
        }
    }

    private static func policy(_ text: String) throws(TLSError) -> Bool {
        switch text {
        case "allow": return true
        case "deny": return false
        default: throw TLSError("Parameter 'policy' does not accept value '\(text)'")
        }
    }

    /// Whether somebody of that name may come.
    public func allows(_ name: String) -> Bool {
        let text = Array(name.utf8)
        let rule = rules.first { $0.isPattern ? Self.fits(Array($0.name.utf8), text) : $0.name == name }
        return rule?.allows ?? allowsOthers
    }

    /// Whether a pattern, in which `*` is anything and `?` one letter, fits a text. Its time is the product of both
    /// lengths at most.
    private static func fits(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        var (place, at) = (0, 0)
        var star: (place: Int, at: Int)?
        while at < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place, at)
                place += 1
            } else if place < pattern.count, pattern[place] == text[at] || pattern[place] == UInt8(ascii: "?") {
                place += 1
                at += 1
            } else if let last = star {
                star = (last.place, last.at + 1)
                (place, at) = (last.place + 1, last.at + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
