/// How much a document may hold. What is beyond is refused before it takes memory.
public struct XMLLimits: Equatable, Sendable {
    /// Bytes of the document; libvirt's protocol carries no string above 4 MiB.
    public var size: Int
    /// Elements within elements; libxml2's own limit is 256.
    public var depth: Int
    /// Elements, texts and attributes together.
    public var nodes: Int

    public init(size: Int = 4 << 20, depth: Int = 256, nodes: Int = 1 << 18) {
        self.size = size
        self.depth = depth
        self.nodes = nodes
    }
}

/// A strict reader of XML 1.0 with a bound on everything.
///
/// UTF-8 only, no document type and so no entities but the five of the standard and characters by number: there is
/// nothing that could grow, and nothing that could name a file. Comments are kept (they are part of `metadata`),
/// processing instructions are passed over.
public struct XMLReader {
    let bytes: [UInt8]
    let limits: XMLLimits
    let document: String
    var position = 0
    var line = 1
    var nodeCount = 0

    init(_ bytes: [UInt8], limits: XMLLimits, document: String) {
        self.bytes = bytes
        self.limits = limits
        self.document = document
    }

    /// Reads a document.
    ///
    /// - Parameter document: what an error calls it, as libvirt's `(domain_definition)`.
    /// - Throws: number 35 with `(document):line: words`.
    public static func parse(
        _ text: String, limits: XMLLimits = XMLLimits(), document: String = "(definition)"
    ) throws(DefinitionError) -> XMLTree {
        try parse(bytes: Array(text.utf8), limits: limits, document: document)
    }

    /// Reads a document of bytes, which must be UTF-8.
    public static func parse(
        bytes: [UInt8], limits: XMLLimits = XMLLimits(), document: String = "(definition)"
    ) throws(DefinitionError) -> XMLTree {
        var reader = XMLReader(bytes, limits: limits, document: document)
        return try reader.wholeDocument()
    }

    func failure(_ words: String) -> DefinitionError {
        DefinitionError(.xmlDetail, "\(document):\(line): \(words)", line: line)
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func advance() {
        if bytes[position] == 0x0A { line += 1 }
        position += 1
    }

    func starts(with text: StaticString) -> Bool {
        guard position + text.utf8CodeUnitCount <= bytes.count else { return false }
        return text.withUTF8Buffer { wanted in
            // SAFETY: the index is below the buffer's count, which is the literal's.
            for index in 0..<wanted.count where unsafe bytes[position + index] != wanted[index] { return false }
            return true
        }
    }

    mutating func skip(_ count: Int) {
        for _ in 0..<count where position < bytes.count { advance() }
    }

    mutating func skipBlanks() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x09 || byte == 0x0D { advance() }
    }

    mutating func count() throws(DefinitionError) {
        nodeCount += 1
        guard nodeCount <= limits.nodes else { throw failure("Document has more than \(limits.nodes) nodes") }
    }

    private mutating func wholeDocument() throws(DefinitionError) -> XMLTree {
        guard bytes.count <= limits.size else {
            throw failure("Document of \(bytes.count) bytes is larger than \(limits.size)")
        }
        guard Self.isPlain(bytes) else { throw failure("Input is not proper UTF-8 or has characters not allowed") }
        if starts(with: "\u{FEFF}") { position = 3 }
        try declaration()
        try skipMiscellany()
        guard current == UInt8(ascii: "<") else {
            throw failure(bytes.isEmpty ? "Document is empty" : "Start tag expected, '<' not found")
        }
        let root = try element(depth: 1)
        try skipMiscellany()
        guard position == bytes.count else { throw failure("Extra content at the end of the document") }
        return root
    }

    /// UTF-8 without the control characters that XML has no way to write.
    private static func isPlain(_ bytes: [UInt8]) -> Bool {
        var isASCII = true
        for byte in bytes {
            if byte < 0x20, byte != 0x0A, byte != 0x09, byte != 0x0D { return false }
            if byte >= 0x80 { isASCII = false }
        }
        if isASCII { return true }
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        // U+FFFE and U+FFFF are the only ones left that XML forbids: EF BF BE and EF BF BF.
        for index in bytes.indices where bytes[index] == 0xEF && index + 2 < bytes.count {
            if bytes[index + 1] == 0xBF, bytes[index + 2] >= 0xBE { return false }
        }
        return true
    }

    private mutating func declaration() throws(DefinitionError) {
        guard starts(with: "<?xml"), position + 5 < bytes.count, bytes[position + 5] <= 0x20 else { return }
        let start = position
        try skip(through: "?>", "XML declaration")
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let range = text.firstRange(of: "encoding") else { return }
        let rest = text[range.upperBound...].drop { $0 == " " || $0 == "=" }.dropFirst()
        let name = rest.prefix { $0 != "'" && $0 != "\"" }
        guard ["utf-8", "utf8", "us-ascii", "ascii"].contains(name.lowercased()) else {
            throw failure("Unsupported encoding \(name)")
        }
    }

    private mutating func skip(through end: StaticString, _ what: String) throws(DefinitionError) {
        while !starts(with: end) {
            guard position < bytes.count else { throw failure("\(what) not terminated") }
            advance()
        }
        skip(end.utf8CodeUnitCount)
    }

    private mutating func skipMiscellany() throws(DefinitionError) {
        while true {
            skipBlanks()
            if starts(with: "<!--") {
                _ = try comment()
            } else if starts(with: "<?") {
                try skip(through: "?>", "Processing instruction")
            } else if starts(with: "<!DOCTYPE") {
                throw failure("A document type is not allowed")
            } else {
                return
            }
        }
    }

    mutating func comment() throws(DefinitionError) -> String {
        skip(4)
        let start = position
        while !starts(with: "--") {
            guard position < bytes.count else { throw failure("Comment not terminated") }
            advance()
        }
        guard starts(with: "-->") else { throw failure("Double hyphen within comment") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        skip(3)
        return text
    }

    mutating func processingInstruction() throws(DefinitionError) {
        try skip(through: "?>", "Processing instruction")
    }

    mutating func characterData() throws(DefinitionError) -> String {
        skip(9)
        let start = position
        while !starts(with: "]]>") {
            guard position < bytes.count else { throw failure("CData section not finished") }
            advance()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        skip(3)
        return text
    }
}
