internal import DomainModel

/// XML of the daemon's, of which a command wants a few attributes.
enum XMLDocument {
    /// The root element; nil for text that is no XML.
    static func parse(_ text: String) -> XMLTree? { try? XMLReader.parse(text) }

    /// Text for an attribute or between tags.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "'": result += "&apos;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}

extension XMLTree {
    /// Elements along a path of names below this one.
    func all(_ path: String) -> [XMLTree] {
        var found = [self]
        for name in path.split(separator: "/") { found = found.flatMap { $0.children.filter { $0.name == name } } }
        return found
    }

    /// The first of them.
    func first(_ path: String) -> XMLTree? { all(path).first }
}
