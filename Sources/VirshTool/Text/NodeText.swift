internal import DomainModel

/// Elements as libxml writes them: double quotes, two spaces a level.
enum NodeText {
    /// An element without an indent before its first line and without a line end behind its last.
    static func dump(_ tree: XMLTree, depth: Int = 0) -> String {
        let open =
            "<\(tree.name)" + tree.attributes.map { " \($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined()
        let nodes = tree.nodes.filter { node in
            if case .text(let text) = node { return !text.trimmed.isEmpty }
            return true
        }
        if nodes.isEmpty { return open + "/>" }
        let hasText = nodes.contains { if case .text = $0 { true } else { false } }
        let inner = nodes.map { node in
            switch node {
            case .element(let child): dump(child, depth: depth + 1)
            case .text(let text): escaped(text, quotes: false)
            case .comment(let text): "<!--\(text)-->"
            }
        }
        if hasText { return open + ">" + inner.joined() + "</\(tree.name)>" }
        let space = String(repeating: "  ", count: depth)
        return open + ">\n" + inner.map { "\(space)  \($0)\n" }.joined() + "\(space)</\(tree.name)>"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"" where quotes: result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}
