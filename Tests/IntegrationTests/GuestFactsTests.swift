import Foundation
import Testing

/// What a guest sees of its processors and of time.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct GuestFactsTests {
    @Test func aTopologyIsSeen() throws {
        let machine = try GuestMachine(
            booting: ["-accel", "tcg", "-nic", "none", "-smp", "8,sockets=2,cores=2,threads=2"])
        try machine.wait(for: "Type poweroff to end.")
        // One line a processor: its number, socket, core, and how many cores and processors a socket has.
        let facts = try machine.output(
            of: """
                awk -F': ' '/^processor/{p=$2} /^physical id/{s=$2} /^siblings/{n=$2} /^core id/{c=$2} \
                /^cpu cores/{print p, s, c, $2, n}' /proc/cpuinfo
                """)
        let expected = (0..<8).map { "\($0) \($0 / 4) \($0 / 2 % 2) 2 4" }
        #expect(facts == expected.joined(separator: "\n"))
        let siblings = try machine.output(of: "cat /sys/devices/system/cpu/cpu[0-7]/topology/thread_siblings_list")
        #expect(siblings == "0-1\n0-1\n2-3\n2-3\n4-5\n4-5\n6-7\n6-7")
        let sockets = try machine.output(of: "cat /sys/devices/system/cpu/cpu[0-7]/topology/core_siblings_list")
        #expect(sockets == "0-3\n0-3\n0-3\n0-3\n4-7\n4-7\n4-7\n4-7")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    /// Guest minus host time in seconds, measured when the way there and back was the shortest of some.
    private static func difference(_ machine: GuestMachine) throws -> (value: Double, uncertainty: Double) {
        var best = (value: 0.0, uncertainty: Double.infinity)
        for _ in 0..<20 {
            let sent = Date().timeIntervalSince1970
            let text = try machine.output(of: "adjtimex | awk '/tv_sec/{s=$2} /tv_usec/{print s, $2}'")
            let received = Date().timeIntervalSince1970
            let words = text.split(separator: " ").compactMap { Double($0) }
            try #require(words.count == 2, "\(text)")
            let uncertainty = (received - sent) / 2
            if uncertainty < best.uncertainty {
                best = (words[0] + words[1] / 1e6 - (sent + received) / 2, uncertainty)
            }
            if best.uncertainty < 0.02 { break }
        }
        return best
    }

    @Test func timeDoesNotDriftUnderLoad() throws {
        let machine = try GuestMachine(booting: ["-accel", "tcg", "-nic", "none", "-smp", "2"])
        try machine.wait(for: "Type poweroff to end.")
        let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        #expect(try machine.output(of: "cat \(clock)") == "kvm-clock")
        let start = try Self.difference(machine)
        // Linux sets its clock from the clock chip, which counts whole seconds.
        #expect(abs(start.value) < 1 + start.uncertainty, "\(start)")

        // More busy processes than processors, whose timers and switches must all be on time.
        _ = try machine.output(of: "for i in 1 2 3; do (while :; do :; done) & done")
        Thread.sleep(forTimeInterval: 20)
        let end = try Self.difference(machine)
        #expect(abs(end.value - start.value) < 0.2 + start.uncertainty + end.uncertainty, "\(start), then \(end)")
        #expect(try machine.output(of: "cat \(clock)") == "kvm-clock")
        #expect(!machine.console.contains("clocksource: timekeeping watchdog"))
        #expect(!machine.console.contains("soft lockup"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }
}
