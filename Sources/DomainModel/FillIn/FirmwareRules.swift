/// What a definition says of its firmware: completed and checked as libvirt does.
extension Domain {
    /// Gives the loader its kind and its variables a place, and puts what is asked of the firmware in order.
    mutating func fillInFirmware(_ host: HostProfile) {
        if os.firmware == "none" { os.firmware = nil }
        if os.loader?.path != nil, os.loader?.type == nil { os.loader?.type = "rom" }
        var wanted: [String: YesNo] = [:]
        for feature in os.firmwareFeatures { if let name = feature.name { wanted[name] = feature.enabled } }
        // Keys are of no use to firmware that does not ask for them.
        if wanted["enrolled-keys"] == .yes, wanted["secure-boot"] == nil { wanted["secure-boot"] = .yes }
        os.firmwareFeatures = ["enrolled-keys", "secure-boot"].compactMap { name in
            wanted[name].map { OperatingSystem.FirmwareFeature(name, $0) }
        }
        guard let folder = host.variablesFolder, os.firmware == nil, os.loader?.type == "pflash",
            os.loader?.readonly == .yes, os.loader?.stateless != .yes, os.nvram?.path == nil, os.nvram?.source == nil
        else { return }
        var nvram = os.nvram ?? OperatingSystem.NVRAM()
        nvram.path = variablesPath(in: folder)
        os.nvram = nvram
    }

    /// Where the variables are kept of a domain that names no place.
    public func variablesPath(in folder: String) -> String { "\(folder)/\(name)_VARS.fd" }

    func checkFirmware() throws(DefinitionError) {
        func refuse(_ text: String) throws(DefinitionError) -> Never { throw DefinitionError(.xmlDetail, text) }
        let features = Dictionary(uniqueKeysWithValues: os.firmwareFeatures.map { ($0.name ?? "", $0.enabled) })
        let (loader, nvram) = (os.loader, os.nvram)
        if let firmware = os.firmware {
            if features["enrolled-keys"] == .yes, features["secure-boot"] == .no {
                try refuse(
                    "firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' is disabled"
                )
            }
            func fixed(_ what: String) -> String {
                "\(what) cannot be specified when firmware autoselection is enabled"
            }
            if loader?.readonly != nil { try refuse(fixed("loader attribute 'readonly'")) }
            if loader?.type != nil { try refuse(fixed("loader attribute 'type'")) }
            if loader?.path != nil { try refuse(fixed("loader path")) }
            if loader?.secure == .no { try refuse(fixed("loader attribute 'secure'")) }
            if nvram?.template != nil { try refuse(fixed("nvram attribute 'template'")) }
            if nvram != nil, firmware != "efi" { try refuse("firmware type '\(firmware)' does not support nvram") }
        } else {
            if !features.isEmpty {
                try refuse(
                    "cannot use feature-based firmware autoselection when firmware autoselection is disabled")
            }
            if loader != nil || nvram != nil, loader?.path == nil {
                try refuse("no loader path specified and firmware auto selection disabled")
            }
            if loader?.stateless == .no, loader?.type != "pflash" {
                try refuse("Only pflash loader type permits NVRAM")
            }
        }
        if loader?.stateless == .yes {
            if nvram?.template != nil { try refuse("NVRAM template is not permitted when loader is stateless") }
            if nvram != nil { try refuse("NVRAM is not permitted when loader is stateless") }
        }
        guard os.firmware == nil, loader?.secure == .yes else { return }
        guard chipset == .q35 else {
            throw DefinitionError.unsupported("Secure boot is supported with q35 machine types only")
        }
        guard let smm = self.features.smm, smm.state ?? .on == .on else {
            throw DefinitionError.unsupported("Secure boot requires SMM feature enabled")
        }
    }
}
