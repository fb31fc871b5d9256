import Foundation
import TestSupport
import Testing

/// What a machine takes with it besides its memory: variables of its firmware, and word that time has passed.
@Suite(.serialized)
struct MachineFactsTests {
    private static let code = "/usr/share/OVMF/OVMF_CODE_4M.fd"
    private static let variables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
    private static var hasUEFI: Bool {
        [code, variables].allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }
    private static let name = "ApusMoved -guid 5A9A2C56-6C1B-4E5B-8F0E-3B1C2D4E5F60"

    /// A machine in its firmware's shell, or on the way there, with variables in a file of its own.
    private func start(
        _ folder: TemporaryFolder, _ number: Int, _ variables: String, _ more: [String] = []
    ) throws -> (GuestMachine, MonitorClient) {
        let socket = folder.path("qmp\(number)")
        let machine = try GuestMachine(
            [
                "-M", "q35", "-m", "128", "-nographic", "-monitor", "none", "-nic", "none", "-no-reboot",
                "-drive", "if=pflash,unit=0,readonly=on,format=raw,file=\(Self.code)",
                "-drive", "if=pflash,unit=1,format=raw,file=\(variables)",
                "-qmp", "unix:\(socket),server=on,wait=off",
            ] + more)
        return (machine, try MonitorClient(path: socket))
    }

    private func status(_ monitor: MonitorClient) throws -> String? {
        (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
    }

    private func go(_ monitor: MonitorClient, to address: String) throws -> String? {
        try monitor.execute("migrate", ["uri": address])
        let end = Date().addingTimeInterval(120)
        while true {
            let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
            let status = known["status"] as? String ?? ""
            if ["completed", "failed"].contains(status) || Date() > end { return status }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    private func waitUntilRunning(_ monitor: MonitorClient) throws {
        let end = Date().addingTimeInterval(60)
        while try status(monitor) != "running", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        #expect(try status(monitor) == "running")
    }

    /// Goes to the firmware's shell.
    private func enterShell(_ machine: GuestMachine) throws {
        try machine.wait(for: "in 5 seconds to skip")
        try machine.type("\u{1B}")
        try machine.wait(for: "Shell>")
    }

    @Test(.enabled(if: hasUEFI, "needs ovmf")) func variablesOfUEFIGoWithTheirMachine() throws {
        let folder = try TemporaryFolder()
        let (own, other) = (folder.path("own.fd"), folder.path("other.fd"))
        for path in [own, other] { try #require(try runOnHost("cp", Self.variables, path).status == 0) }
        let (machine, monitor) = try start(folder, 0, own)
        try enterShell(machine)
        try machine.type("setvar \(Self.name) -bs -rt -nv =0x5741\r\necho isset\r")
        try machine.wait(for: "isset")
        // While it runs, to where there is another file, which is the machine's from then on.
        let door = "unix:\(folder.path("door"))"
        let (next, nextMonitor) = try start(folder, 1, other, ["-incoming", door])
        #expect(try go(monitor, to: door) == "completed")
        try waitUntilRunning(nextMonitor)
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        try next.type("setvar \(Self.name)\r")
        try next.wait(for: "41 57")
        try next.type("reset -s\r")
        #expect(try next.status() == 0)
        let (last, lastMonitor) = try start(folder, 2, other)
        try enterShell(last)
        try last.type("setvar \(Self.name)\r")
        try last.wait(for: "41 57")
        try lastMonitor.execute("quit")
        #expect(try last.status() == 0)
    }

    /// Linux says so in its log when it takes new random numbers.
    private static let news = "crng reseeded due to virtual machine fork"

    @Test(.enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
    func aGuestIsToldOfItsGenerations() throws {
        let folder = try TemporaryFolder()
        let image = Repository.root.appendingPathComponent(".build/release/apus-img").path
        let disk = folder.path("disk.qcow2")
        #expect(try runOnHost(image, "create", "-f", "qcow2", disk, "64M").status == 0)
        func options(_ disk: String) -> [String] {
            [
                "-accel", "tcg", "-M", "pc", "-device", "vmgenid", "-drive",
                "file=\(disk),format=qcow2,if=virtio,id=disk",
            ]
        }
        let (machine, monitor) = try StockKernel.boot(folder, options(disk))
        func known(_ monitor: MonitorClient) throws -> String {
            let guid = try monitor.execute("query-vm-generation-id") as? [String: Any]
            return try #require(guid?["guid"] as? String)
        }
        func told(_ machine: GuestMachine, _ count: Int) throws {
            let line =
                "n=0; while [ $(dmesg | grep -c '\(Self.news)') -lt \(count) ] && [ $n -lt 100 ]; do "
                + "sleep 0.1; n=$((n+1)); done; dmesg | grep -c '\(Self.news)'"
            #expect(try machine.output(of: line) == "\(count)")
        }
        try told(machine, 0)
        var generations = [try known(monitor)]

        // Back to a snapshot: once more from there.
        #expect(try monitor.human("savevm one").isEmpty)
        #expect(try monitor.human("loadvm one").isEmpty)
        try told(machine, 1)
        generations.append(try known(monitor))

        // A copy is told, and who stays is not.
        let overlay = folder.path("child.qcow2")
        #expect(
            try runOnHost(image, "create", "-u", "-f", "qcow2", "-F", "qcow2", "-b", disk, overlay, "64M").status == 0)
        func start(_ name: String, _ disk: String, _ way: String) throws -> (GuestMachine, MonitorClient) {
            let machine = try GuestMachine(
                [
                    "-m", "256", "-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", StockKernel.kernel,
                    "-initrd", StockKernel.initramfs, "-append", "console=ttyS0",
                    "-qmp", "unix:\(folder.path(name)),server=on,wait=off", "-incoming", way,
                ] + options(disk))
            return (machine, try MonitorClient(path: folder.path(name)))
        }
        let door = "unix:\(folder.path("door"))"
        let (child, childMonitor) = try start("child", overlay, door)
        let own = folder.path("own.qcow2")
        try monitor.execute(
            "x-fork", ["children": [door], "overlays": [["device": "disk", "snapshot-file": own]]])
        try waitUntilRunning(childMonitor)
        try told(child, 2)
        generations.append(try known(childMonitor))
        try childMonitor.execute("quit")
        #expect(try child.status() == 0)
        try waitUntilRunning(monitor)
        try told(machine, 1)

        // From a file in another process, after a while: the generation is another, and the clock is the host's.
        let since = try machine.clockZero()
        let state = folder.path("state")
        #expect(try go(monitor, to: "file:\(state)") == "completed")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        Thread.sleep(forTimeInterval: 2)
        let (next, nextMonitor) = try start("next", own, "file:\(state)")
        try waitUntilRunning(nextMonitor)
        try told(next, 2)
        generations.append(try known(nextMonitor))
        #expect(Set(generations).count == 4, "\(generations)")
        let now = try next.clockZero()
        #expect(
            now.lowerBound - 0.1 <= since.upperBound && since.lowerBound - 0.1 <= now.upperBound,
            "The guest's clock was 0 at \(since), and after its travels at \(now)")
        let date = try #require(Double(try next.output(of: "date +%s")))
        #expect(abs(date - Date().timeIntervalSince1970) < 3)
        let log = try next.output(of: "dmesg | grep -E 'lockup|stall|unstable|BUG:|Oops|I/O error|hung'")
        #expect(log == "", "\(log)")
        try nextMonitor.execute("quit")
        #expect(try next.status() == 0)
    }
}
