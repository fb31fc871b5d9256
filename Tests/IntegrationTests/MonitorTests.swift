import Foundation
import Testing

/// Monitors of a machine whose guest really runs.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MonitorTests {
    private static func start(
        _ folder: TemporaryFolder, _ more: [String] = []
    ) throws -> (machine: GuestMachine, monitor: MonitorClient) {
        let machine = try GuestMachine(
            ["-m", "256", "-smp", "2", "-display", "none", "-serial", "stdio", "-monitor", "none"]
                + ["-kernel", Repository.kernel, "-initrd", Repository.initramfs, "-append", "console=ttyS0"]
                + ["-accel", "tcg", "-name", "probe", "-netdev", "user,id=net0"]
                + ["-device", "virtio-net-pci,netdev=net0"]
                + ["-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"] + more)
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try machine.wait(for: "Type poweroff to end.")
        return (machine, monitor)
    }

    /// The processors' threads as QMP names them.
    private static func threads(_ monitor: MonitorClient) throws -> [Int] {
        let processors = try #require(try monitor.execute("query-cpus-fast") as? [[String: Any]])
        return processors.compactMap { $0["thread-id"] as? Int }
    }

    @Test func aMachineStopsAndGoesOn() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try Self.start(folder)
        func status() throws -> [String: Any] { try #require(try monitor.execute("query-status") as? [String: Any]) }
        #expect(try status()["status"] as? String == "running")
        try monitor.execute("stop")
        try monitor.wait(forEvent: "STOP")
        #expect(try status()["status"] as? String == "paused")
        #expect(try status()["running"] as? Bool == false)

        // What is typed while it stands is answered when it goes on.
        let before = machine.console.count
        try machine.type("echo still''here")
        Thread.sleep(forTimeInterval: 0.5)
        #expect(!machine.console.dropFirst(before).contains("stillhere"))
        try monitor.execute("cont")
        try monitor.wait(forEvent: "RESUME")
        try machine.wait(for: "stillhere")

        #expect((try monitor.execute("query-name") as? [String: Any])?["name"] as? String == "probe")
        #expect(try monitor.human("info status").contains("running"))
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func threadsOfProcessorsCanBeBound() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try Self.start(folder)
        let threads = try Self.threads(monitor)
        #expect(threads.count == 2)
        for (number, thread) in threads.enumerated() {
            let task = "/proc/\(machine.identifier)/task/\(thread)"
            let name = try String(contentsOfFile: "\(task)/comm", encoding: .utf8)
            #expect(name == "CPU \(number)/TCG\n")
            let bound = try runOnHost("taskset", "-p", "1", "\(thread)")
            #expect(bound.status == 0, "\(bound.output)")
            let status = try String(contentsOfFile: "\(task)/status", encoding: .utf8)
            #expect(status.contains("Cpus_allowed_list:\t0\n"))
        }
        let text = try monitor.human("info cpus")
        #expect(text.contains("* CPU #0"))
        for thread in threads { #expect(text.contains("thread_id=\(thread)")) }
        let answer = try machine.shell("echo $((6 * 7))")
        #expect(answer.contains("42"))
    }

    @Test func theHumanMonitorShowsTheMachine() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try Self.start(folder)
        let mark = "\(UInt64.random(in: 1 << 60...UInt64.max))"
        _ = try machine.shell("echo \(mark)")
        try monitor.execute("stop")
        var registers = try monitor.human("info registers")
        // The shell may not rest yet.
        for _ in 0..<50 where !registers.contains("RIP=ffffffff") {
            try monitor.execute("cont")
            Thread.sleep(forTimeInterval: 0.1)
            try monitor.execute("stop")
            registers = try monitor.human("info registers")
        }
        for name in ["RAX=", "RIP=", "CR0=", "CR3=", "EFER=", "CS ="] { #expect(registers.contains(name), "\(name)") }
        // A kernel at rest is in its own half of the addresses.
        #expect(registers.contains("RIP=ffffffff"))
        let code = try monitor.human("x /3i $pc")
        #expect(code.split(whereSeparator: \.isNewline).count == 3, "\(code)")
        // The boot parameters' magic number of Linux, in its own page: there is memory, and a monitor reads it.
        let memory = try monitor.human("xp /2xw 0x100000")
        #expect(memory.hasPrefix("0000000000100000:"), "\(memory)")
        let pci = try monitor.human("info pci")
        #expect(pci.contains("Bus  0") && pci.contains("1af4:1000"), "\(pci)")
        let qtree = try monitor.human("info qtree")
        #expect(qtree.contains("virtio-net-pci") && qtree.contains("netdev = \"net0\""), "\(qtree.suffix(2000))")
        let map = try monitor.human("info mtree")
        #expect(map.contains("0000000000000000") && map.lowercased().contains("ram"), "\(map)")
        #expect(try monitor.human("info network").contains("net0"))
        #expect(try monitor.human("info mem").contains("-"))
        #expect(try monitor.human("info kvm").contains("disabled"))
        #expect(try monitor.human("colour").contains("unknown command"))
        try monitor.execute("cont")
        let answer = try machine.shell("echo $((6 * 7))")
        #expect(answer.contains("42"))
    }

    @Test func thePowerButtonEndsTheGuest() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try Self.start(folder)
        try monitor.execute("system_powerdown")
        try monitor.wait(forEvent: "POWERDOWN")
        let data = try monitor.wait(forEvent: "SHUTDOWN")
        #expect(data["guest"] as? Bool == true)
        #expect(data["reason"] as? String == "guest-shutdown")
        #expect(try machine.status() == 0)
    }

    @Test func aResetStartsTheKernelAgain() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try Self.start(folder)
        let before = machine.console.count
        try monitor.execute("system_reset")
        try monitor.wait(forEvent: "RESET")
        let end = Date().addingTimeInterval(60)
        while !machine.console.dropFirst(before).contains("Type poweroff to end."), Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(machine.console.dropFirst(before).contains("Linux version"))
        #expect(machine.console.dropFirst(before).contains("Type poweroff to end."))
    }

    /// QEMU's monitor on the standard streams: a prompt, and answers between prompts.
    @Test func aMonitorOnStandardStreams() throws {
        let machine = try GuestMachine(
            ["-m", "256", "-display", "none", "-serial", "null", "-monitor", "stdio", "-S", "-nic", "none"]
                + ["-kernel", Repository.kernel])
        try machine.wait(for: "(qemu)")
        try machine.type("info status")
        try machine.wait(for: "VM status: paused (prelaunch)")
        try machine.type("cont")
        try machine.type("info status")
        try machine.wait(for: "VM status: running")
        try machine.type("quit")
        #expect(try machine.status() == 0)
    }
}
