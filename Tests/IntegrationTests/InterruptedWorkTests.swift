import Foundation
import TestSupport
import Testing

/// Debian's stock kernel with every disk controller, and with cards of every make, at work: saved at moments that
/// nobody chose, and gone on with in another process. `make fuzz` does it more often.
@Suite(.serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct InterruptedWorkTests {
    /// A machine that is in one process after another.
    private final class Traveller {
        let folder: TemporaryFolder
        private let arguments: [String]
        private(set) var machine: GuestMachine
        private var monitor: MonitorClient
        private var count = 0

        /// Boots, to a shell that says nothing of its own.
        init(_ folder: TemporaryFolder, _ more: [String]) throws {
            self.folder = folder
            arguments =
                [
                    "-accel", "tcg", "-m", "256", "-smp", "2", "-nodefaults", "-display", "none", "-serial", "stdio",
                    "-kernel", StockKernel.kernel, "-initrd", StockKernel.initramfs, "-append", "console=ttyS0",
                ] + more
            machine = try GuestMachine(arguments + ["-qmp", "unix:\(folder.path("qmp0")),server=on,wait=off"])
            monitor = try MonitorClient(path: folder.path("qmp0"))
            try machine.wait(for: "Type poweroff to end.")
            try machine.type("exec env PS1= sh +m")
            _ = try machine.output(of: "dmesg -n 1; killall udhcpc; modprobe -a nvme sd_mod sr_mod usb_storage")
        }

        /// To a file, and on from there in a process that has seen nothing of it.
        func move() throws {
            count += 1
            let state = folder.path("state\(count)")
            try monitor.execute("migrate", ["uri": "file:\(state)"])
            let end = Date().addingTimeInterval(120)
            var known = ""
            while known != "completed", Date() < end {
                let answer = try #require(try monitor.execute("query-migrate") as? [String: Any])
                known = answer["status"] as? String ?? ""
                try #require(known != "failed", "\(answer)")
                Thread.sleep(forTimeInterval: 0.005)
            }
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
            let socket = folder.path("qmp\(count)")
            machine = try GuestMachine(
                arguments + ["-qmp", "unix:\(socket),server=on,wait=off", "-incoming", "file:\(state)"])
            monitor = try MonitorClient(path: socket)
            while (try monitor.execute("query-status") as? [String: Any])?["status"] as? String != "running" {
                try #require(Date() < end, "It does not run")
                Thread.sleep(forTimeInterval: 0.005)
            }
            try FileManager.default.removeItem(atPath: state)
        }

        /// Moves again and again while the guest works, then ends the work: each worker has made rounds after the last
        /// move, nothing went wrong, and the kernel has nothing to complain of.
        func wander(_ workers: [String], times: Int) throws {
            for _ in 0..<times {
                Thread.sleep(forTimeInterval: Double.random(in: 0.05...0.3))
                try move()
            }
            let names = workers.joined(separator: " ")
            let late = try machine.output(
                of: "for w in \(names); do was=$(cat /count.$w); n=0; while [ \"$(cat /count.$w)\" = \"$was\" ] && "
                    + "[ $n -lt 900 ]; do sleep 0.1; n=$((n+1)); done; [ $n -lt 900 ] || echo $w; done")
            #expect(late == "", "These stand still: \(late)")
            let rest = try machine.output(
                of: "touch /stop; for w in \(names); do n=0; while [ ! -e /over.$w ] && [ $n -lt 900 ]; do sleep 0.1; "
                    + "n=$((n+1)); done; [ -e /over.$w ] || echo $w; done")
            #expect(rest == "", "These do not end: \(rest)")
            #expect(try machine.output(of: "cat /trouble 2>/dev/null") == "")
            let words =
                "error|fail|reset|timed out|timeout|lost interrupt|hung|stall|lockup|BUG|Oops|WARNING|WATCHDOG"
                + "|Detected Hardware|nobody cared|abort|exception|not responding|offline"
            #expect(try machine.output(of: "dmesg | grep -iE '\(words)'") == "")
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
        }
    }

    /// Pieces of the pattern that each disk gets at a time, of 64 KiB.
    private static let pieces = 24

    @Test(arguments: ["pc", "q35"])
    func disksGoOnInTheMiddleOfRequests(_ board: String) throws {
        let folder = try TemporaryFolder()
        let names = [board == "pc" ? "ide" : "ahci", "nvme", "xhci", "ehci", "scsi"]
        var arguments = ["-M", board]
        for name in names {
            // Sparse, and of another size each.
            let path = try folder.file("\(name).raw", [])
            try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 16 << 20)
            arguments += ["-drive", "file=\(path),format=raw,if=none,id=\(name)"]
        }
        let disc = try folder.file("disc.iso", (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 11) })
        arguments += ["-drive", "file=\(disc),format=raw,if=none,media=cdrom,id=disc"]
        arguments += ["-device", "ide-hd,drive=\(names[0]),bus=ide.0", "-device", "ide-cd,drive=disc,bus=ide.1"]
        arguments += ["-device", "nvme,drive=nvme,serial=n", "-device", "virtio-scsi-pci"]
        arguments += ["-device", "scsi-hd,drive=scsi", "-device", "qemu-xhci,id=x", "-device", "usb-ehci,id=e"]
        arguments += ["-device", "usb-storage,drive=xhci,bus=x.0", "-device", "usb-storage,drive=ehci,bus=e.0"]
        arguments += ["-audiodev", "none,id=a"]
        arguments +=
            board == "pc"
            ? ["-device", "AC97,audiodev=a"] : ["-device", "intel-hda", "-device", "hda-duplex,audiodev=a"]
        if board == "pc" {
            arguments += ["-fda", try folder.file("a.img", (0..<1_474_560).map { UInt8(truncatingIfNeeded: $0 >> 7) })]
        }
        let traveller = try Traveller(folder, arguments)
        let found = try traveller.machine.output(
            of: "n=0; while [ $(ls -d /sys/block/sd? /sys/block/nvme0n1 2>/dev/null | wc -l) != 5 ] && [ $n -lt 900 ]; "
                + "do sleep 0.1; n=$((n+1)); done; cd /sys/block; echo sd? nvme0n1; cd /")
        let disks = found.split(separator: " ").map(String.init)
        try #require(disks.count == 5, "\(found)")
        _ = try traveller.machine.output(
            of: "dd if=/dev/urandom of=/blob bs=64k count=\(Self.pieces) 2>/dev/null; want=$(sha256sum </blob); "
                + "disc=$(sha256sum </dev/sr0); own=$(sha256sum </bin/busybox); dmesg -c >/boot.log")
        // Writes a piece of the disk and reads it again, each by requests of its own; reads of the disc; and sums.
        _ = try traveller.machine.output(
            of: """
                for d in \(found); do (n=0; while [ ! -e /stop ]; do o=$((n % 6 * \(Self.pieces))); \
                dd if=/blob of=/dev/$d bs=64k seek=$o oflag=direct conv=notrunc 2>/said.$d || cat /said.$d >>/trouble; \
                s=$(dd if=/dev/$d bs=64k skip=$o count=\(Self.pieces) iflag=direct 2>/said.$d | sha256sum); \
                [ "$s" = "$want" ] || echo $d $n $s >>/trouble; n=$((n+1)); echo $n >/count.$d; done; \
                echo >/over.$d) & done; true
                """)
        _ = try traveller.machine.output(
            of: """
                (n=0; while [ ! -e /stop ]; do s=$(dd if=/dev/sr0 bs=32k iflag=direct 2>/said.sr0 | sha256sum); \
                [ "$s" = "$disc" ] || echo sr0 $n $s >>/trouble; n=$((n+1)); echo $n >/count.sr0; done; \
                echo >/over.sr0) & (n=0; while [ ! -e /stop ]; do s=$(sha256sum </bin/busybox); \
                [ "$s" = "$own" ] || echo sum $s >>/trouble; n=$((n+1)); echo $n >/count.sum; done; \
                echo >/over.sum) & true
                """)
        var workers = disks + ["sr0", "sum"]
        if board == "pc" {
            workers.append("fd0")
            _ = try traveller.machine.output(
                of: """
                    modprobe floppy; n=0; while [ ! -b /dev/fd0 ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n+1)); done; \
                    (n=0; first=; while [ ! -e /stop ]; do s=$(dd if=/dev/fd0 bs=512 count=36 iflag=direct 2>/said.fd0 \
                    | sha256sum); [ "$s" = "${first:=$s}" ] || echo fd0 $n $s >>/trouble; n=$((n+1)); \
                    echo $n >/count.fd0; done; echo >/over.fd0) & true
                    """)
        }
        if try traveller.machine.output(of: "command -v aplay") != "" {
            workers.append("sound")
            _ = try traveller.machine.output(
                of: """
                    (n=0; while [ ! -e /stop ]; do head -c 35280 /dev/zero | aplay -q -D plughw:0 -t raw -f S16_LE \
                    -r 44100 -c 2 2>/said.sound || cat /said.sound >>/trouble; n=$((n+1)); echo $n >/count.sound; \
                    done; echo >/over.sound) & true
                    """)
        }
        try traveller.wander(workers, times: FuzzRounds.times(board == "pc" ? 5 : 10))
    }

    /// Four cards in pairs, of which one each is in a room of its own, so that what they say takes the wire.
    @Test func cardsGoOnInTheMiddleOfTransfers() throws {
        let folder = try TemporaryFolder()
        var arguments = ["-M", "q35"]
        for (index, model) in ["e1000", "e1000e", "rtl8139", "virtio-net-pci"].enumerated() {
            arguments += [
                "-netdev", "hubport,id=n\(index),hubid=\(index / 2)",
                "-device", "\(model),netdev=n\(index),mac=52:54:00:00:07:0\(index)",
            ]
        }
        let traveller = try Traveller(folder, arguments)
        let machine = traveller.machine
        let cards = try (0..<4).map { index in
            try machine.output(of: "grep -l 52:54:00:00:07:0\(index) /sys/class/net/*/address | cut -d/ -f5")
        }
        try #require(Set(cards).count == 4 && cards.allSatisfy { $0.hasPrefix("eth") }, "\(cards)")
        _ = try machine.output(
            of: "dd if=/dev/urandom of=/blob bs=64k count=8 2>/dev/null; want=$(sha256sum </blob); "
                + "none=$(sha256sum </dev/null)")
        for pair in 0..<2 {
            let (near, far, peer) = (cards[pair * 2], cards[pair * 2 + 1], "10.\(pair).0.2")
            _ = try machine.output(
                of: """
                    unshare -n sleep 100000 & room=$!; sleep 0.2; ip link set \(far) netns $room; \
                    ip addr flush dev \(near); ip addr add 10.\(pair).0.1/24 dev \(near); ip link set \(near) up; \
                    echo 'ip addr add \(peer)/24 dev \(far); ip link set \(far) up; \
                    (while :; do nc -l -p 5100 -e cat /blob; done) & \
                    (while :; do nc -l -p 5200 -e sh -c "head -c 524288 | sha256sum"; done) & wait' >/room.\(pair); \
                    nsenter -t $room -n sh /room.\(pair) >/dev/null 2>&1 & true
                    """)
            // There, and back. Between two of its callers a server does not listen: that is tried again.
            _ = try machine.output(
                of: """
                    n=0; while ! ping -c 1 -W 1 \(peer) >/dev/null && [ $n -lt 90 ]; do n=$((n+1)); done; \
                    (n=0; while [ ! -e /stop ]; do s=$(nc \(peer) 5100 </dev/null 2>/dev/null | sha256sum); \
                    if [ "$s" = "$want" ]; then n=$((n+1)); echo $n >/count.down\(pair); \
                    elif [ "$s" != "$none" ]; then echo down\(pair) $n $s >>/trouble; else sleep 0.02; fi; done; \
                    echo >/over.down\(pair)) & \
                    (n=0; while [ ! -e /stop ]; do s=$(nc \(peer) 5200 </blob 2>/dev/null); \
                    if [ "$s" = "$want" ]; then n=$((n+1)); echo $n >/count.up\(pair); \
                    elif [ -n "$s" ]; then echo up\(pair) $n $s >>/trouble; else sleep 0.02; fi; done; \
                    echo >/over.up\(pair)) & true
                    """)
        }
        _ = try machine.output(of: "dmesg -c >/boot.log")
        try traveller.wander(["down0", "up0", "down1", "up1"], times: FuzzRounds.times(10))
    }
}
