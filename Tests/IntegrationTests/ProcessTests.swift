import Foundation
import Testing

/// The machine as a process of its host: memory, exit status, life in the background.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct ProcessTests {
    @Test func theProcessNeedsLittleMoreThanItsGuest() throws {
        let machine = try GuestMachine(booting: ["-smp", "2"])
        try machine.wait(for: "Type poweroff to end.")
        // The guest touches all that it has: what is above it is the machine's own.
        _ = try machine.shell(
            "mount -t tmpfs -o size=100% none /mnt; dd if=/dev/zero of=/mnt/a bs=1M count=380; rm /mnt/a")
        let status = try String(contentsOfFile: "/proc/\(machine.identifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        let peak = try #require(Int(line.filter(\.isNumber)))
        #expect(peak > 380 << 10)
        #expect(peak < (512 + 150) << 10, "\(peak) KiB for a guest of 512 MiB")
    }

    /// The guest writes to the port, and the process ends with twice the value plus one.
    @Test(arguments: [0, 5, 127])
    func aDebugExitGivesTheStatus(value: Int) throws {
        let machine = try GuestMachine(
            booting: ["-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        try machine.wait(for: "Type poweroff to end.")
        let octal = String(value, radix: 8)
        try machine.type("printf '\\0\(octal)' | dd of=/dev/port bs=1 seek=244 conv=notrunc")
        #expect(try machine.status() == Int32(value << 1 | 1) & 0xff)
    }

    @Test func aDaemonReturnsAtOnceAndLeavesItsNumber() throws {
        let folder = try TemporaryFolder()
        let starter = try GuestMachine(
            ["-daemonize", "-m", "256", "-display", "none", "-nic", "none", "-pidfile", folder.path("pid")]
                + ["-serial", "file:\(folder.path("console"))", "-kernel", Repository.kernel]
                + ["-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"]
                + ["-initrd", Repository.initramfs, "-append", "console=ttyS0"])
        #expect(try starter.status(seconds: 20) == 0)
        let text = try String(contentsOfFile: folder.path("pid"), encoding: .utf8)
        let process = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        defer { kill(process, SIGKILL) }
        #expect(process != starter.identifier)
        #expect(kill(process, 0) == 0)

        let monitor = try MonitorClient(path: folder.path("qmp"))
        let end = Date().addingTimeInterval(60)
        var console = ""
        while !console.contains("Type poweroff to end."), Date() < end {
            Thread.sleep(forTimeInterval: 0.1)
            console = (try? String(contentsOfFile: folder.path("console"), encoding: .utf8)) ?? ""
        }
        #expect(console.contains("Type poweroff to end."))
        try monitor.execute("system_powerdown")
        try monitor.wait(forEvent: "SHUTDOWN")
        while kill(process, 0) == 0, Date() < end { Thread.sleep(forTimeInterval: 0.05) }
        #expect(kill(process, 0) != 0)
        #expect(!FileManager.default.fileExists(atPath: folder.path("pid")))
    }

    @Test func aSignalEndsTheMachine() throws {
        let machine = try GuestMachine(booting: ["-nic", "none"])
        try machine.wait(for: "Linux version")
        kill(machine.identifier, SIGTERM)
        #expect(try machine.status(seconds: 10) == 0)
        #expect(try machine.remainder().contains("terminating on signal 15 from pid \(getpid())"))
    }
}
