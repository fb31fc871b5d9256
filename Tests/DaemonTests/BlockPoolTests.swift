import Foundation
import HostOS
import TestSupport
import Testing

/// Pools of block devices, on loop devices of the test's own.
@Suite(
    "Pools of block devices", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && getuid() == 0 && HostFile.status("/usr/sbin/losetup").kind == .file
            && HostFile.status("/dev/loop-control").kind != .nothing, "needs root, virsh and loop devices"))
struct BlockPoolTests {
    /// A disk of 64 MiB that goes with the test.
    private final class Disk {
        let path: String
        private let file: String

        init(_ daemon: DaemonProcess) throws {
            file = daemon.folder + "/disk.img"
            try HostProgram.output("/usr/bin/truncate", ["-s", "64M", file])
            path = try HostProgram.output("/usr/sbin/losetup", ["-fP", "--show", file]).filter { $0 != "\n" }
        }

        var name: String { String(path.dropFirst("/dev/".count)) }

        deinit { _ = try? HostProgram.run("/usr/sbin/losetup", ["-d", path]) }
    }

    @Test(
        "The partitions of a disk",
        .enabled(if: HostFile.status("/usr/sbin/parted").kind == .file, "needs parted"))
    func disk() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let disk = try Disk(daemon)
        let first = "\(disk.name)p1"
        try virsh(
            "pool-define-as", "p", "disk", "--source-dev", disk.path, "--source-format", "gpt", "--target", "/dev")
        let unbuilt = try virsh.run("pool-start", "p")
        #expect(
            unbuilt.errors.contains(
                "Storage pool probe failed: Device '\(disk.path)' is unrecognized, requires build"))
        try virsh("pool-build", "p")
        let again = try virsh.run("pool-build", "p")
        #expect(
            again.errors.contains("Storage pool already built: Device '\(disk.path)' already formatted using 'gpt'"))
        try virsh("pool-start", "p")
        #expect(try virsh("pool-dumpxml", "p").contains("<freeExtent start='17408' end='67091968'/>"))
        let wrong = try virsh.run("vol-create-as", "p", "foo", "8M")
        #expect(wrong.errors.contains("invalid argument: invalid partition name 'foo', expected '\(first)'"))
        try virsh("vol-create-as", "p", first, "16M")
        try virsh("vol-create-as", "p", "\(disk.name)p2", "8M")
        let full = try virsh.run("vol-create-as", "p", "\(disk.name)p3", "60M")
        #expect(full.errors.contains("internal error: no large enough free extent"))
        let xml = try virsh("vol-dumpxml", first, "p")
        #expect(xml.contains("<volume type='block'>") && xml.contains("<capacity unit='bytes'>16777216</capacity>"))
        #expect(xml.contains("<extent start='1048576' end='17825792'/>"))
        #expect(try HostFile.size("/dev/" + first) == 16 << 20)
        #expect(try virsh("vol-pool", "/dev/" + first).contains("p"))
        let data = daemon.folder + "/data"
        try HostFile.replace(data, with: [UInt8](repeating: 0x5A, count: 1 << 20))
        try virsh("vol-upload", "--pool", "p", first, data)
        try virsh("vol-download", "--pool", "p", first, daemon.folder + "/back", "--length", "1048576")
        #expect(try HostFile.contents(daemon.folder + "/back") == HostFile.contents(data))
        let resized = try virsh.run("vol-resize", first, "20M", "--pool", "p")
        #expect(resized.errors.contains("storage pool does not support changing of volume capacity"))
        try virsh("vol-delete", "\(disk.name)p2", "--pool", "p")
        #expect(try virsh("vol-list", "p").contains(first) && !virsh("vol-list", "p").contains("\(disk.name)p2"))
        let second = try virsh.run(
            "pool-define-as", "q", "disk", "--source-dev", disk.path, "--target", "/dev")
        #expect(second.errors.contains("Storage source conflict with pool: 'p'"))
        try virsh("pool-destroy", "p")
        try virsh("pool-undefine", "p")
    }

    @Test(
        "A volume group",
        .enabled(if: HostFile.status("/usr/sbin/vgcreate").kind != .nothing, "needs lvm2"))
    func group() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let disk = try Disk(daemon)
        let group = "apus\(UInt32.random(in: 0...UInt32.max))"
        let missing = try virsh.run("pool-create-as", group, "logical", "--source-dev", disk.path)
        #expect(missing.errors.contains("Volume group \"\(group)\" not found"), "\(missing)")
        try virsh("pool-define-as", group, "logical", "--source-dev", disk.path)
        #expect(try virsh("pool-dumpxml", group).contains("<path>/dev/\(group)</path>"))
        try virsh("pool-build", group)
        defer {
            _ = try? virsh.run("pool-destroy", group)
            _ = try? virsh.run("pool-delete", group)
        }
        #expect(try virsh.run("pool-build", group).errors.contains("already formatted using 'lvm2'"))
        try virsh("pool-start", group)
        #expect(try virsh("pool-info", group).contains("60.00 MiB"))
        let sources = try virsh("find-storage-pool-sources", "logical")
        #expect(sources.contains("<device path='\(disk.path)'/>") && sources.contains("<name>\(group)</name>"))
        let made = try virsh.run("vol-create-as", group, "v", "8M")
        if String(decoding: try HostFile.contents("/proc/devices"), as: UTF8.self).contains("device-mapper") {
            #expect(made.status == 0, "\(made)")
            #expect(try HostFile.size("/dev/\(group)/v") == 8 << 20)
            try virsh("vol-resize", "v", "12M", "--pool", group)
            #expect(try HostFile.size("/dev/\(group)/v") == 12 << 20)
        } else {
            #expect(made.errors.contains("device-mapper"), "\(made)")
            try HostProgram.output(
                "/usr/sbin/lvcreate", ["--driverloaded", "n", "-an", "-Zn", "-Wn", "-n", "v", "-L", "8M", group])
            try virsh("pool-refresh", group)
        }
        #expect(try virsh("vol-list", group).contains("/dev/\(group)/v"))
        try virsh("vol-delete", "v", "--pool", group)
        #expect(try !virsh("vol-list", group).contains("/dev/\(group)/v"))
        try virsh("pool-destroy", group)
        try virsh("pool-delete", group)
        #expect(try HostProgram.run("/usr/sbin/vgs", [group]).status != 0)
    }

    @Test("A file system that is made on a device and mounted while the pool runs")
    func fileSystem() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let disk = try Disk(daemon)
        let folder = daemon.folder + "/mounted"
        try virsh(
            "pool-define-as", "f", "fs", "--source-dev", disk.path, "--source-format", "ext4", "--target", folder)
        try virsh("pool-build", "f", "--no-overwrite")
        try virsh("pool-start", "f")
        defer { _ = try? virsh.run("pool-destroy", "f") }
        try virsh("vol-create-as", "f", "a.qcow2", "8M", "--format", "qcow2")
        #expect(try virsh("vol-list", "f").contains(folder + "/a.qcow2"))
        try virsh("pool-destroy", "f")
        #expect(HostFile.status(folder + "/a.qcow2").kind == .nothing)
        try virsh("pool-start", "f")
        #expect(try virsh("vol-list", "f").contains("a.qcow2"))
    }

    @Test("Kinds that nobody has are refused, and others where the host lacks what they stand on")
    func refused() throws {
        let daemon = try DaemonProcess()
        let virsh = Virsh(daemon: daemon)
        let path = daemon.folder + "/p.xml"
        func define(_ kind: String) throws -> HostProgram {
            let xml = """
                <pool type='\(kind)'><name>p</name><source><host name='h'/><device path='/dev/none'/><name>n</name>
                <adapter name='host999'/></source><target><path>/dev/disk/by-path</path></target></pool>
                """
            try HostFile.replace(path, with: Array(xml.utf8))
            return try virsh.run("pool-define", path)
        }
        #expect(try define("rbd").errors.contains("missing backend for pool type 'rbd'"))
        var missing = [("scsi", "Failed to find SCSI host 'host999'")]
        for (kind, tool) in [("iscsi", "iscsiadm"), ("zfs", "zpool")]
        where try HostProgram.run("/usr/bin/which", [tool]).status != 0 {
            missing.append((kind, "Cannot find '\(tool)' in path"))
        }
        if !String(decoding: try HostFile.contents("/proc/devices"), as: UTF8.self).contains("device-mapper") {
            missing.append(("mpath", "this host's kernel has no device-mapper"))
        }
        for (kind, words) in missing {
            let defined = try define(kind)
            #expect(defined.status == 0, "\(kind): \(defined)")
            let started = try virsh.run("pool-start", "p")
            #expect(started.errors.contains(words), "\(kind): \(started)")
            try virsh("pool-undefine", "p")
        }
    }
}
