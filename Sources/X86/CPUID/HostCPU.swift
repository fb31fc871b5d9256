/// The processor that the program runs on, as its CPUID describes it. Reading it is the caller's business.
public struct HostCPU: Equatable, Sendable {
    /// Twelve characters.
    public var vendor: String
    /// The family, extended family included.
    public var family: UInt32
    /// The model, extended model included.
    public var model: UInt32
    /// The stepping.
    public var stepping: UInt32
    /// The brand string without the padding.
    public var modelID: String
    /// The features that have names here.
    public var features: FeatureSet
    /// Width of physical addresses.
    public var physicalBits: Int

    /// A processor from its parts.
    public init(
        vendor: String, family: UInt32, model: UInt32, stepping: UInt32, modelID: String, features: FeatureSet,
        physicalBits: Int
    ) {
        self.vendor = vendor
        self.family = family
        self.model = model
        self.stepping = stepping
        self.modelID = modelID
        self.features = features
        self.physicalBits = physicalBits
    }

    /// The processor that answers `cpuid`.
    public init(reading cpuid: (_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDRegisters) {
        let first = cpuid(0, 0)
        let highest = cpuid(0x8000_0000, 0).eax
        vendor = HostCPU.text([first.ebx, first.edx, first.ecx])
        (family, model, stepping) = CPUSignature.split(cpuid(1, 0).eax)
        var brand: [UInt32] = []
        if highest >= 0x8000_0004 {
            for leaf in UInt32(0x8000_0002)...0x8000_0004 {
                let part = cpuid(leaf, 0)
                brand += [part.eax, part.ebx, part.ecx, part.edx]
            }
        }
        modelID = HostCPU.text(brand)
        features = FeatureSet(reading: cpuid)
        let bits = highest >= 0x8000_0008 ? Int(cpuid(0x8000_0008, 0).eax & 0xFF) : 36
        physicalBits = min(max(bits, 32), 52)
    }

    /// Printable ASCII of little-endian words up to the first NUL, without blanks at the ends.
    private static func text(_ words: [UInt32]) -> String {
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        let printable = bytes.prefix { $0 != 0 }.map { (0x20...0x7E).contains($0) ? $0 : 0x20 }
        let start = printable.firstIndex { $0 != 0x20 } ?? printable.endIndex
        let end = printable.lastIndex { $0 != 0x20 }.map { $0 + 1 } ?? start
        return String(decoding: printable[start..<max(start, end)], as: UTF8.self)
    }
}

/// Family, model and stepping in EAX of leaf 1 (Intel SDM volume 2, CPUID, figure 3-6).
enum CPUSignature {
    /// Packs them; the family up to 270, the model up to 255, the stepping up to 15.
    static func join(family: UInt32, model: UInt32, stepping: UInt32) -> UInt32 {
        let extended = family > 15 ? min(family - 15, 255) : 0
        return extended << 20 | (model >> 4 & 15) << 16 | min(family, 15) << 8 | (model & 15) << 4 | stepping & 15
    }

    /// Takes them apart. The extended model counts for families 6 and 15.
    static func split(_ eax: UInt32) -> (family: UInt32, model: UInt32, stepping: UInt32) {
        let base = eax >> 8 & 15
        let family = base == 15 ? base + (eax >> 20 & 0xFF) : base
        let model = eax >> 4 & 15 | (base == 15 || base == 6 ? eax >> 12 & 0xF0 : 0)
        return (family, model, eax & 15)
    }
}
