import Foundation
import Testing

/// Debian's kernel on every board and number of processors, to its shell and to each kind of end.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct BootTests {
    @Test("Debian's kernel boots to a shell and powers off", arguments: ["pc", "microvm"], [1, 2, 4])
    func bootsToAShell(board: String, processors: Int) throws {
        let machine = try GuestMachine(
            booting: ["-accel", "tcg", "-M", board, "-smp", "\(processors)", "-nic", "none"])
        try machine.wait(for: "Type poweroff to end.")
        let count = try machine.shell("grep -c ^processor /proc/cpuinfo")
        #expect(count.contains("\n\(processors)"), "\(count)")
        let answer = try machine.shell("echo $((6 * 7))")
        #expect(answer.contains("\n42"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        #expect(!machine.console.contains("Oops"))
        #expect(!machine.console.contains("BUG:"))
        #expect(!machine.console.contains("WARNING:"))
    }

    @Test func aTinyCodeCacheIsDroppedAgainAndAgain() throws {
        let machine = try GuestMachine(
            booting: ["-accel", "tcg,tb-size=1", "-smp", "2", "-nic", "none", "-d", "guest_errors,cpu_reset"])
        try machine.wait(for: "Type poweroff to end.")
        #expect(try machine.shell("echo $((6 * 7))").contains("\n42"))
        try machine.type("\u{1}cinfo jit")
        try machine.wait(for: "TB flush count")
        try machine.wait(for: "Exits of CPU #1:")
        let line = machine.console.split(whereSeparator: \.isNewline).first { $0.contains("TB flush count") }
        let flushes = line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        // Each processor's half MiB holds a small part of what a boot translates.
        #expect(flushes > 20)
        #expect(machine.console.contains("CPU Reset (CPU 1)"))
        try machine.type("\u{1}cpoweroff -f")
        #expect(try machine.status() == 0)
        #expect(!machine.console.contains("BUG:"))
    }

    /// A processor's tables would take 3 TiB.
    @Test func aLimitOfAddressSpaceLeavesTranslatedCode() throws {
        let machine = try GuestMachine(
            program: "/bin/sh",
            ["-c", "ulimit -v 20000000; exec \"$0\" \"$@\"", Repository.program, "-m", "512", "-nographic"]
                + ["-accel", "tcg", "-smp", "2", "-nic", "none", "-kernel", Repository.kernel]
                + ["-initrd", Repository.initramfs, "-append", "console=ttyS0"])
        try machine.wait(for: "Type poweroff to end.")
        try machine.type("\u{1}cinfo jit")
        try machine.wait(for: "accesses by             the TLB")
        try machine.type("\u{1}cpoweroff -f")
        #expect(try machine.status() == 0)
        let line = machine.console.split(whereSeparator: \.isNewline).first { $0.contains("TB translated") }
        #expect(line?.split(separator: " ").last.flatMap { Int($0) } ?? 0 > 10_000)
        #expect(!machine.console.contains("BUG:"))
    }

    @Test func aRebootStartsTheKernelAgain() throws {
        let machine = try GuestMachine(booting: ["-accel", "translator", "-nic", "none"])
        try machine.wait(for: "Type poweroff to end.")
        try machine.type("reboot -f")
        let end = Date().addingTimeInterval(90)
        while machine.console.components(separatedBy: "Type poweroff to end.").count < 3, Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(machine.console.components(separatedBy: "Linux version 6.1").count == 3)
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    @Test func aRebootEndsTheMachineWhereItIsAskedTo() throws {
        let machine = try GuestMachine(booting: ["-no-reboot", "-nic", "none"])
        try machine.wait(for: "Type poweroff to end.")
        try machine.type("reboot -f")
        #expect(try machine.status() == 0)
    }

    @Test func aPanicRebootsWhereTheKernelIsTold() throws {
        let machine = try GuestMachine(booting: ["-no-reboot", "-nic", "none"], append: "panic=-1")
        try machine.wait(for: "Type poweroff to end.")
        try machine.type("echo c > /proc/sysrq-trigger")
        try machine.wait(for: "Kernel panic - not syncing: sysrq triggered crash")
        #expect(try machine.status() == 0)
    }
}
