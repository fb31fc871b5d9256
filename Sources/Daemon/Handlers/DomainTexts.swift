internal import DomainModel
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Titles, descriptions and what other programs keep in a domain.
    mutating func addDomainTexts() {
        add(Remote.DomainGetMetadata.self, .loop) { (call, arguments) throws(LibvirtError) in
            let tree = try call.domain(arguments.dom).state.withLock { state in
                arguments.flags & VirDomainModificationImpact.config != 0
                    ? state.definition ?? state.current : state.current
            }
            let text = try DomainMetadata.read(tree, type: arguments.type, uri: arguments.uri)
            return Remote.DomainGetMetadata.Result(metadata: text)
        }
        add(Remote.DomainSetMetadata.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let change = try DomainMetadata(
                type: arguments.type, text: arguments.metadata, key: arguments.key, uri: arguments.uri)
            let domain = try call.domain(arguments.dom)
            try call.driver.change(domain, flags: arguments.flags) { (tree) throws(LibvirtError) in change.apply(&tree)
            }
            call.driver.emit(.metadataChange(arguments.type, arguments.uri), domain)
        }
    }
}

extension DomainDriver {
    /// Changes the forms of a domain that the flags name: what runs, what is defined, or what the domain is now.
    func change(
        _ domain: Domain, flags: UInt32, _ body: (inout XMLTree) throws(LibvirtError) -> Void
    ) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (name, active, definition, live) = domain.state.withLock {
                ($0.name, $0.isActive, $0.definition, $0.live)
            }
            var wantsLive = flags & VirDomainModificationImpact.live != 0
            var wantsConfig = flags & VirDomainModificationImpact.config != 0
            if !wantsLive && !wantsConfig { (wantsLive, wantsConfig) = (active, !active) }
            if wantsLive, !active { throw Domain.notRunning }
            if wantsConfig, definition == nil {
                throw LibvirtError.operationInvalid("transient domains do not have any persistent config")
            }
            var newLive = live
            var newDefinition = definition
            if wantsLive, var tree = newLive {
                try body(&tree)
                newLive = tree
            }
            if wantsConfig, var tree = newDefinition {
                try body(&tree)
                newDefinition = tree
                try store.save(name, tree)
            }
            domain.state.withLock { [newLive, newDefinition] state in
                if wantsConfig { state.definition = newDefinition }
                if wantsLive, state.isActive { state.live = newLive }
            }
            if wantsLive { try writeStatus(domain) }
        }
    }
}

/// A change of a title, a description or an element below `<metadata>`.
struct DomainMetadata {
    private let type: Int32
    private let text: String?
    private let element: XMLTree?
    private let uri: String

    init(type: Int32, text: String?, key: String?, uri: String?) throws(LibvirtError) {
        self.type = type
        self.text = text
        self.uri = uri ?? ""
        var element: XMLTree?
        switch type {
        case VirDomainMetadataType.description: break
        case VirDomainMetadataType.title:
            if text?.contains("\n") == true {
                throw LibvirtError.invalidArgument("Domain title can't contain newlines")
            }
        case VirDomainMetadataType.element:
            guard let uri, !uri.isEmpty else { throw LibvirtError.invalidArgument("a uri is needed for an element") }
            guard let text else { break }
            guard let key, !key.isEmpty else { throw LibvirtError.invalidArgument("a key is needed for an element") }
            do throws(DefinitionError) { element = try XMLReader.parse(text, document: "(metadata_xml)") } catch {
                throw LibvirtError(code: error.code.rawValue, domain: 0, message: error.message)
            }
            let plain = element?.name.split(separator: ":").last.map(String.init) ?? ""
            element?.name = "\(key):\(plain)"
            element?.set("xmlns", nil)
            element?.set("xmlns:\(key)", uri)
            element?.isForeign = true
        default: throw LibvirtError.invalidArgument("unknown metadata type \(type)")
        }
        self.element = element
    }

    func apply(_ tree: inout XMLTree) {
        let after: Set<String> = ["metadata", "iothreads", "maxMemory", "memory"]
        switch type {
        case VirDomainMetadataType.description: set(&tree, "description", before: after)
        case VirDomainMetadataType.title: set(&tree, "title", before: after.union(["description"]))
        default:
            tree.update("metadata") { metadata in
                metadata.nodes.removeAll { node in
                    if case .element(let child) = node { DomainMetadata.namespace(child) == uri } else { false }
                }
                if let element { metadata.append(element) }
            }
            if tree.child("metadata")?.children.isEmpty == true { tree.remove("metadata") }
        }
    }

    private func set(_ tree: inout XMLTree, _ name: String, before: Set<String>) {
        tree.remove(name)
        if let text, !text.isEmpty { tree.insert(.text(name, text), before: before) }
    }

    /// The namespace that an element's own attribute gives it.
    static func namespace(_ element: XMLTree) -> String? {
        let parts = element.name.split(separator: ":")
        return parts.count == 2 ? element["xmlns:\(parts[0])"] : element["xmlns"]
    }

    static func read(_ tree: XMLTree, type: Int32, uri: String?) throws(LibvirtError) -> String {
        switch type {
        case VirDomainMetadataType.description:
            if let text = tree.child("description")?.text { return text }
        case VirDomainMetadataType.title:
            if let text = tree.child("title")?.text { return text }
        case VirDomainMetadataType.element:
            guard var found = tree.child("metadata")?.children.first(where: { namespace($0) == uri }) else { break }
            // Its namespace becomes the default: the prefix is the domain's own matter.
            let plain = found.name.split(separator: ":").last.map(String.init) ?? found.name
            let prefix = found.name.split(separator: ":").first.map(String.init) ?? ""
            found.set("xmlns:\(prefix)", nil)
            found.name = plain
            found.set("xmlns", uri)
            found.isForeign = true
            return HostDescription.trim(XMLWriter.write(found))
        default: throw LibvirtError.invalidArgument("unknown metadata type \(type)")
        }
        throw LibvirtError.noMetadata("Requested metadata element is not present")
    }
}
