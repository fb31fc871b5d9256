internal import DomainModel
internal import HostOS

/// The documents that say what this host and its emulators can do.
enum Capabilities {
    /// `virsh capabilities`.
    static func document(_ host: HostDescription, _ emulators: [Emulator]) -> String {
        var root = XMLTree("capabilities")
        root.append(hostElement(host))
        if let standard = emulators.first { root.append(guest(standard, others: emulators)) }
        return XMLWriter.write(root)
    }

    private static func hostElement(_ host: HostDescription) -> XMLTree {
        var element = XMLTree("host")
        var uuid = host.uuid
        for offset in [20, 16, 12, 8] where uuid.count == 32 || uuid.contains("-") {
            uuid.insert("-", at: uuid.index(uuid.startIndex, offsetBy: offset))
        }
        element.append(.text("uuid", uuid))
        element.append(processor(host))
        element.append(XMLTree("power_management"))
        element.append(.of("iommu", ["support": "no"]))
        var migration = XMLTree("migration_features")
        migration.append(XMLTree("live"))
        var transports = XMLTree("uri_transports")
        transports.append(.text("uri_transport", "tcp"))
        migration.append(transports)
        element.append(migration)
        element.append(topology(host))
        if let policy = LabelPolicy.host {
            element.append(
                securityModel(
                    MachineLabel.model,
                    [("kvm", policy.process.description), ("qemu", policy.translated.description)]))
        }
        if FileConfinement.isSupported { element.append(securityModel(MachineConfinement.model, [])) }
        if HostIdentity.userID == 0 {
            element.append(securityModel(MachineUser.model, [("kvm", "+0:+0"), ("qemu", "+0:+0")]))
        }
        return element
    }

    private static func securityModel(_ name: String, _ labels: [(type: String, label: String)]) -> XMLTree {
        var element = XMLTree("secmodel")
        element.append(.text("model", name))
        element.append(.text("doi", "0"))
        for (type, label) in labels { element.append(.text("baselabel", label, ["type": type])) }
        return element
    }

    private static func processor(_ host: HostDescription) -> XMLTree {
        var cpu = XMLTree("cpu")
        cpu.append(.text("arch", host.architecture))
        cpu.append(.text("model", host.model))
        cpu.append(.text("vendor", host.vendor))
        cpu.append(
            .of(
                "signature",
                [
                    "family": "\(host.signature.family)", "model": "\(host.signature.model)",
                    "stepping": "\(host.signature.stepping)",
                ]))
        cpu.append(
            .of(
                "topology",
                ["sockets": "\(host.sockets)", "dies": "1", "cores": "\(host.cores)", "threads": "\(host.threads)"]))
        for name in host.features { cpu.append(.of("feature", ["name": name])) }
        for size in host.pageSizes { cpu.append(.of("pages", ["unit": "KiB", "size": "\(size)"])) }
        return cpu
    }

    private static func topology(_ host: HostDescription) -> XMLTree {
        var cells = XMLTree.of("cells", ["num": "\(host.cells.count)"])
        for cell in host.cells {
            var element = XMLTree.of("cell", ["id": "\(cell.id)"])
            element.append(.text("memory", "\(cell.memory)", ["unit": "KiB"]))
            element.append(.text("pages", "\(cell.memory / 4)", ["unit": "KiB", "size": "4"]))
            for size in host.pageSizes.dropFirst() {
                let path = "hugepages/hugepages-\(size)kB/nr_hugepages"
                let count = HostDescription.number("/sys/devices/system/node/node\(cell.id)/\(path)") ?? 0
                element.append(.text("pages", "\(count)", ["unit": "KiB", "size": "\(size)"]))
            }
            var distances = XMLTree("distances")
            distances.append(.of("sibling", ["id": "\(cell.id)", "value": "10"]))
            element.append(distances)
            var cpus = XMLTree.of("cpus", ["num": "\(cell.processors.count)"])
            for id in cell.processors {
                guard let processor = host.processors.first(where: { $0.id == id }) else { continue }
                cpus.append(
                    .of(
                        "cpu",
                        [
                            "id": "\(id)", "socket_id": "\(processor.socket)", "die_id": "0",
                            "core_id": "\(processor.core)", "siblings": processor.siblings,
                        ]))
            }
            element.append(cpus)
            cells.append(element)
        }
        var topology = XMLTree("topology")
        topology.append(cells)
        return topology
    }

    private static func guest(_ emulator: Emulator, others: [Emulator]) -> XMLTree {
        var guest = XMLTree("guest")
        guest.append(.text("os_type", "hvm"))
        var architecture = XMLTree.of("arch", ["name": "x86_64"])
        architecture.append(.text("wordsize", "64"))
        architecture.append(.text("emulator", emulator.path))
        // The first is what clients take when their user names none: the standard board under its full name.
        let standard = emulator.canonicalMachine(nil)
        var names: [(name: String, canonical: String?)] = [(standard, nil)]
        names += emulator.machines.filter { $0.canonical == standard }
        for machine in emulator.machines where !names.contains(where: { $0.name == machine.name }) {
            if let canonical = machine.canonical, !emulator.machines.contains(where: { $0.name == canonical }) {
                names.append((canonical, nil))
            }
            names.append(machine)
        }
        for machine in names {
            let attributes: KeyValuePairs =
                machine.canonical.map { ["canonical": $0, "maxCpus": "255"] } ?? ["maxCpus": "255"]
            architecture.append(.text("machine", machine.name, attributes))
        }
        for type in emulator.offersKVM ? ["qemu", "kvm"] : ["qemu"] { architecture.append(.of("domain", ["type": type])) }
        guest.append(architecture)
        var features = XMLTree("features")
        features.append(.of("acpi", ["default": "on", "toggle": "yes"]))
        features.append(.of("apic", ["default": "on", "toggle": "no"]))
        features.append(XMLTree("cpuselection"))
        features.append(XMLTree("deviceboot"))
        features.append(.of("disksnapshot", ["default": "on", "toggle": "no"]))
        guest.append(features)
        return guest
    }

    /// `virsh domcapabilities`.
    static func domainDocument(
        _ host: HostDescription, _ emulator: Emulator, _ firmware: FirmwareCatalog, machine: String, type: String
    ) -> String {
        var root = XMLTree("domainCapabilities")
        root.append(.text("path", emulator.path))
        root.append(.text("domain", type))
        root.append(.text("machine", machine))
        root.append(.text("arch", "x86_64"))
        root.append(.of("vcpu", ["max": "255"]))
        root.append(.of("iothreads", ["supported": "yes"]))
        // Our machines have system management mode in the translator alone.
        let usable = firmware.fitting(machine).filter {
            !$0.features.contains("requires-smm") || !(emulator.isApus && type == "kvm")
        }
        root.append(system(usable, machine))
        var cpu = XMLTree("cpu")
        var own = XMLTree.of("mode", ["name": "host-passthrough", "supported": type == "kvm" ? "yes" : "no"])
        if type == "kvm" { own.append(choice("hostPassthroughMigratable", ["on", "off"])) }
        cpu.append(own)
        var maximum = XMLTree.of("mode", ["name": "maximum", "supported": "yes"])
        maximum.append(choice("maximumMigratable", ["on", "off"]))
        cpu.append(maximum)
        cpu.append(.of("mode", ["name": "host-model", "supported": "no"]))
        var custom = XMLTree.of("mode", ["name": "custom", "supported": "yes"])
        for model in emulator.processorModels { custom.append(.text("model", model, ["usable": "yes"])) }
        cpu.append(custom)
        root.append(cpu)
        var backing = XMLTree.of("memoryBacking", ["supported": "yes"])
        backing.append(choice("sourceType", ["file", "anonymous", "memfd"]))
        root.append(backing)
        root.append(devices(emulator, machine))
        root.append(features(emulator))
        return XMLWriter.write(root)
    }

    private static func system(_ firmware: [FirmwareDescriptor], _ machine: String) -> XMLTree {
        var system = XMLTree.of("os", ["supported": "yes"])
        let kinds = ["bios", "efi"].filter { kind in
            firmware.contains { $0.interfaces.contains(kind == "efi" ? "uefi" : kind) }
        }
        system.append(choice("firmware", kinds))
        var loader = XMLTree.of("loader", ["supported": "yes"])
        var paths: [String] = []
        for path in firmware.map(\.code) where !paths.contains(path) { paths.append(path) }
        for path in paths { loader.append(.text("value", path)) }
        loader.append(choice("type", ["rom", "pflash"]))
        loader.append(choice("readonly", ["yes", "no"]))
        let isSecure = firmware.contains { $0.features.isSuperset(of: ["secure-boot", "requires-smm"]) }
        loader.append(choice("secure", isSecure ? ["yes", "no"] : ["no"]))
        system.append(loader)
        return system
    }

    /// The buses of disks on a board, in libvirt's order: clients take the first where their user names none.
    private static func buses(_ emulator: Emulator, _ machine: String) -> [String] {
        // A small board has the buses of virtio alone.
        if machine.hasPrefix("microvm") { return emulator.has(device: "virtio-blk-device") ? ["virtio"] : [] }
        let hasAHCI = machine.contains("q35") || emulator.has(device: "ich9-ahci")
        let list = [
            ("ide", machine.contains("q35") ? "" : "ide-hd"), ("fdc", "floppy"), ("scsi", "scsi-hd"),
            ("virtio", "virtio-blk-pci"), ("usb", "usb-storage"), ("sata", hasAHCI ? "ide-hd" : ""),
        ]
        return list.filter { emulator.has(device: $0.1) }.map(\.0)
    }

    private static func devices(_ emulator: Emulator, _ machine: String) -> XMLTree {
        var devices = XMLTree("devices")
        var disk = XMLTree.of("disk", ["supported": "yes"])
        let buses = buses(emulator, machine)
        let drives =
            ["disk", "cdrom"] + (buses.contains("fdc") ? ["floppy"] : [])
            + (emulator.has(device: "scsi-block") ? ["lun"] : [])
        disk.append(choice("diskDevice", drives))
        disk.append(choice("bus", buses))
        disk.append(choice("model", ["virtio", "virtio-transitional", "virtio-non-transitional"]))
        devices.append(disk)
        let adapters = [("vga", "VGA"), ("cirrus", "cirrus-vga"), ("qxl", "qxl-vga"), ("virtio", "virtio-vga")]
        let screens = adapters.filter { emulator.has(device: $0.1) }.map(\.0)
        var graphics = XMLTree.of("graphics", ["supported": screens.isEmpty ? "no" : "yes"])
        let hasSPICE = emulator.isApus || emulator.has(device: "qxl")
        if !screens.isEmpty { graphics.append(choice("type", hasSPICE ? ["vnc", "spice"] : ["vnc"])) }
        devices.append(graphics)
        var video = XMLTree.of("video", ["supported": screens.isEmpty ? "no" : "yes"])
        video.append(choice("modelType", screens + ["none"]))
        devices.append(video)
        let sharing = [("path", "virtio-9p-pci"), ("handle", "virtio-9p-pci"), ("virtiofs", "vhost-user-fs-pci")]
        let kinds = sharing.filter { emulator.has(device: $0.1) }.map(\.0)
        var fileSystem = XMLTree.of("filesystem", ["supported": kinds.isEmpty ? "no" : "yes"])
        if !kinds.isEmpty { fileSystem.append(choice("driverType", kinds)) }
        var random = XMLTree.of("rng", ["supported": emulator.has(device: "virtio-rng-pci") ? "yes" : "no"])
        random.append(choice("model", ["virtio", "virtio-transitional", "virtio-non-transitional"]))
        random.append(choice("backendModel", ["random", "builtin"]))
        devices.append(random)
        devices.append(fileSystem)
        let fronts = [("tpm-tis", "tpm-tis"), ("tpm-crb", "tpm-crb")].filter { emulator.has(device: $0.1) }.map(\.0)
        let hasTPM = !fronts.isEmpty && TPMServers.isAvailable
        var tpm = XMLTree.of("tpm", ["supported": hasTPM ? "yes" : "no"])
        if hasTPM {
            tpm.append(choice("model", fronts))
            tpm.append(choice("backendModel", ["passthrough", "emulator"]))
            tpm.append(choice("backendVersion", ["1.2", "2.0"]))
        }
        devices.append(tpm)
        var channel = XMLTree.of("channel", ["supported": emulator.has(device: "virtserialport") ? "yes" : "no"])
        channel.append(choice("type", hasSPICE ? ["pty", "unix", "spicevmc"] : ["pty", "unix"]))
        devices.append(channel)
        return devices
    }

    private static func features(_ emulator: Emulator) -> XMLTree {
        var features = XMLTree("features")
        let list = [
            ("gic", false), ("vmcoreinfo", emulator.has(device: "vmcoreinfo")),
            ("genid", emulator.has(device: "vmgenid")), ("backingStoreInput", true), ("backup", true), ("sev", false),
            ("sgx", false),
        ]
        for (name, isThere) in list { features.append(.of(name, ["supported": isThere ? "yes" : "no"])) }
        return features
    }

    private static func choice(_ name: String, _ values: [String]) -> XMLTree {
        var element = XMLTree.of("enum", ["name": name])
        for value in values { element.append(.text("value", value)) }
        return element
    }
}
