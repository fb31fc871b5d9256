import Daemon
import HostOS
import RPCWire
import Testing

/// A program that is run to its end.
struct Program {
    let status: Int32
    let text: String
    let errors: String

    private static func read(_ descriptor: Descriptor) throws -> String {
        var bytes: [UInt8] = []
        while descriptor.wait(for: .read, milliseconds: 180_000) != [] {
            let part = try descriptor.readAvailable(limit: 65_536)
            if part.isEmpty { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func start(_ words: [String]) throws -> (HostProcess, Descriptor, Descriptor) {
        let output = try DescriptorPair.pipe()
        let errors = try DescriptorPair.pipe()
        let null = try HostFile.open("/dev/null", .readWrite)
        let process = try HostProcess.spawn(
            words[0], arguments: words,
            environment: ["LC_ALL=C.UTF-8", "HOME=/tmp", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [null, output.output, errors.output])
        return (process, output.input, errors.input)
    }

    /// Runs a program by its path.
    init(_ words: [String]) throws {
        let (process, output, complaints) = try Program.start(words)
        text = try Program.read(output)
        errors = try Program.read(complaints)
        #expect(process.waitForEnd(milliseconds: 180_000))
        status = process.reap() ?? -1
    }

    static func exists(_ path: String) -> Bool { HostFile.status(path).kind == .file }
    static let qemu = "/usr/bin/qemu-system-x86_64"
}

@Suite("virsh with a machine of QEMU", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct VirshMachineTests {
    private static func run(_ daemon: DaemonProcess, _ line: String) throws -> Program {
        let words = line.split(separator: " ").map(String.init)
        return try Program(
            ["/usr/bin/virsh", "-c", "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock"] + words)
    }

    /// Runs lines that must succeed.
    private static func run(_ daemon: DaemonProcess, _ lines: [String]) throws {
        for line in lines {
            let output = try run(daemon, line)
            #expect(output.status == 0, "\(line): \(output.errors)")
        }
    }

    private static func start(_ daemon: DaemonProcess) throws {
        let folder = daemon.folder
        let image = try Program([TestPrograms.imageTool, "create", "-q", "-f", "qcow2", folder + "/d.qcow2", "64M"])
        #expect(image.status == 0)
        for name in ["a.iso", "b.iso"] {
            try HostFile.replace("\(folder)/\(name)", with: [UInt8](repeating: 0, count: 65_536))
        }
        let devices = """
            <emulator>\(Program.qemu)</emulator>
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='\(folder)/d.qcow2'/>
            <target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><source file='\(folder)/a.iso'/><target dev='hda' bus='ide'/></disk>
            <interface type='network'><source network='default'/><model type='virtio'/></interface>
            <serial type='pty'/>
            """
        let xml = TestXML.domain("q", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/q.xml", with: Array(xml.utf8))
        try run(daemon, ["define \(folder)/q.xml", "start q"])
    }

    @Test(
        "Disks, cards and media come, change and go while it runs", .enabled(if: Program.exists(Program.qemu)))
    func devices() throws {
        let daemon = try DaemonProcess(emulator: Program.qemu)
        let folder = daemon.folder
        try Self.start(daemon)
        _ = try Program([TestPrograms.imageTool, "create", "-q", "-f", "qcow2", folder + "/e.qcow2", "32M"])
        try Self.run(
            daemon,
            [
                "attach-disk q \(folder)/e.qcow2 vdb --subdriver qcow2 --live",
                "attach-interface q network default --model virtio --live --mac 52:54:00:00:00:09",
                "change-media q hda \(folder)/b.iso --update --live", "domif-setlink q vnet0 down",
            ])
        let disks = try Self.run(daemon, "domblklist q").text
        #expect(disks.contains("vdb      \(folder)/e.qcow2"))
        #expect(disks.contains("hda      \(folder)/b.iso"))
        #expect(try Self.run(daemon, "domiflist q").text.contains("vnet1"))
        // How many lines end it depends on virsh's release.
        #expect(try Self.run(daemon, "domif-getlink q vnet0").text.split(separator: "\n") == ["vnet0 down"])
        #expect(try Self.run(daemon, "net-port-list default").text.split(separator: "\n").count > 2)
        let twice = try Self.run(daemon, "attach-disk q \(folder)/e.qcow2 vdb --live")
        #expect(twice.errors.contains("target 'vdb' duplicated for disk sources"))
        // A monitor that says no leaves nothing behind.
        #expect(try Self.run(daemon, "attach-disk q /nonexistent vdc --live").status != 0)
        #expect(try !Self.run(daemon, "domblklist q").text.contains("vdc"))
        try Self.run(daemon, ["change-media q hda --eject --live", "destroy q"])
        #expect(try Self.run(daemon, "domblklist q").text.contains("hda      \(folder)/a.iso"))
    }

    @Test(
        "It is saved and comes back, in files and where the next start finds it",
        .enabled(if: Program.exists(Program.qemu)))
    func saving() throws {
        let daemon = try DaemonProcess(emulator: Program.qemu)
        let file = daemon.folder + "/q.save"
        try Self.start(daemon)
        try Self.run(daemon, ["save q \(file)"])
        #expect(try Self.run(daemon, "domstate q --reason").text == "shut off (saved)\n\n")
        #expect(try Self.run(daemon, "save-image-dumpxml \(file)").text.contains("<name>q</name>"))
        try Self.run(daemon, ["restore \(file)"])
        #expect(try Self.run(daemon, "domstate q --reason").text == "running (restored)\n\n")
        try Self.run(daemon, ["suspend q", "managedsave q"])
        #expect(try Self.run(daemon, "list --all --managed-save").text.contains("saved"))
        #expect(try Self.run(daemon, "undefine q").errors.contains("managed save"))
        try Self.run(daemon, ["start q"])
        #expect(try Self.run(daemon, "domstate q").text == "paused\n\n")
        try Self.run(daemon, ["destroy q", "undefine q"])
        try HostFile.replace(file, with: Array("LibvirtQemudSave".utf8))
        #expect(try Self.run(daemon, "restore \(file)").errors.contains("image magic is incorrect"))
    }

    @Test(
        "Snapshots grow into a tree, are gone back to, and images are joined",
        .enabled(if: Program.exists(Program.qemu)))
    func snapshots() throws {
        let daemon = try DaemonProcess(emulator: Program.qemu)
        let folder = daemon.folder
        try Self.start(daemon)
        try Self.run(daemon, ["snapshot-create-as q one", "snapshot-create-as q two", "snapshot-revert q one"])
        #expect(try Self.run(daemon, "snapshot-current q --name").text == "one\n")
        try Self.run(daemon, ["snapshot-create-as q three"])
        let tree = try Self.run(daemon, "snapshot-list q --tree").text
        #expect(tree == "one\n  |\n  +- three\n  +- two\n    \n\n")
        // What is defined in the place of a running machine is known by its UUID.
        let uuid = try Self.run(daemon, "domuuid q").text.filter { $0.isHexDigit || $0 == "-" }
        #expect(try Self.run(daemon, "undefine q --nvram").status == 0)
        let xml = String(decoding: try HostFile.contents(folder + "/q.xml"), as: UTF8.self)
        let same = xml.replacing("<name>q</name>", with: "<name>q</name><uuid>\(uuid)</uuid>")
        try HostFile.replace(folder + "/q.xml", with: Array(same.utf8))
        try Self.run(daemon, ["define \(folder)/q.xml"])
        try Self.run(
            daemon,
            [
                "snapshot-create-as q top --disk-only", "blockcommit q vda --active --pivot --wait",
                "blockcopy q vda \(folder)/copy.qcow2 --wait --pivot --format qcow2",
            ])
        #expect(try Self.run(daemon, "domblklist q").text.contains("vda      \(folder)/copy.qcow2"))
        #expect(try Self.run(daemon, "dumpxml q --inactive").text.contains("<source file='\(folder)/copy.qcow2'/>"))
        // A copy that the disk does not go on with leaves nothing in the machine that would be in a snapshot's way.
        try Self.run(
            daemon,
            [
                "blockcopy q vda \(folder)/other.qcow2 --wait --finish --format qcow2",
                "snapshot-create-as q again --disk-only --no-metadata --diskspec vda,file=\(folder)/again.qcow2",
                "blockcommit q vda --active --pivot --wait",
            ])
        try Self.run(daemon, ["blockresize q vda 96M"])
        #expect(try Self.run(daemon, "domblkinfo q vda").text.contains("Capacity:       100663296"))
        try Self.run(daemon, ["destroy q"])
    }
}

@Suite("virt-install and others", .serialized, .enabled(if: TestPrograms.hasGuest))
struct InstallTests {
    private static let hasVirtInstall = Program.exists("/usr/bin/virt-install") && Program.exists(Program.qemu)
    private static let hasPython: Bool = {
        guard Program.exists("/usr/bin/python3") else { return false }
        return (try? Program(["/usr/bin/python3", "-c", "import libvirt"]))?.status == 0
    }()

    private static func uri(_ daemon: DaemonProcess) -> String {
        "qemu+unix:///session?socket=\(daemon.folder)/libvirt-sock"
    }

    private static func install(_ daemon: DaemonProcess, _ words: [String]) throws {
        let common = [
            "/usr/bin/virt-install", "--connect", uri(daemon), "--memory", "128", "--vcpus", "1", "--graphics", "none",
            "--osinfo", "detect=off,require=off", "--virt-type", "qemu", "--noautoconsole", "--check", "all=off",
        ]
        let output = try Program(common + words)
        #expect(output.status == 0, "\(words): \(output.text)\(output.errors)")
    }

    private static func ask(_ daemon: DaemonProcess, _ words: String...) throws -> Program {
        try Program(["/usr/bin/virsh", "-c", uri(daemon)] + words)
    }

    @Test(
        "virt-install makes machines of images and of discs; virt-xml changes and virt-clone copies them",
        .enabled(if: hasVirtInstall && TestPrograms.hasVirsh))
    func install() throws {
        let daemon = try DaemonProcess(emulator: Program.qemu)
        let folder = daemon.folder
        for name in ["p", "p2"] { try HostFolder.make("\(folder)/\(name)") }
        _ = try Program([TestPrograms.imageTool, "create", "-q", "-f", "qcow2", folder + "/p/i.qcow2", "16M"])
        try HostFile.replace(folder + "/a.iso", with: [UInt8](repeating: 0, count: 65_536))
        try Self.install(
            daemon, ["--name", "i", "--import", "--disk", "\(folder)/p/i.qcow2", "--network", "network=default"])
        #expect(try Self.ask(daemon, "domstate", "i").text == "running\n\n")
        try Self.install(
            daemon, ["--name", "c", "--cdrom", "\(folder)/a.iso", "--disk", "path=\(folder)/p2/c.qcow2,size=0.1"])
        let xml = try Self.ask(daemon, "dumpxml", "c").text
        #expect(xml.contains("<source file='\(folder)/a.iso'"))
        for name in ["i", "c"] { #expect(try Self.ask(daemon, "destroy", name).status == 0) }
        let edit = try Program(
            ["/usr/bin/virt-xml", "--connect", Self.uri(daemon), "i", "--edit", "--memory", "200", "--define"])
        #expect(edit.status == 0, "\(edit.errors)")
        #expect(try Self.ask(daemon, "dominfo", "i").text.contains("Max memory:     204800 KiB"))
        let clone = try Program(
            ["/usr/bin/virt-clone", "--connect", Self.uri(daemon), "--original", "i", "--name", "j", "--auto-clone"])
        #expect(clone.status == 0, "\(clone.text)\(clone.errors)")
        #expect(try Self.ask(daemon, "domblklist", "j").text.contains("\(folder)/p/j.qcow2"))
    }

    @Test("virt-install takes an installer from a tree over HTTP", .enabled(if: hasVirtInstall && hasPython))
    func location() throws {
        let daemon = try DaemonProcess(emulator: Program.qemu)
        let script = """
            import http.server, subprocess, sys, threading, os
            os.chdir(sys.argv[1])
            class Quiet(http.server.SimpleHTTPRequestHandler):
                def log_message(self, *words): pass
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Quiet)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = 'http://127.0.0.1:%d/,kernel=vmlinuz,initrd=initrd' % server.server_port
            sys.exit(subprocess.call(sys.argv[2:] + ['--location', url]))
            """
        let tree = daemon.folder + "/tree"
        try HostFolder.make(tree)
        try HostFile.replace(tree + "/vmlinuz", with: try HostFile.contents(TestPrograms.kernel))
        try HostFile.replace(tree + "/initrd", with: try HostFile.contents(TestPrograms.initramfs))
        let output = try Program([
            "/usr/bin/python3", "-c", script, tree, "/usr/bin/virt-install", "--connect", Self.uri(daemon), "--name",
            "l", "--memory", "128", "--disk", "none", "--graphics", "none", "--extra-args", "console=ttyS0",
            "--osinfo", "detect=off,require=off", "--virt-type", "qemu", "--noautoconsole",
        ])
        #expect(output.status == 0, "\(output.text)\(output.errors)")
        let client = try daemon.client()
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "l")).dom
        let xml = try client.call(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: 0)).xml
        #expect(xml.contains("<cmdline>console=ttyS0</cmdline>"))
        _ = try client.call(Remote.DomainDestroy.self, .init(dom: domain))
    }

    @Test("Python's libvirt hears of a machine's life, of networks and pools", .enabled(if: hasPython))
    func python() throws {
        let daemon = try DaemonProcess()
        let xml = TestXML.domain("p", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        try HostFile.replace(daemon.folder + "/p.xml", with: Array(xml.utf8))
        let script = """
            import libvirt, sys, threading
            libvirt.virEventRegisterDefaultImpl()
            def turn():
                while True: libvirt.virEventRunDefaultImpl()
            threading.Thread(target=turn, daemon=True).start()
            conn = libvirt.open(sys.argv[1])
            conn.setKeepAlive(5, 3)
            seen, done = [], threading.Condition()
            def heard(word):
                with done:
                    seen.append(word)
                    done.notify()
            conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                lambda c, d, event, detail, o: heard('domain %d' % event), None)
            conn.networkEventRegisterAny(None, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE,
                lambda c, n, event, detail, o: heard('network %s %d' % (n.name(), event)), None)
            dom = conn.defineXML(open(sys.argv[2]).read())
            dom.create()
            assert dom.isActive() and dom.info()[0] == libvirt.VIR_DOMAIN_RUNNING
            assert conn.getAllDomainStats()[0][1]['vcpu.current'] == 1
            dom.suspend(); dom.resume(); dom.destroy(); dom.undefine()
            net = conn.networkLookupByName('default')
            net.destroy(); net.create()
            wanted = ['domain 0', 'domain 4', 'domain 2', 'domain 3', 'domain 4', 'domain 6', 'domain 5', 'domain 1',
                'network default 3', 'network default 2']
            with done:
                assert done.wait_for(lambda: len(seen) >= len(wanted), 60), seen
            assert seen == wanted, seen
            try:
                conn.lookupByName('p')
                sys.exit(1)
            except libvirt.libvirtError as error:
                assert error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN
            print('fine')
            """
        let output = try Program([
            "/usr/bin/python3", "-c", script, Self.uri(daemon), daemon.folder + "/p.xml",
        ])
        #expect(output.text.hasSuffix("fine\n"), "\(output.text)\(output.errors)")
    }
}
