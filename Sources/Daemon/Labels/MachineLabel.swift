internal import DomainModel
internal import HostOS

/// SELinux's labels of one machine: that of its process, and that of the images that are its own.
struct MachineLabel: Equatable, Sendable {
    /// libvirt's name of the model.
    static let model = "selinux"

    let process: SecurityContext
    let image: SecurityContext
    /// Whether images get labels when the machine starts. Otherwise they have them already.
    let relabels: Bool
    /// `dynamic` or `static`.
    let type: String
    /// What the definition says instead of the policy's own label of machines.
    var base: String?

    /// Writes it into a machine's live form, as libvirt does.
    func write(to live: inout XMLTree) {
        var label = XMLTree.of(
            "seclabel", ["type": type, "model": Self.model, "relabel": relabels ? "yes" : "no"])
        label.append(.text("label", process.description))
        label.append(.text("imagelabel", image.description))
        if let base { label.append(.text("baselabel", base)) }
        live.nodes.removeAll { node in
            guard case .element(let old) = node, old.name == "seclabel" else { return false }
            return old["model"] == nil || old["model"] == Self.model
        }
        // It is the first of them, as it is where the host has several models.
        live.insert(label, before: ["seclabel", "keywrap", "qemu:commandline", "qemu:capabilities", "qemu:override"])
    }

    /// The label that a machine's live form has; nil: none.
    init?(_ live: XMLTree) {
        guard let label = live.all("seclabel").first(where: { $0["model"] == Self.model }), label["type"] != "none",
            let process = label.child("label").flatMap({ SecurityContext($0.text) }),
            let image = label.child("imagelabel").flatMap({ SecurityContext($0.text) })
        else { return nil }
        self.init(
            process: process, image: image, relabels: label["relabel"] != "no", type: label["type"] ?? "dynamic",
            base: label.child("baselabel")?.text)
    }

    init(process: SecurityContext, image: SecurityContext, relabels: Bool, type: String, base: String?) {
        (self.process, self.image, self.relabels, self.type, self.base) = (process, image, relabels, type, base)
    }

    /// The labels of what a machine opens, by path. Files that all may share or that are only read get the policy's own.
    ///
    /// - Parameter hasRoot: whether the machine sees nodes of its own for devices.
    func files(_ live: XMLTree, _ policy: LabelPolicy, hasRoot: Bool) -> [(path: String, context: SecurityContext)] {
        guard relabels else { return [] }
        var special: [String: SecurityContext?] = [:]
        for device in live.child("devices")?.children ?? [] {
            var current: XMLTree? = device
            while let image = current {
                if let path = DomainFigures.path(image) ?? image.child("source")?["path"] {
                    let own = image.child("source")?.all("seclabel").first {
                        $0["model"] == nil || $0["model"] == Self.model
                    }
                    if own?["relabel"] == "no" || own?["labelskip"] == "yes" {
                        special[path] = .some(nil)
                    } else if let label = own?.child("label").flatMap({ SecurityContext($0.text) }) {
                        special[path] = label
                    } else if device.child("shareable") != nil {
                        special[path] = policy.image
                    }
                }
                current = image.child("backingStore")
            }
        }
        // The host's own firmware is everybody's.
        if let loader = live.at("os", "loader"), loader["readonly"] != "no" { special[loader.text] = .some(nil) }
        var list: [(path: String, context: SecurityContext)] = []
        for (path, rights) in MachineRoot.ordered(MachineConfinement.files(live)) {
            let kind = HostFile.status(path).kind
            guard kind == .file || kind == .blockDevice, HostFile.realPath(path) == path else { continue }
            if kind == .blockDevice, hasRoot, path.hasPrefix("/dev/") { continue }
            guard let context = special[path] ?? (rights.contains(.write) ? image : policy.content) else { continue }
            list.append((path, context))
        }
        return list
    }
}

/// What the host's policy says of machines, in the files that libvirt reads too.
struct LabelPolicy: Sendable {
    /// The daemon's label.
    let own: SecurityContext
    /// Of machines that use KVM.
    let process: SecurityContext
    /// Of machines that translate, which need to make code.
    let translated: SecurityContext
    /// Of images that machines write.
    let image: SecurityContext
    /// Of images that machines only read.
    let content: SecurityContext

    /// The host's; nil where the kernel has no SELinux, or a policy that knows no machines.
    static let host: LabelPolicy? = {
        guard SecurityLabels.isEnabled, let own = SecurityLabels.own else { return nil }
        let settings = HostDescription.text("/etc/selinux/config").split(separator: "\n")
        guard let line = settings.last(where: { $0.hasPrefix("SELINUXTYPE=") }) else { return nil }
        let name = HostDescription.trim(String(line.dropFirst("SELINUXTYPE=".count)))
        guard !name.isEmpty, !name.contains("/") else { return nil }
        func contexts(_ file: String) -> [SecurityContext] {
            HostDescription.text("/etc/selinux/\(name)/contexts/\(file)").split(separator: "\n").compactMap {
                SecurityContext(HostDescription.trim(String($0)))
            }
        }
        let (domains, images) = (contexts("virtual_domain_context"), contexts("virtual_image_context"))
        guard let process = domains.first, let image = images.first else { return nil }
        return LabelPolicy(
            own: own, process: process, translated: domains.count > 1 ? domains[1] : process, image: image,
            content: images.count > 1 ? images[1] : image)
    }()

    /// A label of this policy as machines of this daemon have it: of the daemon's own user, and of its role.
    func context(_ base: SecurityContext, _ range: String?, isFile: Bool) -> SecurityContext {
        SecurityContext(user: own.user, role: isFile ? "object_r" : own.role, type: base.type, range: range)
    }
}
