internal import DomainModel

/// The part of XPath 1.0 that people write for these documents: steps by name, `*`, `//`, `.`, `..`; predicates
/// `[n]`, `[last()]`, `[name]`, `[@a]`, `[@a='v']`, `[name='v']`, joined by `and` and `or`; `text()`, `@a`, `@*`; unions by `|`.
struct XPath {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private indirect enum Condition {
        case place(Int)
        case last
        case path(XPath, equals: String?)
        case all([Condition])
        case any([Condition])
        case not(Condition)
    }

    private enum Test: Equatable {
        case element(String)
        case anyElement
        case text
        case attribute(String)
        case own
        case parent
    }

    private struct Step {
        var isDeep: Bool
        var test: Test
        var conditions: [Condition] = []
    }

    /// An element with the way to it, or what is in one.
    private enum Node {
        case element([XMLTree])
        case text(String)
        case attribute(XMLAttribute)

        var value: String {
            switch self {
            case .element(let way): way.last.map(XPath.allText) ?? ""
            case .text(let text): text
            case .attribute(let attribute): attribute.value
            }
        }
    }

    private var paths: [(isAbsolute: Bool, steps: [Step])] = []

    private static func allText(_ tree: XMLTree) -> String {
        tree.nodes.map { node in
            switch node {
            case .element(let child): allText(child)
            case .text(let text): text
            case .comment: ""
            }
        }.joined()
    }

    init(_ text: String) throws(Failure) {
        var scanner = Scanner(text)
        try self.init(&scanner)
        guard scanner.isAtEnd else { throw Failure(description: "Invalid expression: \(text)") }
    }

    private init(_ scanner: inout Scanner) throws(Failure) {
        repeat { paths.append(try XPath.path(&scanner)) } while scanner.take("|")
    }

    // MARK: - Reading

    private struct Scanner {
        let all: [Character]
        var place = 0
        init(_ text: String) { all = Array(text) }
        mutating func skip() { while place < all.count, all[place] == " " { place += 1 } }
        var isAtEnd: Bool { all[place...].allSatisfy { $0 == " " } }
        mutating func take(_ text: String) -> Bool {
            skip()
            let wanted = Array(text)
            guard all[place...].starts(with: wanted) else { return false }
            place += wanted.count
            return true
        }
        mutating func name() -> String {
            skip()
            let start = place
            while place < all.count, all[place].isLetter || all[place].isNumber || "_-:".contains(all[place]) {
                place += 1
            }
            return String(all[start..<place])
        }
        mutating func quoted() -> String? {
            skip()
            guard place < all.count, all[place] == "'" || all[place] == "\"" else { return nil }
            guard let end = all[(place + 1)...].firstIndex(of: all[place]) else { return nil }
            defer { place = end + 1 }
            return String(all[(place + 1)..<end])
        }
    }

    private static func path(_ scanner: inout Scanner) throws(Failure) -> (isAbsolute: Bool, steps: [Step]) {
        var isDeep = scanner.take("//")
        let isAbsolute = isDeep || scanner.take("/")
        var steps: [Step] = []
        while true {
            var step = Step(isDeep: isDeep, test: try test(&scanner))
            while scanner.take("[") {
                step.conditions.append(try either(&scanner))
                guard scanner.take("]") else { throw Failure(description: "Invalid predicate") }
            }
            steps.append(step)
            isDeep = scanner.take("//")
            guard isDeep || scanner.take("/") else { return (isAbsolute, steps) }
        }
    }

    private static func test(_ scanner: inout Scanner) throws(Failure) -> Test {
        if scanner.take("..") { return .parent }
        if scanner.take(".") { return .own }
        if scanner.take("@") {
            if scanner.take("*") { return .attribute("*") }
            return .attribute(scanner.name())
        }
        if scanner.take("*") { return .anyElement }
        let name = scanner.name()
        guard !name.isEmpty else { throw Failure(description: "Invalid expression") }
        if scanner.take("()") {
            if name == "text" { return .text }
            if name == "node" { return .anyElement }
            throw Failure(description: "Unregistered function: \(name)")
        }
        return .element(name)
    }

    private static func either(_ scanner: inout Scanner) throws(Failure) -> Condition {
        var parts = [try both(&scanner)]
        while scanner.take("or ") { parts.append(try both(&scanner)) }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private static func both(_ scanner: inout Scanner) throws(Failure) -> Condition {
        var parts = [try condition(&scanner)]
        while scanner.take("and ") { parts.append(try condition(&scanner)) }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private static func condition(_ scanner: inout Scanner) throws(Failure) -> Condition {
        if scanner.take("last()") { return .last }
        if scanner.take("not(") {
            let inner = try either(&scanner)
            guard scanner.take(")") else { throw Failure(description: "Invalid predicate") }
            return .not(inner)
        }
        scanner.skip()
        if scanner.place < scanner.all.count, scanner.all[scanner.place].isNumber {
            guard let place = Int(scanner.name()) else { throw Failure(description: "Invalid predicate") }
            return .place(place)
        }
        let path = try XPath(&scanner)
        guard scanner.take("!=") else {
            guard scanner.take("=") else { return .path(path, equals: nil) }
            guard let value = scanner.quoted() else { throw Failure(description: "Invalid predicate") }
            return .path(path, equals: value)
        }
        guard let value = scanner.quoted() else { throw Failure(description: "Invalid predicate") }
        return .not(.path(path, equals: value))
    }

    // MARK: - Finding

    /// What is found, as text: elements as XML, attributes as `name="value"` with a space before it.
    func texts(_ root: XMLTree) throws -> [String] {
        find([root]).map { node in
            switch node {
            case .element(let way): way.last.map { NodeText.dump($0) } ?? ""
            case .text(let text): text
            case .attribute(let attribute): " \(attribute.name)=\"\(attribute.value)\""
            }
        }
    }

    private func find(_ way: [XMLTree]) -> [Node] {
        var found: [Node] = []
        for path in paths {
            var nodes: [Node]
            if path.isAbsolute, let root = way.first {
                nodes = [.element([XMLTree("", nodes: [.element(root)])])]
            } else {
                nodes = [.element(way)]
            }
            for step in path.steps { nodes = nodes.flatMap { XPath.take(step, $0) } }
            found += nodes
        }
        return found
    }

    private static func take(_ step: Step, _ node: Node) -> [Node] {
        guard case .element(let way) = node else { return step.test == .own ? [node] : [] }
        let starts = step.isDeep ? everything(way) : [way]
        return starts.flatMap { start in filter(candidates(step.test, start), step.conditions) }
    }

    private static func everything(_ way: [XMLTree]) -> [[XMLTree]] {
        guard let last = way.last else { return [] }
        return [way] + last.children.flatMap { everything(way + [$0]) }
    }

    private static func candidates(_ test: Test, _ way: [XMLTree]) -> [Node] {
        guard let last = way.last else { return [] }
        switch test {
        case .own: return [.element(way)]
        case .parent: return way.count > 1 ? [.element(Array(way.dropLast()))] : []
        case .anyElement: return last.children.map { .element(way + [$0]) }
        case .element(let name): return last.children.filter { $0.name == name }.map { .element(way + [$0]) }
        case .text:
            return last.nodes.compactMap { if case .text(let text) = $0 { .text(text) } else { nil } }
        case .attribute(let name):
            return last.attributes.filter { name == "*" || $0.name == name }.map { .attribute($0) }
        }
    }

    private static func filter(_ nodes: [Node], _ conditions: [Condition]) -> [Node] {
        conditions.reduce(nodes) { left, condition in
            left.enumerated().filter { holds(condition, $0.element, $0.offset + 1, left.count) }.map(\.element)
        }
    }

    private static func holds(_ condition: Condition, _ node: Node, _ place: Int, _ count: Int) -> Bool {
        switch condition {
        case .place(let wanted): return place == wanted
        case .last: return place == count
        case .all(let parts): return parts.allSatisfy { holds($0, node, place, count) }
        case .any(let parts): return parts.contains { holds($0, node, place, count) }
        case .not(let inner): return !holds(inner, node, place, count)
        case .path(let path, let value):
            guard case .element(let way) = node else { return false }
            let found = path.find(way)
            guard let value else { return !found.isEmpty }
            return found.contains { $0.value == value }
        }
    }
}
