import Foundation
import Testing

/// Machines that wait for a command before the first instruction, and that stay after the last.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct LifeCycleTests {
    @Test func aMachineWaitsToBeStartedAndStaysWhenItsGuestIsOff() throws {
        let folder = try TemporaryFolder()
        let machine = try GuestMachine(
            booting: ["-S", "-no-shutdown", "-nic", "none", "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"])
        let monitor = try MonitorClient(path: folder.path("qmp"))
        func status() throws -> String? {
            (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
        }
        #expect(try status() == "prelaunch")
        // A machine that runs shows the kernel's first line in less.
        Thread.sleep(forTimeInterval: 2)
        #expect(!machine.console.contains("Linux version"), "\(machine.console)")
        try monitor.execute("cont")
        try monitor.wait(forEvent: "RESUME")
        try machine.wait(for: "Type poweroff to end.")
        #expect(try status() == "running")

        try machine.type("poweroff -f")
        let event = try monitor.wait(forEvent: "SHUTDOWN", seconds: 120)
        #expect(event["reason"] as? String == "guest-shutdown")
        try monitor.wait(forEvent: "STOP")
        #expect(try status() == "shutdown")
        // It cannot go on as it is, but starts anew after a reset.
        #expect(throws: MonitorClient.Failed.self) { try monitor.execute("cont") }
        let before = machine.console.count
        try monitor.execute("system_reset")
        try monitor.execute("cont")
        let end = Date().addingTimeInterval(240)
        while !machine.console.dropFirst(before).contains("Type poweroff to end."), Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(machine.console.dropFirst(before).contains("Type poweroff to end."))
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }
}
