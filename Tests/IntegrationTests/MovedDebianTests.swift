import Foundation
import TestSupport
import Testing

/// A whole Debian on its ext4, in the middle of sums, writes to files, a transfer by TCP and a sleep: saved and restored in
/// a new process, then there and back ten times while it runs, then forked. It takes minutes, so `make fuzz` alone does it.
@Suite(
    .serialized,
    .enabled(if: Repository.hasGuest && Repository.hasDebian, "needs 'make guest guest/debian.raw'"),
    .enabled(if: FuzzRounds.factor > 1, "'make fuzz' does this"))
struct MovedDebianTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path

    /// One Debian, its disk, and how processes of it are started.
    private final class Travels {
        let folder: TemporaryFolder
        let board: String
        let processors: Int
        let port = UInt16.random(in: 20_000..<60_000)
        private var count = 0
        var disk: String { folder.path("disk.qcow2") }

        init(_ board: String, _ processors: Int) throws {
            folder = try TemporaryFolder()
            (self.board, self.processors) = (board, processors)
            let made = try runOnHost(
                MovedDebianTests.image, "create", "-f", "qcow2", "-F", "raw", "-b", Repository.debianDisk, disk)
            try #require(made.status == 0, "\(made.output)")
        }

        static func network(_ port: UInt16, _ suffix: String, _ card: String) -> [String] {
            [
                "-netdev", "socket,id=net,mcast=239.1.2.4:\(port),localaddr=127.0.0.1", "-device",
                "virtio-net-\(suffix),netdev=net,mac=52:54:00:00:00:\(card)",
            ]
        }

        func start(_ more: [String] = [], disk: String? = nil) throws -> (GuestMachine, MonitorClient) {
            count += 1
            let socket = folder.path("qmp\(count)")
            let machine = try GuestMachine(
                [
                    "-accel", "tcg", "-M", board, "-m", "512", "-smp", "\(processors)", "-nodefaults", "-nographic",
                    "-serial", "stdio", "-monitor", "none", "-kernel", Repository.debianKernel, "-initrd",
                    Repository.debianInitrd, "-append", "console=ttyS0 root=/dev/vda rw", "-drive",
                    "file=\(disk ?? self.disk),if=virtio,format=qcow2,iops=200,id=disk",
                    "-qmp", "unix:\(socket),server=on,wait=off",
                ] + Self.network(port, board == "pc" ? "pci" : "device", "02") + more)
            return (machine, try MonitorClient(path: socket))
        }
    }

    private func status(_ monitor: MonitorClient) throws -> String? {
        (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
    }

    private func waitUntilRunning(_ monitor: MonitorClient) throws {
        let end = Date().addingTimeInterval(60)
        while try status(monitor) != "running", Date() < end { Thread.sleep(forTimeInterval: 0.01) }
        try #require(try status(monitor) == "running")
    }

    private func finish(_ monitor: MonitorClient) throws {
        let end = Date().addingTimeInterval(120)
        while true {
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            if known["status"] as? String == "completed" { return }
            try #require(known["status"] as? String != "failed" && Date() < end, "\(known)")
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// Where a machine waits that was told to take any port.
    private func door(_ monitor: MonitorClient) throws -> String {
        let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
        let place = try #require((known["socket-address"] as? [[String: Any]])?.first)
        return "tcp:127.0.0.1:\(place["port"] as? String ?? "")"
    }

    /// Files are written, synchronized, read and removed; sums of the kernel's cache; a sleep that is not to be long; bytes
    /// that come by TCP until their sender is told to end.
    private static let work = """
        (n=0; while [ ! -e stop ]; do cp blob copy.$n; sync copy.$n; echo 1 >/proc/sys/vm/drop_caches; \
        sha256sum <copy.$n | cmp -s - want || echo copy $n >>trouble; rm -f copy.$((n-4)); n=$((n+1)); \
        echo $n >copied; done; echo >copied.over) & \
        (n=0; while [ ! -e stop ]; do sha256sum <blob | cmp -s - want || echo sum $n >>trouble; n=$((n+1)); \
        echo $n >summed; done; echo >summed.over) & \
        (n=0; while [ ! -e stop ]; do a=$(date +%s%N); sleep 1; b=$(date +%s%N); n=$((n+1)); \
        [ $((b-a)) -ge 990000000 ] || echo slept $((b-a)) >>trouble; echo $n >slept; done; echo >slept.over) & \
        (bash -c 'exec 3<>/dev/tcp/10.9.0.1/5000; exec cat <&3' | sha256sum >received.part; \
        mv received.part received) & true
        """

    /// Waits until all kinds of work have gone on, and ends them: what went wrong.
    private static let end = """
        for w in copied summed slept; do was=$(cat $w); n=0; while [ "$(cat $w)" = "$was" ] && [ $n -lt 600 ]; do \
        sleep 0.1; n=$((n+1)); done; [ $n -lt 600 ] || echo $w stands; done; touch stop; for w in copied summed slept; do \
        n=0; while [ ! -e $w.over ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; \
        [ -e $w.over ] || echo $w does not end; done; cat trouble 2>/dev/null; rm -f stop
        """

    /// Another machine, which stays where it is and sends pieces of a file now and then; its sum of all that it sent.
    private func startPeer(_ travels: Travels) throws -> GuestMachine {
        let peer = try GuestMachine(
            booting: ["-accel", "tcg", "-machine", "microvm", "-m", "96"] + Travels.network(travels.port, "device", "01"))
        try peer.wait(for: "Type poweroff to end.")
        _ = try peer.shell("dmesg -n 1; ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up")
        _ = try peer.shell("dd if=/dev/urandom of=/blob bs=64k count=48 2>/dev/null; mkfifo /sent")
        _ = try peer.shell(
            "(sha256sum </sent >/sum.part; mv /sum.part /sum) & (nc -l -p 5000 -e sh -c 'n=0; while [ ! -e /stop ]; do "
                + "dd if=/blob bs=64k count=1 skip=$((n%48)) 2>/dev/null; n=$((n+1)); echo $n >/pieces; sleep 0.1; done | "
                + "tee /sent') & sleep 1")
        return peer
    }

    @Test(arguments: ["pc", "microvm"], [1, 2])
    func aFileSystemIsWholeWhereverItsMachineWas(board: String, processors: Int) throws {
        let travels = try Travels(board, processors)
        let folder = travels.folder
        let peer = try startPeer(travels)
        var (machine, monitor) = try travels.start()
        try machine.wait(for: "apus-debian login:", seconds: 600)
        try machine.type("root")
        try machine.wait(for: "root@apus-debian")
        try machine.type("exec env TERM=dumb PS1= sh +m")
        // The kernel says once that caches are dropped, unless it is told not to.
        _ = try machine.output(
            of: "systemctl is-system-running --wait; for d in $(ls /sys/class/net | grep -v lo); do "
                + "ip addr add 10.9.0.2/24 dev $d; ip link set $d up; done; echo 4 >/proc/sys/vm/drop_caches; "
                + "mkdir -p /root/work; cd /root/work; dd if=/dev/urandom of=blob bs=64k count=64 2>/dev/null; "
                + "sha256sum <blob >want; sync; sleep 2; dmesg -n 1; dmesg -C")
        _ = try machine.output(of: Self.work)
        let since = try machine.clockZero()

        for round in 0...20 {
            Thread.sleep(forTimeInterval: Double.random(in: 0.1...0.6))
            let next: (GuestMachine, MonitorClient)
            if round == 0 {
                let address = "file:\(folder.path("state"))"
                try monitor.execute("migrate", ["uri": address])
                try finish(monitor)
                try monitor.execute("quit")
                #expect(try machine.status() == 0)
                next = try travels.start(["-incoming", address])
            } else {
                next = try travels.start(["-incoming", "tcp:127.0.0.1:0"])
                try monitor.execute("migrate", ["uri": try door(next.1)])
                try finish(monitor)
                try monitor.execute("quit")
                #expect(try machine.status() == 0)
            }
            (machine, monitor) = next
            try waitUntilRunning(monitor)
        }

        // A copy does the same work with nobody to talk to, on a disk of its own.
        let (own, other) = (folder.path("own.qcow2"), folder.path("copy.qcow2"))
        let made = try runOnHost(
            Self.image, "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", travels.disk, other, "1G")
        try #require(made.status == 0, "\(made.output)")
        let way = "unix:\(folder.path("fork"))"
        let (copy, copyMonitor) = try travels.start(["-incoming", way], disk: other)
        try copyMonitor.execute("set_link", ["name": "net", "up": false])
        try monitor.execute(
            "x-fork", ["children": [way], "overlays": [["device": "disk", "snapshot-file": own]]])
        try waitUntilRunning(copyMonitor)
        try waitUntilRunning(monitor)
        try finish(monitor)

        let pieces = try peer.output(of: "n=$(cat /pieces); sleep 1; touch /stop; echo $n")
        #expect(Int(pieces) ?? 0 > 20, "\(pieces)")
        let sent = try peer.output(of: "while [ ! -e /sum ]; do sleep 0.1; done; cat /sum")
        let received = try machine.output(
            of: "n=0; while [ ! -e received ] && [ $n -lt 1200 ]; do sleep 0.1; n=$((n+1)); done; cat received")
        #expect(received == sent && sent.count > 64, "\(pieces) pieces")
        for (guest, disk) in [(machine, own), (copy, other)] {
            let rest = try guest.output(of: Self.end)
            #expect(rest == "")
            let now = try guest.clockZero()
            #expect(
                now.lowerBound - 0.1 <= since.upperBound && since.lowerBound - 0.1 <= now.upperBound,
                "The guest's clock was 0 at \(since), and after its travels at \(now)")
            let log = try guest.output(of: "dmesg")
            #expect(log == "", "\(log)")
            try guest.type("poweroff")
            #expect(try guest.status() == 0)
            let plain = folder.path("plain.raw")
            #expect(try runOnHost(Self.image, "check", disk).status == 0)
            #expect(try runOnHost(Self.image, "convert", "-O", "raw", disk, plain).status == 0)
            let check = try runOnHost("/usr/sbin/e2fsck", "-fn", plain)
            #expect(check.status == 0, "\(check.output)")
        }
        try peer.type("poweroff -f")
        #expect(try peer.status() == 0)
    }
}
