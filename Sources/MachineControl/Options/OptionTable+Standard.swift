internal import Machine

extension OptionTable {
    static let standard: [OptionDescription] = [
        OptionDescription("h", OptionDescription.Argument.none, "", "This help") {
            (builder, _) throws(OptionError) in throw .information(help(program: builder.configuration.program))
        },
        OptionDescription("help", OptionDescription.Argument.none, "", "This help") {
            (builder, _) throws(OptionError) in throw .information(help(program: builder.configuration.program))
        },
        OptionDescription("version", OptionDescription.Argument.none, "", "The version") {
            (_, _) throws(OptionError) in throw .information(versionText)
        },
        OptionDescription(
            "machine", OptionDescription.Argument.text, "[type=]name[,prop=value...]",
            "The board, 'help' lists them; 'name,help' lists a board's properties\n"
                + "accel=a[:b...] chooses engines in the order of trial",
            declares: BoardOptions.machineTable.parameters, BoardOptions.machine),
        OptionDescription(
            "M", OptionDescription.Argument.text, "[type=]name[,prop=value...]", "The same as -machine",
            group: "machine", BoardOptions.machine),
        OptionDescription(
            "accel", OptionDescription.Argument.text,
            "[accel=]name[,prop=value...]",
            "The engine: tcg (or translator), kvm, auto; 'help' lists them\n"
                + "given several times: the first that works",
            declares: BoardOptions.acceleratorTable.parameters, BoardOptions.accel),
        OptionDescription(
            "enable-kvm", OptionDescription.Argument.none, "", "The same as -accel kvm", BoardOptions.enableKVM),
        OptionDescription(
            "cpu", OptionDescription.Argument.text, "model[,feature=on|off...]",
            "The CPU model and features, 'help' lists them", BoardOptions.cpu),
        OptionDescription(
            "smp", OptionDescription.Argument.parameters(BoardOptions.topologyTable),
            "[cpus=]n[,maxcpus=n][,sockets=n][,dies=n][,cores=n][,threads=n]",
            "The number of CPUs (default 1) and how they are arranged", group: "smp-opts", BoardOptions.smp),
        OptionDescription(
            "m", OptionDescription.Argument.parameters(BoardOptions.memoryTable), "[size=]megs[,slots=n,maxmem=size]",
            "Guest memory, in MiB or with a suffix of K, M, G or T (default 128M)", group: "memory",
            BoardOptions.memory),
        OptionDescription("mem-path", OptionDescription.Argument.text, "path", "A file or directory for guest memory") {
            (builder, argument) throws(OptionError) in builder.configuration.memory.path = argument.text
        },
        OptionDescription("mem-prealloc", OptionDescription.Argument.none, "", "Makes all of guest memory at start") {
            (builder, _) throws(OptionError) in builder.configuration.memory.preallocates = true
        },
        OptionDescription(
            "numa", OptionDescription.Argument.parametersOrJSON(NUMAOptions.table),
            "node|dist|cpu[,prop=value...]", "A node, a distance or a CPU's place in NUMA", NUMAOptions.numa),
        OptionDescription(
            "device", OptionDescription.Argument.text, "driver[,prop=value...]",
            "A device; 'help' lists them, 'driver,help' lists a device's properties", DeviceOptions.device),
        OptionDescription(
            "global", OptionDescription.Argument.text, "driver.property=value",
            "A default for a property of all devices of a driver", DeviceOptions.global),
        OptionDescription(
            "set", OptionDescription.Argument.text, "group.id.arg=value",
            "Sets a parameter of a drive or device that stands before", DeviceOptions.set),
        OptionDescription(
            "object", OptionDescription.Argument.text, "type,id=name[,prop=value...]",
            "An object; 'help' lists the types", ObjectOptions.object),
        OptionDescription(
            "name", OptionDescription.Argument.parameters(ProcessOptions.nameTable),
            "[guest=]name[,process=name][,debug-threads=on|off]", "The machine's name, and the process's",
            ProcessOptions.name),
        OptionDescription(
            "uuid", OptionDescription.Argument.text, "%08x-%04x-%04x-%04x-%012x", "The machine's UUID",
            ProcessOptions.uuid),
    ]
}
