import HostOS
import RPCWire
import TestSupport
import Testing

/// Under root's daemon each machine is another user, and sees a root, processes and a network of its own. Each of these
/// alone keeps it from another's disk.
@Suite(
    "Isolation of machines", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && TestPrograms.hasGuest && HostIdentity.userID == 0 && FileConfinement.isSupported,
        "needs root, Landlock, virsh and guest/"))
struct IsolationTests {
    private static var emulators: [String] {
        [TestPrograms.emulator] + (Program.exists(Program.qemu) ? [Program.qemu] : [])
    }

    private static func status(_ number: Int32, _ name: String) throws -> [String] {
        let text = String(decoding: try HostFile.contents("/proc/\(number)/status"), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
        return line.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().map(String.init)
    }

    private static func namespace(_ process: String, _ name: String) throws -> String {
        try HostFile.target(ofLink: "/proc/\(process)/ns/\(name)")
    }

    @Test("Each layer refuses another's disk; images are given back, also by the next daemon", arguments: emulators)
    func layers(emulator: String) throws {
        let folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-daemon-")
        defer { DaemonProcess.clear(folder) }
        var daemon: DaemonProcess? = try DaemonProcess(folder: folder, emulator: emulator)
        try HostFile.setPermissions(folder, 0o755)
        var virsh = Virsh(daemon: daemon!)
        for name in ["base", "other"] {
            try HostProgram.output(
                TestPrograms.imageTool, ["create", "-q", "-f", "qcow2", "\(folder)/\(name).qcow2", "16M"])
            try HostFile.setPermissions("\(folder)/\(name).qcow2", 0o600)
        }
        try HostProgram.output(
            TestPrograms.imageTool,
            ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "\(folder)/base.qcow2", "\(folder)/own.qcow2"])
        try HostFile.setOwner(folder + "/own.qcow2", 1234, group: 1235)
        let devices = """
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
            <source file='\(folder)/own.qcow2'/><target dev='vda' bus='virtio'/></disk><serial type='pty'/>
            """
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        try virsh("start", "m")
        let number = try #require(try DaemonProcess.machine(folder, "m"))
        // Users.
        let user = try #require(UInt32(try Self.status(number, "Uid")[0]))
        #expect(user >= 1_900_000_000)
        #expect(try Self.status(number, "CapEff") == ["0000000000004400"])
        #expect(try virsh("dumpxml", "m").contains("<label>+\(user):+\(user)</label>"))
        let own = try HostFile.details(folder + "/own.qcow2")
        #expect(own.owner == user && own.group == user)
        func reads(_ name: String) throws -> HostProgram {
            try HostProgram.run(
                "/usr/bin/setpriv",
                [
                    "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups", "head", "-c1",
                    "\(folder)/\(name).qcow2",
                ])
        }
        #expect(try reads("own").status == 0)
        #expect(try reads("base").status == 0)
        #expect(try reads("other").errors.contains("Permission denied"))
        // Roots and processes.
        let root = "/proc/\(number)/root"
        #expect(HostFile.status("\(root)\(folder)/own.qcow2").kind == .file)
        #expect(HostFile.status("\(root)\(folder)/other.qcow2").kind == .nothing)
        #expect(HostFile.status("\(root)/etc/shadow").kind == .nothing)
        #expect(try HostFolder.names(in: "\(root)/proc").compactMap { Int32($0) } == [1])
        #expect(try Self.status(number, "NSpid") == ["\(number)", "1"])
        // Networks.
        for name in ["mnt", "pid", "net", "ipc"] {
            #expect(try Self.namespace("\(number)", name) != Self.namespace("self", name))
        }
        let links = String(decoding: try HostFile.contents("/proc/\(number)/net/dev"), as: UTF8.self)
        #expect(links.split(separator: "\n").count == 3, "\(links)")
        // What the daemon asks of threads is meant for those of the host.
        try virsh("vcpupin", "m", "0", "0")
        let pinned = try HostFolder.names(in: "/proc/\(number)/task").filter { thread in
            let text = String(decoding: try HostFile.contents("/proc/\(number)/task/\(thread)/status"), as: UTF8.self)
            return text.contains("Cpus_allowed_list:\t0\n")
        }
        #expect(pinned.count == 1)
        // Neither its own image a second time nor another machine's attempt takes it away.
        for name in ["thief", "m"] {
            if name == "m" {
                #expect(try virsh.run("attach-disk", "m", folder + "/own.qcow2", "vdb", "--live").status == 1)
            } else {
                let other = xml.replacing("<name>m<", with: "<name>thief<")
                try HostFile.replace(folder + "/thief.xml", with: Array(other.utf8))
                #expect(try virsh.run("create", folder + "/thief.xml").errors.contains("lock"))
            }
            #expect(try HostFile.details(folder + "/own.qcow2").owner == user)
        }
        // What joins a machine is opened for it; what leaves it is its no more.
        try virsh("attach-disk", "m", folder + "/other.qcow2", "vdb", "--live", "--subdriver", "qcow2")
        #expect(try HostFile.details(folder + "/other.qcow2").owner == 0)
        // The next daemon.
        daemon?.kill()
        daemon = try DaemonProcess(folder: folder, emulator: emulator)
        virsh = Virsh(daemon: daemon!)
        #expect(try virsh("domstate", "m").contains("running"))
        try virsh("suspend", "m")
        try virsh("resume", "m")
        try virsh("vcpupin", "m", "0", "0")
        daemon?.kill()
        try HostProcess(number: number).kill()
        daemon = try DaemonProcess(folder: folder, emulator: emulator)
        virsh = Virsh(daemon: daemon!)
        #expect(try virsh("domstate", "m").contains("shut off"))
        let after = try HostFile.details(folder + "/own.qcow2")
        #expect(after.owner == 1234 && after.group == 1235)
        #expect(HostFile.attribute(folder + "/own.qcow2", "trusted.libvirt.security.ref_dac") == nil)
        #expect(try reads("base").status != 0)
        #expect(try HostFile.details(folder + "/base.qcow2").mode == 0o600)
    }

    @Test("Who looks at a screen over the network needs the host's; a label without a user leaves root")
    func needs() throws {
        let daemon = try DaemonProcess()
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        func start(_ devices: String, _ label: String = "") throws -> Int32 {
            let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
                .replacing("</devices>", with: "</devices>" + label)
            try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
            try virsh("create", folder + "/m.xml")
            return try #require(try DaemonProcess.machine(folder, "m"))
        }
        var number = try start("<graphics type='vnc' port='-1'/><video><model type='vga'/></video>")
        #expect(try Self.namespace("\(number)", "net") == Self.namespace("self", "net"))
        #expect(try Self.namespace("\(number)", "mnt") != Self.namespace("self", "mnt"))
        try virsh("destroy", "m")
        number = try start("", "<seclabel type='none' model='dac'/>")
        #expect(try Self.status(number, "Uid")[0] == "0")
        #expect(try Self.namespace("\(number)", "mnt") != Self.namespace("self", "mnt"))
        try virsh("destroy", "m")
        let image = folder + "/d.raw"
        try HostFile.replace(image, with: [UInt8](repeating: 0, count: 1 << 20))
        number = try start(
            """
            <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='\(image)'/>
            <target dev='vda' bus='virtio'/></disk>
            """, "<seclabel type='static' model='dac' relabel='yes'><label>+4321:+4322</label></seclabel>")
        #expect(try Self.status(number, "Uid")[0] == "4321")
        #expect(try HostFile.details(image).owner == 4321)
        try virsh("destroy", "m")
        #expect(try HostFile.details(image).owner == 0)
    }
}
