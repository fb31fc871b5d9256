/// What runs the guest's instructions.
public enum DomainType: String, XMLValue {
    case qemu, kvm, test, kqemu, xen, lxc, uml, openvz, vmware, hyperv, vbox, phyp, parallels, bhyve, vz, hvf, none
}

/// `<domain>`: the definition of a machine, or with `id` the state of a running one.
public struct Domain: XMLDocument {
    public static var rootNames: [String] { ["domain"] }

    public var type = DomainType.qemu
    /// The number of the running machine.
    public var id: Int32?
    public var name = ""
    public var uuid: UniqueID?
    public var genid: GenerationID?
    public var title: String?
    public var description: String?
    public var metadata: Metadata?
    public var maxMemory: MaximumMemory?
    public var memory = Memory()
    public var currentMemory: ScaledSize?
    public var blkiotune = BlockIOTuning()
    public var memtune = MemoryTuning()
    public var memoryBacking: MemoryBacking?
    public var vcpu = VCPUCount()
    public var vcpus: [VCPU] = []
    public var iothreads: UInt32?
    public var iothreadIDs: [IOThread] = []
    public var defaultIOThread: IOThread?
    public var cputune = CPUTuning()
    public var numatune = NUMATuning()
    public var resource: Resource?
    public var sysinfo: [SystemInformation] = []
    public var bootloader: String?
    public var bootloaderArguments: String?
    public var os = OperatingSystem()
    public var idmap: IDMap?
    public var features = Features()
    public var cpu: CPU?
    public var clock: Clock?
    public var onPoweroff: String?
    public var onReboot: String?
    public var onCrash: String?
    public var onLockFailure: String?
    public var pm: PowerManagement?
    public var perf: [PerformanceEvent] = []
    public var devices = Devices()
    public var securityLabels: [SecurityLabel] = []
    public var keyWrap: KeyWrap?
    public var launchSecurity: LaunchSecurity?
    /// What only QEMU understands.
    public var qemu = QEMUNamespace()

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try mapHead(&m)
        try mapResources(&m)
        try mapSystem(&m)
        try m.child("devices", &devices, evenEmpty: true)
        try m.children("seclabel", &securityLabels)
        try m.child("keywrap", &keyWrap)
        try m.child("launchSecurity", &launchSecurity)
        try qemu.map(&m)
    }

    private mutating func mapHead(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            guard let text = m.peek("type") else {
                throw DefinitionError(.internalError, "internal error: missing domain type attribute", line: m.line)
            }
            guard DomainType(rawValue: text) != nil else {
                throw DefinitionError.unsupported("invalid domain type \(text)", line: m.line)
            }
        }
        try m.attribute("type", &type)
        if m.isReading || !m.options.contains(.inactive) { try m.attribute("id", &id) }
        var text: String? = name
        try m.element("name", &text)
        name = text ?? ""
        if m.isReading { try checkName(m) }
        try m.element("uuid", &uuid, refusal: "malformed uuid element")
        try m.child("genid", &genid)
        try m.element("title", &title)
        if m.isReading, let title, title.contains("\n") {
            throw DefinitionError.xml("Domain title can't contain newlines", line: m.line)
        }
        try m.element("description", &description)
        try m.child("metadata", &metadata)
    }

    private func checkName(_ m: XMLMapper) throws(DefinitionError) {
        guard !name.isEmpty else {
            throw DefinitionError(.noName, "missing name information", line: m.line)
        }
        guard !name.contains("/") else { throw DefinitionError.xml("name \(name) cannot contain '/'", line: m.line) }
        guard !name.contains("\n") else {
            throw DefinitionError.xml("name \(name) cannot contain '\\n'", line: m.line)
        }
    }

    private mutating func mapResources(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.child("maxMemory", &maxMemory)
        try m.child("memory", &memory)
        try m.size("currentMemory", &currentMemory)
        try m.child("blkiotune", &blkiotune)
        try m.child("memtune", &memtune)
        try m.child("memoryBacking", &memoryBacking)
        try m.child("vcpu", &vcpu)
        try m.group("vcpus") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("vcpu", &vcpus) }
        try m.element("iothreads", &iothreads)
        try m.group("iothreadids") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.children("iothread", &iothreadIDs)
        }
        try m.child("defaultiothread", &defaultIOThread)
        try m.child("cputune", &cputune)
        try m.child("numatune", &numatune)
        try m.child("resource", &resource)
        try m.children("sysinfo", &sysinfo)
    }

    private mutating func mapSystem(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("bootloader", &bootloader)
        try m.element("bootloader_args", &bootloaderArguments)
        try m.child("os", &os)
        try m.child("idmap", &idmap)
        try m.child("features", &features)
        try m.child("cpu", &cpu)
        try m.child("clock", &clock)
        let actions = "destroy restart rename-restart preserve"
        try m.action("on_poweroff", &onPoweroff, actions)
        try m.action("on_reboot", &onReboot, actions)
        try m.action("on_crash", &onCrash, actions + " coredump-destroy coredump-restart")
        try m.action("on_lockfailure", &onLockFailure, "poweroff restart pause ignore default")
        try m.child("pm", &pm)
        try m.group("perf") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("event", &perf) }
    }
}

extension XMLMapper {
    mutating func action(_ name: String, _ value: inout String?, _ words: String) throws(DefinitionError) {
        let line = line
        try element(name, &value, oneOf: words) {
            DefinitionError.unsupported("unknown \(name) action: \($0)", line: line)
        }
    }

    /// A child element of text, with libvirt's own words for a text that does not fit.
    mutating func element<V: XMLValue>(
        _ name: String, _ value: inout V?, refusal: String
    ) throws(DefinitionError) {
        if isReading, let child = tree.child(name), V(xml: child.text) == nil {
            throw DefinitionError(.internalError, "internal error: \(refusal)", line: child.line)
        }
        try element(name, &value)
    }
}

/// `<genid>`: tells a guest that it was copied.
public struct GenerationID: XMLMappable {
    /// `nil` asks for a new one.
    public var uuid: UniqueID?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.text(&uuid) }
}

/// `<metadata>`: what applications keep with a machine, each in a namespace of its own. Kept as it came.
public struct Metadata: XMLMappable {
    public var elements: [XMLTree] = []
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            try m.subtrees(&elements) { _ in true }
            // Namespaces that the element itself declares are needed below.
            for attribute in m.tree.attributes where attribute.name.hasPrefix("xmlns") {
                for index in elements.indices where elements[index][attribute.name] == nil {
                    elements[index].attributes.insert(attribute, at: 0)
                }
            }
        } else {
            for var element in elements {
                element.isForeign = true
                m.tree.append(element)
            }
        }
    }

    /// The element of a namespace, as `virDomainGetMetadata` finds it.
    public func element(namespace: String) -> XMLTree? { elements.first { Self.namespace(of: $0) == namespace } }

    /// The namespace that an element's own prefix is bound to.
    static func namespace(of tree: XMLTree) -> String? {
        let parts = tree.name.split(separator: ":", maxSplits: 1)
        return parts.count == 2 ? tree["xmlns:\(parts[0])"] : tree["xmlns"]
    }

    /// Sets, replaces or removes the element of a namespace.
    ///
    /// - Parameters:
    ///   - xml: the element; `nil` removes it.
    ///   - prefix: its prefix in the document.
    public mutating func set(xml: String?, prefix: String, namespace: String) throws(DefinitionError) {
        var replacement: XMLTree?
        if let xml {
            var tree = try XMLReader.parse(xml, document: "(metadata_xml)")
            tree.name = "\(prefix):\(tree.name.split(separator: ":").last ?? "")"
            tree.attributes.removeAll { $0.name == "xmlns" || $0.name == "xmlns:\(prefix)" }
            tree.attributes.insert(XMLAttribute("xmlns:\(prefix)", namespace), at: 0)
            replacement = tree
        }
        elements.removeAll { Self.namespace(of: $0) == namespace }
        if let replacement { elements.append(replacement) }
    }
}

/// `<qemu:commandline>` and its neighbours: arguments and properties that go to QEMU as they are.
public struct QEMUNamespace: Equatable, Sendable {
    /// The namespace's name.
    public static let uri = "http://libvirt.org/schemas/domain/qemu/1.0"

    /// The elements as they came, with their prefix made `qemu`.
    public var elements: [XMLTree] = []
    public init() {}

    public var isEmpty: Bool { elements.isEmpty }

    /// `<qemu:arg value='…'/>` in order.
    public var arguments: [String] {
        elements.filter { $0.name == "qemu:commandline" }.flatMap(\.children)
            .filter { $0.name == "qemu:arg" }.compactMap { $0["value"] }
    }

    /// `<qemu:env name='…' value='…'/>` in order.
    public var environment: [(name: String, value: String)] {
        elements.filter { $0.name == "qemu:commandline" }.flatMap(\.children)
            .filter { $0.name == "qemu:env" }
            .compactMap { tree in tree["name"].map { ($0, tree["value"] ?? "") } }
    }

    mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            try read(&m)
        } else if !elements.isEmpty {
            m.tree.attributes.append(XMLAttribute("xmlns:qemu", Self.uri))
            try m.subtrees(&elements) { _ in true }
        }
    }

    private mutating func read(_ m: inout XMLMapper) throws(DefinitionError) {
        guard let binding = m.tree.attributes.first(where: { $0.value == Self.uri }) else {
            // The namespace may be declared on the element itself.
            var local: [XMLTree] = []
            try m.subtrees(&local) { $0.hasPrefix("qemu:") }
            for var tree in local {
                guard tree["xmlns:qemu"] == Self.uri else {
                    throw DefinitionError.schema("namespace of '\(tree.name)' is not declared", line: tree.line)
                }
                tree.attributes.removeAll { $0.name == "xmlns:qemu" }
                elements.append(tree)
            }
            return
        }
        let prefix = binding.name.dropFirst("xmlns:".count) + ":"
        var found: [XMLTree] = []
        try m.subtrees(&found) { $0.hasPrefix(prefix) }
        elements = found.map { Self.renamed($0, from: String(prefix)) }
        for tree in elements { try Self.check(tree) }
    }

    private static func renamed(_ tree: XMLTree, from prefix: String) -> XMLTree {
        var tree = tree
        if tree.name.hasPrefix(prefix) { tree.name = "qemu:" + tree.name.dropFirst(prefix.count) }
        tree.nodes = tree.nodes.map { node in
            if case .element(let child) = node { .element(renamed(child, from: prefix)) } else { node }
        }
        return tree
    }

    private static func check(_ tree: XMLTree) throws(DefinitionError) {
        guard tree.name == "qemu:commandline" else { return }
        for child in tree.children {
            switch child.name {
            case "qemu:arg":
                if child["value"] == nil {
                    throw DefinitionError(
                        .internalError, "internal error: No qemu command-line argument specified", line: child.line)
                }
            case "qemu:env":
                if child["name"]?.isEmpty ?? true {
                    throw DefinitionError(
                        .internalError, "internal error: No qemu environment name specified", line: child.line)
                }
            default: break
            }
        }
    }
}
