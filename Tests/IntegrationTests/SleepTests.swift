import Foundation
import Testing

/// Guests that suspend to RAM, and what wakes them.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct SleepTests {
    private static let seaBIOS = "/usr/share/seabios/bios-256k.bin"

    private func start(
        _ folder: TemporaryFolder, _ arguments: [String], name: String = "qmp"
    ) throws -> (GuestMachine, MonitorClient) {
        let path = folder.path(name)
        let machine = try GuestMachine(
            booting: ["-accel", "tcg", "-m", "192", "-nic", "none", "-qmp", "unix:\(path),server=on,wait=off"] + arguments)
        return (machine, try MonitorClient(path: path))
    }
    private func status(_ monitor: MonitorClient) throws -> String? {
        (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
    }

    /// By the clock's alarm and by a monitor; with the board in the place of firmware, and by SeaBIOS.
    @Test(arguments: [("pc", 2, false), ("q35", 2, false), ("pc", 1, true), ("q35", 2, true)])
    func aGuestSleepsAndWakes(board: String, processors: Int, hasFirmware: Bool) throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try start(
            folder, ["-M", board, "-smp", "\(processors)"] + (hasFirmware ? ["-bios", Self.seaBIOS] : []))
        try machine.wait(for: "Type poweroff to end.")
        #expect(throws: MonitorClient.Failed.self) { try monitor.execute("system_wakeup") }
        let since = try machine.clockZero()
        _ = try machine.shell("sha256sum /bin/busybox >/sum; echo 1 >/sys/class/rtc/rtc0/wakealarm")
        try machine.type("echo +2 >/sys/class/rtc/rtc0/wakealarm; echo mem >/sys/power/state; echo awa''ke-1-$?")
        try monitor.wait(forEvent: "SUSPEND", seconds: 120)
        try monitor.wait(forEvent: "WAKEUP", seconds: 120)
        try machine.wait(for: "awake-1-0")
        #expect(try status(monitor) == "running")

        try machine.type("echo mem >/sys/power/state; echo awa''ke-2-$?")
        try monitor.wait(forEvent: "SUSPEND", seconds: 120)
        #expect(try status(monitor) == "suspended")
        // It sleeps on through a stop.
        try monitor.execute("stop")
        try monitor.execute("cont")
        #expect(try status(monitor) == "suspended")
        try monitor.execute("system_wakeup")
        try machine.wait(for: "awake-2-0")
        #expect(try machine.output(of: "sha256sum /bin/busybox | cmp - /sum && echo same; nproc") == "same\n\(processors)")
        let now = try machine.clockZero()
        // Linux asks a clock of seconds how long it slept.
        #expect(now.lowerBound - 1 <= since.upperBound && since.lowerBound - 1 <= now.upperBound, "\(since) \(now)")
        let log = try machine.output(of: "dmesg | grep -E 'lockup|stalls|BUG:|WARNING:|Oops|I/O error' | head -3")
        #expect(log.isEmpty, "\(log)")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }

    /// A machine that sleeps is saved, and what comes back sleeps, until it is woken.
    @Test func aSleepingMachineIsSaved() throws {
        let folder = try TemporaryFolder()
        let (first, monitor) = try start(folder, ["-M", "pc"])
        try first.wait(for: "Type poweroff to end.")
        try first.type("echo mem >/sys/power/state; echo awa''ke-$?")
        try monitor.wait(forEvent: "SUSPEND", seconds: 120)
        try monitor.execute("migrate", ["uri": "file:\(folder.path("state"))"])
        let end = Date().addingTimeInterval(120)
        while try status(monitor) != "postmigrate", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        try monitor.execute("quit")
        _ = try first.status()

        let (second, other) = try start(
            folder, ["-M", "pc", "-incoming", "file:\(folder.path("state"))"], name: "second")
        while try status(other) != "suspended", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        #expect(try status(other) == "suspended")
        try other.execute("system_wakeup")
        try second.wait(for: "awake-0")
        #expect(try second.output(of: "echo $((6*7))") == "42")
    }

    /// Where it is off, the guest does not know of it.
    @Test func sleepCanBeTurnedOff() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try start(
            folder, ["-M", "pc", "-global", "PIIX4_PM.disable_s3=1", "-global", "PIIX4_PM.disable_s4=1"])
        let known = try monitor.execute("query-current-machine") as? [String: Any]
        #expect(known?["wakeup-suspend-support"] as? Bool == false)
        try machine.wait(for: "Type poweroff to end.")
        #expect(try machine.output(of: "dmesg | grep -o 'supports S.*)'") == "supports S0 S5)")
    }
}
