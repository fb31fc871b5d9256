internal import JSON

/// File names that are options: `json:{…}` as QEMU reads it.
public enum ImageName {
    /// Whether a name is written in JSON.
    public static func isJSON(_ name: String) -> Bool { name.hasPrefix("json:") }

    /// The protocol that a name begins with, as in `nbd:…`: what is before a colon that no slash precedes.
    public static func scheme(_ name: String) -> String? {
        guard let end = name.firstIndex(where: { $0 == ":" || $0 == "/" }), name[end] == ":" else { return nil }
        return String(name[..<end])
    }

    /// The flat options of a name in JSON.
    public static func options(json name: String) throws(BlockError) -> [String: String] {
        let value: JSONValue
        do {
            value = try JSONReader.parse(String(name.dropFirst(5)), limits: .monitor)
        } catch {
            throw .message("Could not parse the JSON options: JSON parse error, \(words(error))")
        }
        guard case .object(let object) = value else { throw .message("Invalid JSON object given") }
        var result: [String: String] = [:]
        try flatten(object, "", &result)
        return result
    }

    /// QEMU's words for what is wrong, where they are known.
    private static func words(_ error: JSONError) -> String {
        if case .unexpectedEnd = error.reason { return "premature EOI" }
        let text = error.description
        var end = text.endIndex
        while let space = text[..<end].lastIndex(of: " ") {
            end = space
            if text[end...].hasPrefix(" at offset ") { return String(text[..<end]) }
        }
        return text
    }

    private static func flatten(
        _ object: JSONObject, _ prefix: String, _ result: inout [String: String]
    ) throws(BlockError) {
        for member in object.members {
            let name = prefix + member.name
            switch member.value {
            case .object(let inner): try flatten(inner, name + ".", &result)
            case .array(let elements):
                var inner = JSONObject()
                for (index, element) in elements.enumerated() { inner["\(index)"] = element }
                try flatten(inner, name + ".", &result)
            case .string(let text): try set(text)
            case .bool(let flag): try set(flag ? "on" : "off")
            case .null: try set("")
            default: try set(member.value.description)
            }
            func set(_ value: String) throws(BlockError) {
                // The same option may be written nested and flat; both is a contradiction.
                guard result.updateValue(value, forKey: name) == nil else {
                    throw .message("Option '\(name)' is given twice")
                }
            }
        }
    }
}
