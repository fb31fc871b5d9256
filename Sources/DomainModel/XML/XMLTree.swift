/// One attribute of an element, with its value as it stands after entities are replaced.
public struct XMLAttribute: Equatable, Sendable {
    /// The name with its prefix.
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What stands between an element's tags.
public indirect enum XMLNode: Equatable, Sendable {
    case element(XMLTree)
    case text(String)
    case comment(String)
}

/// An element with all that is below it. Two trees are equal when they say the same, wherever their lines were.
public struct XMLTree: Equatable, Sendable {
    /// The name with its prefix, `qemu:commandline`.
    public var name: String
    public var attributes: [XMLAttribute]
    public var nodes: [XMLNode]
    /// Written with libxml's own layout and not libvirt's: foreign elements below `metadata`.
    public var isForeign = false
    /// Written with a closing tag on a line of its own even when there is nothing in it, as libvirt does for some.
    public var isAlwaysOpen = false
    /// The line of the start tag, from 1; 0 for an element that was not read.
    public var line: Int

    public init(_ name: String, attributes: [XMLAttribute] = [], nodes: [XMLNode] = [], line: Int = 0) {
        self.name = name
        self.attributes = attributes
        self.nodes = nodes
        self.line = line
    }

    public static func == (left: XMLTree, right: XMLTree) -> Bool {
        left.name == right.name && left.attributes == right.attributes && left.nodes == right.nodes
    }

    /// The value of an attribute, `nil` without one.
    public subscript(_ attribute: String) -> String? {
        for candidate in attributes where candidate.name == attribute { return candidate.value }
        return nil
    }

    /// The child elements in their order.
    public var children: [XMLTree] {
        nodes.compactMap { if case .element(let tree) = $0 { tree } else { nil } }
    }

    /// The first child element of that name.
    public func child(_ name: String) -> XMLTree? {
        for case .element(let tree) in nodes where tree.name == name { return tree }
        return nil
    }

    /// All text below the element, without the child elements'.
    public var text: String {
        if nodes.count == 1, case .text(let only) = nodes[0] { return only }
        var joined = ""
        for case .text(let part) in nodes { joined += part }
        return joined
    }

    /// Adds a child element at the end.
    public mutating func append(_ child: XMLTree) { nodes.append(.element(child)) }
}
