/// `<domainCapabilities>`: what a machine of one kind can have.
public struct DomainCapabilities: XMLDocument {
    public static var rootNames: [String] { ["domainCapabilities"] }
    public static var documentName: String { "(domain_capabilities)" }

    public var path: String?
    public var domain: DomainType?
    public var machine: String?
    public var arch: String?
    public var maxVCPUs: UInt32?
    public var ioThreads: YesNo?
    public var os = OS()
    public var cpu: [CPUMode] = []
    public var memoryBacking: Choices?
    /// Kinds of devices with the values of their attributes, in order.
    public var devices: [Choices] = []
    public var features: [Choices] = []

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("path", &path)
        try m.element("domain", &domain)
        try m.element("machine", &machine)
        try m.element("arch", &arch)
        try m.group("vcpu") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("max", &maxVCPUs) }
        try m.group("iothreads") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("supported", &ioThreads)
        }
        try m.child("os", &os)
        try m.group("cpu") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("mode", &cpu) }
        try m.named("memoryBacking", &memoryBacking)
        try m.group("devices") { (m: inout XMLMapper) throws(DefinitionError) in try m.choices(&devices) }
        try m.group("features") { (m: inout XMLMapper) throws(DefinitionError) in try m.choices(&features) }
    }

    public struct OS: XMLMappable {
        public var supported = YesNo.yes
        public var enumerations: [Enumeration] = []
        public var loader: Loader?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("supported", &supported)
            try m.children("enum", &enumerations)
            try m.child("loader", &loader)
        }
    }

    public struct Loader: XMLMappable {
        public var supported = YesNo.yes
        public var values: [String] = []
        public var enumerations: [Enumeration] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("supported", &supported)
            try m.elements("value", &values)
            try m.children("enum", &enumerations)
        }
    }

    public struct Enumeration: XMLMappable {
        public var name = ""
        public var values: [String] = []
        public init() {}
        public init(_ name: String, _ values: [String]) {
            self.name = name
            self.values = values
        }
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.elements("value", &values)
        }
    }

    /// `<mode>` of `<cpu>`.
    public struct CPUMode: XMLMappable {
        public var name = ""
        public var supported = YesNo.yes
        public var enumerations: [Enumeration] = []
        public var models: [Model] = []
        public var vendor: String?
        public var maxPhysicalAddress: CPU.MaxPhysicalAddress?
        public var features: [CPU.Feature] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("supported", &supported)
            try m.children("enum", &enumerations)
            try m.children("model", &models)
            try m.element("vendor", &vendor)
            try m.child("maxphysaddr", &maxPhysicalAddress)
            try m.children("feature", &features)
        }
    }

    public struct Model: XMLMappable {
        public var usable: String?
        public var deprecated: YesNo?
        public var vendor: String?
        public var canonical: String?
        public var fallback: String?
        public var name = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("fallback", &fallback)
            try m.word("usable", &usable, "yes no unknown")
            try m.attribute("deprecated", &deprecated)
            try m.attribute("vendor", &vendor)
            try m.attribute("canonical", &canonical)
            try m.text(&name)
        }
    }

    /// One kind of device or feature: whether there is one, and what its attributes may be.
    public struct Choices: Equatable, Sendable {
        public var element = ""
        public var supported = YesNo.yes
        public var enumerations: [Enumeration] = []
        public init(_ element: String, supported: Bool = true, _ enumerations: [Enumeration] = []) {
            self.element = element
            self.supported = YesNo(supported)
            self.enumerations = enumerations
        }
    }
}

extension XMLMapper {
    fileprivate mutating func choices(
        _ values: inout [DomainCapabilities.Choices]
    ) throws(DefinitionError) {
        if isReading {
            var trees: [XMLTree] = []
            try subtrees(&trees) { _ in true }
            for tree in trees {
                var m = XMLMapper(reading: tree, options: options)
                values.append(try m.readChoices())
            }
        } else {
            for value in values { write(value) }
        }
    }

    fileprivate mutating func named(
        _ name: String, _ value: inout DomainCapabilities.Choices?
    ) throws(DefinitionError) {
        if isReading {
            guard let tree = takeChild(name) else { return }
            var m = XMLMapper(reading: tree, options: options)
            value = try m.readChoices()
        } else if let value {
            write(value)
        }
    }

    private mutating func readChoices() throws(DefinitionError) -> DomainCapabilities.Choices {
        var value = DomainCapabilities.Choices(name)
        try attribute("supported", &value.supported)
        try children("enum", &value.enumerations)
        // A feature may tell more, SEV for one; that is the host's to know.
        return value
    }

    private mutating func write(_ value: DomainCapabilities.Choices) {
        var m = XMLMapper(writing: value.element, options: options)
        m.put("supported", value.supported.rawValue)
        var enumerations = value.enumerations
        do throws(DefinitionError) { try m.children("enum", &enumerations) } catch {}
        tree.append(m.tree)
    }
}
