import HostOS
import RPCWire
import TestSupport
import Testing

/// Checkpoints and backups of machines that run, by virsh.
@Suite("Checkpoints and backups", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct BackupTests {
    private static var emulators: [String] {
        [TestPrograms.emulator] + (Program.exists(Program.qemu) ? [Program.qemu] : [])
    }

    private static func start(_ daemon: DaemonProcess) throws -> Virsh {
        let (virsh, folder) = (Virsh(daemon: daemon), daemon.folder)
        let tool = TestPrograms.imageTool
        try HostProgram.output(tool, ["create", "-q", "-f", "qcow2", "\(folder)/d.qcow2", "16M"])
        try HostFile.replace(folder + "/raw", with: [UInt8](repeating: 0x5A, count: 1 << 20))
        try HostProgram.output(
            tool, ["convert", "-n", "-f", "raw", "-O", "qcow2", folder + "/raw", folder + "/d.qcow2"])
        let devices = """
            <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
            <source file='\(folder)/d.qcow2'/><target dev='vda' bus='virtio'/></disk><serial type='pty'/>
            """
        let xml = TestXML.domain("m", devices: devices, kernel: TestPrograms.kernel)
        try HostFile.replace(folder + "/m.xml", with: Array(xml.utf8))
        try virsh("define", folder + "/m.xml")
        try virsh("start", "m")
        return virsh
    }

    /// Waits until no backup is under way.
    private static func settle(_ virsh: Virsh) throws {
        let pause = Bell()
        for _ in 0..<600 {
            if try virsh("domjobinfo", "m").contains("None") { return }
            pause.wait(nanoseconds: 100_000_000)
        }
        Issue.record("the backup did not end")
    }

    @Test("Checkpoints are a tree; backups are written whole and since a checkpoint", arguments: emulators)
    func push(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let (virsh, folder) = (try Self.start(daemon), daemon.folder)
        try virsh("checkpoint-create-as", "m", "one")
        try virsh("checkpoint-create-as", "m", "two")
        #expect(try virsh("checkpoint-list", "m", "--tree").contains("one\n  |\n  +- two"))
        #expect(try virsh("checkpoint-info", "m", "two").contains("Parent:         one"))
        #expect(try virsh("checkpoint-dumpxml", "m", "one").contains("bitmap='one'"))
        let again = try virsh.run("checkpoint-create-as", "m", "one")
        #expect(again.errors.contains("domain checkpoint one already exists"))
        let whole = """
            <domainbackup mode='push'><disks><disk name='vda' type='file'><driver type='qcow2'/>
            <target file='\(folder)/whole.qcow2'/></disk></disks></domainbackup>
            """
        try HostFile.replace(folder + "/whole.xml", with: Array(whole.utf8))
        try virsh("backup-begin", "m", folder + "/whole.xml")
        try Self.settle(virsh)
        let checked = try HostProgram.output(TestPrograms.imageTool, ["check", folder + "/whole.qcow2"])
        #expect(checked.contains("No errors"))
        try HostProgram.output(
            TestPrograms.imageTool, ["convert", "-O", "raw", folder + "/whole.qcow2", folder + "/whole.raw"])
        #expect(try HostFile.contents(folder + "/whole.raw").prefix(1 << 20).allSatisfy { $0 == 0x5A })
        let part = whole.replacing("<disks>", with: "<incremental>one</incremental><disks>")
            .replacing("whole.qcow2", with: "part.qcow2")
        try HostFile.replace(folder + "/part.xml", with: Array(part.utf8))
        let since = "<domaincheckpoint><name>three</name></domaincheckpoint>"
        try HostFile.replace(folder + "/three.xml", with: Array(since.utf8))
        try virsh("backup-begin", "m", folder + "/part.xml", folder + "/three.xml")
        try Self.settle(virsh)
        // The guest has written nothing since: the copy holds nothing.
        let map = try HostProgram.output(
            TestPrograms.imageTool, ["map", "--output=json", "-f", "qcow2", folder + "/part.qcow2"])
        #expect(!map.contains("\"data\": true"), "\(map)")
        #expect(try virsh("checkpoint-list", "m", "--name").contains("three"))
        #expect(try virsh.run("backup-begin", "m", folder + "/part.xml").errors.contains("already exists"))
        try virsh("checkpoint-delete", "m", "two")
        #expect(try virsh("checkpoint-info", "m", "three").contains("Parent:         one"))
        try virsh("checkpoint-delete", "m", "one", "--children")
        #expect(try virsh("checkpoint-list", "m", "--name").filter { $0 != "\n" }.isEmpty)
        try virsh("destroy", "m")
    }

    @Test("A backup is fetched over NBD", arguments: emulators)
    func pull(emulator: String) throws {
        let daemon = try DaemonProcess(emulator: emulator)
        let (virsh, folder) = (try Self.start(daemon), daemon.folder)
        let xml = """
            <domainbackup mode='pull'><server transport='unix' socket='\(folder)/nbd'/>
            <disks><disk name='vda' type='file'><scratch file='\(folder)/scratch.qcow2'/></disk></disks></domainbackup>
            """
        try HostFile.replace(folder + "/pull.xml", with: Array(xml.utf8))
        let since = "<domaincheckpoint><name>one</name></domaincheckpoint>"
        try HostFile.replace(folder + "/one.xml", with: Array(since.utf8))
        try virsh("backup-begin", "m", folder + "/pull.xml", folder + "/one.xml")
        #expect(try virsh("backup-dumpxml", "m").contains("<domainbackup mode='pull'"))
        #expect(try virsh.run("backup-begin", "m", folder + "/pull.xml").errors.contains("under way"))
        let export = "nbd+unix:///vda?socket=\(folder)/nbd"
        try HostProgram.output(TestPrograms.imageTool, ["convert", "-f", "raw", "-O", "raw", export, folder + "/copy"])
        #expect(try HostFile.contents(folder + "/copy").prefix(1 << 20).allSatisfy { $0 == 0x5A })
        try virsh("domjobabort", "m")
        #expect(HostFile.status(folder + "/scratch.qcow2").kind == .nothing)
        #expect(try virsh("domjobinfo", "m").contains("None"))
        // What changed since: nothing, and the export says so.
        let part = xml.replacing("<server", with: "<incremental>one</incremental><server")
        try HostFile.replace(folder + "/part.xml", with: Array(part.utf8))
        try virsh("backup-begin", "m", folder + "/part.xml")
        if Program.exists("/usr/bin/qemu-img") {
            let options =
                "driver=nbd,export=vda,server.type=unix,server.path=\(folder)/nbd,"
                + "x-dirty-bitmap=qemu:dirty-bitmap:backup-vda"
            let map = try HostProgram.output("/usr/bin/qemu-img", ["map", "--output=json", "--image-opts", options])
            // With a bitmap in place of the allocation, what is dirty is told as no data.
            #expect(map.contains("\"data\": true"), "\(map)")
            #expect(!map.contains("\"data\": false"), "\(map)")
        }
        try virsh("domjobabort", "m")
        try virsh("destroy", "m")
    }
}
