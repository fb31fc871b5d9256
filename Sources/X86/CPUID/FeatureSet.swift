/// One feature of a processor: a bit of a CPUID word.
public struct CPUFeature: Hashable, Sendable, CustomStringConvertible {
    /// The word.
    public var word: FeatureWord
    /// The bit in it, 0...31.
    public var bit: UInt32

    /// The feature of QEMU's name, in any of its spellings ("sse4_1", "sse4-1" and "sse4.1"); nil for a name unknown.
    public init?(name: String) {
        guard let feature = CPUFeature.byName[CPUFeature.canonical(name)] else { return nil }
        self = feature
    }

    init(word: FeatureWord, bit: UInt32) {
        self.word = word
        self.bit = bit & 31
    }

    /// QEMU's name for it; empty for a bit without one.
    public var name: String {
        let names = CPUFeature.names[word.rawValue]
        return Int(bit) < names.count ? names[Int(bit)] : ""
    }

    /// Notation of the manual with the name: "CPUID.01H:ECX.pcid [bit 17]".
    public var description: String { "\(word.notation).\(name) [bit \(bit)]" }

    /// All that have a name, by word and bit.
    public static let all: [CPUFeature] = FeatureWord.allCases.flatMap { word in
        names[word.rawValue].indices.filter { names[word.rawValue][$0] != "" }
            .map { CPUFeature(word: word, bit: UInt32($0)) }
    }

    /// The names of each word's bits, empty where there is none.
    private static let names: [[String]] = FeatureWord.allCases.map { word in
        word.bitNames.split(separator: " ").map { $0 == "-" ? "" : String($0) }
    }
    private static let byName: [String: CPUFeature] = Dictionary(
        all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// One spelling of the several that QEMU takes.
    static func canonical(_ name: String) -> String {
        let dashed = String(name.map { $0 == "_" ? "-" : $0 })
        return switch dashed {
        case "sse4-1": "sse4.1"
        case "sse4-2": "sse4.2"
        case "sse3": "pni"
        case "xd": "nx"
        case "i64": "lm"
        case "pclmuldq": "pclmulqdq"
        case "ffxsr": "fxsr-opt"
        default: dashed
        }
    }
}

/// A set of processor features, as the CPUID words show them.
public struct FeatureSet: Equatable, Sendable {
    private var words: [UInt32]

    /// No features.
    public init() { words = Array(repeating: 0, count: FeatureWord.allCases.count) }

    /// The features of names separated by spaces. Unknown names are a mistake of the program.
    public init(names: String) {
        self.init()
        for name in names.split(separator: " ") {
            guard let feature = CPUFeature(name: String(name)) else { preconditionFailure("Unknown feature name") }
            insert(feature)
        }
    }

    /// The features that a processor's CPUID shows: the host's own, or those that KVM says it supports. Leaves above
    /// the highest of their range are not asked for. Derived bits (OSXSAVE, OSPKE, HTT) and those without a name are
    /// left out; so are the paravirtual ones unless `includesKVM`.
    public init(reading cpuid: (_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDRegisters, includesKVM: Bool = false) {
        self.init()
        let highest = cpuid(0, 0).eax
        let highestExtended = cpuid(0x8000_0000, 0).eax
        for word in FeatureWord.allCases {
            let limit = word.leaf >= 0x8000_0000 ? highestExtended : highest
            guard word == FeatureWord.kvmEAX ? includesKVM : word.leaf <= limit else { continue }
            if word == FeatureWord.leaf7Sub1EAX && cpuid(7, 0).eax < 1 { continue }
            self[word] = word.value(in: cpuid(word.leaf, word.subleaf))
        }
        formIntersection(FeatureSet.named)
    }

    /// A word's bits.
    public subscript(word: FeatureWord) -> UInt32 {
        get { words[word.rawValue] }
        set { words[word.rawValue] = newValue }
    }

    /// True where the feature is in the set.
    public func contains(_ feature: CPUFeature) -> Bool { self[feature.word] >> feature.bit & 1 != 0 }
    /// Adds a feature.
    public mutating func insert(_ feature: CPUFeature) { self[feature.word] |= 1 << feature.bit }
    /// Takes a feature out.
    public mutating func remove(_ feature: CPUFeature) { self[feature.word] &= ~(1 << feature.bit) }

    /// Adds the features of `other`.
    public mutating func formUnion(_ other: FeatureSet) { combine(other) { $0 | $1 } }
    /// Keeps those that are also in `other`.
    public mutating func formIntersection(_ other: FeatureSet) { combine(other) { $0 & $1 } }
    /// Takes those of `other` out.
    public mutating func subtract(_ other: FeatureSet) { combine(other) { $0 & ~$1 } }
    /// The features of either.
    public func union(_ other: FeatureSet) -> FeatureSet { with { $0.formUnion(other) } }
    /// The features of both.
    public func intersection(_ other: FeatureSet) -> FeatureSet { with { $0.formIntersection(other) } }
    /// The features without those of `other`.
    public func subtracting(_ other: FeatureSet) -> FeatureSet { with { $0.subtract(other) } }

    /// No feature is in it.
    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    /// Its features by word and bit; bits without a name are left out.
    public var features: [CPUFeature] { CPUFeature.all.filter(contains) }
    /// The names of its features.
    public var names: [String] { features.map(\.name) }

    /// All features that have a name.
    public static let named: FeatureSet = FeatureSet().with { set in
        for feature in CPUFeature.all { set.insert(feature) }
    }

    private mutating func combine(_ other: FeatureSet, _ body: (UInt32, UInt32) -> UInt32) {
        for index in words.indices { words[index] = body(words[index], other.words[index]) }
    }
    private func with(_ body: (inout FeatureSet) -> Void) -> FeatureSet {
        var copy = self
        body(&copy)
        return copy
    }
}
