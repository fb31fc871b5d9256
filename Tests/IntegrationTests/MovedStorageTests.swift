import Foundation
import TestSupport
import Testing

/// Machines that go with their disks to where those are not: each disk is mirrored to an export of the other end while the
/// guest writes, and the mirror ends while the machine stands before the switch, as libvirt's `--copy-storage-all` does it.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MovedStorageTests {
    /// The other end, with an empty disk that it exports. It has nothing of the first one's but the guest.
    private struct Target {
        let machine: GuestMachine
        let monitor: MonitorClient
        let door: String
        let export: String

        init(_ folder: TemporaryFolder, _ disk: String, number: Int = 0) throws {
            try LiveJobTests.run("create", "-q", "-f", "qcow2", folder.path(disk), "64M")
            let socket = folder.path("other\(number)")
            machine = try GuestMachine(booting: [
                "-nic", "none", "-qmp", "unix:\(socket),server=on,wait=off", "-drive",
                "file=\(folder.path(disk)),format=qcow2,if=virtio,id=disk", "-incoming", "defer",
            ])
            monitor = try MonitorClient(path: socket)
            try monitor.execute("migrate-incoming", ["uri": "tcp:127.0.0.1:0"])
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            let place = try #require((known["socket-address"] as? [[String: Any]])?.first)
            door = "tcp:127.0.0.1:\(place["port"] as? String ?? "")"
            let server = folder.path("nbd\(number)")
            try monitor.execute("nbd-server-start", ["addr": ["type": "unix", "data": ["path": server]]])
            try monitor.execute("nbd-server-add", ["device": "disk", "writable": true])
            export = "nbd:unix:\(server):exportname=disk"
        }

        var status: String? {
            get throws { (try monitor.execute("query-status") as? [String: Any])?["status"] as? String }
        }
    }

    private func mirror(_ bench: LiveJobTests.Bench, to target: Target) throws {
        try bench.monitor.execute(
            "drive-mirror",
            ["device": "disk", "target": target.export, "sync": "full", "mode": "existing", "format": "raw"])
        _ = try bench.wait(for: "BLOCK_JOB_READY")
    }

    private func wait(_ bench: LiveJobTests.Bench, until wanted: String) throws {
        let end = Date().addingTimeInterval(120)
        while true {
            let known = try #require(try bench.monitor.execute("query-migrate") as? [String: Any])
            let status = known["status"] as? String
            if status == wanted { return }
            try #require(Date() < end && status != "failed", "\(known)")
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    @Test func aDiskGoesWithItsMachine() throws {
        let bench = try LiveJobTests.Bench(chain: ["disk.qcow2"])
        try bench.monitor.execute(
            "migrate-set-capabilities",
            [
                "capabilities": ["pause-before-switchover", "events"].map { ["capability": $0, "state": true] }
            ])
        try bench.startLoad()

        // One that does not come about: its end goes away in the middle. The guest and its disk go on.
        let lost = try Target(bench.folder, "lost.qcow2", number: 1)
        try mirror(bench, to: lost)
        try bench.monitor.execute("migrate", ["uri": lost.door])
        try wait(bench, until: "pre-switchover")
        kill(lost.machine.identifier, SIGKILL)
        _ = try? lost.machine.status()
        try bench.monitor.execute("migrate_cancel")
        try wait(bench, until: "cancelled")
        // Its mirror has nobody to write to: it ends by itself, or by this where it has not noticed yet.
        _ = try? bench.monitor.execute("block-job-cancel", ["device": "disk", "force": true])
        try bench.monitor.wait(forOneOf: ["BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"], seconds: 120)
        try bench.awaitWrites()

        let target = try Target(bench.folder, "there.qcow2")
        try mirror(bench, to: target)
        try bench.awaitWrites()
        try bench.monitor.execute("migrate", ["uri": target.door])
        try wait(bench, until: "pre-switchover")
        // Nobody writes any more: the mirror is what the disk is.
        try bench.monitor.execute("block-job-cancel", ["device": "disk"])
        let ended = try bench.wait(for: "BLOCK_JOB_COMPLETED")
        #expect(ended["error"] == nil && ended["offset"] as? Int == ended["len"] as? Int, "\(ended)")
        #expect(try target.status == "inmigrate")
        try bench.monitor.execute("migrate-continue", ["state": "pre-switchover"])
        try wait(bench, until: "completed")
        let end = Date().addingTimeInterval(60)
        while try target.status != "running", Date() < end { Thread.sleep(forTimeInterval: 0.01) }
        #expect(try target.status == "running")
        // A disk that a guest writes is nobody else's to write.
        let exports = try #require(try target.monitor.execute("query-block-exports") as? [[String: Any]])
        #expect(exports.isEmpty, "\(exports)")
        try target.monitor.execute("nbd-server-stop")
        try bench.monitor.execute("quit")
        #expect(try bench.machine.status() == 0)

        // The guest goes on writing there, and reads what it wrote here.
        let there = LiveJobTests.Bench(folder: bench.folder, machine: target.machine, monitor: target.monitor)
        try there.awaitWrites()
        try there.endLoad()
        let sum = try there.sum()
        let log = try there.machine.output(of: "dmesg | grep -E 'I/O error|lockup|stall|BUG:|Oops|hung'")
        #expect(log == "", "\(log)")
        try there.end()
        #expect(try there.sum(of: "there.qcow2") == sum)
        #expect(try runOnHost(LiveJobTests.judge, "check", "-q", bench.folder.path("disk.qcow2")).status == 0)
    }
}
