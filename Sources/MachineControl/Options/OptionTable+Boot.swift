internal import Machine

extension OptionTable {
    static let firmware: [OptionDescription] = [
        OptionDescription("no-acpi", OptionDescription.Argument.none, "", "The same as -machine acpi=off") {
            (builder, _) throws(OptionError) in builder.configuration.board.acpi = .off
        },
        OptionDescription("no-hpet", OptionDescription.Argument.none, "", "The same as -machine hpet=off") {
            (builder, _) throws(OptionError) in builder.configuration.board.hpet = false
        },
        OptionDescription(
            "rtc", OptionDescription.Argument.parameters(GuestOptions.clockTable),
            "[base=utc|localtime|date][,clock=host|rt|vm][,driftfix=none|slew]", "The real-time clock",
            GuestOptions.rtc),
        OptionDescription(
            "smbios", OptionDescription.Argument.text, "file=path | type=n[,field=value...]",
            "A structure of SMBIOS, types 0, 1, 2, 3, 4, 8, 11, 17, 41", GuestOptions.smbios),
        OptionDescription(
            "fw_cfg", OptionDescription.Argument.parameters(GuestOptions.firmwareTable),
            "[name=]name,file=path | [name=]name,string=text", "An item of the firmware's configuration device",
            GuestOptions.firmwareEntry),
        OptionDescription(
            "watchdog-action", OptionDescription.Argument.text, "action", "The same as -action watchdog=",
            ProcessOptions.watchdogAction),
    ]

    static let boot: [OptionDescription] = [
        OptionDescription(
            "kernel", OptionDescription.Argument.text, "file", "The kernel: bzImage, ELF or multiboot"
        ) { (builder, argument) throws(OptionError) in builder.configuration.boot.kernel = argument.text },
        OptionDescription("initrd", OptionDescription.Argument.text, "file", "The kernel's initial RAM disk") {
            (builder, argument) throws(OptionError) in builder.configuration.boot.initrd = argument.text
        },
        OptionDescription("append", OptionDescription.Argument.text, "words", "The kernel's command line") {
            (builder, argument) throws(OptionError) in builder.configuration.boot.append = argument.text
        },
        OptionDescription("bios", OptionDescription.Argument.text, "file", "The firmware's image") {
            (builder, argument) throws(OptionError) in builder.configuration.boot.bios = argument.text
        },
        OptionDescription("L", OptionDescription.Argument.text, "path", "A directory to look for firmware in") {
            (builder, argument) throws(OptionError) in
            builder.configuration.boot.firmwareDirectories.append(argument.text)
        },
        OptionDescription("option-rom", OptionDescription.Argument.text, "file", "An option ROM") {
            (builder, argument) throws(OptionError) in builder.configuration.boot.optionROMs.append(argument.text)
        },
        OptionDescription(
            "boot", OptionDescription.Argument.parameters(GuestOptions.bootTable),
            "[order=drives][,once=drives][,menu=on|off][,splash=file]\n"
                + "      [,splash-time=ms][,reboot-timeout=ms][,strict=on|off]",
            "What to boot: floppy (a), hard disk (c), CD-ROM (d), network (n)", group: "boot-opts", GuestOptions.boot),
    ]
}
