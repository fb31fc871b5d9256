import Foundation
import Testing

/// Devices whose rings the host's kernel works. Few hosts of tests have the kernel's vhost, so that the host is a guest
/// here: in a machine of ours Debian's kernel, in that our program again, and in its machine the guest that is asked.
@Suite(
    .serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"),
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/perl"), "needs perl"))
struct KernelVhostTests {
    /// A folder with programs and the libraries that they need, flat.
    private func pack(_ folder: String, _ programs: [String]) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for program in programs {
            let copied = try runOnHost(
                "sh", "-c",
                "cp -L '\(program)' '\(folder)/'; for f in $(ldd '\(program)' | grep -o '/[^ ]*'); do cp -Lu $f '\(folder)/'; done")
            try #require(copied.status == 0, "\(copied.output)")
        }
    }

    @Test func framesAndSocketsOfAGuestAreMovedByTheKernel() throws {
        let folder = try TemporaryFolder()
        let shared = folder.path("bin")
        try pack(shared, [Repository.program])
        try pack(shared + "/perl", ["/usr/bin/perl"])
        for (file, name) in [(StockKernel.kernel, "vmlinuz"), (StockKernel.initramfs, "initramfs")] {
            try FileManager.default.copyItem(atPath: file, toPath: "\(shared)/\(name)")
        }
        let (machine, _) = try StockKernel.boot(
            folder,
            ["-m", "1024", "-cpu", "max", "-smp", "2"]
                + ["-virtfs", "local,path=\(shared),mount_tag=bin,security_model=none"])
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        let mount = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 bin /mnt"
        #expect(
            try run(
                "modprobe -a 9pnet_virtio 9p tun vhost_net vhost_vsock; \(mount) && cp -r /mnt /tmp/p && umount /mnt && echo yes")
                == "yes")

        // The inner machine, with its console on files.
        let arguments =
            "-M microvm -m 160 -nodefaults -display none -serial stdio -kernel /tmp/p/vmlinuz -initrd /tmp/p/initramfs"
            + " -append console=ttyS0 -device vhost-vsock-device,guest-cid=5"
            + " -netdev tap,id=n,ifname=inner,script=no,downscript=no,vhost=on,vhostforce=on"
            + " -device virtio-net-device,netdev=n,mac=52:54:00:00:00:05"
        try machine.type(
            "mkfifo /tmp/in; cd /tmp/p; ./ld-linux-x86-64.so.2 --library-path /tmp/p ./apus-vmm \(arguments)"
                + " </tmp/in >/tmp/out 2>&1 & exec 3>/tmp/in; cd /")
        func waitInside(_ text: String) throws -> String {
            try run("for i in $(seq 1000); do grep -q '\(text)' /tmp/out && break; sleep 0.2; done; grep -B 4 '\(text)' /tmp/out | tail -n 5")
        }
        func inside(_ command: String) throws -> String {
            let mark = "mark\(UInt32.random(in: 0..<1_000_000))"
            try machine.type("echo '\(command); echo \(mark.prefix(4))\"\"\(mark.dropFirst(4))' >&3")
            return try waitInside(mark)
        }
        #expect(try waitInside("Type poweroff to end").contains("Type poweroff"))
        // The kernel's threads that do the work: of the card's pair of queues, and of the sockets.
        #expect(try run("cat /proc/[0-9]*/comm | grep -c '^vhost-'") == "2")

        // TCP both ways, with what each card leaves to the other.
        _ = try run("ip addr add 10.9.0.1/24 dev inner; ip link set inner up; mkdir /tmp/www")
        _ = try run("tar -C /tmp/p/perl -cf /tmp/www/perl.tar . && httpd -p 10.9.0.1:80 -h /tmp/www")
        let sum = try run("sha256sum </tmp/www/perl.tar").prefix(64)
        let up = "dmesg -n 1; ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up"
        #expect(try inside("\(up); ping -c 3 -W 5 10.9.0.1 | tail -n 2").contains("3 packets received, 0% packet loss"))
        let fetched = try inside("wget -q -O /tmp/perl.tar http://10.9.0.1/perl.tar; sha256sum </tmp/perl.tar")
        #expect(fetched.contains(sum), "\(fetched)")
        _ = try inside("httpd -p 10.9.0.2:80 -h /tmp")
        #expect(try run("wget -q -O - http://10.9.0.2/perl.tar | sha256sum").hasPrefix(sum))

        // A program of the host's kernel finds the guest by its number, and hears from it.
        _ = try inside("mkdir /tmp/perl; tar -C /tmp/perl -xf /tmp/perl.tar; modprobe vmw_vsock_virtio_transport")
        let perl = "perl/ld-linux-x86-64.so.2 --library-path"
        let listen =
            #"socket(S,40,1,0); bind(S,pack(q(SSLLx4),40,0,900,4294967295)) or die $!; listen(S,5); $|=1; print qq(lis).qq(tens\n); accept(C,S); my $l=<C>; syswrite(C,qq(you said $l) . (q(y) x 500000)); shutdown(C,1); <C>"#
        try machine.type("cat >&3 <<'END'\n/tmp/\(perl) /tmp/perl /tmp/perl/perl -e '\(listen)'\nEND\n")
        #expect(try waitInside("^listens").contains("listens"))
        let ask =
            #"socket(S,40,1,0); connect(S,pack(q(SSLLx4),40,0,900,5)) or die $!; syswrite(S,qq(hello\n)); my $l=<S>; my $r; { local $/; $r=<S> } print $l, length($r)"#
        #expect(try run("/tmp/p/\(perl) /tmp/p/perl /tmp/p/perl/perl -e '\(ask)'") == "you said hello\n500000")

        // Its end is theirs.
        try machine.type("echo poweroff >&3")
        #expect(try run("for i in $(seq 100); do [ -e /sys/class/net/inner ] || break; sleep 0.2; done; ls /sys/class/net") == "lo")
        #expect(try run("cat /proc/[0-9]*/comm | grep -c '^vhost-'") == "0")
        #expect(!(try run("cat /tmp/out")).contains("goes on without it"))
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
