internal import DomainModel
internal import HostOS
internal import JSON

/// Board, processors, memory, monitor, clock and boot.
extension QEMUArguments {
    mutating func machine() {
        let name = Self.escaped(domain.name)
        add("-name", plan.usesQEMUExtras ? "guest=\(name),debug-threads=on" : "guest=\(name)")
        words.append("-S")
        if let file = plan.masterKeyFile {
            add("-object", ["qom-type": "secret", "id": "masterKey0", "format": "raw", "file": .string(file)])
        }
        if domain.os.loader?.type == "pflash" { pflash() }
        var machine = domain.os.machine ?? "pc"
        machine += ",usb=off"
        if let state = domain.features.vmport?.state { machine += ",vmport=\(state.rawValue)" }
        if let smm = domain.features.smm { machine += ",smm=\((smm.state ?? .on).rawValue)" }
        if plan.usesQEMUExtras { machine += ",dump-guest-core=\((domain.memory.dumpCore ?? .off).rawValue)" }
        if domain.memoryBacking?.noSharePages == true { machine += ",mem-merge=off" }
        if domain.devices.memories.contains(where: { $0.model == "nvdimm" }) { machine += ",nvdimm=on" }
        if let driver = domain.features.ioapicDriver {
            machine += ",kernel_irqchip=\(driver == "kvm" ? "on" : "split")"
        }
        if domain.os.loader?.type == "pflash" {
            machine += ",pflash0=libvirt-pflash0-format"
            if domain.os.nvram != nil { machine += ",pflash1=libvirt-pflash1-format" }
        }
        if hasOwnMemoryObject { machine += ",memory-backend=pc.ram" }
        // The options `-no-acpi` and `-no-hpet` are gone in newer versions.
        let isPC = domain.chipset == .i440fx || domain.chipset == .q35
        if isPC, !domain.features.acpi { machine += ",acpi=off" }
        if isPC, domain.clock?.timers.contains(where: { $0.name == "hpet" && $0.present == .no }) == true {
            machine += ",hpet=off"
        }
        if domain.os.biosUseSerial == .yes { machine += ",graphics=off" }
        add("-machine", machine)
        if domain.os.loader?.type == "pflash", domain.os.loader?.secure == .yes {
            add("-global", "driver=cfi.pflash01,property=secure,value=on")
        }
        add("-accel", domain.type == .kvm ? "kvm" : "tcg" + translatorOptions)
        cpu()
        if let loader = domain.os.loader, loader.type != "pflash", let path = loader.path { add("-bios", path) }
    }

    private var translatorOptions: String {
        guard let size = domain.features.tcg?.cacheSize else { return "" }
        return ",tb-size=\(size.bytes >> 20)"
    }

    /// Firmware in flash: two images.
    private mutating func pflash() {
        func node(_ number: Int, _ path: String, isReadOnly: Bool) {
            let storage = "libvirt-pflash\(number)-storage"
            add(
                "-blockdev",
                [
                    "driver": "file", "filename": .string(path), "node-name": .string(storage), "auto-read-only": true,
                    "discard": "unmap",
                ])
            add(
                "-blockdev",
                [
                    "node-name": .string("libvirt-pflash\(number)-format"), "read-only": .bool(isReadOnly),
                    "driver": "raw", "file": .string(storage),
                ])
        }
        if let path = domain.os.loader?.path {
            node(0, path, isReadOnly: domain.os.loader?.readonly != .no)
        }
        if let path = domain.os.nvram?.path ?? domain.os.nvram?.source?.localPath { node(1, path, isReadOnly: false) }
    }

    private mutating func cpu() {
        let cpu = domain.cpu
        var model: String
        switch cpu?.mode {
        case "host-passthrough": model = domain.type == .kvm ? "host" : "max"
        case "maximum": model = "max"
        case "host-model": model = cpu?.model?.name ?? (domain.type == .kvm ? "host" : "max")
        default: model = cpu?.model?.name ?? "qemu64"
        }
        if let migratable = cpu?.migratable, cpu?.mode == "host-passthrough" || cpu?.mode == "maximum",
            domain.type == .kvm
        {
            model += ",migratable=\(migratable.rawValue)"
        }
        if let vendor = cpu?.model?.vendorID { model += ",vendor=\(Self.escaped(vendor))" }
        for feature in cpu?.features ?? [] {
            switch feature.policy {
            case "disable", "forbid": model += ",\(Self.escaped(feature.name))=off"
            case "optional": continue
            default: model += ",\(Self.escaped(feature.name))=on"
            }
        }
        for timer in domain.clock?.timers ?? [] {
            if timer.name == "kvmclock", let present = timer.present {
                model += ",kvmclock=\(present.isYes ? "on" : "off")"
            }
            if timer.name == "hypervclock", timer.present == .yes { model += ",hv-time=on" }
            if timer.name == "tsc", let frequency = timer.frequency { model += ",tsc-frequency=\(frequency)" }
        }
        if domain.features.apic?.eoi != nil, let eoi = domain.features.apic?.eoi {
            model += ",kvm-pv-eoi=\(eoi.rawValue)"
        }
        if let state = domain.features.pvspinlock?.state { model += ",kvm-pv-unhalt=\(state.rawValue)" }
        model += hyperV
        if domain.features.kvm?.hidden?.state == .on { model += ",kvm=off" }
        if let state = domain.features.pmu?.state { model += ",pmu=\(state.rawValue)" }
        if let cache = cpu?.cache {
            model += ",host-cache-info=\(cache.mode == "passthrough" ? "on" : "off")"
            model += ",l3-cache=\(cache.mode == "emulate" ? "on" : "off")"
        }
        if let bits = cpu?.maxPhysicalAddress?.bits { model += ",phys-bits=\(bits)" }
        if cpu?.maxPhysicalAddress?.mode == "passthrough" { model += ",host-phys-bits=on" }
        add("-cpu", model)
    }

    private var hyperV: String {
        guard let hyperv = domain.features.hyperv else { return "" }
        var text = hyperv.mode == "passthrough" ? ",hv-passthrough=on" : ""
        let states: [(String, FeatureState?)] = [
            ("relaxed", hyperv.relaxed), ("vapic", hyperv.vapic), ("vpindex", hyperv.vpindex),
            ("runtime", hyperv.runtime), ("synic", hyperv.synic), ("reset", hyperv.reset),
            ("frequencies", hyperv.frequencies), ("reenlightenment", hyperv.reenlightenment),
            ("tlbflush", hyperv.tlbflush), ("ipi", hyperv.ipi), ("evmcs", hyperv.evmcs), ("avic", hyperv.avic),
        ]
        for (name, state) in states where state?.state == .on { text += ",hv-\(name)=on" }
        if hyperv.spinlocks?.state == .on {
            text += ",hv-spinlocks=0x" + String(hyperv.spinlocks?.retries ?? 0xFFFF_FFFF, radix: 16)
        }
        if hyperv.stimer?.state == .on { text += ",hv-stimer=on" }
        if hyperv.stimer?.direct?.state == .on { text += ",hv-stimer-direct=on" }
        if hyperv.vendorID?.state == .on { text += ",hv-vendor-id=\(Self.escaped(hyperv.vendorID?.value ?? ""))" }
        return text
    }

    mutating func processors() {
        let maximum = domain.vcpu.maximum ?? 1
        // Those that may go come when the machine is there, as they would later.
        let fixed =
            plan.incoming == nil ? domain.vcpus.filter { $0.enabled == .yes && $0.hotpluggable != .yes }.count : 0
        let current = fixed > 0 ? UInt32(fixed) : domain.vcpu.current ?? maximum
        var text = "\(current)"
        if current != maximum { text += ",maxcpus=\(maximum)" }
        if let topology = domain.cpu?.topology {
            text += ",sockets=\(topology.sockets)"
            if plan.usesQEMUExtras || topology.dies > 1 { text += ",dies=\(topology.dies)" }
            text += ",cores=\(topology.cores),threads=\(topology.threads)"
        } else {
            text += ",sockets=\(maximum),cores=1,threads=1"
        }
        add("-smp", text)
        nodes()
    }

    mutating func identity() {
        if let uuid = domain.uuid { add("-uuid", uuid.xml) }
        smbios()
        if let guid = domain.genid?.uuid {
            device(["driver": "vmgenid", "guid": .string(guid.xml), "id": "vmgenid0"])
        }
        if domain.devices.graphics.isEmpty { add("-display", "none") }
        words += ["-no-user-config", "-nodefaults"]
    }

    private mutating func smbios() {
        guard domain.os.smbiosMode == "sysinfo" else { return }
        for information in domain.sysinfo where information.type == "smbios" {
            smbios(0, information.bios)
            smbios(1, information.system)
            for board in information.baseBoards { smbios(2, board.entries) }
            smbios(3, information.chassis)
            let strings = information.oemStrings.map { ",value=\(Self.escaped($0.value ?? ""))" }
            if !strings.isEmpty { add("-smbios", "type=11" + strings.joined()) }
        }
        for information in domain.sysinfo where information.type == "fwcfg" {
            for entry in information.entries {
                let name = Self.escaped(entry.name ?? "")
                if let file = entry.file {
                    add("-fw_cfg", "name=\(name),file=\(Self.escaped(file))")
                } else {
                    add("-fw_cfg", "name=\(name),string=\(Self.escaped(entry.value ?? ""))")
                }
            }
        }
    }

    private mutating func smbios(_ type: Int, _ entries: [SystemInformation.Entry]) {
        guard !entries.isEmpty else { return }
        var text = "type=\(type)"
        for entry in entries { text += ",\(Self.escaped(entry.name ?? ""))=\(Self.escaped(entry.value ?? ""))" }
        add("-smbios", text)
    }

    mutating func monitor() {
        let place: String
        switch plan.monitor {
        case .path(let path): place = "path=\(Self.escaped(path))"
        case .descriptor(let descriptor): place = "fd=\(descriptor)"
        }
        add("-chardev", "socket,id=charmonitor,\(place),server=on,wait=off")
        add("-mon", "chardev=charmonitor,id=monitor,mode=control")
    }

    mutating func clock() {
        let clock = domain.clock ?? Clock()
        var text = "base="
        switch clock.offset {
        case "localtime": text += "localtime"
        case "variable" where clock.basis == "localtime": text += "localtime"
        case "absolute": text += clock.start.map { date($0) } ?? "utc"
        default: text += "utc"
        }
        for timer in clock.timers where timer.name == "rtc" || timer.name == "platform" {
            if timer.track == "guest" { text += ",clock=vm" }
            if timer.track == "wall" { text += ",clock=host" }
            if timer.tickPolicy == "catchup" { text += ",driftfix=slew" }
        }
        add("-rtc", text)
        for timer in clock.timers where timer.name == "pit" {
            if timer.tickPolicy == "delay", plan.usesQEMUExtras { add("-global", "kvm-pit.lost_tick_policy=delay") }
            if timer.tickPolicy == "discard", plan.usesQEMUExtras { add("-global", "kvm-pit.lost_tick_policy=discard") }
        }
        if domain.onReboot == "destroy" { words.append("-no-reboot") }
        words.append("-no-shutdown")
        guard plan.usesQEMUExtras else { return }
        let chip = domain.chipset == .q35 ? "ICH9-LPC" : "PIIX4_PM"
        if let memory = domain.pm?.suspendToMemory { add("-global", "\(chip).disable_s3=\(memory.isYes ? 0 : 1)") }
        if let disk = domain.pm?.suspendToDisk { add("-global", "\(chip).disable_s4=\(disk.isYes ? 0 : 1)") }
    }

    /// Seconds since 1970 as `2024-05-06T07:08:09`.
    private func date(_ seconds: UInt64) -> String {
        let time = CivilTime(seconds: Int64(clamping: seconds))
        return "\(time.date)T\(time.clock)"
    }

    mutating func boot() {
        var text: [String] = []
        if let enable = domain.os.bootMenuEnable {
            text.append("menu=\(enable.isYes ? "on" : "off")")
            if enable.isYes, let timeout = domain.os.bootMenuTimeout { text.append("splash-time=\(timeout)") }
        }
        if let timeout = domain.os.biosRebootTimeout { text.append("reboot-timeout=\(timeout)") }
        text.append("strict=on")
        add("-boot", text.joined(separator: ","))
        if let kernel = domain.os.kernel { add("-kernel", kernel) }
        if let initrd = domain.os.initrd { add("-initrd", initrd) }
        if let words = domain.os.cmdline { add("-append", words) }
        if let dtb = domain.os.dtb { add("-dtb", dtb) }
    }

    /// The boot index of the n-th device of a kind, from `<boot dev=…>`.
    func bootIndex(_ kind: String) -> UInt32? {
        domain.os.boot.firstIndex(of: kind).map { UInt32($0) + 1 }
    }
}
