import Foundation
import TestSupport
import Testing

/// Memory that comes and goes while a Debian kernel runs.
@Suite("Memory modules", .serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MemoryModuleTests {
    private func total(_ machine: GuestMachine) throws -> Int {
        let text = try machine.output(of: "grep MemTotal /proc/meminfo")
        return Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0
    }
    private func wait(for condition: () throws -> Bool) throws {
        let end = Date().addingTimeInterval(120)
        while try !condition() {
            guard Date() < end else { throw MonitorClient.Failed(description: "it did not happen") }
            Thread.sleep(forTimeInterval: 0.2)
        }
    }

    @Test("A guest takes modules that are plugged in, works in them, and lets them go", arguments: ["pc", "q35"])
    func comesAndGoes(board: String) throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: [
                "-accel", "tcg", "-machine", board, "-m", "256,slots=3,maxmem=2G", "-nic", "none",
                "-object", "memory-backend-ram,id=m0,size=128M", "-device", "pc-dimm,id=first,memdev=m0,slot=2",
                "-object", "thread-context,id=near,cpu-affinity=0", "-qmp",
                "unix:\(folder.path)/qmp,server=on,wait=off",
            ], append: "memhp_default_state=online_movable")
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try machine.wait(for: "Type poweroff to end.")
        // The one that is there from the start.
        let before = try total(machine)
        #expect(before > 270_000, "\(before)")

        try monitor.execute(
            "object-add",
            [
                "qom-type": "memory-backend-memfd", "id": "m1", "size": 256 << 20, "prealloc": true,
                "prealloc-context": "near",
            ])
        try monitor.execute("device_add", ["driver": "pc-dimm", "id": "second", "memdev": "m1"])
        let report = try monitor.wait(forEvent: "ACPI_DEVICE_OST")["info"] as? [String: Any]
        #expect(report?["device"] as? String == "second" && report?["status"] as? Int == 0)
        try wait { try total(machine) == before + 256 << 10 }
        let modules = try #require(try monitor.execute("query-memory-devices") as? [[String: Any]])
        let facts = modules.compactMap { $0["data"] as? [String: Any] }
        #expect(facts.map { $0["slot"] as? Int } == [0, 2])
        #expect(facts.map { $0["hotplugged"] as? Bool } == [true, false])
        #expect(facts.map { $0["id"] as? String } == ["second", "first"])
        let summary = try monitor.execute("query-memory-size-summary") as? [String: Int]
        #expect(summary == ["base-memory": 256 << 20, "plugged-memory": 384 << 20])
        #expect(try monitor.human("info memory-devices").contains("Memory device [dimm]: \"second\"\n  addr: 0x1"))
        let memory = try #require(try monitor.execute("query-memdev") as? [[String: Any]])
        #expect(Set(memory.map { $0["id"] as? String }) == [nil, "m0", "m1"])
        #expect(memory.allSatisfy { ($0["prealloc"] as? Bool) == ($0["id"] as? String == "m1") })
        // What the board's clock says of itself: its status register D is 0x80.
        #expect(try monitor.human("o /b 0x70 0xd") == "" && monitor.human("i /b 0x71") == "portb[0x0071] = 0x80\n")
        let states = try #require(try monitor.execute("query-acpi-ospm-status") as? [[String: Any]])
        #expect(states.count == 3 && states[0]["source"] as? Int == 1)
        // It holds what is written there: more than there was without it.
        let sum =
            "mount -t tmpfs -o size=480m none /mnt && dd if=/dev/zero of=/mnt/x bs=1M count=440 2>/dev/null; "
            + "tr -d '\\000' </mnt/x | wc -c; wc -c </mnt/x; rm /mnt/x; umount /mnt"
        #expect(try machine.output(of: sum).split(separator: "\n") == ["0", "461373440"])

        // Slots, space and names are checked.
        #expect(
            try monitor.failure("device_add", ["driver": "pc-dimm", "id": "third", "memdev": "m1"])
                == "can't use already busy memdev: m1")
        try monitor.execute("object-add", ["qom-type": "memory-backend-ram", "id": "m2", "size": 2 << 30])
        #expect(
            try monitor.failure("device_add", ["driver": "pc-dimm", "id": "third", "memdev": "m2"])
                .contains("not enough space, currently 0x18000000 in use"))
        try monitor.execute("object-del", ["id": "m2"])
        try monitor.execute("object-add", ["qom-type": "memory-backend-ram", "id": "m2", "size": 128 << 20])
        for (properties, words) in [
            (["slot": 0], "slot 0 is busy"), (["slot": 7], "valid range is [0-2]"), (["node": 1], "numa nodes: 1"),
            (["addr": 0x1000], "must be aligned"), (["addr": 0x20_0000], "usable range for memory devices"),
        ] as [([String: Any], String)] {
            let arguments = ["driver": "pc-dimm", "id": "third", "memdev": "m2"].merging(properties) { $1 }
            let said = try monitor.failure("device_add", arguments)
            #expect(said.contains(words), "\(said)")
        }
        #expect(try monitor.failure("object-del", ["id": "m1"]) == "object 'm1' is in use, can not be deleted")

        try monitor.execute("device_del", ["id": "second"])
        #expect(try monitor.wait(forEvent: "DEVICE_DELETED")["device"] as? String == "second")
        #expect(try total(machine) == before)
        try monitor.execute("object-del", ["id": "m1"])
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    @Test("A guest that keeps a module is heard of")
    func isKept() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: [
                "-accel", "tcg", "-m", "192,slots=1,maxmem=1G", "-nic", "none",
                "-object", "memory-backend-ram,id=m,size=128M", "-qmp", "unix:\(folder.path)/qmp,server=on,wait=off",
            ], append: "memhp_default_state=online_kernel")
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try machine.wait(for: "Type poweroff to end.")
        try monitor.execute("device_add", ["driver": "pc-dimm", "id": "d", "memdev": "m"])
        _ = try monitor.wait(forEvent: "ACPI_DEVICE_OST")
        // The kernel's own things lie there now: folders of a file system in memory.
        _ = try machine.shell(
            "mount -t tmpfs none /mnt; i=0; while [ $i -lt 3000 ]; do mkdir /mnt/$i; i=$((i+1)); done")
        try monitor.execute("device_del", ["id": "d"])
        #expect(try monitor.wait(forEvent: "DEVICE_UNPLUG_GUEST_ERROR")["device"] as? String == "d")
        #expect((try monitor.execute("query-memory-devices") as? [Any])?.count == 1)
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    @Test(
        "What no module can be is refused at the start",
        arguments: [
            (["-m", "64"], "please specify the slots and maxmem"),
            (["-m", "64,slots=2,maxmem=512M", "-machine", "pc,acpi=off"], "missing acpi device or acpi disabled"),
            (["-m", "64,slots=2,maxmem=128M"], "not enough space"),
            (["-m", "64,slots=2,maxmem=2T"], "more than 1 TiB"),
            (["-m", "64,slots=2,maxmem=512M", "-machine", "microvm"], "please specify"),
        ])
    func refused(options: [String], words: String) throws {
        let outcome = try Runner.run(
            Repository.program,
            ["-accel", "tcg", "-display", "none", "-S", "-serial", "none", "-kernel", Repository.kernel] + options + [
                "-object", "memory-backend-ram,id=m,size=128M", "-device", "pc-dimm,memdev=m",
            ])
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.errors.contains(words), "\(outcome)")
    }

    @Test("Memory is made on the thread that is named; another name is refused")
    func context() throws {
        let object = "memory-backend-ram,id=m,size=64M,prealloc=on,prealloc-context="
        let base = [
            "-accel", "tcg", "-m", "64", "-display", "none", "-S", "-serial", "none", "-machine", "pc,memory-backend=m",
        ]
        let refused = try Runner.run(
            Repository.program, base + ["-kernel", Repository.kernel, "-object", object + "nobody"])
        #expect(refused.status == 1 && refused.errors.contains("'nobody' is no thread-context"), "\(refused)")
        let machine = try GuestMachine(
            base + ["-object", "thread-context,id=near,cpu-affinity=0", "-object", object + "near", "-qmp", "stdio"])
        try machine.wait(for: "\"QMP\"")
        let text = try Runner.run("/bin/cat", ["/proc/\(machine.identifier)/smaps"]).output
        #expect(text.contains("Rss:               65536 kB"), "guest memory is all there")
        try machine.type(#"{"execute":"qmp_capabilities"}"#)
        try machine.type(#"{"execute":"quit"}"#)
        #expect(try machine.status(seconds: 60) == 0)
    }
}
