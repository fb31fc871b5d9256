internal import JSON
internal import Machine
internal import X86

/// -machine, -accel, -cpu, -smp, -m.
enum BoardOptions {
    static let machineTable = ParameterTable(
        implied: "type",
        [
            Parameter("type", Parameter.Kind.string, "The board"),
            Parameter("accel", Parameter.Kind.string, "Engines in the order of trial, with colons"),
            Parameter("kernel-irqchip", Parameter.Kind.choice(KernelIRQChip.words), "Interrupt controllers in KVM"),
            Parameter("acpi", Parameter.onOffAuto, "ACPI"),
            Parameter("pit", Parameter.onOffAuto, "i8254"),
            Parameter("pic", Parameter.onOffAuto, "i8259"),
            Parameter("rtc", Parameter.onOffAuto, "MC146818, of microvm"),
            Parameter("hpet", Parameter.Kind.boolean, "HPET, of pc"),
            Parameter("i8042", Parameter.Kind.boolean, "Keyboard controller, of pc"),
            Parameter("vmport", Parameter.onOffAuto, "VMware's port, of pc"),
            Parameter("isa-serial", Parameter.Kind.boolean, "A serial port, of microvm"),
            Parameter("pcie", Parameter.onOffAuto, "A PCI Express host, of microvm"),
            Parameter("ioapic2", Parameter.onOffAuto, "A second IOAPIC, of microvm"),
            Parameter(
                "auto-kernel-cmdline", Parameter.Kind.boolean, "Names virtio-mmio devices to the kernel, of microvm"),
            Parameter("mem-merge", Parameter.Kind.boolean, "Lets the host merge identical pages"),
            Parameter("dump-guest-core", Parameter.Kind.boolean, "Guest memory in core dumps"),
            Parameter("memory-backend", Parameter.Kind.string, "The object that is guest memory"),
            Parameter("graphics", Parameter.Kind.boolean, "Graphics"),
            Parameter("usb", Parameter.Kind.boolean, "A USB controller"),
            Parameter("max-ram-below-4g", Parameter.size, "Where memory below 4 GiB ends, of pc"),
            Parameter("kernel", Parameter.Kind.string, "The kernel"),
            Parameter("initrd", Parameter.Kind.string, "The initial RAM disk"),
            Parameter("append", Parameter.Kind.string, "The kernel's command line"),
            Parameter("firmware", Parameter.Kind.string, "The firmware's image"),
            Parameter("pflash0", Parameter.Kind.string, "The block node of the first flash chip"),
            Parameter("pflash1", Parameter.Kind.string, "The block node of the second flash chip"),
            Parameter("smm", Parameter.onOffAuto, "System management mode"),
            Parameter("sata", Parameter.Kind.boolean, "Accepted"),
            Parameter("smbus", Parameter.Kind.boolean, "Accepted"),
            Parameter("nvdimm", Parameter.Kind.boolean, "Accepted"),
            Parameter("hmat", Parameter.Kind.boolean, "Accepted"),
            Parameter("suppress-vmdesc", Parameter.Kind.boolean, "Accepted"),
            Parameter("default-bus-bypass-iommu", Parameter.Kind.boolean, "Accepted"),
            Parameter("kvm-shadow-mem", Parameter.size, "Accepted"),
            Parameter("option-roms", Parameter.Kind.boolean, "Accepted, of microvm"),
            Parameter("smbios-entry-point-type", Parameter.Kind.choice(["32", "64"]), "Form of SMBIOS's entry point"),
            Parameter("x-oem-id", Parameter.Kind.string, "OEM ID of ACPI tables"),
            Parameter("x-oem-table-id", Parameter.Kind.string, "OEM table ID of ACPI tables"),
        ])
    /// Properties that only one board has.
    static let pcOnly: Set<String> = [
        "hpet", "i8042", "vmport", "sata", "smbus", "max-ram-below-4g", "pflash0", "pflash1",
    ]
    static let microvmOnly: Set<String> = [
        "rtc", "isa-serial", "pcie", "ioapic2", "auto-kernel-cmdline", "option-roms",
    ]

    static let acceleratorTable = ParameterTable(
        implied: "accel",
        [
            Parameter("accel", Parameter.Kind.string, "The engine"),
            Parameter("thread", Parameter.Kind.choice(["single", "multi"]), "One thread, or one for each CPU"),
            Parameter("tb-size", Parameter.Kind.number(1...65536), "Translation cache in MiB"),
            Parameter(
                "verify", Parameter.Kind.boolean, "Compares each translated block with the interpreter; one CPU"),
            Parameter("split-wx", Parameter.Kind.boolean, "Maps translated code twice"),
            Parameter("kernel-irqchip", Parameter.Kind.choice(KernelIRQChip.words), "Interrupt controllers in KVM"),
            Parameter("kvm-shadow-mem", Parameter.size, "Accepted"),
            Parameter("dirty-ring-size", Parameter.Kind.number(0...65536), "Entries of KVM's dirty ring"),
            Parameter("notify-vmexit", Parameter.Kind.choice(["run", "internal-error", "disable"]), "Accepted"),
            Parameter("notify-window", Parameter.natural, "Accepted"),
            Parameter("igd-passthru", Parameter.Kind.boolean, "Accepted"),
        ])

    static let topologyTable = ParameterTable(
        implied: "cpus",
        [
            Parameter("cpus", Parameter.natural, "CPUs at start"),
            Parameter("maxcpus", Parameter.natural, "CPUs with those that may be plugged"),
            Parameter("sockets", Parameter.natural, "Sockets of the machine"),
            Parameter("dies", Parameter.natural, "Dies of a socket"),
            Parameter("clusters", Parameter.Kind.number(1...1), "Clusters of a die; a PC has one"),
            Parameter("cores", Parameter.natural, "Cores of a die"),
            Parameter("threads", Parameter.natural, "Threads of a core"),
        ])

    static let memoryTable = ParameterTable(
        implied: "size",
        [
            Parameter("size", Parameter.Kind.size(unit: 1 << 20), "Guest memory"),
            Parameter("slots", Parameter.Kind.number(0...256), "Slots for memory that is plugged later"),
            Parameter("maxmem", Parameter.size, "The most memory with what is plugged later"),
        ])

    static func machine(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if argument.text.utf8.first != UInt8(ascii: "{") {
            let pairs = try OptionPairs(argument.text, implied: "type")
            if pairs.startsWithHelp { throw .information(boards) }
            if pairs.asksForHelp {
                if let name = pairs["type"] { try choose(name, &builder) }
                throw .information(propertyHelp(of: builder.configuration.board.kind))
            }
            if let pair = pairs.pairs.first(where: { $0.value == nil }) {
                throw .invalid("Expected '=' after parameter '\(printable(pair.key))'")
            }
        }
        // Properties of boards were written with underscores once: kernel_irqchip.
        let values = try machineTable.valuesOrJSON(argument.text, takesUnderscores: true)
        builder.boardOrigin = builder.origin
        if let name = values.string("type") { try choose(name, &builder) }
        if let engines = values.string("accel") { builder.machineAccelerators = try accelerators(engines, &builder) }
        builder.boardProperties += values.names
        store(values, in: &builder.configuration)
    }

    private static func choose(_ name: String, _ builder: inout ConfigurationBuilder) throws(OptionError) {
        let kind: BoardKind
        switch name {
        case "microvm", "q35", "none", "pc": kind = BoardKind(rawValue: name) ?? .pc
        case _ where name.hasPrefix("pc-i440fx-"): kind = .pc
        case _ where name.hasPrefix("pc-q35-"): kind = .q35
        default: throw .unknown("unsupported machine type", name, among: supported)
        }
        guard kind.isSupported else {
            throw .invalid("machine type '\(name)' is not supported yet; valid: " + supported.joined(separator: ", "))
        }
        builder.configuration.board.kind = kind
        builder.configuration.board.name = name
    }

    private static func store(_ values: JSONObject, in configuration: inout MachineConfiguration) {
        var board = configuration.board
        if let value: KernelIRQChip = values.choice("kernel-irqchip") { board.kernelIRQChip = value }
        if let value: OnOffAuto = values.choice("acpi") { board.acpi = value }
        if let value: OnOffAuto = values.choice("pit") { board.pit = value }
        if let value: OnOffAuto = values.choice("pic") { board.pic = value }
        if let value: OnOffAuto = values.choice("rtc") { board.rtc = value }
        if let value: OnOffAuto = values.choice("vmport") { board.vmport = value }
        if let value: OnOffAuto = values.choice("pcie") { board.pcie = value }
        if let value: OnOffAuto = values.choice("smm") { board.systemManagement = value }
        if let value: OnOffAuto = values.choice("ioapic2") { board.ioapic2 = value }
        if let value = values.flag("hpet") { board.hpet = value }
        if let value = values.flag("i8042") { board.i8042 = value }
        if let value = values.flag("isa-serial") { board.isaSerial = value }
        if let value = values.flag("auto-kernel-cmdline") { board.automaticKernelCommandLine = value }
        if let value = values.flag("mem-merge") { board.mergesMemory = value }
        if let value = values.flag("dump-guest-core") { board.dumpsGuestMemory = value }
        if let value = values.string("memory-backend") { board.memoryBackend = value }
        if let value = values.flag("graphics") { board.graphics = value }
        if let value = values.size("max-ram-below-4g") { board.maximumMemoryBelow4G = value }
        for name in ["smm", "sata", "smbus", "nvdimm", "smbios-entry-point-type", "x-oem-id", "x-oem-table-id"] {
            if let value = values[name] { board.other[name] = value }
        }
        for (unit, name) in ["pflash0", "pflash1"].enumerated() {
            if let node = values.string(name) { board.flashNodes[unit] = node }
        }
        configuration.board = board
        if let value = values.flag("usb") { configuration.usb = value }
        if let value = values.string("kernel") { configuration.boot.kernel = value }
        if let value = values.string("initrd") { configuration.boot.initrd = value }
        if let value = values.string("append") { configuration.boot.append = value }
        if let value = values.string("firmware") { configuration.boot.bios = value }
    }

    /// Engines by name, with colons between them. Those that there are none of are passed over while others are named.
    private static func accelerators(
        _ names: String, _ builder: inout ConfigurationBuilder
    ) throws(OptionError) -> [AcceleratorConfiguration] {
        var result: [AcceleratorConfiguration] = []
        for name in names.split(separator: ":", omittingEmptySubsequences: false) {
            switch name {
            case "tcg", "translator": result.append(AcceleratorConfiguration(kind: .translator))
            case "kvm": result.append(AcceleratorConfiguration(kind: .kvm))
            case "auto":
                var choice = AcceleratorConfiguration(kind: .automatic)
                choice.tellsChoice = true
                result.append(choice)
            default:
                let known = ["tcg", "translator", "kvm", "auto"]
                builder.unknownAccelerators.append(
                    (builder.origin, .unknown("invalid accelerator", String(name), among: known)))
            }
        }
        return result
    }

    static func accel(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let pairs = try OptionPairs(argument.text, implied: acceleratorTable.implied)
        if pairs.startsWithHelp {
            throw .information("Accelerators supported:\ntcg\ntranslator\nkvm\nauto\n")
        }
        if pairs.asksForHelp, let option = OptionTable.find("accel") {
            throw .information(OptionTable.parameterHelp(option))
        }
        let argument = OptionArgument(
            option: argument.option, text: argument.text, values: try acceleratorTable.values(pairs))
        guard let names = argument.string("accel") else { throw .missing("accel") }
        for var engine in try accelerators(names, &builder) {
            let software: Set<String> = ["thread", "tb-size", "split-wx", "verify"]
            for name in argument.values.names where name != "accel" {
                let fits = engine.kind == .automatic || software.contains(name) == (engine.kind == .translator)
                guard fits else {
                    throw .invalid("Property '\(name)' is not one of accelerator '\(names)'")
                }
            }
            engine.isMultiThreaded = argument.string("thread").map { $0 == "multi" }
            engine.translationBufferSize = argument.size("tb-size").map { $0 << 20 }
            engine.verifies = argument.flag("verify") ?? false
            engine.splitMapping = argument.flag("split-wx")
            engine.kernelIRQChip = argument.values.choice("kernel-irqchip")
            engine.dirtyRingSize = argument.int("dirty-ring-size") ?? 0
            builder.accelerators.append(engine)
        }
    }

    static func enableKVM(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.machineAccelerators = [AcceleratorConfiguration(kind: .kvm)]
    }

    static func cpu(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        if isHelp(argument.text) { throw .information(CPUListing.text) }
        guard !argument.text.isEmpty, argument.text.utf8.first != UInt8(ascii: ",") else {
            throw .invalid("expects a CPU model; '-cpu help' lists them")
        }
        do throws(CPUSpecificationError) { _ = try CPUSpecification(parsing: argument.text) } catch {
            throw .invalid(error.description)
        }
        builder.configuration.processorModel = argument.text
    }

    static func smp(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        var topology = builder.configuration.topology
        topology.processors = argument.int("cpus") ?? topology.processors
        topology.maximum = argument.int("maxcpus") ?? topology.maximum
        topology.sockets = argument.int("sockets") ?? topology.sockets
        topology.dies = argument.int("dies") ?? topology.dies
        topology.cores = argument.int("cores") ?? topology.cores
        topology.threads = argument.int("threads") ?? topology.threads
        builder.configuration.topology = topology
        builder.topologyOrigin = builder.origin
    }

    static func memory(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let unit: UInt64 = 8192
        var memory = builder.configuration.memory
        if let size = argument.size("size") {
            guard size > 0 else { throw .value("size", "0", expects: "a size above 0, such as 512M") }
            guard size <= 1 << 50 else { throw .invalid("Parameter 'size' is more than a machine of 1024T takes") }
            memory.size = (size + unit - 1) & ~(unit - 1)
            builder.memoryOrigin = builder.origin
        }
        memory.slots = argument.int("slots") ?? memory.slots
        memory.maximum = argument.size("maxmem") ?? memory.maximum
        if memory.slots > 0, memory.maximum == nil { throw .invalid("slots specified but no maxmem") }
        if let maximum = memory.maximum {
            guard maximum >= memory.size, maximum <= 1 << 50 else {
                throw .value("maxmem", "\(maximum)", expects: "at least the size at start (\(memory.size))")
            }
        }
        builder.configuration.memory = memory
    }

    private static var supported: [String] { BoardKind.allCases.filter(\.isSupported).map(\.rawValue) }
    private static var boards: String {
        var text = "Supported machines are:\n"
        for kind in BoardKind.allCases where kind.isSupported {
            let name = kind.rawValue + String(repeating: " ", count: max(1, 21 - kind.rawValue.count))
            text +=
                name + kind.summary
                + (kind == .pc ? " (alias of \(kind.versionedName)) (default)" : "") + "\n"
        }
        return text
    }
    /// The properties of a board, by name.
    static func parameters(of kind: BoardKind) -> [Parameter] {
        let others = kind == .microvm ? pcOnly : microvmOnly
        return machineTable.parameters.sorted { $0.name < $1.name }.filter {
            !others.contains($0.name) && $0.name != "type" && $0.name != "accel"
        }
    }
    private static func propertyHelp(of kind: BoardKind) -> String {
        var text = "\(kind.versionedName)-machine options:\n"
        for parameter in parameters(of: kind) {
            let head = "  \(parameter.name)=<\(parameter.schemaType)>"
            text += head + String(repeating: " ", count: max(0, 24 - head.count)) + " - \(parameter.help)\n"
        }
        return text
    }
}
