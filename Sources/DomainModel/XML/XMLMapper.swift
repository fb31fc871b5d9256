/// What a writer shows and a reader tolerates.
public struct XMLOptions: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Writing: passwords too (`VIR_DOMAIN_XML_SECURE`).
    public static let secure = XMLOptions(rawValue: 1 << 0)
    /// Writing: the definition and not what the running machine added (`VIR_DOMAIN_XML_INACTIVE`).
    public static let inactive = XMLOptions(rawValue: 1 << 1)
    /// Reading: unknown elements and attributes are passed over and not refused.
    public static let lenient = XMLOptions(rawValue: 1 << 2)
    /// Writing: for another host's daemon (`VIR_DOMAIN_XML_MIGRATABLE`).
    public static let migratable = XMLOptions(rawValue: 1 << 3)
}

/// A value that is an element. One function tells both ways: what is read, and in which order it is written.
public protocol XMLMappable: Equatable, Sendable {
    init()
    /// Names every attribute and child element, in the order in which libvirt writes them.
    mutating func map(_ m: inout XMLMapper) throws(DefinitionError)
}

/// A value that is a whole document.
public protocol XMLDocument: XMLMappable {
    /// The names that the root element may have; it is written with the first.
    static var rootNames: [String] { get }
    /// What libvirt calls such a document in a parser's error.
    static var documentName: String { get }
}

extension XMLDocument {
    public static var documentName: String { "(\(rootNames.first ?? "")_definition)" }

    /// Reads a document.
    ///
    /// - Throws: number 35 for text that is not XML, 92 for an unknown element or attribute, 27 and others as libvirt.
    public init(
        xml: String, options: XMLOptions = [], limits: XMLLimits = XMLLimits()
    ) throws(DefinitionError) {
        try self.init(
            tree: XMLReader.parse(xml, limits: limits, document: Self.documentName), options: options)
    }

    /// Reads a tree that a caller parsed.
    public init(tree: XMLTree, options: XMLOptions = []) throws(DefinitionError) {
        guard Self.rootNames.contains(tree.name) else {
            let wanted = Self.rootNames.first ?? ""
            throw DefinitionError.xml(
                "expecting root element of '\(wanted)', not '\(tree.name)'", line: tree.line)
        }
        self.init()
        var m = XMLMapper(reading: tree, options: options)
        try map(&m)
        try m.finish()
    }

    /// The tree that `xml` writes.
    public func tree(options: XMLOptions = []) -> XMLTree {
        var m = XMLMapper(writing: Self.rootNames.first ?? "", options: options)
        var copy = self
        m.write(&copy)
        return m.tree
    }

    /// The document as libvirt writes it.
    public func xml(options: XMLOptions = []) -> String { XMLWriter.write(tree(options: options)) }
}

/// One element on its way in or out. A type's `map` calls it for each of its parts: while reading a call takes the part
/// out of the element, while writing it adds the part. What no call asked for is unknown, and `finish` refuses it.
public struct XMLMapper {
    /// True on the way in.
    public let isReading: Bool
    /// The options of the whole document.
    public let options: XMLOptions
    /// The element that is read, or as far as it is written.
    public internal(set) var tree: XMLTree
    var seenAttributes: [Bool] = []
    var seenNodes: [Bool] = []
    var textWasSeen = false

    init(reading tree: XMLTree, options: XMLOptions) {
        isReading = true
        self.options = options
        self.tree = tree
        seenAttributes = Array(repeating: false, count: tree.attributes.count)
        seenNodes = Array(repeating: false, count: tree.nodes.count)
    }

    init(writing name: String, options: XMLOptions) {
        isReading = false
        self.options = options
        tree = XMLTree(name)
    }

    /// True on the way out.
    public var isWriting: Bool { !isReading }
    /// The line of the element's start tag.
    public var line: Int { tree.line }
    /// The element's name.
    public var name: String { tree.name }

    /// Maps a value while writing, which has nothing to refuse.
    mutating func write(_ value: inout some XMLMappable) {
        do throws(DefinitionError) { try value.map(&self) } catch {}
    }

    /// The element gets a closing tag on a line of its own even when there is nothing in it.
    mutating func alwaysOpen() { tree.isAlwaysOpen = true }

    // MARK: Attributes

    /// The raw value of an attribute, marked as known.
    mutating func take(_ name: String) -> String? {
        for index in tree.attributes.indices where tree.attributes[index].name == name {
            seenAttributes[index] = true
            return tree.attributes[index].value
        }
        return nil
    }

    mutating func put(_ name: String, _ value: String) { tree.attributes.append(XMLAttribute(name, value)) }

    func invalid(_ attribute: String, _ value: String, _ expectation: String) -> DefinitionError {
        let tail = expectation.isEmpty ? "" : " \(expectation)"
        return DefinitionError.xml(
            "Invalid value for attribute '\(attribute)' in element '\(tree.name)': '\(value)'.\(tail)", line: line)
    }

    func missing(_ attribute: String) -> DefinitionError {
        DefinitionError.xml("Missing required attribute '\(attribute)' in element '\(tree.name)'", line: line)
    }

    /// An attribute that may be absent.
    public mutating func attribute<V: XMLValue>(_ name: String, _ value: inout V?) throws(DefinitionError) {
        if isReading {
            guard let text = take(name) else { return }
            guard let read = V(xml: text) else { throw invalid(name, text, V.expectation) }
            value = read
        } else if let value {
            put(name, value.xml)
        }
    }

    /// An attribute that must be there.
    public mutating func attribute<V: XMLValue>(_ name: String, _ value: inout V) throws(DefinitionError) {
        if isReading {
            guard let text = take(name) else { throw missing(name) }
            guard let read = V(xml: text) else { throw invalid(name, text, V.expectation) }
            value = read
        } else {
            put(name, value.xml)
        }
    }

    /// An attribute with a value where it is absent; always written.
    public mutating func attribute<V: XMLValue>(
        _ name: String, _ value: inout V, default standard: V
    ) throws(DefinitionError) {
        if isReading {
            var read: V?
            try attribute(name, &read)
            value = read ?? standard
        } else {
            put(name, value.xml)
        }
    }

    /// An attribute that is one of some words.
    public mutating func word(_ name: String, _ value: inout String?, _ words: String) throws(DefinitionError) {
        if isReading {
            guard let text = take(name) else { return }
            guard Self.isOne(text, of: words) else { throw invalid(name, text, "") }
            value = text
        } else if let value {
            put(name, value)
        }
    }

    /// True when `text` is one of the words that blanks separate.
    static func isOne(_ text: String, of words: String) -> Bool {
        words.utf8.split(separator: 0x20).contains { $0.elementsEqual(text.utf8) }
    }

    // MARK: Text

    /// The element's own text.
    public mutating func text<V: XMLValue>(_ value: inout V?) throws(DefinitionError) {
        if isReading {
            let text = takeText()
            guard !text.isEmpty else { return }
            guard let read = V(xml: text) else { throw invalidText(text) }
            value = read
        } else if let value {
            putText(value.xml)
        }
    }

    /// The element's own text, which must be there for a number and may be empty for a string.
    public mutating func text<V: XMLValue>(_ value: inout V) throws(DefinitionError) {
        if isReading {
            let text = takeText()
            guard let read = V(xml: text) else { throw invalidText(text) }
            value = read
        } else {
            putText(value.xml)
        }
    }

    mutating func takeText() -> String {
        textWasSeen = true
        return tree.text
    }

    mutating func putText(_ text: String) {
        if !text.isEmpty { tree.nodes.append(.text(text)) }
    }

    func invalidText(_ text: String) -> DefinitionError {
        DefinitionError.xml("Invalid value '\(text)' for element or attribute './\(tree.name)'", line: line)
    }

    // MARK: End

    /// Refuses what no call has asked for.
    func finish() throws(DefinitionError) {
        guard !options.contains(.lenient) else { return }
        for index in tree.attributes.indices where !seenAttributes[index] {
            let name = tree.attributes[index].name
            if name == "xmlns" || name.hasPrefix("xmlns:") { continue }
            throw DefinitionError.schema("unknown attribute '\(name)' in element '\(tree.name)'", line: line)
        }
        for index in tree.nodes.indices where !seenNodes[index] {
            switch tree.nodes[index] {
            case .comment: continue
            case .text(let text):
                if textWasSeen { continue }
                throw DefinitionError.schema(
                    "text '\(text.trimmedBlanks.prefix(40))' is not allowed in element '\(tree.name)'", line: line)
            case .element(let child):
                throw DefinitionError.schema(
                    "unknown or repeated element '\(child.name)' in element '\(tree.name)'", line: child.line)
            }
        }
    }
}
