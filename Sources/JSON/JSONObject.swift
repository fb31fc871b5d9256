/// The members of a JSON object, in the order they were set, each name once.
///
/// Small objects are searched; larger ones keep an index, so that a hostile object of many members costs linear time.
public struct JSONObject: Sendable {
    /// A named value.
    public struct Member: Equatable, Sendable {
        /// The member's name.
        public let name: String
        /// The member's value.
        public var value: JSONValue
    }

    /// The members in order.
    public private(set) var members: [Member] = []
    private var index: [String: Int] = [:]
    private static let searchLimit = 12

    /// An object without members.
    public init() {}

    /// How many members there are.
    public var count: Int { members.count }
    /// Whether there are none.
    public var isEmpty: Bool { members.isEmpty }
    /// The names in order.
    public var names: [String] { members.map(\.name) }

    /// A member's value; setting a new name appends it, setting nil removes it.
    public subscript(_ name: String) -> JSONValue? {
        get { place(of: name).map { members[$0].value } }
        set {
            switch (place(of: name), newValue) {
            case (let place?, let value?): members[place].value = value
            case (nil, let value?):
                members.append(Member(name: name, value: value))
                if members.count == Self.searchLimit + 1 { rebuildIndex() }
                if members.count > Self.searchLimit { index[name] = members.count - 1 }
            case (let place?, nil):
                members.remove(at: place)
                rebuildIndex()
            case (nil, nil): break
            }
        }
    }

    private func place(of name: String) -> Int? {
        members.count > Self.searchLimit ? index[name] : members.firstIndex { $0.name == name }
    }
    private mutating func rebuildIndex() {
        index = [:]
        guard members.count > Self.searchLimit else { return }
        for (place, member) in members.enumerated() { index[member.name] = place }
    }
}

extension JSONObject: Equatable {
    /// Equal objects have the same members; order does not count.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// Named values in order; of a name given twice the last counts.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { self[name] = value }
    }
}
