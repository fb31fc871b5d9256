import Foundation
import TestSupport
import Testing

/// A whole Debian on its ext4, in the middle of sums, writes to files and a sleep: saved and restored in a new process,
/// then there and back ten times while it runs. It takes minutes, so `make fuzz` alone does it.
@Suite(
    .serialized,
    .enabled(if: Repository.hasGuest && Repository.hasDebian, "needs 'make guest guest/debian.raw'"),
    .enabled(if: FuzzRounds.factor > 1, "'make fuzz' does this"))
struct MovedDebianTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path

    private func status(_ monitor: MonitorClient) throws -> String? {
        (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
    }

    private func go(_ monitor: MonitorClient, to address: String) throws {
        try monitor.execute("migrate", ["uri": address])
        let end = Date().addingTimeInterval(120)
        while true {
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            if known["status"] as? String == "completed" { return }
            try #require(known["status"] as? String != "failed" && Date() < end, "\(known)")
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    @Test(arguments: ["pc", "microvm"], [1, 2])
    func aFileSystemIsWholeWhereverItsMachineWas(board: String, processors: Int) throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        let made = try runOnHost(
            Self.image, "create", "-f", "qcow2", "-F", "raw", "-b", Repository.debianDisk, disk)
        try #require(made.status == 0, "\(made.output)")
        var count = 0
        func start(_ more: [String] = []) throws -> (GuestMachine, MonitorClient) {
            count += 1
            let socket = folder.path("qmp\(count)")
            let machine = try GuestMachine(
                [
                    "-accel", "tcg", "-M", board, "-m", "512", "-smp", "\(processors)", "-nodefaults", "-nographic",
                    "-serial", "stdio", "-monitor", "none", "-kernel", Repository.debianKernel, "-initrd",
                    Repository.debianInitrd, "-append", "console=ttyS0 root=/dev/vda rw", "-drive",
                    "file=\(disk),if=virtio,format=qcow2,iops=200", "-qmp", "unix:\(socket),server=on,wait=off",
                ] + more)
            return (machine, try MonitorClient(path: socket))
        }
        var (machine, monitor) = try start()
        try machine.wait(for: "apus-debian login:", seconds: 600)
        try machine.type("root")
        try machine.wait(for: "root@apus-debian")
        try machine.type("exec env TERM=dumb PS1= sh +m")
        _ = try machine.output(
            of: "dmesg -n 1; dmesg -C; systemctl is-system-running --wait; mkdir -p /root/work; cd /root/work; "
                + "dd if=/dev/urandom of=blob bs=64k count=64 2>/dev/null; sha256sum <blob >want; sync")
        // Files are written, synchronized, read and removed; sums of the kernel's cache; a sleep that is not to be long.
        _ = try machine.output(
            of: """
                (n=0; while [ ! -e stop ]; do cp blob copy.$n; sync copy.$n; echo 1 >/proc/sys/vm/drop_caches; \
                sha256sum <copy.$n | cmp -s - want || echo copy $n >>trouble; rm -f copy.$((n-4)); n=$((n+1)); \
                echo $n >copied; done; echo >copied.over) & \
                (n=0; while [ ! -e stop ]; do sha256sum <blob | cmp -s - want || echo sum $n >>trouble; n=$((n+1)); \
                echo $n >summed; done; echo >summed.over) & \
                (n=0; while [ ! -e stop ]; do a=$(date +%s%N); sleep 1; b=$(date +%s%N); n=$((n+1)); \
                [ $((b-a)) -ge 990000000 ] || echo slept $((b-a)) >>trouble; echo $n >slept; done; echo >slept.over) & true
                """)
        let since = try machine.clockZero()

        for round in 0...20 {
            Thread.sleep(forTimeInterval: Double.random(in: 0.1...0.6))
            let address = round == 0 ? "file:\(folder.path("state"))" : "unix:\(folder.path("door\(round)"))"
            let next: (GuestMachine, MonitorClient)
            if round == 0 {
                try go(monitor, to: address)
                try monitor.execute("quit")
                #expect(try machine.status() == 0)
                next = try start(["-incoming", address])
            } else {
                next = try start(["-incoming", address])
                try go(monitor, to: address)
                try monitor.execute("quit")
                #expect(try machine.status() == 0)
            }
            (machine, monitor) = next
            let end = Date().addingTimeInterval(60)
            while try status(monitor) != "running", Date() < end { Thread.sleep(forTimeInterval: 0.01) }
            try #require(try status(monitor) == "running")
        }
        let names = "copied summed slept"
        let rest = try machine.output(
            of: "for w in \(names); do was=$(cat $w); n=0; while [ \"$(cat $w)\" = \"$was\" ] && [ $n -lt 600 ]; do "
                + "sleep 0.1; n=$((n+1)); done; [ $n -lt 600 ] || echo $w stands; done; touch stop; for w in \(names); do "
                + "n=0; while [ ! -e $w.over ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; "
                + "[ -e $w.over ] || echo $w does not end; done; cat trouble 2>/dev/null; rm -f stop")
        #expect(rest == "")
        let now = try machine.clockZero()
        #expect(
            now.lowerBound - 0.1 <= since.upperBound && since.lowerBound - 0.1 <= now.upperBound,
            "The guest's clock was 0 at \(since), and after its travels at \(now)")
        let words = "Oops|BUG:|lockup|stall|I/O error|EXT4-fs error|unstable|hung|timeout|WARNING:"
        let complaints = try machine.output(of: "dmesg | grep -E '\(words)'")
        #expect(complaints == "", "\(complaints)")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
        let plain = folder.path("plain.raw")
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
        #expect(try runOnHost(Self.image, "convert", "-O", "raw", disk, plain).status == 0)
        let check = try runOnHost("/usr/sbin/e2fsck", "-fn", plain)
        #expect(check.status == 0, "\(check.output)")
    }
}
