import HostOS
import JSON
import Machine
import MachineControl
import Testing

/// The machines whose states are kept in `Tests/Golden`: each must stay as it was when its files were written.
struct GoldenMachine: Sendable, CustomTestStringConvertible {
    /// The files' names begin with it.
    let name: String
    /// What the state was made with, and what it is read by.
    let writer: AcceleratorConfiguration.Kind
    let readers: [AcceleratorConfiguration.Kind]
    /// Fields that a TPM changes by itself, and the like.
    let livingFields: Set<String>
    let needsTPM: Bool
    /// Memory goes packed.
    let isPacked: Bool
    private let line: String?

    var testDescription: String { name }

    private init(
        _ name: String, _ line: String? = nil, writer: AcceleratorConfiguration.Kind = .translator,
        readers: [AcceleratorConfiguration.Kind] = [.translator], living: Set<String> = [], isPacked: Bool = false
    ) {
        (self.name, self.line, self.writer, self.readers, livingFields) = (name, line, writer, readers, living)
        self.isPacked = isPacked
        needsTPM = line?.contains("tpmdev") == true
    }

    static let all: [GoldenMachine] = [
        GoldenMachine("pc"), GoldenMachine("q35"), GoldenMachine("microvm"),
        GoldenMachine(
            "pcdevices",
            """
            -M pc -vga cirrus -device piix3-usb-uhci,id=u -device usb-tablet,bus=u.0,port=1 -device usb-hub,bus=u.0,port=2
            -device usb-mouse,bus=u.0,port=2.1 -audiodev none,id=a -device AC97,audiodev=a -netdev hubport,id=n1,hubid=0
            -device rtl8139,netdev=n1,mac=52:54:00:12:34:01 -netdev hubport,id=n2,hubid=0
            -device pcnet,netdev=n2,mac=52:54:00:12:34:02 -device i6300esb -device ib700
            -drive file=FOLDER/d0.raw,format=raw,if=floppy -parallel null -serial null -device pvpanic -device vmcoreinfo
            -fsdev local,id=f,path=FOLDER,security_model=none -device virtio-9p-pci,fsdev=f,mount_tag=t
            -device virtio-keyboard-pci -device virtio-tablet-pci -device virtio-serial-pci,id=s -chardev null,id=c
            -device virtserialport,chardev=c,name=org.apus.0 -device pci-testdev
            -drive file=FOLDER/d1.raw,format=raw,if=none,id=d1 -device ide-cd,drive=d1,bus=ide.1
            """),
        GoldenMachine(
            "q35devices",
            """
            -M q35 -m 8M,slots=2,maxmem=1G -smp 1,maxcpus=2 -vga virtio -device pcie-root-port,id=r,chassis=1,slot=1
            -netdev hubport,id=n1,hubid=0 -device e1000e,netdev=n1,mac=52:54:00:12:34:01,bus=r -device qemu-xhci,id=x
            -drive file=FOLDER/d0.raw,format=raw,if=none,id=d0 -device usb-storage,drive=d0,bus=x.0
            -device usb-kbd,bus=x.0 -device ich9-usb-ehci1,id=e,addr=1d.7,multifunction=on
            -device ich9-usb-uhci1,masterbus=e.0,firstport=0,addr=1d.0,multifunction=on -device usb-mouse,bus=e.0
            -audiodev none,id=a -device intel-hda -device hda-duplex,audiodev=a
            -object memory-backend-ram,id=m1,size=128M -device pc-dimm,memdev=m1,id=dimm1 -device virtio-scsi-pci,id=s
            -drive file=FOLDER/d1.raw,format=raw,if=none,id=d1 -device scsi-cd,drive=d1,bus=s.0
            """),
        GoldenMachine(
            "microvmdevices",
            """
            -M microvm -fsdev local,id=f,path=FOLDER,security_model=none -device virtio-9p-device,fsdev=f,mount_tag=t
            -device virtio-keyboard-device -device virtio-mouse-device -device virtio-scsi-device,id=s
            -drive file=FOLDER/d0.raw,format=raw,if=none,id=d0 -device scsi-hd,drive=d0,bus=s.0
            -device virtio-serial-device,id=v -chardev null,id=c -device virtconsole,chardev=c -serial null
            """),
        GoldenMachine(
            "pctpm", "-M pc -chardev socket,id=c,path=SWTPM -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t",
            living: ["tpm"]),
        GoldenMachine(
            "q35tpm",
            "-M q35 -chardev socket,id=c,path=SWTPM -tpmdev emulator,id=t,chardev=c -device tpm-crb,tpmdev=t",
            living: ["tpm"]),
        GoldenMachine("microvmpacked", "-M microvm -device virtio-rng-device", isPacked: true),
        // A KVM that is itself emulated may not have SSE3, and offers a clock that guests under software have not.
        GoldenMachine(
            "pckvm", "-M pc -cpu qemu64,-pni,kvm=off -device virtio-rng-pci -device vmgenid,guid=\(guid)",
            writer: .kvm, readers: [.translator, .kvm]),
        GoldenMachine(
            "microvmkvm", "-M microvm -cpu qemu64,-pni,kvm=off -device virtio-rng-device", writer: .kvm,
            readers: [.translator, .kvm]),
    ]
    private static let guid = "01234567-89ab-cdef-0123-456789abcdef"

    /// The machine, with files of the folder, under an engine.
    func configuration(
        _ folder: String, under kind: AcceleratorConfiguration.Kind, tpm: String = ""
    ) throws -> MachineConfiguration {
        for id in ["d0", "d1", "d2", "d3"] {
            try HostFile.replace("\(folder)/\(id).raw", with: [UInt8](repeating: 0, count: 1 << 20))
        }
        guard let line else { return try Self.first(name, folder) }
        let own = line.split(whereSeparator: \.isWhitespace).map {
            String($0).replacing("FOLDER", with: folder).replacing("SWTPM", with: tpm)
        }
        let words: [String] =
            ["apus-vmm", "-nodefaults", "-display", "none", "-m", "8M", "-cpu", "qemu64"] + own
            + ["-kernel", "\(folder)/kernel"]
        switch CommandLineParser.parse(words) {
        case .machine(var configuration, _):
            configuration.accelerators = [AcceleratorConfiguration(kind: kind)]
            return configuration
        case .information(let text), .failure(let text):
            Issue.record("\(text)")
            return MachineConfiguration()
        }
    }

    /// Those of the first files.
    private static func first(_ name: String, _ folder: String) throws -> MachineConfiguration {
        let kind = try #require(BoardKind(rawValue: name))
        var configuration = CountingGuest.configuration(kind, folder)
        configuration.memory.size = 8 << 20
        configuration.topology.processors = kind == .pc ? 2 : 1
        configuration.processorModel = "qemu64"
        let suffix = kind == .microvm ? "device" : "pci"
        func add(_ driver: String, _ properties: JSONObject = JSONObject()) {
            var device = DeviceConfiguration(driver: driver)
            device.properties = properties
            configuration.devices.append(device)
        }
        func drive(_ id: String) {
            var drive = DriveConfiguration(id: id)
            drive.file = "\(folder)/\(id).raw"
            drive.format = "raw"
            drive.interface = .none
            configuration.drives.append(drive)
        }
        drive("d0")
        add("virtio-blk-\(suffix)", ["drive": "d0"])
        add("virtio-net-\(suffix)", ["mac": "52:54:00:12:34:56"])
        add("virtio-rng-\(suffix)")
        add("virtio-balloon-\(suffix)")
        add("virtio-serial-\(suffix)")
        guard kind != .microvm else { return configuration }
        drive("d1")
        add("virtio-scsi-pci")
        add("scsi-hd", ["drive": "d1"])
        drive("d2")
        add("ide-hd", ["drive": "d2"])
        drive("d3")
        add("nvme", ["drive": "d3", "serial": "golden"])
        add("e1000", ["mac": "52:54:00:12:34:57"])
        add("vmgenid", ["guid": "01234567-89ab-cdef-0123-456789abcdef"])
        configuration.graphics = .std
        return configuration
    }
}
