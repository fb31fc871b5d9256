internal import DomainModel

/// Short ways to make and change elements.
extension XMLTree {
    /// An element with attributes in the given order.
    static func of(_ name: String, _ attributes: KeyValuePairs<String, String>) -> XMLTree {
        XMLTree(name, attributes: attributes.map { XMLAttribute($0.key, $0.value) })
    }

    /// An element that holds a text.
    static func text(
        _ name: String, _ text: String, _ attributes: KeyValuePairs<String, String> = [:]
    ) -> XMLTree {
        XMLTree(name, attributes: attributes.map { XMLAttribute($0.key, $0.value) }, nodes: [.text(text)])
    }

    /// The text of a descendant: `at("os", "type")`.
    func at(_ path: String...) -> XMLTree? {
        var element: XMLTree? = self
        for name in path { element = element?.child(name) }
        return element
    }

    /// The children of a name.
    func all(_ name: String) -> [XMLTree] { children.filter { $0.name == name } }

    /// Sets an attribute, at its place if it is there; nil takes it away.
    mutating func set(_ attribute: String, _ value: String?) {
        let index = attributes.firstIndex { $0.name == attribute }
        switch (index, value) {
        case (let index?, let value?): attributes[index].value = value
        case (let index?, nil): attributes.remove(at: index)
        case (nil, let value?): attributes.append(XMLAttribute(attribute, value))
        case (nil, nil): break
        }
    }

    /// Changes the first child of a name, which is made if it is not there.
    mutating func update(_ name: String, _ change: (inout XMLTree) -> Void) {
        for index in nodes.indices {
            if case .element(var child) = nodes[index], child.name == name {
                change(&child)
                nodes[index] = .element(child)
                return
            }
        }
        var child = XMLTree(name)
        change(&child)
        append(child)
    }

    /// Changes every child element.
    mutating func updateChildren(_ change: (inout XMLTree) -> Void) {
        for index in nodes.indices {
            if case .element(var child) = nodes[index] {
                change(&child)
                nodes[index] = .element(child)
            }
        }
    }

    /// Sets the text of a child, which is made if it is not there.
    mutating func setText(_ name: String, _ text: String) { update(name) { $0.nodes = [.text(text)] } }

    /// Takes the children of a name away.
    mutating func remove(_ name: String) {
        nodes.removeAll { if case .element(let child) = $0 { child.name == name } else { false } }
    }

    /// Puts a child before the first of the given names, or at the end.
    mutating func insert(_ child: XMLTree, before names: Set<String>) {
        let index = nodes.firstIndex { if case .element(let other) = $0 { names.contains(other.name) } else { false } }
        nodes.insert(.element(child), at: index ?? nodes.count)
    }
}
