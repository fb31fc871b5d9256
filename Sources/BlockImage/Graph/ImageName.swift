public import JSON

/// File names that are options: `json:{…}` as QEMU reads it.
public enum ImageName {
    /// Whether a name is written in JSON.
    public static func isJSON(_ name: String) -> Bool { name.hasPrefix("json:") }

    /// The protocol that a name begins with, as in `nbd:…`: what is before a colon that no slash precedes.
    public static func scheme(_ name: String) -> String? {
        guard let end = name.firstIndex(where: { $0 == ":" || $0 == "/" }), name[end] == ":" else { return nil }
        return String(name[..<end])
    }

    /// The flat options of a whole image that a name stands for, where it is no path: `json:{…}` as it is, other
    /// protocols as those of the child `file`. nil for a path.
    public static func options(of name: String) throws(BlockError) -> [String: String]? {
        if isJSON(name) { return try options(json: name) }
        guard let inner = try file(name), inner["driver"] != nil else { return nil }
        var result: [String: String] = [:]
        for (key, value) in inner { result["file.\(key)"] = value }
        return result
    }

    /// The options of the node that holds the bytes: `blkdebug:configuration:name`, a location of NBD, or a path
    /// (which gets no driver).
    private static func file(_ name: String, depth: Int = 0) throws(BlockError) -> [String: String]? {
        if NBDLocation.isLocation(name) {
            guard NBDLocation(name) != nil else { throw NBDLocation.malformed(name) }
            return ["driver": "nbd", "filename": name]
        }
        if name == "null-co://" || name == "null-aio://" { return ["driver": String(name.dropLast(3))] }
        guard name.hasPrefix("blkdebug:") else { return ["filename": name] }
        let parts = name.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, depth < 8 else {
            throw .message("blkdebug requires a configuration's name and an image's, with a colon between")
        }
        var result = ["driver": "blkdebug"]
        if !parts[1].isEmpty { result["config"] = String(parts[1]) }
        for (key, value) in try file(String(parts[2]), depth: depth + 1) ?? [:] { result["image.\(key)"] = value }
        return result
    }

    /// The flat options of an object, nested as JSON has it.
    public static func flat(_ object: JSONObject) throws(BlockError) -> [String: String] {
        var result: [String: String] = [:]
        try flatten(object, "", &result)
        return result
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
