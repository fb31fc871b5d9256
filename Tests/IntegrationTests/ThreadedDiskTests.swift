import Foundation
import Testing

/// Disks whose requests are served by threads of `-object iothread`.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct ThreadedDiskTests {
    /// Has the guest write all the time, over the whole disk, until a file is gone.
    private static func startLoad(_ disk: String, _ machine: GuestMachine) throws {
        _ = try machine.output(
            of: "touch /load.\(disk); (n=1; i=0; while [ -e /load.\(disk) ]; do n=$(( (n * 75 + 74) % 500 )); "
                + "i=$((i + 1)); dd if=/bin/busybox of=/dev/\(disk) bs=32k count=2 skip=$((i % 20)) seek=$n conv=notrunc "
                + "oflag=direct 2>/dev/null && echo $i >/written.\(disk); done; echo >/loadend.\(disk)) & true")
    }

    /// Nanoseconds of processor time that a thread of a process has had.
    private static func time(of thread: Int, in process: Int32) throws -> UInt64 {
        let text = try String(contentsOfFile: "/proc/\(process)/task/\(thread)/schedstat", encoding: .utf8)
        return UInt64(text.prefix { $0 != " " }) ?? 0
    }

    /// Hot-added disks on two threads, one with two queues, go through snapshots, a job, growth and their removal while
    /// the guest writes to both.
    @Test func threadsServeDisksThroughEverything() throws {
        let bench = try LiveJobTests.Bench(
            chain: ["disk.qcow2"],
            more: [
                "-smp", "2", "-object", "iothread,id=io1", "-object", "iothread,id=io2", "-device",
                "virtio-scsi-pci,id=scsi0,iothread=io2,num_queues=2",
            ])
        let (machine, monitor) = (bench.machine, bench.monitor)
        _ = try machine.output(of: "modprobe sd_mod")
        for (name, driver) in [("one", "virtio-blk-pci"), ("two", "scsi-hd")] {
            try LiveJobTests.run("create", "-q", "-f", "qcow2", bench.folder.path(name), "32M")
            try monitor.execute(
                "blockdev-add",
                [
                    "driver": "qcow2", "node-name": name,
                    "file": ["driver": "file", "filename": bench.folder.path(name)],
                ])
            var device: [String: Any] = ["driver": driver, "drive": name, "id": "\(name)-device"]
            if driver == "scsi-hd" {
                device["bus"] = "scsi0.0"
            } else {
                (device["iothread"], device["num-queues"]) = ("io1", 2)
            }
            try monitor.execute("device_add", device)
        }
        _ = try machine.output(of: "until [ -b /dev/vdb ] && [ -b /dev/sda ]; do sleep 0.05; done")
        #expect(try machine.output(of: "ls /sys/block/vdb/mq | wc -l; ls /sys/block/sda/mq | wc -l") == "2\n2")
        let threads = try (monitor.execute("query-iothreads") as? [[String: Any]] ?? [])
            .reduce(into: [String: Int]()) { $0[$1["id"] as? String ?? ""] = $1["thread-id"] as? Int }
        let before = try threads.mapValues { try Self.time(of: $0, in: machine.identifier) }
        #expect(before.count == 2)

        for disk in ["vdb", "sda"] { try Self.startLoad(disk, machine) }
        for name in ["one", "two"] {
            try monitor.execute(
                "blockdev-snapshot-sync",
                [
                    "node-name": name, "snapshot-file": bench.folder.path("\(name).top"),
                    "snapshot-node-name": "\(name)-top",
                ])
        }
        _ = try machine.output(
            of: "for d in vdb sda; do w=$(cat /written.$d 2>/dev/null || echo 0); "
                + "while [ $(cat /written.$d 2>/dev/null || echo 0) -lt $((w + 12)) ]; do sleep 0.05; done; done")
        // One gets everything into its overlay, the other goes back into its base.
        try monitor.execute("block-stream", ["device": "one-top", "job-id": "stream"])
        try monitor.execute("block-commit", ["device": "two-top", "job-id": "commit"])
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try monitor.execute("block-job-complete", ["device": "commit"])
        for _ in 0..<2 { #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil) }
        for (node, disk) in [("one-top", "vdb"), ("two", "sda")] {
            try monitor.execute("block_resize", ["node-name": node, "size": 48 << 20])
            let size = try machine.output(
                of: "n=0; while [ $(cat /sys/block/\(disk)/size) != 98304 -a $n -lt 200 ]; do sleep 0.05; "
                    + "n=$((n + 1)); done; cat /sys/block/\(disk)/size; "
                    + "dd if=/bin/busybox of=/dev/\(disk) bs=64k seek=700 count=6 conv=fsync,notrunc 2>&1 | tail -1")
            #expect(size == "98304\n6+0 records out", "\(disk): \(size)")
        }
        _ = try machine.output(
            of: "rm -f /load.*; while [ ! -e /loadend.vdb -o ! -e /loadend.sda ]; do sleep 0.1; done; sync")
        #expect((Int(try machine.output(of: "cat /written.vdb")) ?? 0) > 12)
        let sums = try ["vdb", "sda"].map {
            try machine.output(of: "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/\($0)")
        }
        for (name, thread) in threads {
            let time = try Self.time(of: thread, in: machine.identifier)
            #expect(time > (before[name] ?? 0) + 1_000_000, "\(name) has done nothing")
        }
        for name in ["one", "two"] {
            try monitor.execute("device_del", ["id": "\(name)-device"])
            _ = try bench.wait(for: "DEVICE_DELETED")
        }
        _ = try machine.output(of: "until [ ! -e /dev/vdb -a ! -e /dev/sda ]; do sleep 0.05; done")
        try bench.end()
        #expect(try bench.sum(of: "one.top") == sums[0])
        #expect(try bench.sum(of: "two") == sums[1])
    }

    /// Two disks share a limit by nodes above and below the format; one has a snapshot taken and a job run meanwhile.
    @Test func aThrottledDiskGoesThroughSnapshotsAndJobs() throws {
        let bench = try LiveJobTests.Bench(
            chain: ["disk.qcow2"], more: ["-object", "throttle-group,id=tg,x-iops-total=400"])
        let (machine, monitor) = (bench.machine, bench.monitor)
        for name in ["one", "two"] {
            try LiveJobTests.run("create", "-q", "-f", "qcow2", bench.folder.path(name), "32M")
        }
        let file = ["driver": "file", "filename": bench.folder.path("one")]
        try monitor.execute(
            "blockdev-add",
            [
                "driver": "throttle", "node-name": "above", "throttle-group": "tg",
                "file": ["driver": "qcow2", "node-name": "one", "file": file] as [String: Any],
            ])
        let below: [String: Any] = [
            "driver": "throttle", "throttle-group": "tg",
            "file": ["driver": "file", "filename": bench.folder.path("two")],
        ]
        try monitor.execute("blockdev-add", ["driver": "qcow2", "node-name": "two", "file": below])
        for (node, id) in [("above", "a"), ("two", "b")] {
            try monitor.execute("device_add", ["driver": "virtio-blk-pci", "drive": node, "id": id])
        }
        _ = try machine.output(of: "until [ -b /dev/vdb ] && [ -b /dev/vdc ]; do sleep 0.05; done")
        // 40 at once, the rest at 400 a second for both together.
        func seconds() throws -> Double {
            let begin = Date()
            _ = try machine.output(
                of:
                    "for d in vdb vdc; do dd if=/bin/busybox of=/dev/$d bs=4k count=240 oflag=direct 2>/dev/null & done; "
                    + "wait")
            return Date().timeIntervalSince(begin)
        }
        let slow = try seconds()
        #expect(slow > 1.0, "\(slow)")
        let wrong =
            ["path": "/objects/tg", "property": "limits", "value": ["bps-total": 5, "bps-read": 5]] as [String: Any]
        #expect(try monitor.failure("qom-set", wrong).hasPrefix("bps/iops/max total values and read/write values"))
        try monitor.execute(
            "qom-set", ["path": "/objects/tg", "property": "limits", "value": ["iops-total": 0] as [String: Any]])
        let limits = try monitor.execute("qom-get", ["path": "/objects/tg", "property": "limits"]) as? [String: Any]
        #expect(
            limits?["iops-total"] as? Int == 0 && limits?["bps-read-max-length"] as? Int == 1 && limits?.count == 19)
        let quick = try seconds()
        #expect(quick < slow, "\(quick), \(slow)")
        // The overlay goes between the filter and its image, and back.
        try Self.startLoad("vdb", machine)
        try monitor.execute(
            "blockdev-snapshot-sync",
            ["node-name": "one", "snapshot-file": bench.folder.path("one.top"), "snapshot-node-name": "one-top"])
        _ = try machine.output(of: "until [ $(cat /written.vdb 2>/dev/null || echo 0) -gt 20 ]; do sleep 0.05; done")
        try monitor.execute("block-commit", ["device": "one-top", "job-id": "commit"])
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try monitor.execute("block-job-complete", ["device": "commit"])
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        _ = try machine.output(of: "rm -f /load.*; while [ ! -e /loadend.vdb ]; do sleep 0.1; done; sync")
        let sums = try ["vdb", "vdc"].map {
            try machine.output(of: "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/\($0)")
        }
        // The device's own limits join the same group.
        #expect(try monitor.failure("object-del", ["id": "tg"]) == "object 'tg' is in use, can not be deleted")
        try monitor.execute(
            "block_set_io_throttle",
            [
                "device": "disk", "group": "tg", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 70, "iops_rd": 0,
                "iops_wr": 0,
            ])
        let shared = try monitor.execute("qom-get", ["path": "/objects/tg", "property": "limits"]) as? [String: Any]
        #expect(shared?["iops-total"] as? Int == 70)
        #expect(try bench.shown()["group"] as? String == "tg")
        try bench.end()
        #expect(try bench.sum(of: "one") == sums[0])
        #expect(try bench.sum(of: "two") == sums[1])
    }
}
