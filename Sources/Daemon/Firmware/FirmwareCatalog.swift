internal import DomainModel
internal import HostOS

/// The firmware of this host, and where machines keep its variables.
struct FirmwareCatalog: Sendable {
    /// Folders of descriptors, of which a later one's files give way to an earlier one's of the same name.
    let folders: [String]
    /// Where variables are kept of domains that name no place.
    let variables: String

    init(folders: [String] = FirmwareCatalog.standardFolders, variables: String) {
        self.folders = folders
        self.variables = variables
    }

    /// The user's, the host's, the packages'.
    static var standardFolders: [String] {
        let own = HostIdentity.environment("XDG_CONFIG_HOME") ?? "\(HostIdentity.home)/.config"
        return (HostIdentity.userID == 0 ? [] : ["\(own)/qemu/firmware"])
            + ["/etc/qemu/firmware", "/usr/share/qemu/firmware"]
    }

    /// All that is there, best first: in the order of the files' names, which is their priority. An empty file hides
    /// those of its name.
    var all: [FirmwareDescriptor] {
        var places: [String: String] = [:]
        for folder in folders.reversed() {
            for name in (try? HostFolder.names(in: folder)) ?? [] where name.hasSuffix(".json") && !name.hasPrefix(".")
            {
                places[name] = "\(folder)/\(name)"
            }
        }
        let described = places.sorted { $0.key < $1.key }.compactMap { place -> FirmwareDescriptor? in
            guard let bytes = try? HostFile.contents(place.value, limit: 1 << 20), !bytes.isEmpty else { return nil }
            return FirmwareDescriptor(bytes)
        }
        return described + Self.undescribed.filter { own in !described.contains { $0.code == own.code } }
    }

    /// What Debian's packages have besides what they describe.
    private static let undescribed: [FirmwareDescriptor] = [
        ("OVMF_CODE.fd", false), ("OVMF_CODE.secboot.fd", true),
    ].compactMap { (name: String, isSecure: Bool) in
        let (code, variables) = ("/usr/share/OVMF/\(name)", "/usr/share/OVMF/OVMF_VARS.fd")
        guard HostFile.status(code).kind == .file else { return nil }
        return FirmwareDescriptor(code: code, variables: variables, isSecure: isSecure)
    }

    /// Those that a machine type can have, described ones only where there are some.
    func fitting(_ machine: String) -> [FirmwareDescriptor] {
        let all = all
        let described = all.filter { !Self.undescribed.contains($0) }
        return (described.isEmpty ? all : described).filter { $0.fits(architecture: "x86_64", machine: machine) }
    }

    /// The first that does all that a definition asks.
    ///
    /// - Parameter hasManagement: whether the machine can have system management mode.
    func choose(for domain: DomainModel.Domain, hasManagement: Bool) -> FirmwareDescriptor? {
        let os = domain.os
        func asks(_ feature: String) -> YesNo? { os.firmwareFeatures.first { $0.name == feature }?.enabled }
        return fitting(os.machine ?? "").first { firmware in
            func has(_ name: String) -> Bool { firmware.features.contains(name) }
            guard firmware.interfaces.contains(os.firmware == "bios" ? "bios" : "uefi") else { return false }
            for name in ["secure-boot", "enrolled-keys"] {
                if let wanted = asks(name), wanted.isYes != has(name) { return false }
            }
            if os.loader?.secure == .yes, !has("secure-boot") { return false }
            if has("requires-smm"), !hasManagement { return false }
            if domain.pm?.suspendToMemory == .yes, !has("acpi-s3") { return false }
            if domain.pm?.suspendToDisk == .yes, !has("acpi-s4") { return false }
            switch (firmware.mapping, os.loader?.stateless) {
            case (.flash(_, .some), .yes), (.flash(_, nil), .no), (.memory, .no): return false
            default: return true
            }
        }
    }

    /// What a machine's variables are made from, by its code.
    func template(of code: String) -> String? {
        for firmware in all {
            if case .flash(code, let variables?) = firmware.mapping { return variables }
        }
        return nil
    }
}

extension FirmwareDescriptor {
    /// The image that has the code.
    var code: String {
        switch mapping {
        case .flash(let code, _): code
        case .memory(let path): path
        }
    }
}
