/// Elements, attributes and references.
extension XMLReader {
    mutating func element(depth: Int) throws(DefinitionError) -> XMLTree {
        guard depth <= limits.depth else { throw failure("Excessive depth in document: \(limits.depth)") }
        try count()
        let startLine = line
        position += 1
        let name = try self.name("Start tag: invalid element name")
        var tree = XMLTree(name, line: startLine)
        if try startTagEnds(&tree) { return tree }
        try content(&tree, depth: depth)
        // The closing tag: `</` is at the position.
        position += 2
        let closing = try self.name("End tag: invalid element name")
        guard closing == name else {
            throw failure("Opening and ending tag mismatch: \(name) line \(startLine) and \(closing)")
        }
        skipBlanks()
        guard current == UInt8(ascii: ">") else { throw failure("Expected '>' after the end tag of \(name)") }
        position += 1
        return tree
    }

    /// Reads attributes and the end of the start tag; true when the element is empty.
    private mutating func startTagEnds(_ tree: inout XMLTree) throws(DefinitionError) -> Bool {
        while true {
            let before = position
            skipBlanks()
            guard let byte = current else { throw failure("Couldn't find end of Start Tag \(tree.name)") }
            if byte == UInt8(ascii: ">") {
                position += 1
                return false
            }
            if byte == UInt8(ascii: "/") {
                guard starts(with: "/>") else { throw failure("Expected '/>' in \(tree.name)") }
                position += 2
                return true
            }
            guard position > before else { throw failure("Attributes construct error in \(tree.name)") }
            try attribute(&tree)
        }
    }

    private mutating func attribute(_ tree: inout XMLTree) throws(DefinitionError) {
        try count()
        let name = try self.name("Attribute name is invalid in \(tree.name)")
        skipBlanks()
        guard current == UInt8(ascii: "=") else {
            throw failure("Specification mandates value for attribute \(name)")
        }
        position += 1
        skipBlanks()
        guard let quote = current, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw failure("Value of attribute \(name) is not quoted")
        }
        position += 1
        let value = try attributeValue(until: quote, of: name)
        for earlier in tree.attributes where earlier.name == name {
            throw failure("Attribute \(name) redefined")
        }
        // A bound of its own: the search above is quadratic.
        guard tree.attributes.count < 256 else { throw failure("Too many attributes in \(tree.name)") }
        tree.attributes.append(XMLAttribute(name, value))
    }

    private mutating func attributeValue(until quote: UInt8, of name: String) throws(DefinitionError) -> String {
        let start = position
        // Most values have nothing to replace.
        while let byte = current, byte != quote, byte != 0x26, byte != 0x3C, byte >= 0x20 { position += 1 }
        var value = String(decoding: bytes[start..<position], as: UTF8.self)
        while true {
            guard let byte = current else { throw failure("Value of attribute \(name) is not finished") }
            switch byte {
            case quote:
                position += 1
                return value
            case UInt8(ascii: "<"):
                throw failure("Unescaped '<' not allowed in attributes values")
            case UInt8(ascii: "&"):
                value.unicodeScalars.append(try reference())
            case 0x0A, 0x0D, 0x09:
                if byte == 0x0D, position + 1 < bytes.count, bytes[position + 1] == 0x0A { position += 1 }
                advance()
                value += " "
            default:
                let start = position
                while let byte = current, byte != quote, byte != 0x26, byte != 0x3C, byte >= 0x20 { position += 1 }
                value += String(decoding: bytes[start..<position], as: UTF8.self)
            }
        }
    }

    /// What is between the tags, up to and without `</`.
    private mutating func content(_ tree: inout XMLTree, depth: Int) throws(DefinitionError) {
        var text = ""
        while true {
            guard let byte = current else {
                throw failure("Premature end of data in tag \(tree.name) line \(tree.line)")
            }
            if byte == UInt8(ascii: "<") {
                if starts(with: "</") {
                    try flush(&text, into: &tree)
                    return
                } else if starts(with: "<!--") {
                    try flush(&text, into: &tree)
                    try count()
                    tree.nodes.append(.comment(try comment()))
                } else if starts(with: "<![CDATA[") {
                    text += try characterData()
                } else if starts(with: "<?") {
                    try processingInstruction()
                } else {
                    try flush(&text, into: &tree)
                    tree.nodes.append(.element(try element(depth: depth + 1)))
                }
            } else if byte == UInt8(ascii: "&") {
                text.unicodeScalars.append(try reference())
            } else {
                let start = position
                while let byte = current, byte != 0x26, byte != 0x3C, byte != 0x0D { advance() }
                if current == 0x0D {
                    text += String(decoding: bytes[start..<position], as: UTF8.self)
                    // The end of a line is one line feed, however it is written.
                    if position + 1 < bytes.count, bytes[position + 1] == 0x0A {
                        position += 1
                    } else {
                        text += "\n"
                        position += 1
                    }
                } else {
                    text += String(decoding: bytes[start..<position], as: UTF8.self)
                }
            }
        }
    }

    /// Text of blanks alone is layout, and dropped, as libvirt does; it stays where it is all there is.
    private mutating func flush(_ text: inout String, into tree: inout XMLTree) throws(DefinitionError) {
        guard !text.isEmpty else { return }
        try count()
        let isBlank = text.utf8.allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x09 || $0 == 0x0D }
        if !isBlank { tree.nodes.append(.text(text)) }
        text = ""
    }

    private mutating func reference() throws(DefinitionError) -> Unicode.Scalar {
        position += 1
        let start = position
        while let byte = current, byte != UInt8(ascii: ";"), position - start < 12 { position += 1 }
        guard current == UInt8(ascii: ";") else { throw failure("Reference is not closed by ';'") }
        let name = String(decoding: bytes[start..<position], as: UTF8.self)
        position += 1
        switch name {
        case "lt": return "<"
        case "gt": return ">"
        case "amp": return "&"
        case "quot": return "\""
        case "apos": return "'"
        default: break
        }
        guard name.hasPrefix("#") else { throw failure("Entity '\(name)' not defined") }
        let digits = name.dropFirst()
        let value =
            digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits, radix: 10)
        guard let value, let scalar = Unicode.Scalar(value), value >= 0x20 || [9, 10, 13].contains(value),
            value != 0xFFFE, value != 0xFFFF
        else {
            throw failure("Character reference '&\(name);' is not a character")
        }
        return scalar
    }

    private mutating func name(_ complaint: @autoclosure () -> String) throws(DefinitionError) -> String {
        let start = position
        while let byte = current, Self.isNameByte(byte) { position += 1 }
        guard position > start, position - start <= 1024, Self.isNameStart(bytes[start]) else {
            throw failure(complaint())
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isNameStart(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
            || byte >= 0x80
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isNameStart(byte) || (byte >= 0x30 && byte <= 0x39) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }
}
