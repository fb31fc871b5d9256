extension CPUSpecification {
    /// Properties with a meaning here. Feature names are properties too.
    static let properties: [String] =
        [
            "enforce", "check", "kvm", "vendor", "family", "model", "stepping", "level", "min-level", "xlevel",
            "min-xlevel", "model-id", "phys-bits", "host-phys-bits", "tsc-frequency", "tsc-freq",
        ] + inert + hyperVFlags + hyperVValues

    /// Properties of QEMU that choose between versions of its own tables, or are the default here: taken, without
    /// effect.
    private static let inert: [String] = [
        "migratable", "l3-cache", "legacy-cache", "host-cache-info", "full-cpuid-auto-level", "cpuid-0xb",
        "fill-mtrr-mask", "vmware-cpuid-freq", "tcg-cpuid", "pmu",
    ]

    /// Sets a property or feature from its text.
    mutating func set(_ name: String, _ value: String) throws(CPUSpecificationError) {
        let key = String(name.map { $0 == "_" ? "-" : $0 })
        switch key {
        case "enforce": enforce = try boolean(key, value)
        case "check": check = try boolean(key, value)
        case "kvm": kvm = try boolean(key, value)
        case "host-phys-bits": hostPhysicalBits = try boolean(key, value)
        case "vendor":
            guard value.utf8.count == 12, value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                throw .badValue(property: key, value: value, expected: "12 characters, such as GenuineIntel")
            }
            vendor = value
        case "model-id":
            guard value.utf8.count <= 48, value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                throw .badValue(property: key, value: value, expected: "up to 48 ASCII characters")
            }
            modelID = value
        case "family": family = try number(key, value, 0...270)
        case "model": modelNumber = try number(key, value, 0...255)
        case "stepping": stepping = try number(key, value, 0...15)
        case "level", "min-level": level = try number(key, value, 0...0x20)
        case "xlevel", "min-xlevel": xlevel = try number(key, value, 0x8000_0000...0x8000_0020)
        case "phys-bits":
            let bits = value == "0" ? 0 : try number(key, value, 32...52)
            physicalBits = bits == 0 ? nil : Int(bits)
        case "tsc-frequency", "tsc-freq":
            guard let hertz = key == "tsc-freq" ? Self.hertz(value) : UInt64(value), (1_000_000...100_000_000_000).contains(hertz) else {
                throw .badValue(property: key, value: value, expected: "1000000 to 100000000000 Hz")
            }
            tscFrequency = hertz
        default:
            if let feature = CPUFeature(name: key) {
                changes.append(Change(feature: feature, isOn: try boolean(key, value)))
            } else if Self.hyperVFlags.contains(key) {
                // Switching off what is not there is no mistake.
                hyperV.removeAll { $0 == key }
                if try boolean(key, value) { hyperV.append(key) }
            } else if Self.hyperVValues.contains(key) {
                try setHyperV(key, value)
            } else if Self.inert.contains(key) {
                _ = try boolean(key, value)
            } else {
                throw Self.unknown(name)
            }
        }
    }

    /// Enlightenments that are on or off. None is offered; who asks for one is told.
    private static let hyperVFlags: [String] = [
        "hv-relaxed", "hv-vapic", "hv-vpindex", "hv-runtime", "hv-crash", "hv-time", "hv-synic", "hv-stimer",
        "hv-stimer-direct", "hv-frequencies", "hv-reenlightenment", "hv-tlbflush", "hv-tlbflush-ext",
        "hv-tlbflush-direct", "hv-evmcs", "hv-ipi", "hv-reset", "hv-avic", "hv-apicv", "hv-xmm-input",
        "hv-emsr-bitmap", "hv-syndbg", "hv-passthrough", "hv-enforce-cpuid",
    ]
    /// Those with a value of another kind.
    private static let hyperVValues: [String] = [
        "hv-spinlocks", "hv-vendor-id", "hv-no-nonarch-coresharing", "hv-version-id-build", "hv-version-id-major",
        "hv-version-id-minor", "hv-version-id-spack", "hv-version-id-sbranch", "hv-version-id-snumber",
    ]

    private mutating func setHyperV(_ key: String, _ value: String) throws(CPUSpecificationError) {
        switch key {
        case "hv-vendor-id":
            guard value.utf8.count <= 12 else {
                throw .badValue(property: key, value: value, expected: "at most 12 characters")
            }
        case "hv-no-nonarch-coresharing":
            if value != "auto" { _ = try boolean(key, value) }
            return
        default: _ = try number(key, value, 0...UInt32.max)
        }
        if !key.hasPrefix("hv-version-id"), !hyperV.contains(key) { hyperV.append(key) }
    }

    /// Whether a name is that of an enlightenment that `+` and `-` switch.
    static func isHyperV(_ name: String) -> Bool {
        hyperVFlags.contains(String(name.map { $0 == "_" ? "-" : $0 }))
    }

    /// A frequency with a unit: `2500M`, `2.5G`.
    private static func hertz(_ text: String) -> UInt64? {
        let scale: Double
        switch text.last {
        case "k", "K": scale = 1e3
        case "m", "M": scale = 1e6
        case "g", "G": scale = 1e9
        default: return UInt64(text)
        }
        guard let number = Double(text.dropLast()), number.isFinite, number >= 0 else { return nil }
        return UInt64(exactly: (number * scale).rounded())
    }

    private static let booleans: [String: Bool] = [
        "on": true, "yes": true, "true": true, "y": true, "off": false, "no": false, "false": false, "n": false,
    ]

    private func boolean(_ name: String, _ value: String) throws(CPUSpecificationError) -> Bool {
        guard let isOn = Self.booleans[value] else {
            throw .badValue(property: name, value: value, expected: "on or off")
        }
        return isOn
    }

    /// A decimal number, or a hexadecimal one after 0x.
    private func number(
        _ name: String, _ text: String, _ range: ClosedRange<UInt32>
    ) throws(CPUSpecificationError) -> UInt32 {
        let isHexadecimal = text.hasPrefix("0x") || text.hasPrefix("0X")
        let digits = isHexadecimal ? String(text.dropFirst(2)) : text
        guard let value = UInt32(digits, radix: isHexadecimal ? 16 : 10), range.contains(value),
            digits.utf8.first != 0x2B
        else {
            let bounds =
                range.lowerBound >= 0x8000_0000
                ? "0x\(String(range.lowerBound, radix: 16)) to 0x\(String(range.upperBound, radix: 16))"
                : "\(range.lowerBound) to \(range.upperBound)"
            throw .badValue(property: name, value: text, expected: bounds)
        }
        return value
    }
}
