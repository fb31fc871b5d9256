internal import BlockImage

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
            guard let value else {
                // The first word alone names a node, and there is none before anything is open.
                if result.isEmpty {
                    throw ToolFailure(
                        "Could not open '\(text)': Cannot find device='\(name)' nor node-name='\(name)'")
                }
                throw ToolFailure("Expected '=' after parameter '\(name)'")
            }
            result[name] = value
        }
        return result
    }

    private static func json(_ text: String) throws(ToolFailure) -> [String: String] {
        do throws(BlockError) {
            return try ImageName.options(json: text)
        } catch {
            throw ToolFailure("Could not open '\(text)': \(Wording.reason(error))")
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
