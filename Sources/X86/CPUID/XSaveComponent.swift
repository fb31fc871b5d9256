/// A state component of XSAVE: where it lies in the standard form (Intel SDM volume 1, 13.4.2 and 13.5).
struct XSaveComponent {
    /// Its number in XCR0.
    var number: UInt32
    /// Bytes.
    var size: UInt32
    /// Offset in the standard form.
    var offset: UInt32
    /// The feature that brings it.
    var feature: CPUFeature

    /// The legacy region and the header, always there.
    static let base: UInt32 = 576

    /// Those beyond x87 and SSE.
    static let all: [XSaveComponent] = [
        XSaveComponent(number: 2, size: 256, offset: 576, feature: CPUFeature(word: .leaf1ECX, bit: 28)),
        XSaveComponent(number: 5, size: 64, offset: 1088, feature: CPUFeature(word: .leaf7EBX, bit: 16)),
        XSaveComponent(number: 6, size: 512, offset: 1152, feature: CPUFeature(word: .leaf7EBX, bit: 16)),
        XSaveComponent(number: 7, size: 1024, offset: 1664, feature: CPUFeature(word: .leaf7EBX, bit: 16)),
        XSaveComponent(number: 9, size: 8, offset: 2688, feature: CPUFeature(word: .leaf7ECX, bit: 3)),
    ]

    /// The bits of XCR0 that the features allow; none without XSAVE.
    static func supported(_ features: FeatureSet) -> UInt64 {
        guard features.contains(CPUFeature(word: .leaf1ECX, bit: 26)) else { return 0 }
        return all.reduce(XCR0.x87 | XCR0.sse) { features.contains($1.feature) ? $0 | 1 << UInt64($1.number) : $0 }
    }

    /// Bytes of the standard form for a mask of components.
    static func size(_ mask: UInt64) -> UInt32 {
        all.reduce(base) { mask >> UInt64($1.number) & 1 != 0 ? max($0, $1.offset + $1.size) : $0 }
    }

    /// Bytes of the compacted form; none of the components asks for alignment.
    static func compactedSize(_ mask: UInt64) -> UInt32 {
        all.reduce(base) { mask >> UInt64($1.number) & 1 != 0 ? $0 + $1.size : $0 }
    }
}

extension ResolvedCPU {
    /// Leaf 0DH.
    func xsaveLeaf(_ subleaf: UInt32, _ state: State) -> CPUIDRegisters {
        let supported = xcr0Supported
        guard supported != 0 else { return CPUIDRegisters() }
        let enabled = state.xcr0 & supported
        switch subleaf {
        case 0:
            return CPUIDRegisters(
                eax: UInt32(truncatingIfNeeded: supported), ebx: XSaveComponent.size(enabled),
                ecx: XSaveComponent.size(supported), edx: UInt32(truncatingIfNeeded: supported >> 32))
        case 1:
            let shown = features[FeatureWord.leafDSub1EAX]
            // XSAVEC or XSAVES: the size of the compacted form is told.
            return CPUIDRegisters(eax: shown, ebx: shown & 0xA != 0 ? XSaveComponent.compactedSize(enabled) : 0)
        default:
            guard let part = XSaveComponent.all.first(where: { $0.number == subleaf }),
                supported >> UInt64(part.number) & 1 != 0
            else { return CPUIDRegisters() }
            return CPUIDRegisters(eax: part.size, ebx: part.offset)
        }
    }
}
