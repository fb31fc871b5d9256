internal import BlockImage
internal import JSON

/// An image as the command line names it: a path, options in JSON, or (with `--image-opts`) a list of options.
struct ImageReference {
    /// As it was written.
    let text: String
    /// The driver's options, flat; empty for a path.
    let options: [String: String]
    /// The path of the file at the bottom, where there is one.
    let path: String

    init(_ text: String, isOptionList: Bool = false) throws(ToolFailure) {
        self.text = text
        if isOptionList {
            options = try ImageReference.list(text)
        } else if text.hasPrefix("json:") {
            options = try ImageReference.json(text)
        } else {
            options = [:]
            path = ImageReference.stripped(text)
            return
        }
        path = options["file.filename"] ?? options["filename"] ?? options["file.file.filename"] ?? text
    }

    /// A path without the name of the protocol for files.
    static func stripped(_ text: String) -> String {
        text.hasPrefix("file:") ? String(text.dropFirst(5)) : text
    }

    /// `driver=qcow2,file.filename=x`, with commas doubled inside values.
    static func list(_ text: String) throws(ToolFailure) -> [String: String] {
        var result: [String: String] = [:]
        for (name, value) in OptionText.pairs(text) {
            guard let value else { throw ToolFailure("Expected '=' after parameter '\(name)'") }
            result[name] = value
        }
        return result
    }

    private static func json(_ text: String) throws(ToolFailure) -> [String: String] {
        let value: JSONValue
        do {
            value = try JSONReader.parse(String(text.dropFirst(5)))
        } catch {
            throw ToolFailure("Could not open '\(text)': Could not parse the JSON options")
        }
        guard case .object(let object) = value else {
            throw ToolFailure("Could not open '\(text)': Invalid JSON object given")
        }
        var result: [String: String] = [:]
        flatten(object, "", &result)
        return result
    }

    private static func flatten(_ object: JSONObject, _ prefix: String, _ result: inout [String: String]) {
        for member in object.members {
            let name = prefix + member.name
            switch member.value {
            case .object(let inner): flatten(inner, name + ".", &result)
            case .string(let text): result[name] = text
            case .bool(let flag): result[name] = flag ? "on" : "off"
            case .null: result[name] = ""
            case .array(let elements):
                var inner = JSONObject()
                for (index, element) in elements.enumerated() { inner["\(index)"] = element }
                flatten(inner, name + ".", &result)
            default: result[name] = member.value.description
            }
        }
    }
}

/// Lists of options as QEMU writes them.
enum OptionText {
    /// Names with values (nil without `=`), in order. A doubled comma is a comma.
    static func pairs(_ text: String) -> [(name: String, value: String?)] {
        var result: [(String, String?)] = []
        var name = ""
        var value: String?
        var rest = Substring(text)
        while let letter = rest.popFirst() {
            if letter == "," {
                if rest.first == "," {
                    rest.removeFirst()
                } else {
                    result.append((name, value))
                    (name, value) = ("", nil)
                    continue
                }
            }
            if value == nil && letter == "=" {
                value = ""
            } else if value != nil {
                value!.append(letter)
            } else {
                name.append(letter)
            }
        }
        if !name.isEmpty || value != nil { result.append((name, value)) }
        return result
    }
}
