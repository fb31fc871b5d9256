import Foundation
import Testing

/// A whole Debian from a disk, with systemd, its own initrd, an address by DHCP, and packages through the NAT.
@Suite(
    .serialized,
    .enabled(if: Repository.hasGuest, "needs 'make guest'"),
    .enabled(if: Repository.hasDebian, "needs 'make guest/debian.raw', which needs a Debian archive"))
struct DebianTests {
    @Test func debianBootsFromItsDiskAndInstallsAPackage() throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.raw")
        try #require(try runOnHost("cp", "--sparse=always", Repository.debianDisk, disk).status == 0)
        let payload = Data((0..<(8 << 20)).map { _ in UInt8.random(in: 0...255) })
        let archive = try Archive(folder, payload)
        let server = try HostWebServer(archive.files)

        let machine = try GuestMachine(
            ["-m", "512", "-smp", "2", "-nographic", "-accel", "tcg"]
                + ["-kernel", Repository.debianKernel, "-initrd", Repository.debianInitrd]
                + ["-append", "console=ttyS0 root=/dev/vda rw"]
                + ["-drive", "file=\(disk),if=none,id=disk0,format=raw", "-device", "virtio-blk-pci,drive=disk0"]
                + ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"])
        try machine.wait(for: "apus-debian login:")
        try machine.type("root")
        try machine.wait(for: "root@apus-debian")
        // A shell without colours, line editing and a prompt.
        try machine.type("exec env TERM=dumb PS1= sh +m")
        let state = try machine.output(
            of: "systemctl is-system-running --wait || systemctl --failed --no-legend --plain")
        #expect(state == "running")

        let address = try machine.output(
            of: "for i in $(seq 60); do ip -4 -o addr show scope global | grep . && break; sleep 1; done")
        #expect(address.contains("inet 10.0.2.15/24"), "\(address)")
        let source = "http://10.0.2.2:\(server.port)"
        let fetched = try machine.output(of: "wget -qO /root/payload \(source)/payload; sha256sum </root/payload")
        #expect(fetched == "\(archive.sum)  -")

        // What apt does with an archive: lists, then a package, each checked against the sums in the lists.
        _ = try machine.output(
            of: "rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] \(source)/ ./' >/etc/apt/sources.list")
        let updated = try machine.output(of: "apt-get -o Acquire::Languages=none update; echo status $?")
        #expect(updated.hasSuffix("status 0"), "\(updated)")
        let installed = try machine.output(of: "apt-get install -y apus-probe; echo status $?")
        #expect(installed.hasSuffix("status 0"), "\(installed)")
        // Once as it was written, and once from the disk.
        for _ in 0..<2 {
            let content = try machine.output(of: "sha256sum </usr/share/apus-probe/payload")
            #expect(content == "\(archive.sum)  -")
            _ = try machine.output(of: "sync; echo 3 >/proc/sys/vm/drop_caches")
        }

        #expect(try machine.output(of: "dmesg --level=emerg,alert,crit,err") == "")
        let log = try machine.output(of: "dmesg")
        for word in ["Oops", "BUG:", "WARNING:", "unchecked MSR", "soft lockup", "rcu_sched", "I/O error"] {
            #expect(!log.contains(word), "\(log)")
        }
        try machine.type("poweroff")
        #expect(try machine.status() == 0)

        // What it wrote is a file system without a fault.
        let check = try runOnHost("/usr/sbin/e2fsck", "-fn", disk)
        #expect(check.status == 0, "\(check.output)")
    }
}

/// A Debian archive of one package, which holds one file.
private struct Archive {
    /// Contents by path; the package's file is there by itself, too.
    let files: [String: Data]
    /// The SHA-256 sum of the file.
    let sum: String

    init(_ folder: TemporaryFolder, _ payload: Data) throws {
        let (tree, package) = (folder.path("tree"), folder.path("package.deb"))
        for path in ["\(tree)/DEBIAN", "\(tree)/usr/share/apus-probe"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        let file = "\(tree)/usr/share/apus-probe/payload"
        try payload.write(to: URL(fileURLWithPath: file))
        let control = """
            Package: apus-probe
            Version: 1
            Architecture: all
            Maintainer: Nobody <nobody@example.org>
            Description: A file that a test fetches

            """
        try Data(control.utf8).write(to: URL(fileURLWithPath: "\(tree)/DEBIAN/control"))
        let made = try runOnHost("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, package)
        try #require(made.status == 0, "\(made.output)")
        let content = try Data(contentsOf: URL(fileURLWithPath: package))
        let list = """
            \(control)Filename: ./apus-probe_1_all.deb
            Size: \(content.count)
            SHA256: \(try Self.sha256(package))

            """
        sum = try Self.sha256(file)
        files = ["/payload": payload, "/apus-probe_1_all.deb": content, "/Packages": Data(list.utf8)]
    }

    private static func sha256(_ path: String) throws -> String {
        String(try runOnHost("sha256sum", path).output.prefix(64))
    }
}
