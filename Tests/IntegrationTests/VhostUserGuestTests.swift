import Foundation
import TestSupport
import Testing

/// A process that serves a machine by vhost-user, ended with the test.
final class BackendProcess {
    let process = Process()

    /// Starts a program and waits for the socket that it listens on.
    init(_ program: String, _ arguments: [String], socket: String) throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let end = Date().addingTimeInterval(20)
        while !FileManager.default.fileExists(atPath: socket), process.isRunning, Date() < end { usleep(5000) }
        try #require(FileManager.default.fileExists(atPath: socket), "\(program) has made no socket")
    }
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
    deinit { if process.isRunning { kill() } }
}

/// Devices whose work another program does, in Debian's stock kernel.
@Suite(.serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct VhostUserGuestTests {
    static let virtiofsd = "/usr/lib/qemu/virtiofsd"
    static let storageDaemon = "/usr/bin/qemu-storage-daemon"
    static let testpmd = "/usr/bin/dpdk-testpmd"
    static let shared = [
        "-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-machine", "memory-backend=mem",
    ]
    private static func exists(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

    private func serve(_ folder: TemporaryFolder, _ shared: String) throws -> BackendProcess {
        let socket = folder.path("fs.sock")
        try FileManager.default.createDirectory(atPath: shared, withIntermediateDirectories: true)
        return try BackendProcess(
            Self.virtiofsd, ["--socket-path=\(socket)", "-o", "source=\(shared)", "-o", "sandbox=chroot"],
            socket: socket)
    }

    @Test(
        .enabled(if: exists(virtiofsd) && getuid() == 0, "needs root and Debian's virtiofsd"),
        arguments: ["pc", "q35", "microvm"])
    func aGuestMountsAFileSystem(_ board: String) throws {
        let folder = try TemporaryFolder()
        let shared = folder.path("shared")
        let backend = try serve(folder, shared)
        let content = Data((0..<(5 << 20 | 77)).map { _ in UInt8.random(in: 0...255) })
        try content.write(to: URL(fileURLWithPath: shared + "/large"))
        let device = board == "microvm" ? "vhost-user-fs-device" : "vhost-user-fs-pci"
        let (machine, monitor) = try StockKernel.boot(
            folder,
            ["-M", board] + Self.shared
                + ["-chardev", "socket,id=c,path=\(folder.path("fs.sock"))"]
                + ["-device", "\(device),chardev=c,tag=host,queue-size=1024,id=fs"])
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        #expect(try run("modprobe virtiofs; mount -t virtiofs host /mnt && echo yes") == "yes")
        let sum = try runOnHost("sha256sum", shared + "/large").output.prefix(64)
        #expect(try run("sha256sum </mnt/large").hasPrefix(sum))
        let written = try run("head -c 3000001 /dev/urandom >/tmp/x; cp /tmp/x /mnt/written; sync; sha256sum </tmp/x")
        #expect(try runOnHost("sha256sum", shared + "/written").output.prefix(64) == written.prefix(64))
        // A program that comes by it runs: pages that another process fills are code here.
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: shared + "/busybox")
        let again = try run(
            "/mnt/busybox echo runs; echo 3 >/proc/sys/vm/drop_caches; /mnt/busybox sha256sum </mnt/large")
        #expect(again.hasPrefix("runs\n\(sum)"))
        #expect(
            try run(
                "mkdir /mnt/a && mv /mnt/written /mnt/a/moved && ls /mnt/a && ln -s moved /mnt/a/l && readlink /mnt/a/l"
            ) == "moved\nmoved")
        #expect(try monitor.human("info qtree").contains("dev: \(device), id \"fs\""))
        // What is open is in another process, and stays there.
        #expect(
            try monitor.human("migrate exec:cat").contains("State blocked by non-migratable device 'fs/vhost-user-fs'"))
        guard board == "q35" else {
            #expect(try run("umount /mnt && echo done") == "done")
            try machine.type("poweroff")
            #expect(try machine.status() == 0)
            return
        }
        // It is stopped and goes on; then its server dies, and the guest lives.
        _ = try monitor.human("stop")
        _ = try monitor.human("cont")
        #expect(try run("sha256sum </mnt/large").hasPrefix(sum))
        backend.kill()
        try machine.type("(cat /mnt/large | wc -c) & sleep 1")
        #expect(try run("echo alive") == "alive")
        _ = try monitor.human("quit")
        #expect(try machine.status() == 0)
        #expect(try machine.remainder().components(separatedBy: "the guest goes on without it").count == 2)
    }

    @Test(.enabled(if: exists(storageDaemon), "needs qemu-storage-daemon"))
    func aGuestUsesADiskOfAnotherProcess() throws {
        let folder = try TemporaryFolder()
        let image = folder.path("disk.raw")
        let content = Data((0..<(8 << 20)).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) })
        try content.write(to: URL(fileURLWithPath: image))
        let socket = folder.path("blk.sock")
        func serve() throws -> BackendProcess {
            try? FileManager.default.removeItem(atPath: socket)
            return try BackendProcess(
                Self.storageDaemon,
                ["--blockdev", "driver=file,node-name=disk,filename=\(image)"]
                    + [
                        "--export",
                        "type=vhost-user-blk,id=e,node-name=disk,writable=on,num-queues=2,addr.type=unix,addr.path=\(socket)",
                    ],
                socket: socket)
        }
        let first = try serve()
        let (machine, monitor) = try StockKernel.boot(
            folder,
            ["-M", "q35", "-smp", "2"] + Self.shared
                + [
                    "-chardev", "socket,id=c,path=\(socket),reconnect=1", "-device",
                    "vhost-user-blk-pci,chardev=c,num-queues=2,id=d",
                ])
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        let sum = try runOnHost("sha256sum", image).output.prefix(64)
        #expect(try run("sha256sum </dev/vda").hasPrefix(sum))
        #expect(try run("ls -1 /sys/block/vda/mq") == "0\n1")
        let written = try run(
            "head -c 2000000 /dev/urandom >/tmp/x; dd if=/tmp/x of=/dev/vda bs=64k seek=16 conv=fsync,notrunc 2>/dev/null; sha256sum </tmp/x"
        )
        let there = try runOnHost(
            "sh", "-c", "dd if=\(image) bs=1000000 count=2 skip=1048576 iflag=skip_bytes status=none | sha256sum")
        #expect(there.output.prefix(64) == written.prefix(64))
        // Its server dies in the middle of work, and another one takes the work over.
        try machine.type(
            "(for i in 1 2 3 4 5 6; do echo 3 >/proc/sys/vm/drop_caches; cat /dev/vda | sha256sum; done >/tmp/sums 2>&1; echo all'done') &"
        )
        usleep(100_000)
        first.kill()
        usleep(300_000)
        let second = try serve()
        try machine.wait(for: "alldone", seconds: 60)
        let now = try runOnHost("sha256sum", image).output.prefix(64)
        #expect(try run("sort -u /tmp/sums").hasPrefix(now))
        #expect(try run("sort -u /tmp/sums | wc -l; dmesg | grep -c 'I/O error'") == "1\n0")
        // A machine with it is saved; it goes on here.
        #expect(try monitor.human("migrate exec:cat>\(folder.path("state"))") == "")
        #expect(try monitor.human("info migrate").contains("completed"))
        _ = try monitor.human("cont")
        #expect(try run("sha256sum </dev/vda").hasPrefix(now))
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
        second.kill()
    }

    /// Perl by a share: it knows every family of sockets.
    @Test(.enabled(if: exists("/usr/bin/perl"), "needs perl"))
    func guestAndHostHaveSocketsBetweenThem() throws {
        let folder = try TemporaryFolder()
        let shared = folder.path("bin")
        try FileManager.default.createDirectory(atPath: shared, withIntermediateDirectories: true)
        _ = try runOnHost(
            "sh", "-c", "for f in /usr/bin/perl $(ldd /usr/bin/perl | grep -o '/[^ ]*'); do cp -L $f '\(shared)/'; done"
        )
        let path = folder.path("v.sock")
        let (machine, monitor) = try StockKernel.boot(
            folder,
            ["-virtfs", "local,path=\(shared),mount_tag=bin,security_model=none"]
                + ["-device", "virtio-vsock-pci,guest-cid=42,path=\(path),id=v"])
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        let perl = "/tmp/p/ld-linux-x86-64.so.2 --library-path /tmp/p /tmp/p/perl -e"
        let mount = "mount -t 9p -o trans=virtio,version=9p2000.L bin /mnt"
        #expect(
            try run(
                "modprobe -a 9pnet_virtio 9p vmw_vsock_virtio_transport; \(mount) && cp -r /mnt /tmp/p && umount /mnt && echo yes"
            )
                == "yes")
        // The host's program at a port; the guest sends and hears how much that was.
        let server = Process()
        server.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
        server.arguments = [
            "-e",
            #"socket(S,1,1,0); bind(S,pack("Sa*x",1,$ARGV[0])) or die; listen(S,1); accept(C,S); my ($n,$b)=(0); while (my $r=sysread(C,$b,65536)) { $n+=$r } syswrite(C,"$n bytes\n")"#,
            path + "_7000",
        ]
        try server.run()
        while !FileManager.default.fileExists(atPath: path + "_7000") { usleep(5000) }
        let send =
            #"socket(S,40,1,0) or die $!; connect(S,pack("SSLLx4",40,0,7000,2)) or die $!; my $d="x" x 1000; for (1..3000) { syswrite(S,$d) or die $! } shutdown(S,1); print <S>"#
        #expect(try run("\(perl) '\(send)'") == "3000000 bytes")
        // Nobody is at another.
        let none = #"socket(S,40,1,0); connect(S,pack("SSLLx4",40,0,7001,2)) or print "refused: $!""#
        #expect(try run("\(perl) '\(none)'").contains("refused: Connection reset by peer"))
        // A program of the guest's, which the host connects to; two at a time.
        let listen =
            #"socket(S,40,1,0); bind(S,pack("SSLLx4",40,0,900,4294967295)) or die $!; listen(S,5); while (accept(C,S)) { if (!fork) { my $l=<C>; syswrite(C,"you said $l" . ("y" x 500000)); exit } close C }"#
        try machine.type("\(perl) '\(listen)' & sleep 1; echo listens''now")
        try machine.wait(for: "listensnow")
        let ask =
            #"socket(S,1,1,0); connect(S,pack("Sa*x",1,$ARGV[0])) or die; syswrite(S,"CONNECT 900\nhello $ARGV[1]\n"); my $ok=<S>; my $l=<S>; print $ok=~/^OK \d+$/ ? "ok " : "no ", length($l), " ", substr($l,0,15)"#
        for number in 1...2 {
            #expect(try runOnHost("perl", "-e", ask, path, "\(number)").output.hasPrefix("ok "))
        }
        #expect(try monitor.human("info qtree").contains("guest-cid = 42"))
        // Saved and loaded: the connections are gone, and the guest hears it.
        _ = try monitor.human("migrate exec:cat>\(folder.path("state"))")
        #expect(try monitor.human("info migrate").contains("completed"))
        _ = try monitor.human("quit")
        #expect(try machine.status() == 0)
        #expect(!FileManager.default.fileExists(atPath: path))
        server.terminate()
    }

    /// DPDK's testpmd hands frames from one card to the other.
    @Test(.enabled(if: exists(testpmd) && getuid() == 0, "needs root and Debian's dpdk-dev with librte-net-vhost23"))
    func cardsOfAnotherProcessHaveAWireBetweenThem() throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.path("a.sock"), folder.path("b.sock"))
        let backend = try BackendProcess(
            Self.testpmd,
            ["--no-huge", "-m", "256", "--no-pci", "--file-prefix", "apus\(getpid())", "-l", "0-1"]
                + [
                    "--vdev", "net_vhost0,iface=\(first),queues=2", "--vdev", "net_vhost1,iface=\(second),queues=2",
                    "--",
                ]
                + ["--auto-start", "--forward-mode=io", "--total-num-mbufs=4096", "--rxq=2", "--txq=2"]
                + ["--stats-period", "1000"],
            socket: second)
        func card(_ id: String, _ path: String) -> [String] {
            [
                "-chardev", "socket,id=c\(id),path=\(path)", "-netdev", "vhost-user,id=n\(id),chardev=c\(id),queues=2",
                "-device", "virtio-net-pci,netdev=n\(id),mq=on,id=card\(id),mac=52:54:00:00:00:0\(id)",
            ]
        }
        let (machine, monitor) = try StockKernel.boot(
            folder, ["-M", "q35", "-smp", "2"] + Self.shared + card("1", first) + card("2", second))
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        #expect(try run("ls -1 /sys/class/net/eth0/queues") == "rx-0\nrx-1\ntx-0\ntx-1")
        #expect(try monitor.human("info network").contains("type=vhost-user"))
        let other = "nsenter -n -t $(cat /tmp/pid)"
        _ = try run("unshare -n sleep 1000 & echo $! >/tmp/pid; sleep 1; ip link set eth1 netns $(cat /tmp/pid)")
        _ = try run("\(other) ip addr add 10.9.0.2/24 dev eth1; \(other) ip link set eth1 up")
        _ = try run("ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up")
        #expect(try run("ping -c 2 -q 10.9.0.2 | grep -c ' 0% packet loss'") == "1")
        _ = try run("head -c 4000000 /dev/urandom >/tmp/x; \(other) httpd -p 80 -h /tmp")
        let sums = try run("sha256sum </tmp/x; wget -q -O - http://10.9.0.2/x | sha256sum")
        #expect(Set(sums.split(separator: "\n")).count == 1 && sums.contains("-"), "\(sums)")
        // Its link is its back-end's.
        #expect(try run("cat /sys/class/net/eth0/carrier") == "1")
        backend.kill()
        #expect(
            try run(
                "for i in $(seq 50); do [ $(cat /sys/class/net/eth0/carrier) = 0 ] && break; sleep 0.1; done; cat /sys/class/net/eth0/carrier"
            ) == "0")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
