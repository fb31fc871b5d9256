import Foundation
import Testing

/// Jobs on the disk of a guest that goes on writing.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct LiveJobTests {
    static let tool = Repository.root.appendingPathComponent(".build/release/apus-img").path
    /// Debian's own, to compare with.
    static let judge =
        FileManager.default.fileExists(atPath: "/usr/bin/qemu-img") ? "/usr/bin/qemu-img" : tool

    static func run(_ words: String...) throws {
        let line = ([tool] + words).map { "'\($0)'" }.joined(separator: " ")
        let result = try runOnHost("sh", "-c", line)
        #expect(result.status == 0, "\(words): \(result.output)")
    }

    /// A machine whose virtio disk is `top.qcow2` over `base.qcow2`, with data of the guest's in both.
    struct Bench {
        let folder: TemporaryFolder
        let machine: GuestMachine
        let monitor: MonitorClient

        init(chain names: [String] = ["base.qcow2", "top.qcow2"], more: [String] = []) throws {
            folder = try TemporaryFolder()
            var last: String?
            for (index, name) in names.enumerated() {
                let path = folder.path(name)
                if let last {
                    try LiveJobTests.run("create", "-q", "-f", "qcow2", "-b", last, "-F", "qcow2", path)
                } else {
                    try LiveJobTests.run("create", "-q", "-f", "qcow2", path, "64M")
                }
                let result = try runOnHost(
                    LiveJobTests.tool, "io", "-f", "qcow2", "-c", "write -q -P \(65 + index) \(index * 4)M 6M", path)
                #expect(result.status == 0, "\(result.output)")
                last = path
            }
            let socket = folder.path("qmp")
            machine = try GuestMachine(booting: [
                "-nic", "none", "-qmp", "unix:\(socket),server=on,wait=off", "-drive",
                "file=\(last ?? ""),format=qcow2,if=virtio,id=disk",
            ] + more)
            monitor = try MonitorClient(path: socket)
            try machine.wait(for: "Type poweroff to end.")
            // What the kernel says (of caches that are dropped) would stand among a command's lines.
            _ = try machine.output(of: "dmesg -n 1")
        }
        /// The same guest in another process.
        init(folder: TemporaryFolder, machine: GuestMachine, monitor: MonitorClient) {
            (self.folder, self.machine, self.monitor) = (folder, machine, monitor)
        }

        /// Has the guest write all the time, over the whole disk, until a file is gone; each write differs.
        func startLoad() throws {
            _ = try machine.output(
                of: "touch /load; (n=1; i=0; while [ -e /load ]; do n=$(( (n * 75 + 74) % 1009 )); i=$((i + 1)); "
                    + "dd if=/bin/busybox of=/dev/vda bs=32k count=2 skip=$((i % 20)) seek=$n conv=notrunc oflag=direct"
                    + " 2>/dev/null && echo $i >/written; done; echo >/loadend) & true")
        }
        /// Waits until the guest has written some more times.
        func awaitWrites(_ count: Int = 12) throws {
            _ = try machine.output(
                of: "w=$(cat /written 2>/dev/null || echo 0); "
                    + "while [ $(cat /written 2>/dev/null || echo 0) -lt $((w + \(count))) ]; do sleep 0.05; done")
        }
        func endLoad() throws {
            _ = try machine.output(of: "rm -f /load; while [ ! -e /loadend ]; do sleep 0.1; done; rm /loadend; sync")
            #expect((Int(try machine.output(of: "cat /written")) ?? 0) > 0, "the guest has not written")
        }
        /// Lets a job that was started slowly go on while the guest writes, and then as fast as it can.
        func speedUp(_ job: String) throws {
            try awaitWrites()
            try monitor.execute("block-job-set-speed", ["device": job, "speed": 0])
        }
        /// The sum of the disk as the guest reads it.
        func sum() throws -> String {
            let sum = try machine.output(of: "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/vda")
            try #require(sum.count == 35 && sum.hasSuffix("  -"), "no sum: \(sum)")
            return sum
        }
        func shown() throws -> [String: Any] {
            let drives = try monitor.execute("query-block") as? [[String: Any]] ?? []
            return drives.first { $0["device"] as? String == "disk" }?["inserted"] as? [String: Any] ?? [:]
        }
        func wait(for event: String) throws -> [String: Any] {
            try monitor.wait(forEvent: event, seconds: 120)
        }
        func end() throws {
            try machine.type("poweroff -f")
            #expect(try machine.status() == 0)
        }
        /// What an image holds, by another program, in the guest's words; it must be whole.
        func sum(of name: String, checks: Bool = true) throws -> String {
            let path = folder.path(name)
            if checks {
                let check = try runOnHost(LiveJobTests.judge, "check", "-q", path)
                #expect(check.status == 0, "\(name): \(check.output)")
            }
            let raw = folder.path("raw.\(name)")
            let result = try runOnHost(LiveJobTests.judge, "convert", "-O", "raw", path, raw)
            #expect(result.status == 0, "\(result.output)")
            let sum = try runOnHost("sh", "-c", "md5sum <\(raw)").output
            return sum.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    @Test func streamsWhileTheGuestWrites() throws {
        let bench = try Bench(chain: ["base.qcow2", "middle.qcow2", "top.qcow2"])
        try bench.startLoad()
        try bench.monitor.execute("block-stream", ["device": "disk", "job-id": "s", "speed": 1 << 20])
        let jobs = try bench.monitor.execute("query-block-jobs") as? [[String: Any]] ?? []
        #expect(jobs.count == 1 && jobs.allSatisfy { $0["device"] as? String == "s" })
        try bench.speedUp("s")
        let data = try bench.wait(for: "BLOCK_JOB_COMPLETED")
        #expect(data["error"] == nil && data["type"] as? String == "stream", "\(data)")
        try bench.endLoad()
        let sum = try bench.sum()
        #expect(try bench.shown()["backing_file"] == nil)
        try bench.end()
        #expect(try bench.sum(of: "top.qcow2") == sum)
        #expect(!(try runOnHost(Self.judge, "info", bench.folder.path("top.qcow2")).output.contains("backing")))
    }

    @Test func commitsBelowAndFromTheTop() throws {
        let bench = try Bench(chain: ["base.qcow2", "middle.qcow2", "top.qcow2"])
        try bench.startLoad()
        try bench.monitor.execute(
            "block-commit",
            ["device": "disk", "top": bench.folder.path("middle.qcow2"), "job-id": "c", "speed": 1 << 20])
        try bench.speedUp("c")
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        #expect(try bench.shown()["backing_file"] as? String == bench.folder.path("base.qcow2"))
        try bench.monitor.execute("block-commit", ["device": "disk", "job-id": "d", "speed": 1 << 20])
        try bench.speedUp("d")
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try bench.monitor.execute("block-job-complete", ["device": "d"])
        let data = try bench.wait(for: "BLOCK_JOB_COMPLETED")
        #expect(data["error"] == nil && data["type"] as? String == "commit", "\(data)")
        #expect(try bench.shown()["file"] as? String == bench.folder.path("base.qcow2"))
        try bench.endLoad()
        let sum = try bench.sum()
        try bench.end()
        #expect(try bench.sum(of: "base.qcow2") == sum)
    }

    @Test func mirrorsAndPivots() throws {
        let bench = try Bench()
        try bench.startLoad()
        try bench.monitor.execute(
            "drive-mirror",
            [
                "device": "disk", "target": bench.folder.path("copy.qcow2"), "sync": "full", "format": "qcow2",
                "speed": 16 << 20,
            ])
        try bench.speedUp("disk")
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try bench.monitor.execute("job-complete", ["id": "disk"])
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        #expect(try bench.shown()["file"] as? String == bench.folder.path("copy.qcow2"))
        try bench.endLoad()
        let sum = try bench.sum()
        // A copy that nobody goes over to is whole at its end, too; one that is cancelled leaves the disk alone.
        try bench.monitor.execute(
            "drive-mirror", ["device": "disk", "target": bench.folder.path("raw"), "sync": "full", "format": "raw"])
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try bench.monitor.execute("block-job-cancel", ["device": "disk"])
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        try bench.end()
        #expect(try bench.sum(of: "copy.qcow2") == sum)
        #expect(try bench.sum(of: "raw", checks: false) == sum)
    }

    @Test func snapshotsAreTakenAndUndone() throws {
        let bench = try Bench()
        let before = try bench.sum()
        try bench.monitor.execute(
            "blockdev-snapshot-sync", ["device": "disk", "snapshot-file": bench.folder.path("one.qcow2")])
        _ = try bench.machine.output(of: "dd if=/bin/busybox of=/dev/vda bs=64k count=8 conv=notrunc; sync")
        let after = try bench.sum()
        #expect(before != after)
        // A transaction that fails in its last step leaves everything as it was.
        let file = try bench.shown()["file"] as? String
        #expect(throws: (any Error).self) {
            try bench.monitor.execute(
                "transaction",
                [
                    "actions": [
                        [
                            "type": "blockdev-snapshot-sync",
                            "data": ["device": "disk", "snapshot-file": bench.folder.path("two.qcow2")],
                        ],
                        ["type": "blockdev-snapshot-internal-sync", "data": ["device": "disk", "name": ""]],
                    ]
                ])
        }
        #expect(try bench.shown()["file"] as? String == file)
        try bench.monitor.execute("blockdev-snapshot-internal-sync", ["device": "disk", "name": "in"])
        _ = try bench.machine.output(of: "dd if=/bin/busybox of=/dev/vda bs=64k seek=40 count=4 conv=notrunc; sync")
        let last = try bench.sum()
        try bench.end()
        #expect(try bench.sum(of: "top.qcow2") == before)
        #expect(try bench.sum(of: "one.qcow2") == last)
        try Self.run("snapshot", "-a", "in", bench.folder.path("one.qcow2"))
        #expect(try bench.sum(of: "one.qcow2") == after)
    }

    @Test func backupsAreOfOneMomentAndIncremental() throws {
        let bench = try Bench()
        let moment = try bench.sum()
        try bench.monitor.execute(
            "transaction",
            [
                "actions": [
                    ["type": "block-dirty-bitmap-add", "data": ["node": "disk", "name": "b"]],
                    [
                        "type": "drive-backup",
                        "data": [
                            "device": "disk", "job-id": "full", "sync": "full", "format": "qcow2", "speed": 8 << 20,
                            "target": bench.folder.path("full.qcow2"),
                        ],
                    ],
                ]
            ])
        // The guest changes what is not saved yet.
        try bench.startLoad()
        try bench.speedUp("full")
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        try bench.endLoad()
        let later = try bench.sum()
        let bitmaps = try bench.shown()["dirty-bitmaps"] as? [[String: Any]] ?? []
        #expect(bitmaps.count == 1 && (bitmaps.first?["count"] as? Int ?? 0) > 0, "\(bitmaps)")
        try Self.run(
            "create", "-q", "-f", "qcow2", "-b", bench.folder.path("full.qcow2"), "-F", "qcow2",
            bench.folder.path("more.qcow2"))
        try bench.monitor.execute(
            "drive-backup",
            [
                "device": "disk", "sync": "incremental", "bitmap": "b", "mode": "existing", "format": "qcow2",
                "target": bench.folder.path("more.qcow2"),
            ])
        #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        try bench.end()
        #expect(try bench.sum(of: "full.qcow2") == moment)
        #expect(try bench.sum(of: "more.qcow2") == later)
    }

    @Test func groupedBackupsEndTogetherOrNotAtAll() throws {
        let bench = try Bench()
        let second = bench.folder.path("second.qcow2")
        try Self.run("create", "-q", "-f", "qcow2", second, "8M")
        let result = try runOnHost(Self.tool, "io", "-f", "qcow2", "-c", "write -q -P 90 1M 2M", second)
        #expect(result.status == 0, "\(result.output)")
        try bench.monitor.execute(
            "blockdev-add",
            ["driver": "qcow2", "node-name": "second", "file": ["driver": "file", "filename": second]])
        try bench.monitor.execute("device_add", ["driver": "virtio-blk-pci", "drive": "second", "id": "other"])
        let moment = try bench.sum()
        func backUp(_ name: String, slowly: Bool) throws {
            func step(_ device: String, _ id: String, _ more: [String: Any]) -> [String: Any] {
                let all: [String: Any] = [
                    "device": device, "job-id": id, "sync": "full", "format": "qcow2", "compress": true,
                    "target": bench.folder.path("\(name).\(id).qcow2"),
                ]
                return ["type": "drive-backup", "data": all.merging(more) { $1 }]
            }
            try bench.monitor.execute(
                "transaction",
                [
                    "actions": [step("disk", "one", ["speed": slowly ? 64 << 10 : 0]), step("second", "two", [:])],
                    "properties": ["completion-mode": "grouped"],
                ])
        }
        // The quick one waits for the slow one, whose end is its own.
        try backUp("lost", slowly: true)
        try bench.startLoad()
        try bench.awaitWrites()
        #expect(bench.monitor.events.allSatisfy { $0["event"] as? String != "BLOCK_JOB_COMPLETED" })
        try bench.monitor.execute("block-job-cancel", ["device": "one"])
        for _ in 0..<2 { _ = try bench.wait(for: "BLOCK_JOB_CANCELLED") }
        try bench.endLoad()
        let later = try bench.sum()
        #expect(later != moment)
        try backUp("kept", slowly: false)
        for _ in 0..<2 { #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil) }
        try bench.end()
        #expect(try bench.sum(of: "kept.one.qcow2") == later)
        #expect(try bench.sum(of: "kept.two.qcow2") == bench.sum(of: "second.qcow2"))
        let check = try runOnHost(Self.judge, "check", bench.folder.path("kept.one.qcow2")).output
        #expect(check.contains("compressed clusters") && !check.contains(" 0.00% compressed"), "\(check)")
    }

    @Test func cancelledJobsAndLimitsLeaveTheDiskAlone() throws {
        let bench = try Bench()
        try bench.monitor.execute("block-stream", ["device": "disk", "speed": 1 << 20])
        #expect(throws: (any Error).self) { try bench.monitor.execute("block-stream", ["device": "disk"]) }
        try bench.monitor.execute("block-job-cancel", ["device": "disk"])
        _ = try bench.wait(for: "BLOCK_JOB_CANCELLED")
        #expect(throws: (any Error).self) { try bench.monitor.execute("block-job-cancel", ["device": "disk"]) }
        try bench.monitor.execute(
            "block_set_io_throttle",
            ["device": "disk", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 20, "iops_rd": 0, "iops_wr": 0])
        #expect(try bench.shown()["iops"] as? Int == 20)
        let begin = Date()
        _ = try bench.machine.output(of: "dd if=/dev/vda of=/dev/null bs=4k count=60 iflag=direct")
        #expect(Date().timeIntervalSince(begin) > 1.5)
        try bench.monitor.execute(
            "block_set_io_throttle",
            ["device": "disk", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0])
        let socket = bench.folder.path("nbd")
        try bench.monitor.execute("nbd-server-start", ["addr": ["type": "unix", "data": ["path": socket]]])
        try bench.monitor.execute("nbd-server-add", ["device": "disk", "name": "out"])
        let info = try runOnHost(Self.judge, "info", "nbd+unix:///out?socket=\(socket)")
        #expect(info.status == 0 && info.output.contains("64 MiB"), "\(info.output)")
        try bench.monitor.execute("nbd-server-stop")
        let sum = try bench.sum()
        try bench.end()
        #expect(try bench.sum(of: "top.qcow2") == sum)
    }
}
