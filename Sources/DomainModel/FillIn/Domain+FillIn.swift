extension Domain {
    /// Completes a definition as libvirt does when it is defined: machine type, identifiers, default devices,
    /// controllers, addresses. A complete definition stays as it is.
    ///
    /// - Parameter generator: where UUID and network card addresses come from.
    /// - Throws: 67 for what cannot be had here, 27 for addresses in conflict.
    public mutating func fillIn(
        _ host: HostProfile, using generator: inout some RandomNumberGenerator
    ) throws(DefinitionError) {
        try fillInIdentity(host, using: &generator)
        fillInSystem()
        fillInFirmware(host)
        try checkFirmware()
        try fillInSecurity()
        sortDisks()
        sortControllers()
        devices.dropWhatRunningAdded(folder: "/qemu/\(uuid.map { "\($0)" } ?? "?")/")
        try fillInDefaultDevices()
        fillInCPU(host)
        try fillInDevices(using: &generator)
        fillInConsoles()
        fillInImplicitControllers()
        fillInInputs()
        try check()
        fillInVirtioSerialAddresses()
        try assignPCIAddresses()
        assignUSBAddresses()
        assignMemorySlots()
        try checkDevices()
    }

    /// Completes a definition with identifiers of the system's random numbers.
    public mutating func fillIn(_ host: HostProfile) throws(DefinitionError) {
        var generator = SystemRandomNumberGenerator()
        try fillIn(host, using: &generator)
    }

    private mutating func fillInIdentity(
        _ host: HostProfile, using generator: inout some RandomNumberGenerator
    ) throws(DefinitionError) {
        if uuid == nil { uuid = UniqueID.random(using: &generator) }
        if genid != nil, genid?.uuid == nil { genid?.uuid = UniqueID.random(using: &generator) }
        guard os.type != nil else { throw DefinitionError.xml("an os <type> must be specified") }
        let arch = os.arch ?? host.arch
        os.arch = arch
        let emulator = devices.emulator ?? host.emulators[arch]
        guard let emulator else {
            throw DefinitionError(
                .invalidArgument,
                "invalid argument: could not find capabilities for arch=\(arch) domaintype=\(type.rawValue) ")
        }
        devices.emulator = emulator
        let machine = os.machine ?? host.defaultMachines[arch] ?? "none"
        os.machine = host.machineAliases[machine] ?? machine
        if !host.machines.isEmpty, let machine = os.machine, !host.machines.contains(machine) {
            throw DefinitionError.unsupported("Emulator '\(emulator)' does not support machine type '\(machine)'")
        }
        if type == .kvm, !host.offersKVM {
            throw DefinitionError.unsupported("Emulator '\(emulator)' does not support virt type 'kvm'")
        }
    }

    private mutating func fillInSystem() {
        let cells = cpu?.numa.cells ?? []
        if !cells.isEmpty {
            for index in cells.indices where cells[index].id == nil { cpu?.numa.cells[index].id = UInt32(index) }
            cpu?.numa.cells.sort { ($0.id ?? 0) < ($1.id ?? 0) }
            let modules = devices.memories.reduce(UInt64(0)) { $0 &+ ($1.target.size?.kibibytes ?? 0) }
            let nodes = cells.reduce(UInt64(0)) { $0 &+ $1.memory }
            if modules == 0 { memory.size = ScaledSize(kibibytes: nodes) }
        }
        if let total = memory.size {
            currentMemory =
                currentMemory.map { $0.kibibytes == 0 || $0.kibibytes > total.kibibytes ? total : $0 } ?? total
        }
        if vcpu.placement == nil { vcpu.placement = numatune.memory?.placement == "auto" ? "auto" : "static" }
        let maximum = vcpu.maximum ?? 1
        vcpu.maximum = maximum
        if let current = vcpu.current, current >= maximum || current == 0 { vcpu.current = nil }
        if let count = iothreads, count == 0 { iothreads = nil }
        if !iothreadIDs.isEmpty { iothreads = max(iothreads ?? 0, UInt32(iothreadIDs.count)) }
        if clock == nil { clock = Clock() }
        if clock?.offset == "variable" {
            if clock?.adjustment == nil { clock?.adjustment = "0" }
            if clock?.basis == nil { clock?.basis = "utc" }
        }
        if onPoweroff == nil { onPoweroff = "destroy" }
        if onReboot == nil { onReboot = "restart" }
        if onCrash == nil { onCrash = "destroy" }
        if os.boot.isEmpty, bootloader == nil, !devices.hasBootOrder { os.boot = ["hd"] }
        if os.smbiosMode == "none" { os.smbiosMode = nil }
        if features.hyperv != nil, features.hyperv?.mode == nil { features.hyperv?.mode = "custom" }
    }

    /// The order in which boot devices are tried is told by the devices themselves.
    private mutating func fillInCPU(_ host: HostProfile) {
        guard chipset != .other || cpu != nil else { return }
        var cpu = self.cpu ?? CPU()
        let isCustom = (cpu.mode ?? "custom") == "custom"
        if isCustom, cpu.model?.name == nil, let model = host.defaultCPUModels[os.arch ?? ""] {
            cpu.mode = "custom"
            cpu.match = "exact"
            if cpu.check == nil { cpu.check = "none" }
            cpu.model = CPU.Model(model, fallback: "forbid")
        }
        if cpu.mode == nil, cpu.model != nil {
            cpu.mode = "custom"
        }
        if cpu.mode == "custom", cpu.match == nil { cpu.match = "exact" }
        if cpu.mode == "custom", cpu.model?.name != nil, cpu.model?.fallback == nil { cpu.model?.fallback = "allow" }
        if cpu.mode != "custom" { cpu.match = nil }
        if cpu.check == nil {
            switch cpu.mode {
            case "host-model": cpu.check = "partial"
            case "custom": cpu.check = type == .qemu ? "none" : "partial"
            default: cpu.check = "none"
            }
        }
        if type == .kvm, cpu.migratable == nil, cpu.mode == "host-passthrough" || cpu.mode == "maximum" {
            cpu.migratable = .on
        }
        for index in cpu.features.indices where cpu.features[index].policy == nil {
            cpu.features[index].policy = "require"
        }
        fillInDistances(&cpu)
        self.cpu = cpu
    }

    /// Distances between nodes are symmetric, 10 to itself.
    private func fillInDistances(_ cpu: inout CPU) {
        let cells = cpu.numa.cells
        guard cells.count <= 128, cells.contains(where: { !$0.distances.isEmpty }) else { return }
        func given(_ from: Int, _ to: Int) -> UInt32? {
            cells[from].distances.first { $0.id == UInt32(to) }?.value
        }
        for from in cells.indices {
            cpu.numa.cells[from].distances = cells.indices.map { to in
                var sibling = NUMA.Sibling()
                sibling.id = UInt32(to)
                sibling.value = given(from, to) ?? given(to, from) ?? (from == to ? 10 : 20)
                return sibling
            }
        }
    }
}

extension Devices {
    /// Some device says itself when it is booted from.
    var hasBootOrder: Bool {
        disks.contains { $0.info.bootOrder != nil } || interfaces.contains { $0.info.bootOrder != nil }
            || hostdevs.contains { $0.info.bootOrder != nil } || redirdevs.contains { $0.info.bootOrder != nil }
    }

    /// Names and paths that a running machine was given are no part of a definition.
    ///
    /// - Parameter folder: what paths in the machine's own folder have in them.
    mutating func dropWhatRunningAdded(folder: String) {
        for index in interfaces.indices {
            let name = interfaces[index].target?.dev ?? ""
            for prefix in ["vnet", "vif", "macvtap", "macvlan"] where name.hasPrefix(prefix) {
                interfaces[index].target = nil
                break
            }
        }
        for index in channels.indices where channels[index].source.type == .unix {
            let path = channels[index].source.path
            if path.map({ $0.contains("/channel/target/") || $0.contains(folder) }) ?? true {
                channels[index].source.ends = []
            }
        }
    }
}
