/// Writes a tree as libvirt does: two blanks a level, values in single quotes, an element of text on one line. What is
/// below `metadata` is not libvirt's, and is written as libxml2 does, which libvirt leaves it to.
public struct XMLWriter {
    private var out: [UInt8] = []

    private init() { out.reserveCapacity(4096) }

    /// The document with a line feed at its end.
    public static func write(_ tree: XMLTree, indent: Int = 0) -> String {
        var writer = XMLWriter()
        writer.element(tree, indent: indent)
        return String(decoding: writer.out, as: UTF8.self)
    }

    private mutating func put(_ text: String) { out.append(contentsOf: text.utf8) }

    private mutating func pad(_ count: Int) {
        for _ in 0..<count { out.append(0x20) }
    }

    private mutating func element(_ tree: XMLTree, indent: Int) {
        pad(indent)
        if tree.isForeign {
            foreign(tree, indent: indent, breaksLines: true)
            out.append(0x0A)
            return
        }
        out.append(UInt8(ascii: "<"))
        put(tree.name)
        for attribute in tree.attributes {
            out.append(0x20)
            put(attribute.name)
            put("='")
            escape(attribute.value, inAttribute: true)
            out.append(UInt8(ascii: "'"))
        }
        if tree.nodes.isEmpty, !tree.isAlwaysOpen {
            put("/>\n")
            return
        }
        out.append(UInt8(ascii: ">"))
        let hasText = tree.nodes.contains { if case .text = $0 { true } else { false } }
        if hasText {
            for case .text(let text) in tree.nodes { escape(text, inAttribute: false) }
        }
        let hasElements = tree.nodes.contains { if case .element = $0 { true } else { false } }
        if hasElements || tree.isAlwaysOpen {
            out.append(0x0A)
            for case .element(let child) in tree.nodes { element(child, indent: indent + 2) }
            pad(indent)
        }
        put("</")
        put(tree.name)
        put(">\n")
    }

    /// libvirt's escapes. A line feed in a value would come back as a blank, so it goes by number.
    private mutating func escape(_ text: String, inAttribute: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): put("&lt;")
            case UInt8(ascii: ">"): put("&gt;")
            case UInt8(ascii: "&"): put("&amp;")
            case UInt8(ascii: "\""): put("&quot;")
            case UInt8(ascii: "'"): put("&apos;")
            case 0x0D: put("&#13;")
            case 0x0A where inAttribute: put("&#10;")
            case 0x09 where inAttribute: put("&#9;")
            // XML has no way to write the others.
            case 0..<0x20 where byte != 0x0A && byte != 0x09: break
            default: out.append(byte)
            }
        }
    }

    /// libxml2's layout: values in double quotes, and lines broken only where no text stands between elements.
    private mutating func foreign(_ tree: XMLTree, indent: Int, breaksLines: Bool) {
        out.append(UInt8(ascii: "<"))
        put(tree.name)
        for attribute in tree.attributes {
            out.append(0x20)
            put(attribute.name)
            out.append(UInt8(ascii: "="))
            foreignValue(attribute.value)
        }
        if tree.nodes.isEmpty {
            put("/>")
            return
        }
        out.append(UInt8(ascii: ">"))
        let hasText = tree.nodes.contains { if case .text = $0 { true } else { false } }
        let breaks = breaksLines && !hasText
        for node in tree.nodes {
            if breaks {
                out.append(0x0A)
                pad(indent + 2)
            }
            switch node {
            case .element(let child): foreign(child, indent: indent + 2, breaksLines: breaks)
            case .text(let text): foreignText(text)
            case .comment(let text): put("<!--\(text)-->")
            }
        }
        if breaks {
            out.append(0x0A)
            pad(indent)
        }
        put("</")
        put(tree.name)
        out.append(UInt8(ascii: ">"))
    }

    private mutating func foreignValue(_ value: String) {
        let quote: UInt8 = value.contains("\"") && !value.contains("'") ? 0x27 : 0x22
        out.append(quote)
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "<"): put("&lt;")
            case UInt8(ascii: ">"): put("&gt;")
            case UInt8(ascii: "&"): put("&amp;")
            case 0x22 where quote == 0x22: put("&quot;")
            case 0x0A: put("&#10;")
            case 0x09: put("&#9;")
            case 0x0D: put("&#13;")
            default: out.append(byte)
            }
        }
        out.append(quote)
    }

    private mutating func foreignText(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): put("&lt;")
            case UInt8(ascii: ">"): put("&gt;")
            case UInt8(ascii: "&"): put("&amp;")
            case 0x0D: put("&#13;")
            default: out.append(byte)
            }
        }
    }
}
