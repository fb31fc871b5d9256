internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// Firmware of machines: found for those that leave it to us, with variables of their own.
extension DomainDriver {
    /// The form that a machine starts in: with its firmware chosen, and its variables made.
    ///
    /// - Parameter resetsVariables: whether variables are made anew that are there.
    func withFirmware(
        _ definition: XMLTree, _ emulator: Emulator, resetsVariables: Bool
    ) throws(LibvirtError) -> XMLTree {
        guard let os = definition.child("os"), os["firmware"] != nil || os.child("nvram") != nil else {
            return definition
        }
        var domain: DomainModel.Domain
        do throws(DefinitionError) {
            domain = try DomainModel.Domain(tree: definition, options: [.lenient])
        } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.qemu, message: error.message)
        }
        if domain.os.firmware != nil { try choose(&domain, emulator) }
        try makeVariables(&domain, anew: resetsVariables)
        return domain.tree(options: [.secure])
    }

    private func choose(_ domain: inout DomainModel.Domain, _ emulator: Emulator) throws(LibvirtError) {
        let kind = domain.os.firmware ?? "efi"
        // Our machines have system management mode in the translator alone.
        let hasManagement = !(emulator.isApus && domain.type == .kvm)
        guard let firmware = emulators.firmware.choose(for: domain, hasManagement: hasManagement) else {
            throw LibvirtError.operationFailed("Unable to find any firmware to satisfy '\(kind)'")
        }
        var loader = domain.os.loader ?? OperatingSystem.Loader()
        switch firmware.mapping {
        case .flash(let code, let variables):
            loader.type = "pflash"
            loader.readonly = .yes
            loader.path = code
            if let variables {
                var nvram = domain.os.nvram ?? OperatingSystem.NVRAM()
                nvram.template = variables
                if nvram.path == nil, nvram.source == nil {
                    nvram.path = domain.variablesPath(in: emulators.firmware.variables)
                }
                domain.os.nvram = nvram
            }
        case .memory(let path):
            loader.type = "rom"
            loader.path = path
        }
        if firmware.features.contains("requires-smm") {
            guard domain.features.smm?.state != .off else {
                throw LibvirtError.operationInvalid("domain has SMM turned off but chosen firmware requires it")
            }
            if domain.features.smm == nil { domain.features.smm = .init() }
            domain.features.smm?.state = .on
        }
        if firmware.features.contains("secure-boot") { loader.secure = .yes }
        domain.os.loader = loader
        domain.os.firmware = nil
    }

    /// A copy of the firmware's variables, where the machine has none yet.
    private func makeVariables(_ domain: inout DomainModel.Domain, anew: Bool) throws(LibvirtError) {
        guard var nvram = domain.os.nvram, domain.os.loader?.type == "pflash",
            let path = nvram.path ?? nvram.source?.file, path.hasPrefix("/")
        else { return }
        let code = domain.os.loader?.path ?? ""
        if nvram.template == nil { nvram.template = emulators.firmware.template(of: code) }
        domain.os.nvram = nvram
        guard anew || HostFile.status(path).kind == .nothing else { return }
        guard let template = nvram.template else {
            throw LibvirtError.operationFailed("unable to find any master var store for loader: \(code)")
        }
        try onHost { () throws(HostError) in
            let bytes = try HostFile.contents(template, limit: 64 << 20)
            if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
                try HostFolder.make(String(path[..<slash]), permissions: 0o700)
            }
            try HostFile.replace(path, with: bytes, permissions: 0o600)
        }
    }

    /// Where a definition's variables are; nil: it has none, or not in a file.
    func variablesPath(_ definition: XMLTree) -> String? {
        guard let os = definition.child("os") else { return nil }
        let nvram = os.child("nvram")
        if let path = nvram?.child("source")?["file"] ?? nvram?.text, path.hasPrefix("/") { return path }
        guard os["firmware"] == "efi", let name = definition.child("name")?.text else { return nil }
        return "\(emulators.firmware.variables)/\(name)_VARS.fd"
    }

    /// Variables of a definition that is taken away go or stay by what the client said; without a word nothing goes.
    func checkVariables(_ definition: XMLTree, _ flags: UInt32) throws(LibvirtError) -> String? {
        typealias Flags = VirDomainUndefineFlagsValues
        guard flags & Flags.nvram == 0 || flags & Flags.keepNvram == 0 else {
            throw LibvirtError.invalidArgument(
                "flags 'nvram' and 'keep_nvram' in virDomainUndefineFlags exclude each other")
        }
        guard let path = variablesPath(definition), HostFile.status(path).kind != .nothing,
            flags & Flags.keepNvram == 0
        else { return nil }
        guard flags & Flags.nvram != 0 else {
            throw LibvirtError.operationInvalid("cannot undefine domain with nvram")
        }
        return path
    }

    /// Variables at the place that goes with a domain's name go with the name.
    func renameVariables(_ definition: XMLTree, from old: String, to name: String) {
        let os = definition.child("os")
        guard os?["firmware"] == "efi", os?.child("nvram") == nil else { return }
        let folder = emulators.firmware.variables
        guard HostFile.status("\(folder)/\(old)_VARS.fd").kind == .file else { return }
        try? HostFile.rename("\(folder)/\(old)_VARS.fd", to: "\(folder)/\(name)_VARS.fd")
    }
}
