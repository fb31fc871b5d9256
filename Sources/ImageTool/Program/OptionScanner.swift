/// The options of one command as GNU's getopt_long reads them: options and operands in any order, values joined or
/// apart, long names cut short where that is unambiguous.
struct OptionScanner {
    /// A long option.
    struct Long {
        let name: String
        let takesValue: Bool
        /// What `next` gives: a short option's letter, or a name of its own.
        let key: String

        init(_ name: String, _ key: String? = nil, value: Bool = false) {
            self.name = name
            self.key = key ?? name
            takesValue = value
        }
    }

    private var words: [String]
    private let short: [Character: Bool]
    private let long: [Long]
    private var cluster: [Character] = []
    private var onlyOperands = false
    /// What is no option, in order. Whole when `next` has given nil.
    private(set) var operands: [String] = []

    /// Words after the command's name; `short` in getopt's notation, such as `f:ho:q`.
    init(_ words: [String], short: String, long: [Long]) {
        self.words = words.reversed()
        var letters: [Character: Bool] = [:]
        var last: Character?
        for letter in short {
            if letter == ":" {
                if let last { letters[last] = true }
            } else {
                letters[letter] = false
                last = letter
            }
        }
        self.short = letters
        self.long = long
    }

    /// The next option and its value (empty without).
    mutating func next() throws(ToolFailure) -> (key: String, value: String)? {
        if !cluster.isEmpty { return try nextShort() }
        while let word = words.popLast() {
            if onlyOperands || word == "-" || !word.hasPrefix("-") {
                operands.append(word)
            } else if word == "--" {
                onlyOperands = true
            } else if word.hasPrefix("--") {
                return try nextLong(word)
            } else {
                cluster = Array(word.dropFirst())
                return try nextShort()
            }
        }
        return nil
    }

    private mutating func nextShort() throws(ToolFailure) -> (key: String, value: String) {
        let letter = cluster.removeFirst()
        guard let takesValue = short[letter] else {
            throw .usage("unrecognized option '-\(letter)\(String(cluster))'")
        }
        guard takesValue else { return (String(letter), "") }
        let joined = String(cluster)
        cluster = []
        if !joined.isEmpty { return (String(letter), joined) }
        guard let value = words.popLast() else { throw .usage("missing argument for option '-\(letter)'") }
        return (String(letter), value)
    }

    private mutating func nextLong(_ word: String) throws(ToolFailure) -> (key: String, value: String) {
        let body = word.dropFirst(2)
        let name = body.prefix { $0 != "=" }
        let exact = long.first { $0.name == name }
        let matches = long.filter { $0.name.hasPrefix(name) }
        guard let option = exact ?? (matches.count == 1 ? matches[0] : nil) else {
            throw .usage("unrecognized option '\(word)'")
        }
        let given = body.count > name.count ? String(body.dropFirst(name.count + 1)) : nil
        guard option.takesValue else {
            guard given == nil else { throw .usage("unrecognized option '\(word)'") }
            return (option.key, "")
        }
        if let given { return (option.key, given) }
        guard let value = words.popLast() else { throw .usage("missing argument for option '\(word)'") }
        return (option.key, value)
    }
}
