/// The options that every virtio device has in its `<driver>`.
public struct VirtioOptions: Equatable, Sendable {
    public var iommu: OnOff?
    public var ats: OnOff?
    public var packed: OnOff?
    public var pagePerVQ: OnOff?
    public init() {}

    mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("iommu", &iommu)
        try m.attribute("ats", &ats)
        try m.attribute("packed", &packed)
        try m.attribute("page_per_vq", &pagePerVQ)
    }
}

/// A `<driver>` that has nothing but virtio's options.
public struct VirtioDriver: XMLMappable {
    public var options = VirtioOptions()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try options.map(&m) }
}

/// The words of a virtio device's `model`.
let virtioModels = "virtio virtio-transitional virtio-non-transitional"

/// A security label of one device or image.
public struct DeviceSecurityLabel: XMLMappable {
    public var model: String?
    public var relabel: YesNo?
    public var labelSkip: YesNo?
    public var label: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        try m.attribute("labelskip", &labelSkip)
        try m.attribute("relabel", &relabel)
        try m.element("label", &label)
    }
}

/// A size with a unit, kept in bytes. It is written in KiB or in bytes, as libvirt does at that place.
public struct ScaledSize: Equatable, Sendable {
    public var bytes: UInt64
    public init(bytes: UInt64) { self.bytes = bytes }
    public init(kibibytes: UInt64) { bytes = kibibytes << 10 }
    /// Rounded up.
    public var kibibytes: UInt64 { bytes >> 10 + (bytes & 1023 == 0 ? 0 : 1) }
}

extension XMLMapper {
    /// The factor of a unit's name, `nil` for one that libvirt does not know.
    static func factor(of unit: String) -> UInt64? {
        let name = unit.lowercased()
        if name == "b" || name == "byte" || name == "bytes" { return 1 }
        guard let letter = name.first, let power = "kmgtpe".firstIndex(of: letter) else { return nil }
        let exponent = "kmgtpe".distance(from: "kmgtpe".startIndex, to: power) + 1
        let base: UInt64
        switch name.dropFirst() {
        case "", "ib": base = 1024
        case "b": base = 1000
        default: return nil
        }
        return (0..<exponent).reduce(1) { value, _ in value &* base }
    }

    /// The element's text as a size.
    ///
    /// - Parameter standard: the factor where no unit is named.
    mutating func size(_ value: inout ScaledSize?, standard: UInt64 = 1024) throws(DefinitionError) {
        if isReading {
            let unit = take("unit")
            let text = takeText()
            guard let number = UInt64(xml: text) else { throw invalidText(text) }
            var factor = standard
            if let unit {
                guard let known = Self.factor(of: unit) else {
                    throw DefinitionError(
                        .invalidArgument, "invalid argument: unknown suffix '\(unit)'", line: line)
                }
                factor = known
            }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
            guard !overflow, bytes <= UInt64(Int64.max) else {
                throw DefinitionError(.overflow, "numerical overflow: value too large: \(number)", line: line)
            }
            value = ScaledSize(bytes: bytes)
        } else if let value {
            if standard == 1 {
                put("unit", "bytes")
                putText("\(value.bytes)")
            } else {
                put("unit", "KiB")
                putText("\(value.kibibytes)")
            }
        }
    }

    /// A child element that is a size.
    mutating func size(
        _ name: String, _ value: inout ScaledSize?, standard: UInt64 = 1024
    ) throws(DefinitionError) {
        guard isReading || value != nil else { return }
        try group(name) { (m: inout XMLMapper) throws(DefinitionError) in try m.size(&value, standard: standard) }
    }
}
