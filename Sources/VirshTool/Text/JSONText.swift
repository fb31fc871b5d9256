internal import JSON

/// JSON of monitors and agents.
enum JSONText {
    /// On several lines.
    static func indented(_ text: String) throws -> String {
        lines(try JSONReader.parse(text), "")
    }

    private static func lines(_ value: JSONValue, _ indent: String) -> String {
        let inner = indent + "  "
        if let object = value.objectValue {
            if object.isEmpty { return "{}" }
            let members = object.members.map { "\(inner)\(JSONValue.string($0.name)): \(lines($0.value, inner))" }
            return "{\n" + members.joined(separator: ",\n") + "\n\(indent)}"
        }
        if let array = value.arrayValue {
            if array.isEmpty { return "[]" }
            return "[\n" + array.map { inner + lines($0, inner) }.joined(separator: ",\n") + "\n\(indent)]"
        }
        return "\(value)"
    }

    /// One member of an object, as text.
    static func member(_ text: String, _ name: String) throws -> String? {
        try JSONReader.parse(text)[name].map { "\($0)" }
    }
}
