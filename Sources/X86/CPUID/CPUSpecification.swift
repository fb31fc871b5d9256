/// What `-cpu` asks for: a model and changes to it.
public struct CPUSpecification: Equatable, Sendable {
    /// The model's name, one that exists.
    public var model: String
    /// Features switched on or off, in the order in which they apply.
    public var changes: [Change] = []
    /// Missing features end the start instead of giving warnings.
    public var enforce = false
    /// Missing features give warnings.
    public var check = true
    /// The paravirtual leaves of KVM are shown.
    public var kvm = true
    /// Replaces the model's vendor.
    public var vendor: String?
    /// Replaces the model's family, 0...270.
    public var family: UInt32?
    /// Replaces the model's model number, 0...255.
    public var modelNumber: UInt32?
    /// Replaces the model's stepping, 0...15.
    public var stepping: UInt32?
    /// Replaces the model's highest basic leaf.
    public var level: UInt32?
    /// Replaces the model's highest extended leaf.
    public var xlevel: UInt32?
    /// Replaces the model's brand string.
    public var modelID: String?
    /// The width of physical addresses, 32...52.
    public var physicalBits: Int?
    /// The width of physical addresses is the host's.
    public var hostPhysicalBits = false
    /// Frequency of the time-stamp counter in Hz.
    public var tscFrequency: UInt64?
    /// Hyper-V enlightenments that were asked for by name; none is offered.
    public var hyperV: [String] = []

    /// A feature switched on or off.
    public struct Change: Equatable, Sendable {
        /// The feature.
        public var feature: CPUFeature
        /// On.
        public var isOn: Bool
    }

    /// A model as it is. The name must be one of `CPUModel`, `max` or `host`.
    public init(model: String) throws(CPUSpecificationError) {
        guard model == "max" || model == "host" || CPUModel.named(model) != nil else {
            throw .unknownModel(
                model, nearest: NameDistance.nearest(to: model, in: CPUModel.names + ["max", "host"]))
        }
        self.model = model
    }

    /// Reads the value of `-cpu`: `model[,+feature][,-feature][,property=value]...`. As with QEMU, `+` and `-` apply
    /// after all properties, and `-` after `+`.
    public init(parsing text: String) throws(CPUSpecificationError) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        try self.init(model: parts[0])
        var plus: [Change] = []
        var minus: [Change] = []
        for part in parts.dropFirst() where !part.isEmpty {
            if let sign = part.first, sign == "+" || sign == "-", Self.isHyperV(String(part.dropFirst())) {
                try set(String(part.dropFirst()), sign == "+" ? "on" : "off")
            } else if part.hasPrefix("+") {
                plus.append(Change(feature: try Self.feature(String(part.dropFirst())), isOn: true))
            } else if part.hasPrefix("-") {
                minus.append(Change(feature: try Self.feature(String(part.dropFirst())), isOn: false))
            } else {
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                try set(String(pair.first ?? ""), pair.count == 2 ? String(pair[1]) : "on")
            }
        }
        changes += plus + minus
    }

    /// True for the values of `-cpu` that ask for the list.
    public static func isHelp(_ text: String) -> Bool { text == "?" || text == "help" }

    private static func feature(_ name: String) throws(CPUSpecificationError) -> CPUFeature {
        guard let feature = CPUFeature(name: name) else { throw unknown(name) }
        return feature
    }

    static func unknown(_ name: String) -> CPUSpecificationError {
        .unknownProperty(
            name, nearest: NameDistance.nearest(to: name, in: properties + CPUFeature.all.map(\.name)))
    }
}

/// Why a `-cpu` cannot be.
public enum CPUSpecificationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No such model.
    case unknownModel(String, nearest: String?)
    /// No such property or feature.
    case unknownProperty(String, nearest: String?)
    /// A value that the property does not take.
    case badValue(property: String, value: String, expected: String)
    /// A Hyper-V enlightenment.
    case hyperV(String)
    /// `host` without a host processor to copy.
    case noHost
    /// With `enforce`: what the engine lacks.
    case missing(engine: String, features: [CPUFeature])

    /// The text for the user.
    public var description: String {
        switch self {
        case .unknownModel(let name, let nearest):
            "There is no CPU model '\(name)'" + (nearest.map { ", did you mean '\($0)'?" } ?? "; -cpu help lists them")
        case .unknownProperty(let name, let nearest):
            "'\(name)' is neither a property nor a feature of a CPU"
                + (nearest.map { ", did you mean '\($0)'?" } ?? "; -cpu help lists the features")
        case .badValue(let property, let value, let expected):
            "'\(value)' does not fit the CPU property '\(property)', which takes \(expected)"
        case .hyperV(let name): "The CPU property '\(name)' asks for a Hyper-V enlightenment, and none is offered"
        case .noHost: "The CPU model 'host' needs a host processor of the guest's kind"
        case .missing(let engine, let features):
            "The \(engine) lacks requested CPU features: " + features.map(\.description).joined(separator: ", ")
        }
    }
}
