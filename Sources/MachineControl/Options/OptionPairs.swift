internal import JSON

/// The parts of an option's argument: `key=value,flag,file=a,,b`.
///
/// A comma ends a part and two stand for one inside a value; the first part may leave out its key, which is then
/// implied. Works on bytes, so that no combining mark can hide a separator.
struct OptionPairs: Equatable, Sendable {
    /// One part.
    struct Pair: Equatable, Sendable {
        /// The key; of a part without `=`, the part itself.
        let key: String
        /// The value, nil where there is no `=`.
        let value: String?
    }
    /// The parts in order. Keys may repeat.
    var pairs: [Pair] = []
    /// Whether the first part left out its key.
    private var startsImplied = false

    /// The parts of a text. `implied` is the key of a first part without `=`.
    init(_ text: String, implied: String?) throws(OptionError) {
        let bytes = Array(text.utf8)
        let comma = UInt8(ascii: ",")
        let equals = UInt8(ascii: "=")
        var place = 0
        while place < bytes.count {
            let isFirst = place == 0
            var end = place
            while end < bytes.count, bytes[end] != comma, bytes[end] != equals { end += 1 }
            let hasValue = end < bytes.count && bytes[end] == equals
            if !hasValue, isFirst, let implied {
                let value = Self.value(bytes, &place)
                pairs.append(Pair(key: implied, value: value))
                startsImplied = true
                continue
            }
            let key = String(decoding: bytes[place..<end], as: UTF8.self)
            guard !key.isEmpty else { throw .invalid("Expected a parameter at '\(printable(text))'") }
            if hasValue {
                place = end + 1
                pairs.append(Pair(key: key, value: Self.value(bytes, &place)))
            } else {
                place = end + 1
                pairs.append(Pair(key: key, value: nil))
            }
        }
    }

    /// A value up to the comma that ends it, which is passed.
    private static func value(_ bytes: [UInt8], _ place: inout Int) -> String {
        var value: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: ",") {
                guard place < bytes.count, bytes[place] == byte else { break }
                place += 1
            }
            value.append(byte)
        }
        return String(decoding: value, as: UTF8.self)
    }

    /// Whether some part is `help` or `?`.
    var asksForHelp: Bool { startsWithHelp || pairs.contains { $0.value == nil && isHelp($0.key) } }

    /// Whether the first part is `help` or `?`, in the place of a driver's or type's name.
    var startsWithHelp: Bool {
        guard let first = pairs.first else { return false }
        guard let value = first.value else { return isHelp(first.key) }
        return startsImplied && isHelp(value)
    }

    /// The last value of a key.
    subscript(_ key: String) -> String? { pairs.last { $0.key == key }?.value }

    /// Takes out a key: its last value.
    mutating func remove(_ key: String) -> String? {
        let value = self[key]
        pairs.removeAll { $0.key == key }
        return value
    }

    /// The parts as a tree: `a.b=c` is a member of an object, `a.0=x` an element of an array.
    func nested() throws(OptionError) -> JSONObject {
        var root = JSONObject()
        for pair in pairs {
            guard let value = pair.value else {
                throw .invalid("Expected '=' after parameter '\(printable(pair.key))'")
            }
            let names = pair.key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard names.count <= 16, names.allSatisfy({ !$0.isEmpty }) else {
                throw .invalid("Invalid parameter '\(printable(pair.key))'")
            }
            try Self.insert(value, at: names[...], of: pair.key, into: &root)
        }
        return try Self.withArrays(root, path: "")
    }

    private static func insert(
        _ value: String, at names: ArraySlice<String>, of key: String, into object: inout JSONObject
    ) throws(OptionError) {
        guard let name = names.first else { return }
        let rest = names.dropFirst()
        if rest.isEmpty {
            if case .object? = object[name] { throw conflict(key) }
            object[name] = .string(value)
            return
        }
        var inner: JSONObject
        switch object[name] {
        case nil: inner = JSONObject()
        case .object(let known): inner = known
        default: throw conflict(key)
        }
        try insert(value, at: rest, of: key, into: &inner)
        object[name] = .object(inner)
    }
    private static func conflict(_ key: String) -> OptionError {
        .invalid("Parameters '\(printable(key)).*' are used inconsistently")
    }

    /// Objects whose names are 0, 1, 2… become arrays.
    private static func withArrays(_ object: JSONObject, path: String) throws(OptionError) -> JSONObject {
        var result = JSONObject()
        for member in object.members {
            guard case .object(let inner) = member.value else {
                result[member.name] = member.value
                continue
            }
            let converted = try withArrays(inner, path: path + member.name + ".")
            if inner.names.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }) {
                var elements: [JSONValue] = []
                for place in 0..<converted.count {
                    guard let element = converted["\(place)"] else {
                        throw .missing("\(path)\(printable(member.name)).\(place)")
                    }
                    elements.append(element)
                }
                result[member.name] = .array(elements)
            } else {
                result[member.name] = .object(converted)
            }
        }
        return result
    }
}

/// Whether a word asks for help.
func isHelp(_ word: String) -> Bool { word == "help" || word == "?" }
