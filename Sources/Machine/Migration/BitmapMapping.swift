package import JSON

/// Which bitmaps go with a machine, what they and their nodes are called on the way, and what they become where they
/// arrive: QEMU's parameter `block-bitmap-mapping`, with its rules and words.
package struct BitmapMapping: Sendable {
    static let parameter = "block-bitmap-mapping"

    struct Bitmap: Sendable {
        let name: String
        let alias: String
        /// Whether an image keeps it from now on; nil for as it was.
        let isPersistent: Bool?
    }
    struct Node: Sendable {
        let name: String
        let alias: String
        let bitmaps: [Bitmap]
    }
    let nodes: [Node]

    /// The mapping that a list of `BitmapMigrationNodeAlias` says; its types have been checked.
    package init(_ value: JSONValue) throws(MachineError) {
        nodes = (value.arrayValue ?? []).map { node in
            Node(
                name: node["node-name"]?.stringValue ?? "", alias: node["alias"]?.stringValue ?? "",
                bitmaps: (node["bitmaps"]?.arrayValue ?? []).map { bitmap in
                    Bitmap(
                        name: bitmap["name"]?.stringValue ?? "", alias: bitmap["alias"]?.stringValue ?? "",
                        isPersistent: bitmap["transform"]?["persistent"].map { $0 == true })
                })
        }
        if let problem = Self.problem(nodes) {
            throw .failed("Invalid mapping given for \(Self.parameter): \(problem)")
        }
    }

    /// The first of what is wrong: names before aliases, as they are read for sending and for receiving.
    private static func problem(_ nodes: [Node]) -> String? {
        var names: Set<String> = []
        for node in nodes {
            guard LiveStorage.isWellFormed(node.alias) else {
                return "The node alias '\(node.alias)' is not well-formed"
            }
            if let long = tooLong("node alias", node.alias, 255) ?? tooLong("node name", node.name, 31) { return long }
            guard names.insert(node.name).inserted else { return "The node name '\(node.name)' is mapped twice" }
            var bitmaps: Set<String> = []
            for bitmap in node.bitmaps {
                let long = tooLong("bitmap alias", bitmap.alias, 255) ?? tooLong("bitmap name", bitmap.name, 1023)
                if let long { return long }
                guard bitmaps.insert(bitmap.name).inserted else {
                    return "The bitmap '\(node.name)'/'\(bitmap.name)' is mapped twice"
                }
            }
        }
        var aliases: Set<String> = []
        for node in nodes {
            guard aliases.insert(node.alias).inserted else { return "The node alias '\(node.alias)' is used twice" }
            var bitmaps: Set<String> = []
            for bitmap in node.bitmaps where !bitmaps.insert(bitmap.alias).inserted {
                return "The bitmap alias '\(node.alias)'/'\(bitmap.alias)' is used twice"
            }
        }
        return nil
    }

    private static func tooLong(_ what: String, _ text: String, _ most: Int) -> String? {
        text.utf8.count > most ? "The \(what) '\(text)' is longer than \(most) bytes" : nil
    }
}
