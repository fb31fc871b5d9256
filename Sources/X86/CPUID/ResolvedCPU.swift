/// The processor that a guest sees: identity, features and topology, ready to answer CPUID. A value that does not
/// change while the machine runs; what does change (CR4, XCR0, the APIC) comes with each question.
public struct ResolvedCPU: Equatable, Sendable {
    /// The model's name.
    public let name: String
    /// Twelve characters.
    public let vendor: String
    /// Family, model and stepping as leaf 1 packs them.
    public let signature: UInt32
    /// The brand string.
    public let modelID: String
    /// All that is shown, including what follows from the topology.
    public let features: FeatureSet
    /// The highest basic leaf.
    public let level: UInt32
    /// The highest extended leaf.
    public let xlevel: UInt32
    /// Width of physical addresses, 32...52.
    public let physicalBits: Int
    /// The grouping of processors.
    public let topology: Topology
    /// KVM's leaves are shown.
    public let showsKVM: Bool
    /// Frequency of the time-stamp counter, where it is told.
    public let tscKHz: UInt32?
    /// Lines for the user: what was asked for in vain.
    public let warnings: [String]

    /// What CPUID shows of a processor's changing state.
    public struct State: Equatable, Sendable {
        /// CR4.OSXSAVE.
        public var osxsave: Bool
        /// CR4.PKE.
        public var ospke: Bool
        /// IA32_APIC_BASE enables the APIC.
        public var isAPICEnabled: Bool
        /// XCR0.
        public var xcr0: UInt64
        /// The x2APIC ID.
        public var apicID: UInt32

        /// A state; that after power-on unless told.
        public init(
            osxsave: Bool = false, ospke: Bool = false, isAPICEnabled: Bool = true, xcr0: UInt64 = XCR0.x87,
            apicID: UInt32 = 0
        ) {
            self.osxsave = osxsave
            self.ospke = ospke
            self.isAPICEnabled = isAPICEnabled
            self.xcr0 = xcr0
            self.apicID = apicID
        }
    }

    /// True where the feature of QEMU's name is shown.
    public func has(_ name: String) -> Bool { CPUFeature(name: name).map(features.contains) ?? false }
    /// The vendor is AMD.
    public var isAMD: Bool { vendor == CPUModel.amd }
    /// The width of linear addresses.
    public var linearBits: Int { has("la57") ? 57 : has("lm") ? 48 : 32 }
    /// XCR0 may be set to these bits: the components that the features bring.
    public var xcr0Supported: UInt64 { XSaveComponent.supported(features) }

    init(
        model: CPUModel, features shown: FeatureSet, environment: CPUEnvironment, physicalBits: Int, showsKVM: Bool,
        tscKHz: UInt32?, isLevelFixed: Bool, isExtendedLevelFixed: Bool, warnings: [String]
    ) {
        let topology = environment.topology
        var features = shown
        let isAMD = model.vendor == CPUModel.amd
        if isAMD {
            // EDX of 80000001H repeats part of leaf 1 (AMD64 APM volume 3, E.4.2).
            features[FeatureWord.extended1EDX] |= features[FeatureWord.leaf1EDX] & 0x0183_F3FF
            // Threads as cores for those who know no better; TopologyExtensions tell the others the truth.
            if topology.threadsPerPackage > 1 { features.insert(CPUFeature(word: .extended1ECX, bit: 1)) }
            if topology.threads > 1 { features.insert(CPUFeature(word: .extended1ECX, bit: 22)) }
        }
        if topology.threadsPerPackage > 1 { features[FeatureWord.leaf1EDX] |= 1 << 28 }
        name = model.name
        vendor = model.vendor
        signature = CPUSignature.join(family: model.family, model: model.model, stepping: model.stepping)
        modelID = model.modelID
        self.features = features
        self.physicalBits = physicalBits
        self.topology = topology
        self.showsKVM = showsKVM
        self.tscKHz = tscKHz
        self.warnings = warnings
        level = isLevelFixed ? model.level : max(model.level, ResolvedCPU.level(features, topology))
        xlevel = isExtendedLevelFixed ? model.xlevel : max(model.xlevel, ResolvedCPU.extendedLevel(features, isAMD))
    }

    /// The highest basic leaf that the features and the topology need.
    private static func level(_ features: FeatureSet, _ topology: Topology) -> UInt32 {
        var level: UInt32 = topology.dies > 1 ? 0x1F : 1
        for word in FeatureWord.allCases where word.leaf < 0x4000_0000 && features[word] != 0 {
            level = max(level, word.leaf)
        }
        return level
    }

    /// The highest extended leaf that they need.
    private static func extendedLevel(_ features: FeatureSet, _ isAMD: Bool) -> UInt32 {
        var level: UInt32 = 0x8000_0000
        for word in FeatureWord.allCases where word.leaf >= 0x8000_0000 && features[word] != 0 {
            level = max(level, word.leaf)
        }
        if isAMD, features.contains(CPUFeature(word: .extended1ECX, bit: 22)) { level = max(level, 0x8000_001E) }
        return level
    }

    /// Four characters of a text as CPUID packs them, NUL where it has ended.
    static func word(_ text: String, _ offset: Int) -> UInt32 {
        text.utf8.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
