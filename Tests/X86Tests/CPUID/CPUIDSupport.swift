import X86

/// A generous engine: everything that has a name.
let everything = CPUEnvironment(engine: "translator", offered: FeatureSet.named)

/// The processor of a `-cpu` in an environment.
func resolved(_ text: String, _ environment: CPUEnvironment = everything) throws -> ResolvedCPU {
    try CPUSpecification(parsing: text).resolve(environment)
}

/// An environment with a topology.
func machine(_ smp: String) throws -> CPUEnvironment {
    CPUEnvironment(engine: "translator", offered: FeatureSet.named, topology: try Topology(parsing: smp))
}

extension ResolvedCPU {
    /// CPUID of the processor after power-on.
    func leaf(_ leaf: UInt32, _ subleaf: UInt32 = 0, apicID: UInt32 = 0) -> CPUIDRegisters {
        cpuid(leaf: leaf, subleaf: subleaf, state: State(apicID: apicID))
    }
    /// The text in the registers of some leaves.
    func text(_ words: [UInt32]) -> String {
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    var brand: String {
        text(
            (UInt32(0x8000_0002)...0x8000_0004).flatMap { number in
                let r = leaf(number)
                return [r.eax, r.ebx, r.ecx, r.edx]
            })
    }
    var shownVendor: String {
        let r = leaf(0)
        return text([r.ebx, r.edx, r.ecx])
    }
}
