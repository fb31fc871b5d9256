extension TwinCase {
    /// Models that have no twins, and why.
    static let excused: [String: String] = {
        var reasons: [String: String] = [:]
        let otherProcess =
            "Its rings and state are another process's; VhostUserTests and MovedWorkTests move it with its process"
        for name in [
            "vhost-user-blk", "vhost-user-blk-pci", "vhost-user-blk-pci-non-transitional",
            "vhost-user-blk-pci-transitional",
            "vhost-user-fs-device", "vhost-user-fs-pci", "vhost-user-vsock-device", "vhost-user-vsock-pci",
            "vhost-user-vsock-pci-non-transitional",
        ] { reasons[name] = otherProcess }
        let kernel = "The host's kernel does its work, and few hosts let two machines have it at once"
        for name in ["vhost-vsock-device", "vhost-vsock-pci", "vhost-vsock-pci-non-transitional"] {
            reasons[name] = kernel
        }
        return reasons
    }()

    static let all: [TwinCase] = boards + virtioOnPCI + virtioOnMMIO + storage + cards + usb + graphics + others

    // MARK: Boards

    private static let boards: [TwinCase] = [
        TwinCase(
            name: "pc", line: "-M pc -serial null -parallel null -vga none", models: [], registers: ["all"],
            drivers: { [LegacyTwinDriver()] + IDETwinDriver.all($0) }, isBusy: true, before: 400, after: 250),
        TwinCase(
            name: "q35", line: "-M q35 -serial null -vga none", models: [], registers: ["all"],
            drivers: { _ in [LegacyTwinDriver()] }, isBusy: false, before: 500, after: 500),
        TwinCase(
            name: "microvm", line: "-M microvm,rtc=on,pit=on,pic=on -serial null", models: [], registers: ["all"],
            drivers: { _ in [LegacyTwinDriver()] }, before: 400, after: 400),
        TwinCase(
            name: "hotplug",
            line: """
                -M q35 -m 8M,slots=2,maxmem=1G -smp 1,maxcpus=4 -vga none -object memory-backend-ram,id=m1,size=128M
                -device pc-dimm,memdev=m1,id=dimm1 -device pcie-root-port,id=r,chassis=1,slot=1
                -device intel-iommu,dma-translation=off
                -device vmgenid,guid=01234567-89ab-cdef-0123-456789abcdef -device vmcoreinfo -device pvpanic
                """,
            models: ["pc-dimm", "pcie-root-port", "intel-iommu", "vmgenid", "vmcoreinfo", "pvpanic"],
            registers: ["all", "slot 31"], isBusy: true, before: 300, after: 150),
        TwinCase(
            name: "bridges",
            line: """
                -M q35 -vga none -device pcie-root-port,id=r,chassis=1,slot=1 -device pcie-pci-bridge,id=b,bus=r
                -device pci-bridge,id=c,bus=b,addr=1,chassis_nr=2 -device i6300esb,bus=c,addr=2
                """,
            models: ["pcie-pci-bridge", "pci-bridge"], registers: ["all"], isBusy: true, before: 200, after: 100),
        TwinCase(
            name: "flash",
            line: """
                -M q35 -vga none -drive if=pflash,format=raw,file=FOLDER/f0.raw,unit=0
                """,
            models: [], registers: ["all"], drivers: { _ in [FlashTwinDriver()] }, isBusy: true, before: 200, after: 150
        ),
    ]

    // MARK: virtio

    private static func onPCI(
        _ name: String, _ options: String, _ before: String = "", transitional: Bool = true,
        kinds only: [String]? = nil
    ) -> TwinCase {
        let kinds = only ?? (transitional ? ["", "-transitional", "-non-transitional"] : [""])
        let devices = kinds.enumerated().map { index, kind in
            "-device \(name)-pci\(kind)" + options.replacing("#", with: "\(index)")
        }
        return TwinCase(
            name: "\(name)-pci\(only?.first ?? "")",
            line: "-M pc -vga none \(before) " + devices.joined(separator: " "),
            models: kinds.map { "\(name)-pci\($0)" }, drivers: { VirtioTwinDriver.all($0) }, isBusy: true, after: 80)
    }
    private static let discs = (0..<3).map { "-drive file=FOLDER/d\($0).raw,format=raw,if=none,id=d\($0)" }.joined(
        separator: " ")
    private static let nets = (0..<3).map { "-netdev hubport,id=n\($0),hubid=0" }.joined(separator: " ")
    private static let share = "-fsdev local,id=f,path=SHARED,security_model=none"
    private static let serials = """
        -chardev null,id=c0 -chardev null,id=c1 -device virtconsole,chardev=c0
        -device virtserialport,chardev=c1,name=org.apus.0
        """

    private static let virtioOnPCI: [TwinCase] = [
        onPCI("virtio-blk", ",drive=d#", discs),
        onPCI("virtio-net", ",netdev=n#,mac=52:54:00:12:34:0#", nets),
        onPCI("virtio-rng", ",rng=r", "-object rng-random,id=r,filename=/dev/zero"),
        onPCI("virtio-balloon", "", transitional: false), onPCI("virtio-balloon", "", kinds: ["-transitional"]),
        onPCI("virtio-balloon", "", kinds: ["-non-transitional"]),
        onPCI("virtio-9p", ",fsdev=f,mount_tag=t#", share),
        onPCI("virtio-scsi", ",id=s#", "").adding(
            """
            \(discs) -device scsi-hd,drive=d0,bus=s0.0 -device scsi-cd,drive=d1,bus=s0.0,scsi-id=1
            -device scsi-hd,drive=d2,bus=s1.0
            """, ["scsi-hd", "scsi-cd"]),
        onPCI("virtio-serial", ",id=v#").adding(serials, ["virtconsole", "virtserialport"]),
        onPCI("virtio-keyboard", "", transitional: false),
        onPCI("virtio-mouse", "", transitional: false),
        onPCI("virtio-tablet", "", transitional: false),
        onPCI("virtio-gpu", "", transitional: false),
        TwinCase(
            name: "virtio-vga", line: "-M q35 -vga virtio", models: ["virtio-vga"],
            registers: ["vga", "vbe", "vga-lowmem"],
            drivers: { VirtioTwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "virtio-vsock-pci",
            line: """
                -M q35 -vga none -device virtio-vsock-pci,guest-cid=3,path=FOLDER/vs0
                -device virtio-vsock-pci-non-transitional,guest-cid=4,path=FOLDER/vs1
                """,
            models: ["virtio-vsock-pci", "virtio-vsock-pci-non-transitional"], drivers: { VirtioTwinDriver.all($0) },
            isBusy: true, forgets: true),
    ]

    private static let virtioOnMMIO: [TwinCase] = [
        TwinCase(
            name: "mmio",
            line: """
                -M microvm \(discs) \(nets) \(share) -object rng-random,id=r,filename=/dev/zero
                -device virtio-blk-device,drive=d0 -device virtio-net-device,netdev=n0,mac=52:54:00:12:34:01
                -device virtio-rng-device,rng=r -device virtio-balloon-device -device virtio-9p-device,fsdev=f,mount_tag=t
                """,
            models: [
                "virtio-blk-device", "virtio-net-device", "virtio-rng-device", "virtio-balloon-device",
                "virtio-9p-device",
            ], registers: ["virtio-mmio"], drivers: { VirtioTwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "mmio more",
            line: """
                -M microvm \(discs) -device virtio-scsi-device,id=s -device scsi-hd,drive=d0,bus=s.0
                -device virtio-serial-device \(serials) -device virtio-keyboard-device -device virtio-mouse-device
                -device virtio-tablet-device -device virtio-vsock-device,guest-cid=3,path=FOLDER/vs0
                """,
            models: [
                "virtio-scsi-device", "virtio-serial-device", "virtio-keyboard-device", "virtio-mouse-device",
                "virtio-tablet-device",
                "virtio-vsock-device",
            ], registers: ["virtio-mmio"], drivers: { VirtioTwinDriver.all($0) }, isBusy: true, forgets: true),
    ]

    /// The same with more devices.
    private func adding(_ devices: String, _ more: [String]) -> TwinCase {
        TwinCase(
            name: name, line: "\(line) \(devices)", models: models + more, registers: registers, drivers: drivers,
            isBusy: isBusy,
            before: before, after: after)
    }

    // MARK: Disks

    private static let storage: [TwinCase] = [
        TwinCase(
            name: "ide",
            line: "-M pc -vga none \(discs) -device ide-hd,drive=d0,bus=ide.0 -device ide-cd,drive=d1,bus=ide.1",
            models: ["ide-hd", "ide-cd"], registers: ["ide"], drivers: { IDETwinDriver.all($0) }, isBusy: true,
            before: 300, after: 150),
        TwinCase(
            name: "ahci",
            line: """
                -M q35 -vga none \(discs) -device ide-hd,drive=d0,bus=ide.0 -device ide-cd,drive=d1,bus=ide.1
                -device ide-hd,drive=d2,bus=ide.2
                """,
            models: ["ide-hd", "ide-cd"], registers: ["slot 31"], drivers: { AHCITwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "ich9-ahci",
            line: """
                -M pc -vga none \(discs) -device ahci,id=a -device ide-hd,drive=d0,bus=a.0 -device ide-cd,drive=d1,bus=a.1
                -device ide-hd,drive=d2,bus=a.2
                """,
            models: ["ich9-ahci"], drivers: { AHCITwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "nvme", line: "-M q35 -vga none \(discs) -device nvme,drive=d0,serial=one", models: ["nvme"],
            drivers: { NVMeTwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "floppy",
            line: "-M pc -vga none -drive file=FOLDER/d0.raw,format=raw,if=none,id=d0 -device floppy,drive=d0",
            models: ["floppy"],
            registers: ["fdc", "dma"], drivers: { _ in [FloppyTwinDriver()] }, isBusy: true),
    ]

    // MARK: Cards

    private static func card(
        _ name: String, _ driver: @escaping @Sendable (Twin) -> [any TwinDriver], board: String = "pc"
    )
        -> TwinCase
    {
        TwinCase(
            name: name,
            line: """
                -M \(board) -vga none \(nets) -device \(name),netdev=n0,mac=52:54:00:12:34:01
                -device \(name),netdev=n1,mac=52:54:00:12:34:02
                """,
            models: [name], drivers: driver, isBusy: true, isTimed: true, before: 250, after: 100)
    }
    private static let cards: [TwinCase] = [
        card("e1000", { E1000TwinDriver.all($0) }), card("e1000e", { E1000TwinDriver.all($0) }, board: "q35"),
        card("rtl8139", { PlainCardTwinDriver.all($0) }), card("pcnet", { PlainCardTwinDriver.all($0) }),
    ]

    // MARK: USB

    private static let usbDevices = """
        -device usb-tablet,bus=u.0,port=1 -drive file=FOLDER/d0.raw,format=raw,if=none,id=d0
        -device usb-storage,drive=d0,bus=u.0,port=2
        """
    private static let hubbed = """
        -device usb-hub,bus=u.0,port=1 -device usb-kbd,bus=u.0,port=1.1 -device usb-mouse,bus=u.0,port=2
        """
    private static func uhci(_ name: String, _ devices: String, _ more: [String]) -> TwinCase {
        TwinCase(
            name: name, line: "-M pc -vga none -device \(name),id=u \(devices)", models: [name] + more,
            drivers: { UHCITwinDriver.all($0) }, isBusy: true, before: 150, after: 100)
    }
    private static let usb: [TwinCase] = [
        uhci("piix3-usb-uhci", usbDevices, ["usb-tablet", "usb-storage"]),
        uhci("piix4-usb-uhci", hubbed, ["usb-hub", "usb-kbd", "usb-mouse"]),
        TwinCase(
            name: "ich9-usb",
            line: """
                -M q35 -vga none -device ich9-usb-ehci1,id=u,addr=1d.7,multifunction=on
                -device ich9-usb-uhci1,masterbus=u.0,firstport=0,addr=1d.0,multifunction=on
                -device ich9-usb-uhci2,masterbus=u.0,firstport=2,addr=1d.1,multifunction=on
                -device ich9-usb-uhci3,masterbus=u.0,firstport=4,addr=1d.2,multifunction=on
                -device ich9-usb-ehci2,id=w,addr=1a.7,multifunction=on
                -device ich9-usb-uhci4,masterbus=w.0,firstport=0,addr=1a.0,multifunction=on
                -device ich9-usb-uhci5,masterbus=w.0,firstport=2,addr=1a.1,multifunction=on
                -device ich9-usb-uhci6,masterbus=w.0,firstport=4,addr=1a.2,multifunction=on \(usbDevices)
                -device usb-kbd,bus=u.0,port=3
                """,
            models: ["ich9-usb-ehci1", "ich9-usb-ehci2"] + (1...6).map { "ich9-usb-uhci\($0)" },
            drivers: { EHCITwinDriver.all($0) + UHCITwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "usb-ehci", line: "-M pc -vga none -device usb-ehci,id=u \(usbDevices)", models: ["usb-ehci"],
            drivers: { EHCITwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "qemu-xhci", line: "-M q35 -vga none -device qemu-xhci,id=u \(usbDevices)", models: ["qemu-xhci"],
            drivers: { XHCITwinDriver.all($0) }, isBusy: true),
        TwinCase(
            name: "nec-usb-xhci", line: "-M pc -vga none -device nec-usb-xhci,id=u \(hubbed)", models: ["nec-usb-xhci"],
            drivers: { XHCITwinDriver.all($0) }, isBusy: true),
    ]

    // MARK: Graphics

    private static let vga: Set<String> = ["vga", "vbe", "vga-lowmem", "cirrus", "cirrus-lowmem"]
    private static func screen(_ name: String, _ line: String, _ more: [String] = []) -> TwinCase {
        TwinCase(name: name, line: line, models: [name] + more, registers: vga, before: 250, after: 250)
    }
    private static let graphics: [TwinCase] = [
        screen("VGA", "-M pc -vga std"), screen("cirrus-vga", "-M pc -vga cirrus"),
        screen("isa-vga", "-M pc -vga none -device isa-vga"),
        screen("secondary-vga", "-M pc -vga std -device secondary-vga -device VGA"),
        screen("isa-cirrus-vga", "-M pc -vga none -device isa-cirrus-vga"),
        TwinCase(
            name: "ramfb", line: "-M pc -vga none -device ramfb", models: ["ramfb"], registers: ["fwcfg"],
            drivers: { _ in [FirmwareTwinDriver()] }),
    ]

    // MARK: The rest

    private static let others: [TwinCase] = [
        TwinCase(
            name: "AC97", line: "-M pc -vga none -audiodev none,id=a -device AC97,audiodev=a", models: ["AC97"],
            drivers: { SoundTwinDriver.all($0) }, before: 250, after: 250),
        hda("intel-hda", ["hda-duplex", "hda-output"], "pc"), hda("ich9-intel-hda", ["hda-micro"], "q35"),
        TwinCase(
            name: "watchdogs", line: "-M pc -vga none -device i6300esb -device ib700", models: ["i6300esb", "ib700"],
            registers: ["ib700"], drivers: { _ in [IB700TwinDriver()] }),
        TwinCase(
            name: "isa",
            line: """
                -M pc -vga none -chardev null,id=c0 -chardev null,id=c1 -chardev null,id=c2 -device isa-serial,chardev=c0
                -device isa-serial,chardev=c1,index=3 -device isa-parallel,chardev=c2 -device isa-debug-exit,iobase=0xf4
                -chardev null,id=c3 -device isa-debugcon,chardev=c3,iobase=0xe9
                """,
            models: ["isa-serial", "isa-parallel", "isa-debug-exit", "isa-debugcon"], registers: ["all"]),
        TwinCase(
            name: "test devices",
            line: "-M pc -vga none -device pci-testdev -device pc-testdev -chardev null,id=c -device testdev,chardev=c",
            models: ["pci-testdev", "pc-testdev", "testdev"], registers: ["all"]),
        tpm("tpm-tis", "pc"), tpm("tpm-crb", "q35"),
    ]
    private static func hda(_ name: String, _ codecs: [String], _ board: String) -> TwinCase {
        let devices = codecs.map { "-device \($0),audiodev=a" }.joined(separator: " ")
        return TwinCase(
            name: name, line: "-M \(board) -vga none -audiodev none,id=a -device \(name) \(devices)",
            models: [name] + codecs,
            drivers: { SoundTwinDriver.all($0) }, before: 250, after: 250)
    }
    private static func tpm(_ name: String, _ board: String) -> TwinCase {
        TwinCase(
            name: name,
            line: """
                -M \(board) -vga none -chardev socket,id=c,path=FOLDER/swtpm -tpmdev emulator,id=t,chardev=c
                -device \(name),tpmdev=t
                """,
            models: [name], registers: ["tpm"], drivers: { _ in [TPMTwinDriver(isCRB: name == "tpm-crb")] },
            isBusy: true,
            living: ["tpm": "The emulator's own state has random numbers"], needs: "/usr/bin/swtpm", before: 60,
            after: 40)
    }
}
