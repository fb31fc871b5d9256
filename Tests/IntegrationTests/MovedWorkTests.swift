import Foundation
import TestSupport
import Testing

/// Debian's kernel in the middle of sums, writes to several kinds of disks, a transfer by TCP and a sleep: saved and
/// restored in a new process, moved there and back while it runs, and forked. `make fuzz` moves it more often.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MovedWorkTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path
    private static let blocks = 48

    /// A machine of a kind with its disks, on the network of a number.
    private final class Work {
        let folder: TemporaryFolder
        let board: String
        let processors: Int
        let port: UInt16
        private(set) var count = 0
        var disks: [String] { board == "pc" ? ["virtio", "ide", "scsi", "nvme"] : ["virtio", "scsi"] }

        init(_ board: String, _ processors: Int) throws {
            folder = try TemporaryFolder()
            (self.board, self.processors) = (board, processors)
            port = UInt16.random(in: 20_000..<60_000)
            for disk in disks {
                let made = try runOnHost(
                    MovedWorkTests.image, "create", "-f", "qcow2", folder.path("\(disk).qcow2"), "64M")
                #expect(made.status == 0)
            }
        }

        /// Options of the disks: few requests a second, so that some are on their way at any moment.
        private func drives(_ suffix: String) -> [String] {
            let device = board == "pc" ? "pci" : "device"
            var words = ["-device", "virtio-scsi-\(device)"]
            for disk in disks {
                let interface = disk == "ide" ? "if=ide" : disk == "virtio" ? "if=virtio" : "if=none"
                words += [
                    "-drive", "file=\(folder.path(disk + suffix)).qcow2,format=qcow2,\(interface),id=\(disk),iops=60",
                ]
            }
            words += ["-device", "scsi-hd,drive=scsi"]
            if board == "pc" { words += ["-device", "nvme,drive=nvme,serial=n"] }
            return words
        }

        func start(
            _ more: [String] = [], suffix: String = "", card: String = "02"
        ) throws -> (GuestMachine, MonitorClient) {
            count += 1
            let path = folder.path("m\(count)")
            let machine = try GuestMachine(
                booting: [
                    "-accel", "tcg", "-machine", board, "-smp", "\(processors)", "-m", "160", "-qmp",
                    "unix:\(path),server=on,wait=off",
                ] + MovedWorkTests.network(port, board == "pc" ? "pci" : "device", card) + drives(suffix) + more)
            return (machine, try MonitorClient(path: path))
        }
    }

    private static func network(_ port: UInt16, _ suffix: String, _ card: String) -> [String] {
        [
            "-netdev", "socket,id=net,mcast=239.1.2.3:\(port),localaddr=127.0.0.1", "-device",
            "virtio-net-\(suffix),netdev=net,mac=52:54:00:00:00:\(card)",
        ]
    }

    private func finish(_ monitor: MonitorClient, _ address: String) throws {
        try monitor.execute("migrate", ["uri": address])
        let end = Date().addingTimeInterval(120)
        var known: [String: Any] = [:]
        while Date() < end {
            known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            if ["completed", "failed", "cancelled"].contains(known["status"] as? String ?? "") { break }
            Thread.sleep(forTimeInterval: 0.02)
        }
        try #require(known["status"] as? String == "completed", "\(known)")
    }

    private func waitUntilRunning(_ monitor: MonitorClient) throws {
        let end = Date().addingTimeInterval(60)
        while Date() < end {
            if (try monitor.execute("query-status") as? [String: Any])?["status"] as? String == "running" { return }
            Thread.sleep(forTimeInterval: 0.01)
        }
        Issue.record("It does not run")
    }

    /// The work's devices in the guest, by the serial numbers of their kinds.
    private static let begin = """
        set -- /dev/vda /dev/sda /dev/sdb /dev/nvme0n1; disks=; for d in $*; do [ -b $d ] && disks="$disks $d"; done; \
        (while [ ! -e /stop ]; do sha256sum /bin/busybox; done >/sums; echo over >/summed) & \
        for d in $disks; do (n=0; while [ $n -lt \(blocks) ]; do dd if=/blob of=$d bs=64k count=1 seek=$n skip=$n \
        oflag=direct conv=notrunc 2>>/trouble || echo failed >>/trouble; n=$((n+1)); done; \
        echo over >/written.${d##*/}) & done; \
        (nc 10.9.0.1 5000 </dev/null | sha256sum >/received) & (sleep 6; echo woken >/slept) & true
        """

    /// All of both kinds, where there is time.
    private static let kinds: [(String, Int)] =
        FuzzRounds.factor > 1 ? [("pc", 1), ("pc", 2), ("microvm", 1), ("microvm", 2)] : [("pc", 2), ("microvm", 1)]

    @Test(arguments: kinds)
    func workGoesOnWhereverTheMachineIs(board: String, processors: Int) throws {
        let work = try Work(board, processors)
        // The other end of the transfer, which stays where it is: a piece now and then.
        let peer = try GuestMachine(
            booting: ["-accel", "tcg", "-machine", "microvm", "-m", "96"] + Self.network(work.port, "device", "01"))
        var (machine, monitor) = try work.start()
        for (guest, number) in [(peer, 1), (machine, 2)] {
            try guest.wait(for: "Type poweroff to end.")
            _ = try guest.shell("ip addr add 10.9.0.\(number)/24 dev eth0; ip link set eth0 up")
        }
        _ = try peer.shell("dd if=/dev/urandom of=/blob bs=64k count=\(Self.blocks) 2>/dev/null; echo made")
        _ = try peer.shell(
            "(nc -l -p 5000 -e sh -c 'n=0; while [ $n -lt \(Self.blocks) ]; do dd if=/blob bs=64k count=1 skip=$n "
                + "2>/dev/null; n=$((n+1)); sleep 0.2; done') & (nc -l -p 5001 -e cat /blob) & sleep 1")
        let wanted = try peer.output(of: "sha256sum </blob")
        let own = try machine.output(of: "nc 10.9.0.1 5001 >/blob; sha256sum </blob")
        try #require(own == wanted)
        _ = try machine.shell(Self.begin)
        let since = try machine.clockZero()

        // Saved while requests are on their way, and restored in another process.
        let state = work.folder.path("state")
        try finish(monitor, "file:\(state)")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        (machine, monitor) = try work.start(["-incoming", "file:\(state)"])
        try waitUntilRunning(monitor)

        // There and back while it runs.
        for round in 0..<2 * min(FuzzRounds.times(1), 10) {
            let door = "unix:\(work.folder.path("door\(round)"))"
            let (next, other) = try work.start(["-incoming", door])
            try finish(monitor, door)
            try waitUntilRunning(other)
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
            (machine, monitor) = (next, other)
        }
        // A copy goes on with the same work, and nobody to talk to.
        for disk in work.disks {
            let made = try runOnHost(
                Self.image, "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", work.folder.path("\(disk).qcow2"),
                work.folder.path("\(disk)-copy.qcow2"), "64M")
            #expect(made.status == 0)
        }
        let door = "unix:\(work.folder.path("fork"))"
        let (copy, copyMonitor) = try work.start(["-incoming", door], suffix: "-copy", card: "03")
        try copyMonitor.execute("set_link", ["name": "net", "up": false])
        try monitor.execute(
            "x-fork",
            [
                "children": [door],
                "overlays": work.disks.map { ["device": $0, "snapshot-file": work.folder.path("\($0)-own.qcow2")] },
            ])
        try waitUntilRunning(copyMonitor)
        try waitUntilRunning(monitor)

        for (guest, hasPeer) in [(machine, true), (copy, false)] {
            try check(guest, work, received: hasPeer ? wanted : nil)
        }
        // Its time is the host's, though nobody ran it for some moments.
        let now = try machine.clockZero()
        #expect(
            now.lowerBound - 0.1 <= since.upperBound && since.lowerBound - 0.1 <= now.upperBound,
            "The guest's clock was 0 at \(since), and after its travels at \(now)")
        for (guest, other) in [(machine, monitor), (copy, copyMonitor)] {
            try other.execute("quit")
            #expect(try guest.status() == 0)
        }
        for name in work.disks.flatMap({ [$0, "\($0)-own", "\($0)-copy"] }) {
            #expect(try runOnHost(Self.image, "check", work.folder.path("\(name).qcow2")).status == 0)
        }
        try peer.type("poweroff -f")
    }

    private func check(_ guest: GuestMachine, _ work: Work, received: String?) throws {
        // Before its console shows anything a copy has said nothing.
        let names = try guest.output(
            of: "touch /stop; while [ ! -e /summed ] || [ ! -e /slept ]; do sleep 0.1; done; for d in $disks; do "
                + "while [ ! -e /written.${d##*/} ]; do sleep 0.1; done; done; echo $disks")
        #expect(names.split(separator: " ").count == work.disks.count, "\(names)")
        #expect(try guest.output(of: "sort -u /sums | wc -l; cat /slept") == "1\nwoken")
        #expect(try guest.output(of: "cat /trouble | grep -ciE 'fail|error'") == "0")
        let sums = try guest.output(
            of: "echo 3 >/proc/sys/vm/drop_caches; sync; for d in $disks; do dd if=$d bs=64k count=\(Self.blocks) "
                + "iflag=direct 2>/dev/null | sha256sum; done | sort -u | cat - /dev/null; sha256sum </blob")
        // The kernel may say a word in between.
        let lines = sums.split(separator: "\n").filter { $0.hasSuffix("-") }
        #expect(lines.count == 2 && lines.first == lines.last, "\(sums)")
        if let received {
            #expect(
                try guest.output(
                    of: "n=0; while [ ! -s /received ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; cat /received"
                ) == received)
        }
        let log = try guest.output(of: "dmesg | grep -iE 'lockup|stall|BUG|Oops|I/O error|reset|timeout|unstable|hung'")
        let bad = ["lockup", "stall", "BUG:", "Oops", "I/O error", "hung", "timeout"]
        #expect(!bad.contains { log.contains($0) }, "\(log)")
    }
}
