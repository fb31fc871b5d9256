internal import DomainCommandLine
internal import DomainModel
internal import HostOS

/// What a machine's process may reach: its own images and sockets, its program, and what every program reads. The
/// kernel refuses all else, also where the guest has taken the process over.
enum MachineConfinement {
    /// libvirt's name of the model, in `<seclabel>` and for `dominfo`.
    static let model = "landlock"

    /// Whether a definition wants it: `<seclabel type='none'/>`, alone or of this model, does not.
    static func isWanted(_ tree: XMLTree) -> Bool {
        guard FileConfinement.isSupported else { return false }
        let off = tree.all("seclabel").contains { label in
            label["type"] == "none" && (label["model"] == nil || label["model"] == model)
        }
        // Helpers that gain privileges, and devices of the host, need more than this can name.
        let hasBridge = DomainFigures.devices(tree, "interface").contains { $0["type"] == "bridge" }
        let hasDevices =
            ["hostdev", "smartcard"].contains { !DomainFigures.devices(tree, $0).isEmpty }
            || DomainFigures.devices(tree, "tpm").contains { $0.child("backend")?["type"] != "emulator" }
        return !off && !hasDevices && (!hasBridge || HostIdentity.userID == 0) && tree.child("qemu:commandline") == nil
    }

    /// Writes the label of a running machine into its live form.
    static func label(_ live: inout XMLTree, _ uuid: String) {
        unlabel(&live)
        var label = XMLTree.of("seclabel", ["type": "dynamic", "model": model, "relabel": "yes"])
        label.append(.text("label", "apus:\(uuid)"))
        live.insert(label, before: ["keywrap", "qemu:commandline", "qemu:capabilities", "qemu:override"])
    }

    /// Takes the labels away that a machine had while it ran, and would have without being asked.
    static func unlabel(_ tree: inout XMLTree) {
        let models = HostIdentity.userID == 0 ? [model, MachineUser.model, MachineLabel.model] : [model]
        tree.nodes.removeAll { node in
            guard case .element(let label) = node, label.name == "seclabel", label["type"] == "dynamic" else {
                return false
            }
            return models.contains(label["model"] ?? "") && label.child("baselabel") == nil
        }
    }

    /// The label of a running machine; nil: it is not confined.
    static func label(of live: XMLTree) -> String? {
        live.all("seclabel").first { $0["model"] == model }?.child("label")?.text
    }

    /// A path with what may be done there.
    typealias Place = (path: String, rights: FileConfinement.Rights)

    /// The rules for a machine that starts.
    static func make(_ places: [Place]) throws(HostError) -> FileConfinement {
        let rules = try FileConfinement()
        for (path, rights) in places { try rules.allow(path, rights) }
        return rules
    }

    /// Devices that machines use, where the host has them.
    static let devices = [
        "null", "zero", "full", "random", "urandom", "kvm", "ptmx", "pts", "tty", "vhost-net", "vhost-vsock", "net/tun",
    ]

    /// What programs of every kind read.
    static var programs: [Place] {
        var list: [Place] = []
        for path in ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/alternatives"] + libraries {
            list.append((path, [.read, .execute]))
        }
        for path in [
            "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/resolv.conf", "/etc/hosts",
            "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/passwd",
            "/etc/group", "/etc/ssl", "/etc/gnutls", "/etc/qemu", "/run/systemd/resolve", "/proc", "/sys",
        ] { list.append((path, .read)) }
        list.append(("/proc/self", [.read, .write]))
        for path in ["null", "zero", "random", "urandom"] { list.append(("/dev/\(path)", [.read, .write])) }
        return list
    }

    /// All that a machine's process may reach.
    static func places(_ live: XMLTree, emulator: String, folder: String) -> [Place] {
        var list = programs
        list.append((emulator, [.read, .execute]))
        if let own = HostFile.realPath(emulator) { list.append((own, [.read, .execute])) }
        for path in devices { list.append(("/dev/\(path)", [.read, .write])) }
        list.append((folder, [.read, .write, .change]))
        return list + files(live)
    }

    /// Where this program's own libraries are: our machine's are the same.
    private static let libraries: [String] = {
        var folders: Set<String> = []
        for line in HostDescription.text("/proc/self/maps").split(separator: "\n") {
            guard let start = line.firstIndex(of: "/"), line.hasSuffix(".so") || line.contains(".so.") else { continue }
            let path = line[start...]
            if let slash = path.lastIndex(of: "/"), slash > path.startIndex { folders.insert(String(path[..<slash])) }
        }
        return folders.sorted()
    }()

    /// What the definition names.
    static func files(_ live: XMLTree) -> [Place] {
        var list: [Place] = []
        for disk in DomainFigures.devices(live, "disk") {
            let isReadOnly = disk.child("readonly") != nil || disk["device"] == "cdrom"
            if let path = DomainFigures.path(disk), path.hasPrefix("/") {
                list.append((path, isReadOnly ? .read : [.read, .write]))
            }
            var below = disk.child("backingStore")
            while let image = below {
                if let path = DomainFigures.path(image), path.hasPrefix("/") { list.append((path, .read)) }
                below = image.child("backingStore")
            }
        }
        let os = live.child("os")
        for name in ["kernel", "initrd", "dtb", "loader"] {
            if let path = os?.child(name)?.text, path.hasPrefix("/") { list.append((path, .read)) }
        }
        if let loader = os?.child("loader"), loader["readonly"] == "no" { list.append((loader.text, [.read, .write])) }
        if let nvram = os?.child("nvram") {
            let path = nvram.child("source")?["file"] ?? nvram.text
            if path.hasPrefix("/") { list.append((path, [.read, .write])) }
        }
        for device in live.child("devices")?.children ?? [] {
            switch device.name {
            case "filesystem":
                guard let path = device.child("source")?["dir"] else { continue }
                list.append((path, device.child("readonly") != nil ? .read : [.read, .write, .change, .move]))
            case "serial", "console", "parallel", "channel", "redirdev":
                if let log = device.child("log")?["file"] { list.append((log, [.read, .write])) }
                guard let path = device.child("source")?["path"], path.hasPrefix("/") else { continue }
                // A socket is made in its folder.
                if device["type"] == "unix", let slash = path.lastIndex(of: "/") {
                    list.append((String(path[..<slash]), device.child("source")?["mode"] == "bind" ? .change : .read))
                } else {
                    list.append((path, [.read, .write]))
                }
            case "graphics":
                if device["type"] == "spice", device["tlsPort"] != nil {
                    list.append((QEMUArguments.spiceCertificates, .read))
                }
                for listener in device.all("listen") + [device] {
                    if let path = listener["socket"], let slash = path.lastIndex(of: "/") {
                        list.append((String(path[..<slash]), .change))
                    }
                }
            case "rng":
                if let path = device.child("backend")?.text, path.hasPrefix("/") { list.append((path, .read)) }
            case "shmem":
                if let name = device["name"] { list.append(("/dev/shm/\(name)", [.read, .write])) }
            case "memory":
                if let path = device.at("source", "path")?.text { list.append((path, [.read, .write])) }
            default: break
            }
        }
        if live.at("memoryBacking", "hugepages") != nil || live.at("memoryBacking", "source")?["type"] == "file" {
            list.append(("/dev/hugepages", [.read, .write, .change]))
            list.append(("/dev/shm", [.read, .write, .change]))
        }
        return list
    }
}
