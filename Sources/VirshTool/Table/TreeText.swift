/// Names with their parents, as a tree of lines.
enum TreeText {
    struct Entry {
        let name: String
        let parent: String?
    }

    /// All trees, each with an empty line behind it. A circle among parents is cut.
    static func text(_ entries: [Entry]) -> String {
        let names = Set(entries.map(\.name))
        var children: [String: [String]] = [:]
        for entry in entries {
            if let parent = entry.parent, names.contains(parent) { children[parent, default: []].append(entry.name) }
        }
        var text = ""
        for entry in entries where entry.parent.map({ !names.contains($0) }) ?? true {
            branch(entry.name, children, "", isRoot: true, isLast: true, depth: 0, &text)
        }
        return text
    }

    private static func branch(
        _ name: String, _ children: [String: [String]], _ indent: String, isRoot: Bool, isLast: Bool, depth: Int,
        _ text: inout String
    ) {
        guard depth < 256 else { return }
        text += indent + (isRoot ? "" : "+- ") + name + "\n"
        let below = isRoot ? indent : indent + (isLast ? "  " : "| ")
        let own = children[name] ?? []
        if !own.isEmpty { text += below + "  |\n" }
        for (index, child) in own.enumerated() {
            branch(
                child, children, below + "  ", isRoot: false, isLast: index == own.count - 1, depth: depth + 1, &text)
        }
        if own.isEmpty, isLast { text += below + "\n" }
    }
}
