internal import Machine

extension OptionTable {
    static let expert: [OptionDescription] = [
        OptionDescription("S", OptionDescription.Argument.none, "", "Waits for 'cont' before the first instruction") {
            (builder, _) throws(OptionError) in builder.configuration.lifecycle.startsPaused = true
        },
        OptionDescription(
            "incoming", OptionDescription.Argument.text, "file:path|exec:command|unix:path|tcp:host:port|fd:n|defer",
            "Takes a machine that comes from there"
        ) { (builder, value) throws(OptionError) in builder.configuration.incoming = value.text },
        OptionDescription(
            "x-fork", OptionDescription.Argument.text, "json", "Is a fork of the machine that the other options are of",
            ProcessOptions.fork),
        OptionDescription("loadvm", OptionDescription.Argument.text, "name", "Starts from a snapshot") {
            (builder, value) throws(OptionError) in builder.configuration.snapshot = value.text
        },
        OptionDescription("no-reboot", OptionDescription.Argument.none, "", "Ends instead of rebooting") {
            (builder, _) throws(OptionError) in builder.configuration.lifecycle.reboot = .shutdown
        },
        OptionDescription("no-shutdown", OptionDescription.Argument.none, "", "Stops instead of ending at power-off") {
            (builder, _) throws(OptionError) in builder.configuration.lifecycle.shutdown = .pause
        },
        OptionDescription(
            "action", OptionDescription.Argument.parameters(ProcessOptions.actionTable),
            "event=action[,event=action...]",
            "reboot=reset|shutdown, shutdown=poweroff|pause,\npanic=pause|shutdown|exit-failure|none,\n"
                + "watchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none", ProcessOptions.action),
        OptionDescription(
            "pidfile", OptionDescription.Argument.text, "file", "The file that takes the process's number"
        ) {
            (builder, argument) throws(OptionError) in builder.configuration.process.pidFile = argument.text
        },
        OptionDescription("daemonize", OptionDescription.Argument.none, "", "Goes to the background when ready") {
            (builder, _) throws(OptionError) in builder.configuration.process.daemonizes = true
        },
        OptionDescription("nodefaults", OptionDescription.Argument.none, "", "No default devices") {
            (builder, _) throws(OptionError) in builder.noDefaults = true
        },
        OptionDescription("no-user-config", OptionDescription.Argument.none, "", "Accepted: there are no such files") {
            (_, _) throws(OptionError) in
        },
        OptionDescription(
            "gdb", OptionDescription.Argument.text, "dev", "Speaks GDB's protocol on a character back-end",
            CharacterOptions.gdb),
        OptionDescription("s", OptionDescription.Argument.none, "", "The same as -gdb tcp::1234") {
            (builder, argument) throws(OptionError) in
            try CharacterOptions.gdb(
                &builder, OptionArgument(option: "s", text: "tcp::1234", values: argument.values))
        },
        OptionDescription(
            "d", OptionDescription.Argument.text, "item1,...", "What to log; 'help' lists the items",
            ProcessOptions.log),
        OptionDescription("D", OptionDescription.Argument.text, "file", "Where the log goes (default: standard error)")
        {
            (builder, argument) throws(OptionError) in builder.configuration.process.logFile = argument.text
        },
        OptionDescription(
            "perfmap", OptionDescription.Argument.none, "",
            "Writes /tmp/perf-PID.map, with which perf names translated blocks"
        ) {
            (builder, _) throws(OptionError) in builder.configuration.process.writesPerfMap = true
        },
        OptionDescription(
            "trace", OptionDescription.Argument.parameters(ProcessOptions.traceTable),
            "[[enable=]pattern][,events=file][,file=file]", "Trace events; accepted", ProcessOptions.trace),
        OptionDescription(
            "sandbox", OptionDescription.Argument.parameters(ProcessOptions.sandboxTable),
            "on|off[,obsolete=..][,elevateprivileges=..][,spawn=..][,resourcecontrol=..]",
            "Confinement by seccomp; each of allow or deny", ProcessOptions.sandbox),
        OptionDescription(
            "overcommit", OptionDescription.Argument.parameters(ProcessOptions.overcommitTable),
            "[mem-lock=on|off][,cpu-pm=on|off]", "How the host is shared", ProcessOptions.overcommit),
        OptionDescription(
            "icount", OptionDescription.Argument.parameters(ProcessOptions.countingTable),
            "[shift=N|auto][,align=on|off][,sleep=on|off]",
            "Virtual time goes with executed instructions, 2^N ns each", ProcessOptions.counting),
        OptionDescription(
            "msg", OptionDescription.Argument.parameters(ProcessOptions.messageTable),
            "[timestamp=on|off][,guest-name=on|off]", "What messages carry", ProcessOptions.message),
        OptionDescription(
            "tpmdev", OptionDescription.Argument.text, "emulator,id=name,chardev=name", "A TPM back-end: swtpm",
            declares: TPMOptions.table.parameters, TPMOptions.tpmdev),
        OptionDescription(
            "fsdev", OptionDescription.Argument.text,
            "local,id=name,path=folder,security_model=mapped-xattr|passthrough|none\n"
                + "      [,readonly=on|off][,fmode=mode][,dmode=mode][,multidevs=remap|forbid|warn]",
            "A folder that a guest may share, by a virtio-9p device", declares: SharedFolderOptions.table.parameters,
            SharedFolderOptions.fsdev),
        OptionDescription(
            "virtfs", OptionDescription.Argument.text,
            "local,path=folder,mount_tag=tag,security_model=model[,id=name][,option=value...]",
            "The folder and its device at once", declares: SharedFolderOptions.virtualTable.parameters,
            SharedFolderOptions.virtfs),
        OptionDescription(
            "add-fd", OptionDescription.Argument.parameters(ProcessOptions.descriptorTable),
            "fd=n,set=n[,opaque=text]", "A descriptor handed over by the parent", ProcessOptions.addDescriptor),
        OptionDescription(
            "echr", OptionDescription.Argument.text, "code", "The terminal's escape character instead of Ctrl-A",
            ProcessOptions.escapeCharacter),
        OptionDescription(
            "seed", OptionDescription.Argument.text, "number", "Seeds random numbers", ProcessOptions.seed),
        OptionDescription("only-migratable", OptionDescription.Argument.none, "", "Accepted: every device can be saved")
        {
            (_, _) throws(OptionError) in
        },
        OptionDescription("no-fd-bootchk", OptionDescription.Argument.none, "", "Accepted") {
            (_, _) throws(OptionError) in
        },
    ]

    /// Options of QEMU that this release refuses by name, rather than as unknown. Not in `-help`.
    static let unsupported: [OptionDescription] =
        [
            ("readconfig", "configuration files are not supported"),
            ("writeconfig", "configuration files are not supported"),
            ("runas", "start the program as that user instead"), ("chroot", "start the program there instead"),
            ("dtb", "a PC takes no device tree"),
            ("iscsi", "iSCSI is not supported"), ("sd", "SD cards are not supported"),
            ("mtdblock", "raw flash is not supported"), ("acpitable", "ACPI tables from files are not supported yet"),
            ("plugin", "plug-ins are not supported"),
            ("soundhw", "it is no more; use -audiodev with -device, or -audio driver,model=hda"),
            ("watchdog", "use -device i6300esb or -device ib700"),
        ].map { name, words in
            OptionDescription(
                name, OptionDescription.Argument.text, "", words,
                { (_, _) throws(OptionError) in throw .invalid(words) })
        }
}
