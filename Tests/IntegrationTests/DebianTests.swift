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
        let sum = try Self.makeArchive(folder, payload)
        let server = try HostWebServer(folder.path("www"))

        let machine = try GuestMachine(
            ["-m", "512", "-smp", "2", "-nographic", "-accel", "tcg"]
                + ["-kernel", Repository.debianKernel, "-initrd", Repository.debianInitrd]
                + ["-append", "console=ttyS0 root=/dev/vda rw"]
                + ["-drive", "file=\(disk),if=none,id=disk0,format=raw", "-device", "virtio-blk-pci,drive=disk0"]
                + ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"])
        try machine.wait(for: "apus-debian login:", seconds: 180)
        try machine.type("root")
        try machine.wait(for: "root@apus-debian")
        // A shell without colours, line editing and a prompt.
        try machine.type("exec env TERM=dumb PS1= sh +m")
        let failed = try machine.shell("systemctl is-system-running --wait; systemctl --failed --no-legend --plain")
        #expect(failed.contains("\nrunning"), "\(failed)")

        let address = try machine.shell(
            "for i in $(seq 30); do ip -4 -o addr show scope global | grep . && break; sleep 1; done")
        #expect(address.contains("10.0.2.15/24"), "\(address)")
        let source = "http://10.0.2.2:\(server.port)"
        let fetched = try machine.shell("wget -qO /root/payload \(source)/payload; sha256sum /root/payload")
        #expect(fetched.contains(sum), "\(fetched)")

        // What apt does with an archive: lists, then a package, each checked against the sums in the lists.
        try machine.type(
            "rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] \(source)/ ./' >/etc/apt/sources.list")
        let updated = try machine.shell("apt-get -o Acquire::Languages=none update; echo update $?", seconds: 120)
        #expect(updated.contains("\nupdate 0"), "\(updated)")
        let installed = try machine.shell("apt-get install -y apus-probe; echo install $?", seconds: 180)
        #expect(installed.contains("\ninstall 0"), "\(installed)")
        let content = try machine.shell(
            "sha256sum /usr/share/apus-probe/payload; sync; echo 3 >/proc/sys/vm/drop_caches")
        #expect(content.contains(sum), "\(content)")
        // Once more, from the disk.
        #expect(try machine.shell("sha256sum /usr/share/apus-probe/payload").contains(sum))

        let log = try machine.shell("dmesg --level=emerg,alert,crit,err")
        for word in ["Oops", "BUG:", "soft lockup", "rcu_", "I/O error", "unstable"] {
            #expect(!log.contains(word), "\(log)")
        }
        try machine.type("poweroff")
        #expect(try machine.status(seconds: 60) == 0)

        // What it wrote is a file system without a fault.
        let check = try runOnHost("/usr/sbin/e2fsck", "-fn", disk)
        #expect(check.status == 0, "\(check.output)")
    }

    /// Puts an archive of one package, and the payload by itself, into the folder's `www`; returns the payload's sum.
    private static func makeArchive(_ folder: TemporaryFolder, _ payload: Data) throws -> String {
        let (tree, www) = (folder.path("tree"), folder.path("www"))
        for path in ["\(tree)/DEBIAN", "\(tree)/usr/share/apus-probe", www] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try payload.write(to: URL(fileURLWithPath: "\(tree)/usr/share/apus-probe/payload"))
        try payload.write(to: URL(fileURLWithPath: "\(www)/payload"))
        let control = """
            Package: apus-probe
            Version: 1
            Architecture: all
            Maintainer: Nobody <nobody@example.org>
            Description: A file that a test fetches

            """
        try Data(control.utf8).write(to: URL(fileURLWithPath: "\(tree)/DEBIAN/control"))
        let package = "\(www)/apus-probe_1_all.deb"
        let made = try runOnHost("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, package)
        try #require(made.status == 0, "\(made.output)")
        let size = try Data(contentsOf: URL(fileURLWithPath: package)).count
        let list = """
            \(control)Filename: ./apus-probe_1_all.deb
            Size: \(size)
            SHA256: \(try sha256(package))

            """
        try Data(list.utf8).write(to: URL(fileURLWithPath: "\(www)/Packages"))
        return try sha256("\(www)/payload")
    }

    private static func sha256(_ path: String) throws -> String {
        String(try runOnHost("sha256sum", path).output.prefix(64))
    }
}

/// busybox's web server on the host's loopback device.
private final class HostWebServer {
    let port: Int
    private let process = Process()

    init(_ folder: String) throws {
        // Below the ports that the kernel gives to outgoing connections.
        port = Int.random(in: 20000..<32000)
        process.executableURL = URL(fileURLWithPath: "/bin/busybox")
        process.arguments = ["httpd", "-f", "-p", "127.0.0.1:\(port)", "-h", folder]
        try process.run()
    }

    deinit { process.terminate() }
}
