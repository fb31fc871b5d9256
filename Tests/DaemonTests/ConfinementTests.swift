import HostOS
import RPCWire
import TestSupport
import Testing

/// A machine's process reaches its own images and sockets. What else its guest makes it try, the kernel refuses.
@Suite("Confinement", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct ConfinementTests {
    private static let hosts = FileConfinement.isSupported
    private static var emulators: [String] {
        [TestPrograms.emulator] + (Program.exists(Program.qemu) ? [Program.qemu] : [])
    }

    @Test(
        "A machine that opens another's disk is refused; one that is given a disk has it",
        .enabled(if: hosts, "the kernel has no Landlock"), arguments: emulators)
    func disks(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        for name in ["own", "other", "more"] {
            try HostProgram.output(
                TestPrograms.imageTool, ["create", "-q", "-f", "qcow2", "\(folder)/\(name).qcow2", "16M"])
        }
        let devices = """
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
            <source file='\(folder)/own.qcow2'/><target dev='vda' bus='virtio'/></disk><serial type='pty'/>
            """
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        try virsh("start", "m")
        let label = try virsh("dumpxml", "m")
        #expect(label.contains("<seclabel type='dynamic' model='landlock' relabel='yes'>"))
        #expect(try virsh("dominfo", "m").contains("Security model: landlock"))
        #expect(try !virsh("dumpxml", "m", "--inactive").contains("landlock"))
        let open = """
            {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"x","filename":"\(folder)/other.qcow2"}}
            """
        let refused = try virsh("qemu-monitor-command", "m", open)
        // As root, another's disk is not even there: `IsolationTests` has what each layer does.
        let words = HostIdentity.userID == 0 ? "no such file" : "permission denied"
        #expect(refused.lowercased().contains(words), "\(refused)")
        try virsh("attach-disk", "m", folder + "/more.qcow2", "vdb", "--subdriver", "qcow2", "--live")
        try virsh("snapshot-create-as", "m", "top", "--disk-only", "--diskspec", "vdb,snapshot=no")
        try virsh("blockcommit", "m", "vda", "--active", "--pivot", "--wait")
        #expect(try virsh("domblklist", "m").contains("own.qcow2"))
        try virsh("destroy", "m")
        // Who asks for none has none.
        let free = xml.replacing("</devices>", with: "</devices><seclabel type='none' model='landlock'/>")
        let named = free.replacing("<name>m</name>", with: "<name>f</name>")
        try HostFile.replace(folder + "/f.xml", with: Array(named.utf8))
        try virsh("define", folder + "/f.xml")
        try virsh("start", "f")
        #expect(try virsh("qemu-monitor-command", "f", open).contains("\"return\""))
        #expect(try virsh("dumpxml", "f").contains("<seclabel type='none' model='landlock'/>"))
        try virsh("destroy", "f")
    }

    @Test(
        "Under root's daemon a machine has none of root's powers that it does not need, or is another user's",
        .enabled(if: hosts && HostIdentity.userID == 0, "needs root and Landlock"), arguments: emulators)
    func powers(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        try HostFile.setPermissions(daemon.folder, 0o755)
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        func start(_ label: String) throws -> String {
            let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
                .replacing("</devices>", with: "</devices>" + label)
            try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
            try virsh("create", folder + "/m.xml")
            let number = try #require(try DaemonProcess.machine(folder, "m"))
            let status = String(decoding: try HostFile.contents("/proc/\(number)/status"), as: UTF8.self)
            try virsh("suspend", "m")
            try virsh("destroy", "m")
            return status.filter { $0 != "\t" }
        }
        let own = try start("<seclabel type='none' model='dac'/>")
        // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE, CAP_IPC_LOCK.
        #expect(own.contains("CapEff:0000000000004406") && own.contains("CapBnd:0000000000004406"), "\(own)")
        let other = try start(
            "<seclabel type='static' model='dac' relabel='no'><label>nobody:nogroup</label></seclabel>")
        #expect(other.contains("Uid:65534655346553465534") && other.contains("CapEff:0000000000000000"), "\(other)")
    }

    @Test("Labels are completed and refused as libvirt does")
    func labels() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        func define(_ label: String) throws -> HostProgram {
            let xml = TestXML.domain("m").replacing("</devices>", with: "</devices>" + label)
            try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
            return try virsh.run("define", folder + "/m.xml")
        }
        for (label, words) in [
            ("<seclabel type='static' model='dac'/>", "XML error: security label is missing"),
            (
                "<seclabel type='none'/><seclabel type='none' model='dac'/>",
                "missing security model when using multiple"
            ),
            ("<seclabel type='dynamic' relabel='no'/>", "dynamic label type must use resource relabeling"),
        ] { #expect(try define(label).errors.contains(words), "\(label)") }
        // Who asks for a confinement that is not there does not run without it.
        for model in ["selinux", "apparmor", "nonsense"] {
            #expect(try define("<seclabel type='dynamic' model='\(model)'/>").status == 0)
            #expect(try virsh("dumpxml", "m").contains("<seclabel type='dynamic' model='\(model)' relabel='yes'/>"))
            let refused = try virsh.run("start", "m")
            #expect(refused.errors.contains("Security driver model '\(model)' is not available"), "\(refused)")
            try virsh("undefine", "m")
        }
        #expect(try virsh("capabilities").contains("<model>landlock</model>") == Self.hosts)
    }

    @Test("A confined machine starts no program", .enabled(if: hosts, "the kernel has no Landlock"))
    func programs() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        try HostFile.replace(daemon.folder + "/m.xml", with: Array(xml.utf8))
        try virsh("create", daemon.folder + "/m.xml")
        let command = "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:touch \(daemon.folder)/witness\"}}"
        _ = try virsh.run("qemu-monitor-command", "m", command)
        try virsh("suspend", "m")
        try virsh("resume", "m")
        #expect(HostFile.status(daemon.folder + "/witness").kind == .nothing)
        try virsh("destroy", "m")
    }

    private static let groups: String? = {
        guard HostIdentity.userID == 0 else { return nil }
        let mount = "/sys/fs/cgroup/cpu"
        guard HostFile.status(mount + "/cpu.shares").kind == .file else { return nil }
        let probe = mount + "/apus-test-\(HostIdentity.processID)"
        guard (try? HostFolder.make(probe)) != nil else { return nil }
        try? HostFile.removeFolder(probe)
        return mount
    }()

    @Test(
        "Shares of a machine that runs are its control group's, which goes with it",
        .enabled(if: groups != nil, "there are no control groups of version 1 for this user"))
    func shares() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let xml = TestXML.domain("m", devices: "<serial type='pty'/>", kernel: TestPrograms.kernel)
        let tuned = xml.replacing("<os>", with: "<cputune><shares>300</shares></cputune><os>")
        try HostFile.replace(daemon.folder + "/m.xml", with: Array(tuned.utf8))
        try virsh("create", daemon.folder + "/m.xml")
        let process = try #require(try DaemonProcess.machine(daemon.folder, "m"))
        let group = "\(try #require(Self.groups))/machine/apus-\(process)"
        func shares() throws -> String { String(decoding: try HostFile.contents(group + "/cpu.shares"), as: UTF8.self) }
        #expect(try shares() == "300\n")
        try virsh("schedinfo", "m", "--live", "--set", "cpu_shares=700")
        #expect(try shares() == "700\n")
        #expect(try virsh("dumpxml", "m").contains("<shares>700</shares>"))
        try virsh("destroy", "m")
        #expect(HostFile.status(group).kind == .nothing)
    }
}
