import Foundation
import Testing

/// Debian's kernel in the middle of its work, saved and moved.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct StateTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path
    /// What every machine of a test has in common.
    private static func arguments(
        _ board: String, _ processors: Int, _ folder: TemporaryFolder, _ name: String
    ) -> [String] {
        [
            "-accel", "tcg", "-machine", board, "-smp", "\(processors)", "-m", "192", "-nic", "none", "-qmp",
            "unix:\(folder.path(name)),server=on,wait=off",
        ]
    }

    /// Work whose result shows: sums that are all the same, a counter, a sleep.
    private static let work =
        "(while true; do sha256sum /bin/busybox; done >/sums) & (n=0; while true; do n=$((n+1)); echo $n >/count; "
        + "sleep 0.1; done) & echo started"

    private func status(_ monitor: MonitorClient) throws -> String? {
        (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
    }

    /// Waits for the end of a migration; what is known of it.
    private func migrate(_ monitor: MonitorClient, to address: String) throws -> [String: Any] {
        try monitor.execute("migrate", ["uri": address])
        let end = Date().addingTimeInterval(120)
        while true {
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            let status = known["status"] as? String ?? ""
            if ["completed", "failed", "cancelled"].contains(status) || Date() > end { return known }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    private func waitUntilRunning(_ monitor: MonitorClient) throws {
        let end = Date().addingTimeInterval(60)
        while try status(monitor) != "running", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        #expect(try status(monitor) == "running")
    }

    /// Looks at the guest's work, clock and log.
    private func check(_ machine: GuestMachine, since: ClosedRange<Double>) throws {
        let now = try machine.clockZero()
        #expect(
            now.lowerBound - 0.1 <= since.upperBound && since.lowerBound - 0.1 <= now.upperBound,
            "The guest's clock was 0 at \(since), and after its travels at \(now)")
        let sums = try machine.output(of: "sort /sums | uniq | wc -l; sha256sum /bin/busybox | cmp - /sums | head -1")
        // The file goes on behind the first line, and the last may be half there.
        #expect(["1", "2"].contains(sums.split(separator: "\n").first.map(String.init) ?? ""), "\(sums)")
        let log = try machine.output(of: "dmesg | grep -iE 'lockup|stall|unstable|BUG|Oops|error' | head -3")
        #expect(!log.contains("lockup") && !log.contains("stall") && !log.contains("BUG"), "\(log)")
    }

    @Test(arguments: [("pc", 2), ("microvm", 1)])
    func aGuestGoesOnFromAFileInANewProcess(board: String, processors: Int) throws {
        let folder = try TemporaryFolder()
        let first = try GuestMachine(booting: Self.arguments(board, processors, folder, "one"))
        let monitor = try MonitorClient(path: folder.path("one"))
        try first.wait(for: "Type poweroff to end.")
        let since = try first.clockZero()
        _ = try first.shell(Self.work)
        try first.type("sleep 2; echo sl''ept")
        let known = try migrate(monitor, to: "file:\(folder.path("state"))")
        #expect(known["status"] as? String == "completed", "\(known)")
        #expect(try status(monitor) == "postmigrate")
        try monitor.execute("quit")
        #expect(try first.status() == 0)
        #expect(!first.console.contains("slept"))

        let second = try GuestMachine(
            booting: Self.arguments(board, processors, folder, "two") + ["-incoming", "file:\(folder.path("state"))"])
        try second.wait(for: "slept")
        try check(second, since: since)
        try second.type("poweroff -f")
        #expect(try second.status() == 0)
    }

    @Test(arguments: [("pc", 1), ("microvm", 2)])
    func aGuestGoesThereAndBackWhileItRuns(board: String, processors: Int) throws {
        let folder = try TemporaryFolder()
        // Both machines have the disk: it is one's until the other runs.
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "256M").status == 0)
        let drive = ["-drive", "file=\(disk),format=qcow2,if=virtio"]
        var machine = try GuestMachine(booting: Self.arguments(board, processors, folder, "m0") + drive)
        var monitor = try MonitorClient(path: folder.path("m0"))
        try machine.wait(for: "Type poweroff to end.")
        let since = try machine.clockZero()
        _ = try machine.shell(Self.work)
        _ = try machine.shell(
            "(n=0; while [ $n -lt 60 ]; do dd if=/bin/busybox of=/dev/vda bs=64k seek=$((n*40)) conv=fsync; "
                + "n=$((n+1)); done 2>/dev/null; echo $n >/written) & true")
        var count = 0
        for round in 1...3 {
            let address = "unix:\(folder.path("way\(round)"))"
            let next = try GuestMachine(
                booting: Self.arguments(board, processors, folder, "m\(round)") + drive + ["-incoming", "defer"])
            let other = try MonitorClient(path: folder.path("m\(round)"))
            try other.execute("migrate-incoming", ["uri": address])
            try monitor.execute(
                "migrate-set-capabilities", ["capabilities": [["capability": "events", "state": true]]])
            let known = try migrate(monitor, to: address)
            #expect(known["status"] as? String == "completed", "\(known)")
            try waitUntilRunning(other)
            #expect(try status(monitor) == "postmigrate")
            let told = monitor.events.filter { $0["event"] as? String == "MIGRATION" }
                .compactMap { ($0["data"] as? [String: Any])?["status"] as? String }
            #expect(told == ["setup", "active", "device", "completed"], "\(told)")
            #expect(monitor.events.contains { $0["event"] as? String == "MIGRATION_PASS" })
            #expect(monitor.events.contains { $0["event"] as? String == "STOP" })
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
            (machine, monitor) = (next, other)
            let now = Int(try machine.output(of: "cat /count")) ?? 0
            #expect(now >= count)
            count = now
        }
        try check(machine, since: since)
        let written = try machine.output(
            of: "while [ ! -s /written ]; do sleep 0.1; done; size=$(wc -c </bin/busybox); n=0; "
                + "while [ $n -lt 60 ]; do dd if=/dev/vda bs=64k skip=$((n*40)) count=40 2>/dev/null | head -c $size | cmp - /bin/busybox; "
                + "n=$((n+1)); done; echo compared")
        // The kernel may say a word in between.
        let lines = written.split(separator: "\n").filter { !$0.hasPrefix("[") }
        #expect(lines == ["compared"], "\(written)")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
    }

    @Test func snapshotsTakeDiskAndMachineBack() throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        let drive = ["-drive", "file=\(disk),format=qcow2,if=virtio"]
        let machine = try GuestMachine(booting: Self.arguments("pc", 1, folder, "one") + drive)
        let monitor = try MonitorClient(path: folder.path("one"))
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.shell("word=before; echo before >/dev/vda; sync")
        #expect(try monitor.human("savevm one").isEmpty)
        let list = try monitor.human("info snapshots")
        #expect(list.contains("List of snapshots present on all disks:") && list.contains(" one "), "\(list)")
        _ = try machine.shell("word=after; echo after. >/dev/vda; sync")
        #expect(try monitor.human("loadvm one").isEmpty)
        #expect(try machine.output(of: "echo $word; head -c 6 /dev/vda") == "before\nbefore")
        #expect(try monitor.human("loadvm two").contains("does not exist"))
        try monitor.execute("quit")
        #expect(try machine.status() == 0)

        let listed = try runOnHost(Self.image, "snapshot", "-l", disk).output
        #expect(listed.contains(" one ") && listed.contains("MiB"), "\(listed)")
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
        let again = try GuestMachine(booting: Self.arguments("pc", 1, folder, "two") + drive + ["-loadvm", "one"])
        let other = try MonitorClient(path: folder.path("two"))
        #expect(try again.output(of: "echo $word") == "before")
        #expect(try other.human("delvm one").isEmpty)
        #expect(try other.human("info snapshots").contains("There is no snapshot available."))
        try other.execute("quit")
        #expect(try again.status() == 0)
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
    }

    @Test func snapshotJobsTakeDiskAndMachineBack() throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        let drive = ["-blockdev", "qcow2,node-name=disk,file.driver=file,file.filename=\(disk)", "-device",
            "virtio-blk-pci,drive=disk"]
        let machine = try GuestMachine(booting: Self.arguments("pc", 1, folder, "one") + drive)
        let monitor = try MonitorClient(path: folder.path("one"))
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.shell("word=before; echo before >/dev/vda; sync")
        func run(_ command: String, _ more: [String: Any]) throws -> String? {
            try monitor.execute(command, ["job-id": "j", "tag": "one", "devices": ["disk"]].merging(more) { $1 })
            let end = Date().addingTimeInterval(90)
            while Date() < end {
                let jobs = try #require(try monitor.execute("query-jobs") as? [[String: Any]])
                let job = try #require(jobs.first { $0["id"] as? String == "j" })
                #expect(job["type"] as? String == command)
                if job["status"] as? String == "concluded" {
                    try monitor.execute("job-dismiss", ["id": "j"])
                    return job["error"] as? String
                }
                Thread.sleep(forTimeInterval: 0.02)
            }
            return "It does not end"
        }
        #expect(try run("snapshot-save", ["vmstate": "disk"]) == nil)
        #expect(try run("snapshot-save", ["vmstate": "disk"])?.contains("already exists") == true)
        _ = try machine.shell("word=after; echo after. >/dev/vda; sync")
        #expect(try run("snapshot-load", ["vmstate": "disk"]) == nil)
        #expect(try machine.output(of: "echo $word; head -c 6 /dev/vda") == "before\nbefore")
        #expect(try run("snapshot-delete", [:]) == nil)
        #expect(try run("snapshot-delete", [:])?.contains("does not exist") == true)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        #expect(try runOnHost(Self.image, "check", disk).status == 0)
    }

    @Test func aRunningGuestIsForkedAndEachCopyGoesItsWay() throws {
        let folder = try TemporaryFolder()
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        func drive(_ file: String) -> [String] {
            ["-drive", "file=\(file),format=qcow2,if=virtio,id=disk", "-device", "vmgenid"]
        }
        let parent = try GuestMachine(booting: Self.arguments("pc", 1, folder, "parent") + drive(disk))
        let monitor = try MonitorClient(path: folder.path("parent"))
        try parent.wait(for: "Type poweroff to end.")
        _ = try parent.shell("word=common; echo common >/dev/vda; sync; cat /dev/vda | head -c 7")
        var children: [GuestMachine] = []
        for number in 0..<2 {
            // The parent's disk as it will be, and what the child writes.
            let overlay = folder.path("child\(number).qcow2")
            #expect(
                try runOnHost(Self.image, "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", disk, overlay, "64M")
                    .status == 0)
            children.append(
                try GuestMachine(
                    booting: Self.arguments("pc", 1, folder, "child\(number)") + drive(overlay)
                        + ["-incoming", "unix:\(folder.path("way\(number)"))"]))
            _ = try MonitorClient(path: folder.path("child\(number)"))
        }
        try monitor.execute(
            "x-fork",
            [
                "children": (0..<2).map { "unix:\(folder.path("way\($0)"))" },
                "overlays": [["device": "disk", "snapshot-file": folder.path("parent.qcow2")]],
            ])
        let end = Date().addingTimeInterval(90)
        var known: [String: Any] = [:]
        while Date() < end {
            known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            if ["completed", "failed"].contains(known["status"] as? String ?? "") { break }
            Thread.sleep(forTimeInterval: 0.02)
        }
        #expect(known["status"] as? String == "completed", "\(known)")
        #expect(try status(monitor) == "running")
        let machines = [parent] + children
        for (number, machine) in machines.enumerated() {
            #expect(try machine.output(of: "echo $word") == "common")
            // Each writes its own.
            _ = try machine.shell("word=own\(number); echo own\(number)... >/dev/vda; sync; echo 3 >/proc/sys/vm/drop_caches")
        }
        for (number, machine) in machines.enumerated() {
            #expect(try machine.output(of: "echo $word; head -c 4 /dev/vda") == "own\(number)\nown\(number)")
            let log = try machine.output(of: "dmesg | grep -iE 'lockup|stall|BUG|Oops|I/O error'")
            #expect(!log.contains("BUG") && !log.contains("error") && !log.contains("stall"), "\(number): \(log)")
        }
        let seeds = try machines.map { try $0.output(of: "head -c 16 /dev/urandom | od -An -tx1") }
        #expect(Set(seeds).count == 3)
        for machine in machines {
            try machine.type("poweroff -f")
            #expect(try machine.status() == 0)
        }
        for name in ["disk", "parent", "child0", "child1"] {
            #expect(try runOnHost(Self.image, "check", folder.path("\(name).qcow2")).status == 0)
        }
    }

    /// As QEMU's: a machine that was stopped does not run at the other end by itself.
    @Test func whatStoodStandsWhereItArrives() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: Self.arguments("microvm", 1, folder, "one") + ["-no-shutdown", "-S"])
        let monitor = try MonitorClient(path: folder.path("one"))
        try monitor.execute("cont")
        try machine.wait(for: "Linux version")
        try monitor.execute("stop")
        let door = "unix:\(folder.path("door"))"
        let next = try GuestMachine(booting: Self.arguments("microvm", 1, folder, "two") + ["-incoming", door])
        let other = try MonitorClient(path: folder.path("two"))
        #expect(try migrate(monitor, to: door)["status"] as? String == "completed")
        // Another could be made of what has gone.
        #expect(
            try monitor.failure("migrate", ["uri": "file:\(folder.path("second"))"])
                == "Can't migrate the vm that was paused due to previous migration")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        let end = Date().addingTimeInterval(60)
        while try status(other) == "inmigrate", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        #expect(try status(other) == "paused")
        // A failure leaves what stands as it stood.
        #expect(try migrate(other, to: "exec:false")["status"] as? String == "failed")
        #expect(try status(other) == "paused")
        try other.execute("cont")
        try next.wait(for: "Type poweroff to end.")
        try other.execute("quit")
        #expect(try next.status() == 0)
    }

    @Test func aStreamThatIsCutEndsTheMachineWithOneLine() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("state", Array("APUSSTAT".utf8) + [1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])
        let machine = try GuestMachine(
            booting: Self.arguments("microvm", 1, folder, "one") + ["-incoming", "file:\(path)"])
        #expect(try machine.status() == 1)
        #expect(try machine.remainder().contains("load of migration failed: The saved state is cut short"))
        let missing = try GuestMachine(
            booting: Self.arguments("microvm", 1, folder, "two") + ["-incoming", "file:\(folder.path("nothing"))"])
        #expect(try missing.status() == 1)
        #expect(try missing.remainder().contains("-incoming file:"))
    }

    @Test func memoryGoesToAFileThatDebuggersOpen() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(booting: Self.arguments("microvm", 2, folder, "one"))
        let monitor = try MonitorClient(path: folder.path("one"))
        try machine.wait(for: "Type poweroff to end.")
        let core = folder.path("core")
        try monitor.execute("dump-guest-memory", ["paging": false, "protocol": "file:\(core)"])
        #expect(try status(monitor) == "running")
        let bytes = try FileHandle(forReadingFrom: URL(fileURLWithPath: core)).read(upToCount: 64) ?? Data()
        #expect(bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) && bytes[16] == 4 && bytes[18] == 62)
        let size = try FileManager.default.attributesOfItem(atPath: core)[.size] as? UInt64 ?? 0
        #expect(size > 190 << 20)
        #expect(
            try monitor.failure("dump-guest-memory", ["paging": false, "protocol": "file:\(core)", "begin": 0])
                .contains("length"))
        if FileManager.default.isExecutableFile(atPath: "/usr/bin/gdb") {
            let seen = try runOnHost("/usr/bin/gdb", "-batch", "-nx", "-c", core, "-ex", "p/x $cs")
            // The kernel's code segment, or that of its programs.
            #expect(seen.output.contains("$1 = 0x10") || seen.output.contains("$1 = 0x33"), "\(seen.output)")
        }
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
