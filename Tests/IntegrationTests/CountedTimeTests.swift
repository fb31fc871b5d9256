import Foundation
import Testing

/// `-icount`: virtual time by executed instructions.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct CountedTimeTests {
    private static let same = [
        "-accel", "tcg", "-smp", "1", "-m", "256", "-nic", "none", "-seed", "7", "-rtc", "base=2024-01-01,clock=vm",
    ]

    /// With its random numbers seeded, a machine does the same in every run: its kernel finds the same addresses at random,
    /// and each line of its log has the same microseconds.
    @Test func twoRunsAreOne() throws {
        let machines = try (0..<2).map { _ in try GuestMachine(booting: Self.same + ["-icount", "shift=2,sleep=off"]) }
        let logs = try machines.map { machine -> [Substring] in
            try machine.wait(for: "init reached")
            let lines = machine.console.split(whereSeparator: \.isNewline)
            return Array(lines.drop { !$0.contains("Linux version") }.prefix { !$0.contains("init reached") })
        }
        #expect(logs[0].count > 200)
        for (first, second) in zip(logs[0], logs[1]) where first != second {
            Issue.record("'\(first)' and '\(second)'")
            return
        }
        #expect(logs[0].count == logs[1].count)
        #expect(logs[0].contains { $0.contains("2024") } || logs[0].contains { $0.contains("17040672") })
    }

    /// While it waits, time goes as the host's; the guest's date is the one that was asked for.
    @Test(arguments: ["shift=3", "auto", "shift=1,align=on"])
    func guestsSleepAsLongAsTheySay(icount: String) throws {
        let machine = try GuestMachine(booting: Self.same + ["-icount", icount])
        try machine.wait(for: "Type poweroff to end.")
        let start = Date.now
        #expect(try machine.output(of: "sleep 2; date +%Y") == "2024")
        let passed = Date.now.timeIntervalSince(start)
        #expect(passed > 1.5 && passed < 20, "\(passed) s")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    @Test(arguments: [
        (["-icount", "shift=1", "-accel", "kvm"], "-icount is not allowed with hardware virtualization"),
        (["-icount", "shift=1", "-smp", "2"], "-icount takes one processor, not 2"),
        (["-icount", "shift=11"], "a number from 0 to 10, or auto"), (["-icount", "auto,align=on"], "incompatible"),
        (["-icount", "align=on"], "Please specify shift option when using align"),
        (["-icount", "shift=1,align=on,sleep=off"], "align=on and sleep=off are incompatible"),
        (["-icount", "shift=1,rr=record,rrfile=x"], "not supported"),
    ])
    func whatCannotBeIsSaid(options: [String], words: String) throws {
        let machine = try GuestMachine(["-nographic", "-display", "none"] + options)
        #expect(try machine.status() == 1)
        let said = try machine.remainder()
        #expect(said.contains(words), "\(said)")
    }
}
