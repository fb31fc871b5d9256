/// What an engine offers to guests, and the machine around the processor.
public struct CPUEnvironment: Sendable {
    /// The engine's name in warnings.
    public var engine: String
    /// The features that the engine really has.
    public var offered: FeatureSet
    /// The grouping of the machine's processors.
    public var topology: Topology
    /// Width of physical addresses where `-cpu` does not say; 32-bit models have 36 or 32.
    public var physicalBits: Int
    /// Frequency of the guest's time-stamp counter in kHz, where it is known and constant.
    public var tscKHz: UInt32?
    /// The host processor, for `host`; `max` takes its identity where it is given.
    public var host: HostCPU?

    /// An environment of 40-bit physical addresses and one processor, unless told.
    public init(
        engine: String, offered: FeatureSet, topology: Topology = Topology(), physicalBits: Int = 40,
        tscKHz: UInt32? = nil, host: HostCPU? = nil
    ) {
        self.engine = engine
        self.offered = offered
        self.topology = topology
        self.physicalBits = physicalBits
        self.tscKHz = tscKHz
        self.host = host
    }
}

extension CPUSpecification {
    /// Makes the processor that guests see: only what the engine offers. `warnings` of the result has one line for
    /// each feature that the model or the user asked for in vain; with `enforce` that is an error.
    public func resolve(_ environment: CPUEnvironment) throws(CPUSpecificationError) -> ResolvedCPU {
        // Derived and unnamed bits are not the engine's to offer.
        var environment = environment
        environment.offered.formIntersection(FeatureSet.named)
        let model = try baseModel(environment)
        var wanted = model.features.union(CPUModel.added.intersection(environment.offered))
        var explicit = FeatureSet()
        for change in changes {
            if change.isOn {
                wanted.insert(change.feature)
                explicit.insert(change.feature)
            } else {
                wanted.remove(change.feature)
                explicit.remove(change.feature)
            }
        }
        // The engine need not offer what only describes the topology.
        var offered = environment.offered
        if let topologyExtensions = CPUFeature(name: "topoext") { offered.insert(topologyExtensions) }
        if let legacy = CPUFeature(name: "cmp-legacy") { offered.insert(legacy) }

        var shown = wanted.intersection(offered)
        let expected = wanted.subtracting(CPUModel.dispensable.subtracting(explicit))
        FeatureDependency.prune(&shown)
        let missing = expected.subtracting(offered).features
        let orphaned = explicit.intersection(offered).subtracting(shown).features
        if enforce, !(missing + orphaned).isEmpty {
            throw .missing(engine: environment.engine, features: missing + orphaned)
        }
        if enforce, let first = hyperV.first { throw .hyperV(first) }
        var warnings: [String] = []
        if check {
            warnings += missing.map { "The \(environment.engine) lacks the requested CPU feature \($0)" }
            warnings += orphaned.map { "The requested CPU feature \($0) needs another that is off" }
        }
        if !hyperV.isEmpty {
            warnings.append("No Hyper-V enlightenment is offered: " + hyperV.joined(separator: ", "))
        }
        if !kvm { shown[FeatureWord.kvmEAX] = 0 }
        return ResolvedCPU(
            model: model, features: shown, environment: environment,
            physicalBits: physicalWidth(environment, shown), showsKVM: kvm,
            tscKHz: tscFrequency.map { UInt32(clamping: $0 / 1000) } ?? environment.tscKHz,
            isLevelFixed: level != nil, isExtendedLevelFixed: xlevel != nil, warnings: warnings)
    }

    /// The model with the properties of the specification.
    private func baseModel(_ environment: CPUEnvironment) throws(CPUSpecificationError) -> CPUModel {
        var base: CPUModel
        switch (self.model, environment.host) {
        case ("host", nil): throw .noHost
        case ("host", let host?):
            base = CPUModel(host: host, name: "host")
            base.features.formIntersection(environment.offered)
        case ("max", let host?):
            base = CPUModel(host: host, name: "max")
            base.features = environment.offered
        default:
            base =
                CPUModel.named(self.model)
                ?? CPUModel(
                    name: "max", vendor: CPUModel.amd, family: 15, model: 107, stepping: 1, level: 0xD,
                    xlevel: 0x8000_000A, modelID: "Apus Virtual CPU", features: environment.offered)
        }
        // Room for the leaves of frequencies; the named models end before them, as the processors did.
        if self.model == "host" || self.model == "max", environment.tscKHz != nil { base.level = 0x16 }
        base.vendor = vendor ?? base.vendor
        base.family = family ?? base.family
        base.model = modelNumber ?? base.model
        base.stepping = stepping ?? base.stepping
        base.level = level ?? base.level
        base.xlevel = xlevel ?? base.xlevel
        base.modelID = modelID ?? base.modelID
        return base
    }

    /// 32-bit processors reach 64 GiB with PSE-36 or PAE's first form, and 4 GiB without.
    private func physicalWidth(_ environment: CPUEnvironment, _ features: FeatureSet) -> Int {
        let isLong = CPUFeature(name: "lm").map(features.contains) ?? false
        let isWide = CPUFeature(name: "pse36").map(features.contains) ?? false
        let wanted =
            physicalBits
            ?? (hostPhysicalBits ? environment.host?.physicalBits : nil)
            ?? (isLong ? environment.physicalBits : isWide ? 36 : 32)
        return min(max(wanted, 32), 52)
    }
}

extension CPUModel {
    /// A model with the identity and the features of the host's processor.
    init(host: HostCPU, name: String) {
        self.init(
            name: name, vendor: host.vendor, family: host.family, model: host.model, stepping: host.stepping,
            level: 0xD, xlevel: 0x8000_0008, modelID: host.modelID, features: host.features)
    }
}

/// Features that mean nothing without another (Intel SDM volume 1, 13 to 15).
enum FeatureDependency {
    private static let rules: [(needed: String, by: String)] = [
        ("sse2", "pni"),
        ("pni", "ssse3"),
        ("xsave", "xsaveopt xsavec xgetbv1 xsaves xfd avx pku mpx avx512f amx-tile"),
        ("avx", "avx2 fma f16c vaes vpclmulqdq fma4 xop"),
        ("avx2", "avx512f avx-vnni"),
        (
            "avx512f",
            """
            avx512dq avx512bw avx512cd avx512vl avx512ifma avx512pf avx512er avx512vbmi avx512vbmi2 avx512vnni \
            avx512bitalg avx512-vpopcntdq avx512-4vnniw avx512-4fmaps avx512-vp2intersect avx512-bf16 avx512-fp16
            """
        ),
        ("lm", "pcid la57 lahf-lm fsgsbase cx16"),
        ("apic", "x2apic tsc-deadline"),
        ("hypervisor", "kvmclock kvmclock-old"),
    ]

    /// Takes out what lacks its ground. The rules stand in an order in which one pass is enough.
    static func prune(_ set: inout FeatureSet) {
        for rule in rules {
            guard let needed = CPUFeature(name: rule.needed), !set.contains(needed) else { continue }
            set.subtract(FeatureSet(names: rule.by))
        }
    }
}
