/// The options of `-blockdev` and `-drive` as flat names and values (`file.driver`, `cache.direct`): what the key
/// and value syntax gives, and what a JSON object flattens to. A driver takes those it knows; what is left is an error.
public struct BlockOptions: Sendable {
    private var values: [String: String]
    /// Where in a chain of images the node is: what is opened below goes on from there.
    var place = ChainPlace()

    /// Options by dotted name.
    public init(_ values: [String: String]) { self.values = values }

    /// The value, which counts as used from now on.
    public mutating func take(_ name: String) -> String? { values.removeValue(forKey: name) }

    /// A value that must be there.
    public mutating func require(_ name: String, driver: String) throws(BlockError) -> String {
        guard let value = take(name) else { throw .missingOption(driver: driver, option: name) }
        return value
    }

    /// `on`, `off` and the spellings that JSON and QEMU add.
    public mutating func takeBool(_ name: String) throws(BlockError) -> Bool? {
        guard let value = take(name) else { return nil }
        switch value {
        case "on", "true", "yes", "y": return true
        case "off", "false", "no", "n": return false
        default: throw .invalidOption(option: name, value: value, expected: "'on' or 'off'")
        }
    }

    /// A number of bytes: decimal or hexadecimal, with a suffix of B, K, M, G, T, P or E (powers of 1024).
    public mutating func takeSize(_ name: String) throws(BlockError) -> UInt64? {
        guard let value = take(name) else { return nil }
        guard let size = BlockOptions.size(value) else {
            throw .invalidOption(option: name, value: value, expected: "a number of bytes, with K, M, G, T, P or E")
        }
        return size
    }

    /// One of the cases of an option's type.
    public mutating func takeCase<Value: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Value.Type
    ) throws(BlockError) -> Value? where Value.RawValue == String {
        guard let value = take(name) else { return nil }
        guard let found = Value(rawValue: value) else {
            let names = Value.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw .invalidOption(option: name, value: value, expected: "one of \(names)")
        }
        return found
    }

    /// The options of a child: those whose names begin with `prefix` and a dot, without it.
    public mutating func takeChild(_ prefix: String) -> BlockOptions? {
        var child: [String: String] = [:]
        for (name, value) in values where name.hasPrefix(prefix + ".") {
            child[String(name.dropFirst(prefix.count + 1))] = value
            values[name] = nil
        }
        guard !child.isEmpty else { return nil }
        var options = BlockOptions(child)
        options.place = place
        return options
    }

    /// The value, if one is given.
    func value(_ name: String) -> String? { values[name] }

    /// All that nobody took.
    var names: [String] { Array(values.keys) }

    /// Sets an option that is not given.
    public mutating func setDefault(_ name: String, _ value: String) {
        if values[name] == nil { values[name] = value }
    }

    /// Throws if an option is left that nobody took; `prefix` goes before its name.
    public func finish(driver: String, under prefix: String = "") throws(BlockError) {
        if let option = values.keys.min() { throw .unknownOption(driver: driver, option: prefix + option) }
    }

    /// The value of a size such as `10G`, `0x1000` or `1.5M`; nil if it is none.
    public static func size(_ text: String) -> UInt64? {
        var digits = Substring(text)
        var scale: UInt64 = 1
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        if let last = digits.utf8.last, !isHexadecimal {
            let suffixes: [UInt8] = Array("bkmgtpe".utf8)
            if let power = suffixes.firstIndex(of: last | 0x20) {
                scale = 1 << (10 * UInt64(power))
                digits = digits.dropLast()
            }
        }
        if isHexadecimal { return UInt64(digits.dropFirst(2), radix: 16) }
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty, first.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let whole = UInt64(first)
        else { return nil }
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return bytes }
        guard scale > 1, parts[1].utf8.count <= 9, parts[1].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let fraction = UInt64(parts[1])
        else { return nil }
        let divisor = (0..<parts[1].utf8.count).reduce(UInt64(1)) { value, _ in value * 10 }
        let (high, low) = fraction.multipliedFullWidth(by: scale)
        let extra = divisor.dividingFullWidth((high, low)).quotient
        let (sum, over) = bytes.addingReportingOverflow(extra)
        return over ? nil : sum
    }

    /// Takes the options that every node has.
    mutating func takeNodeOptions() throws(BlockError) -> NodeOptions {
        var node = NodeOptions()
        node.nodeName = take("node-name")
        node.readOnly = try takeBool("read-only") ?? false
        node.autoReadOnly = try takeBool("auto-read-only") ?? false
        node.discard = try takeDiscard()
        node.detectZeroes = try takeCase("detect-zeroes", DetectZeroes.self) ?? .off
        node.cache.direct = try takeBool("cache.direct") ?? false
        node.cache.noFlush = try takeBool("cache.no-flush") ?? false
        node.forceShare = try takeBool("force-share") ?? false
        if node.detectZeroes == .unmap && node.discard == .ignore {
            throw .invalidOption(option: "detect-zeroes", value: "unmap", expected: "discard=unmap with it")
        }
        if node.forceShare && !node.readOnly {
            throw .invalidOption(option: "force-share", value: "on", expected: "read-only=on with it")
        }
        return node
    }

    private mutating func takeDiscard() throws(BlockError) -> DiscardMode {
        switch take("discard") {
        case nil, "ignore", "off": return .ignore
        case "unmap", "on": return .unmap
        case .some(let value): throw .invalidOption(option: "discard", value: value, expected: "'ignore' or 'unmap'")
        }
    }
}
