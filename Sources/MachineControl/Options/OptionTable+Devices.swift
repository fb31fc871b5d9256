internal import JSON
internal import Machine

extension OptionTable {
    static let block: [OptionDescription] =
        ["hda", "hdb", "hdc", "hdd"].enumerated().map { index, name in
            OptionDescription(
                name, OptionDescription.Argument.text, "file", "The image of disk \(index)",
                { (builder, argument) throws(OptionError) in
                    builder.addDrive(["file": .string(argument.text), "index": .number(index), "media": "disk"])
                })
        } + [
            OptionDescription("cdrom", OptionDescription.Argument.text, "file", "The image of a CD-ROM (disk 2)") {
                (builder, argument) throws(OptionError) in
                builder.addDrive(["file": .string(argument.text), "index": 2, "media": "cdrom"])
            },
            OptionDescription("fda", OptionDescription.Argument.text, "file", "The image of floppy disk 0") {
                (builder, argument) throws(OptionError) in
                builder.addDrive(["file": .string(argument.text), "index": 0, "if": "floppy"])
            },
            OptionDescription("fdb", OptionDescription.Argument.text, "file", "The image of floppy disk 1") {
                (builder, argument) throws(OptionError) in
                builder.addDrive(["file": .string(argument.text), "index": 1, "if": "floppy"])
            },
            OptionDescription("pflash", OptionDescription.Argument.text, "file", "The image of a flash chip") {
                (builder, argument) throws(OptionError) in
                builder.addDrive(["file": .string(argument.text), "if": "pflash", "format": "raw"])
            },
            OptionDescription(
                "drive", OptionDescription.Argument.text,
                "[file=file][,if=type][,index=i][,media=disk|cdrom]\n"
                    + "      [,format=f][,cache=mode][,aio=threads|native|io_uring][,id=name]\n"
                    + "      [,readonly=on|off][,snapshot=on|off][,discard=ignore|unmap]\n"
                    + "      [,detect-zeroes=on|off|unmap][,rerror=policy][,werror=policy]",
                "A drive and its image", declares: DriveOptions.table.parameters, DriveOptions.drive),
            OptionDescription(
                "blockdev", OptionDescription.Argument.text, "[driver=]driver,node-name=name[,option=value...]",
                "A node of the block graph", BlockNodeOptions.blockdev),
            OptionDescription(
                "snapshot", OptionDescription.Argument.none, "", "Writes go to temporary files, not to images"
            ) { (builder, _) throws(OptionError) in builder.snapshotsAll = true },
        ]

    static let network: [OptionDescription] = [
        OptionDescription(
            "netdev", OptionDescription.Argument.text, "user,id=name[,option=value...]",
            "A network back-end; 'help' lists the types\n"
                + "user: NAT, with net=, host=, restrict=, hostname=, dhcpstart=, dns=, dnssearch=,\n"
                + "domainname=, tftp=, bootfile=, hostfwd=[tcp|udp]:[addr]:port-[addr]:port, guestfwd=",
            NetworkOptions.netdev),
        OptionDescription(
            "nic", OptionDescription.Argument.text, "user|none[,model=m][,mac=address][,option=value...]",
            "A network card and its back-end; 'none' leaves the default card out", NetworkOptions.nic),
        OptionDescription(
            "net", OptionDescription.Argument.text, "none|nic|user[,option=value...]", "The old form of -nic",
            NetworkOptions.net),
    ]

    static let character: [OptionDescription] = [
        OptionDescription(
            "chardev", OptionDescription.Argument.text, "backend,id=name[,mux=on|off][,option=value...]",
            "A character back-end; 'help' lists them", declares: CharacterBackendSyntax.allParameters,
            CharacterOptions.chardev),
        OptionDescription(
            "serial", OptionDescription.Argument.text, "dev",
            "A serial port: stdio, mon:stdio, file:path, pty, unix:path, tcp:host:port, null, none,\n"
                + "chardev:id", CharacterOptions.serial),
        OptionDescription(
            "parallel", OptionDescription.Argument.text, "dev", "A parallel port, in the same way",
            CharacterOptions.parallel),
        OptionDescription(
            "monitor", OptionDescription.Argument.text, "dev", "A monitor for people", CharacterOptions.monitor),
        OptionDescription(
            "qmp", OptionDescription.Argument.text, "dev", "A monitor for programs", CharacterOptions.monitor),
        OptionDescription(
            "qmp-pretty", OptionDescription.Argument.text, "dev", "The same, laid out for reading",
            CharacterOptions.monitor),
        OptionDescription(
            "mon", OptionDescription.Argument.parameters(CharacterOptions.monitorTable),
            "[chardev=]name[,mode=readline|control][,pretty=on|off]", "A monitor on a character back-end",
            CharacterOptions.mon),
        OptionDescription(
            "debugcon", OptionDescription.Argument.text, "dev", "The debug port of firmware, 0xe9",
            CharacterOptions.debugcon),
    ]

    static let display: [OptionDescription] = [
        OptionDescription(
            "nographic", OptionDescription.Argument.none, "", "No display; serial port and monitor on the terminal"
        ) { (builder, _) throws(OptionError) in builder.noGraphic = true },
        OptionDescription(
            "display", OptionDescription.Argument.text, "none|curses|vnc=display[,...]", "Where the picture goes",
            GuestOptions.display),
        OptionDescription(
            "vnc", OptionDescription.Argument.text, "host:N|unix:path|none[,password=on][,to=L][,websocket=on]...",
            "A VNC server for the picture", VNCOptions.vnc),
        OptionDescription(
            "spice", OptionDescription.Argument.parameters(SPICEOptions.table),
            "[port=n][,tls-port=n][,addr=host][,unix=on][,disable-ticketing=on][,password-secret=id]...",
            "A SPICE server for the picture", SPICEOptions.spice),
        OptionDescription(
            "vga", OptionDescription.Argument.text, "none|std|cirrus|virtio", "The graphics adapter", GuestOptions.vga),
        OptionDescription(
            "k", OptionDescription.Argument.text, "language", "The keyboard layout, such as 'fr'",
            ProcessOptions.keyboardLayout),
        OptionDescription("usb", OptionDescription.Argument.none, "", "A USB controller") {
            (builder, _) throws(OptionError) in builder.configuration.usb = true
        },
        OptionDescription(
            "usbdevice", OptionDescription.Argument.text, "keyboard|mouse|tablet", "A USB controller with a device"
        ) { (builder, argument) throws(OptionError) in
            let models = ["keyboard": "usb-kbd", "mouse": "usb-mouse", "tablet": "usb-tablet"]
            guard let model = models[argument.text] else {
                throw .unknown("unknown USB device", argument.text, among: models.keys.sorted())
            }
            builder.configuration.usb = true
            var device = DeviceConfiguration(driver: model)
            device.origin = builder.origin
            builder.configuration.devices.append(device)
        },
        OptionDescription(
            "audiodev", OptionDescription.Argument.text, "[driver=]none|wav|spice,id=name[,path=file][,out.frequency=n]...",
            "An audio back-end", declares: AudioOptions.table.parameters, AudioOptions.audiodev),
        OptionDescription(
            "audio", OptionDescription.Argument.text, "[driver=]none|wav|spice,model=hda|ac97[,option=value...]",
            "An audio back-end with a sound card", AudioOptions.audio),
    ]
}
