/// Child elements.
extension XMLMapper {
    /// The next unread child of that name, marked as known.
    mutating func takeChild(_ name: String) -> XMLTree? {
        for index in tree.nodes.indices where !seenNodes[index] {
            if case .element(let child) = tree.nodes[index], child.name == name {
                seenNodes[index] = true
                return child
            }
        }
        return nil
    }

    /// True while reading when such a child is there.
    public func has(_ name: String) -> Bool { isReading && tree.child(name) != nil }

    /// The text of an attribute while reading, without taking it.
    public func peek(_ name: String) -> String? { isReading ? tree[name] : nil }

    func read<T: XMLMappable>(_ child: XMLTree) throws(DefinitionError) -> T {
        var value = T()
        var m = XMLMapper(reading: child, options: options)
        try value.map(&m)
        try m.finish()
        return value
    }

    /// A child element that may be absent.
    public mutating func child<T: XMLMappable>(_ name: String, _ value: inout T?) throws(DefinitionError) {
        if isReading {
            guard let child = takeChild(name) else { return }
            value = try read(child)
        } else if var value {
            append(name, &value)
        }
    }

    /// A child element that is always part of the value, and written when it says something.
    public mutating func child<T: XMLMappable>(
        _ name: String, _ value: inout T, evenEmpty: Bool = false
    ) throws(DefinitionError) {
        if isReading {
            guard let child = takeChild(name) else { return }
            value = try read(child)
        } else {
            append(name, &value, onlyFilled: !evenEmpty)
        }
    }

    /// Child elements of one name in their order.
    public mutating func children<T: XMLMappable>(_ name: String, _ values: inout [T]) throws(DefinitionError) {
        if isReading {
            for index in tree.nodes.indices where !seenNodes[index] {
                guard case .element(let child) = tree.nodes[index], child.name == name else { continue }
                seenNodes[index] = true
                values.append(try read(child))
            }
        } else {
            for index in values.indices { append(name, &values[index]) }
        }
    }

    private mutating func append<T: XMLMappable>(_ name: String, _ value: inout T, onlyFilled: Bool = false) {
        var m = XMLMapper(writing: name, options: options)
        m.write(&value)
        if onlyFilled, m.tree.attributes.isEmpty, m.tree.nodes.isEmpty { return }
        tree.append(m.tree)
    }

    /// A child element whose parts are mapped in place; written when it says something.
    public mutating func group(
        _ name: String, evenEmpty: Bool = false,
        _ body: (inout XMLMapper) throws(DefinitionError) -> Void
    ) throws(DefinitionError) {
        if isReading {
            guard let child = takeChild(name) else { return }
            var m = XMLMapper(reading: child, options: options)
            try body(&m)
            try m.finish()
        } else {
            var m = XMLMapper(writing: name, options: options)
            try body(&m)
            if !evenEmpty, m.tree.attributes.isEmpty, m.tree.nodes.isEmpty { return }
            tree.append(m.tree)
        }
    }

    /// A child element that only is there or not.
    public mutating func flag(_ name: String, _ value: inout Bool) throws(DefinitionError) {
        if isReading {
            guard let child = takeChild(name) else { return }
            value = true
            try XMLMapper(reading: child, options: options).finish()
        } else if value {
            tree.append(XMLTree(name))
        }
    }

    /// A child element of text.
    public mutating func element<V: XMLValue>(_ name: String, _ value: inout V?) throws(DefinitionError) {
        if isReading {
            guard let child = takeChild(name) else { return }
            var m = XMLMapper(reading: child, options: options)
            let text = m.takeText()
            guard let read = V(xml: text) else {
                throw DefinitionError.xml(
                    "Invalid value '\(text)' for element or attribute './\(name)'", line: child.line)
            }
            value = read
            try m.finish()
        } else if let value {
            append(name, text: value.xml)
        }
    }

    /// Child elements of text.
    public mutating func elements<V: XMLValue>(_ name: String, _ values: inout [V]) throws(DefinitionError) {
        if isReading {
            while has(name) {
                var value: V?
                try element(name, &value)
                guard let value else { break }
                values.append(value)
            }
        } else {
            for value in values { append(name, text: value.xml) }
        }
    }

    /// A child element of text that is one of some words.
    public mutating func element(
        _ name: String, _ value: inout String?, oneOf words: String, else refusal: (String) -> DefinitionError
    ) throws(DefinitionError) {
        let before = value
        try element(name, &value)
        if isReading, let value, value != before, !Self.isOne(value, of: words) { throw refusal(value) }
    }

    private mutating func append(_ name: String, text: String) {
        tree.append(XMLTree(name, nodes: text.isEmpty ? [] : [.text(text)]))
    }

    /// A child element that is kept as it is.
    public mutating func subtree(_ name: String, _ value: inout XMLTree?) throws(DefinitionError) {
        if isReading {
            if let child = takeChild(name) { value = child }
        } else if let value {
            tree.append(value)
        }
    }

    /// All child elements of some names, as they are, in their order.
    public mutating func subtrees(
        _ values: inout [XMLTree], where isWanted: (String) -> Bool
    ) throws(DefinitionError) {
        if isReading {
            for index in tree.nodes.indices where !seenNodes[index] {
                guard case .element(let child) = tree.nodes[index], isWanted(child.name) else { continue }
                seenNodes[index] = true
                values.append(child)
            }
        } else {
            for value in values { tree.append(value) }
        }
    }
}
