import Foundation
import TestSupport
import Testing

/// swtpm for one test, which ends with it.
final class SoftwareTPM {
    private let process = Process()
    let control: String

    /// Its state and its socket lie in the folder.
    init(_ folder: TemporaryFolder, _ more: [String] = []) throws {
        control = folder.path("swtpm")
        process.executableURL = URL(fileURLWithPath: "/usr/bin/swtpm")
        process.arguments =
            ["socket", "--tpm2", "--tpmstate", "dir=\(folder.path)", "--ctrl", "type=unixio,path=\(control)"] + more
        process.standardError = FileHandle.nullDevice
        try process.run()
        let end = Date().addingTimeInterval(60)
        while !FileManager.default.fileExists(atPath: control), Date() < end { Thread.sleep(forTimeInterval: 0.02) }
    }
    deinit { end() }

    /// Ends it at once.
    func end() { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// What connects a machine with it.
    func arguments(_ model: String) -> [String] {
        [
            "-chardev", "socket,id=c,path=\(control)", "-tpmdev", "emulator,id=t,chardev=c",
            "-device", "\(model),tpmdev=t",
        ]
    }

    /// Asks the guest's driver for random bytes twice.
    static func check(_ machine: GuestMachine, module: String) throws {
        _ = try machine.output(of: "modprobe \(module)")
        #expect(try machine.output(of: "cat /sys/class/tpm/tpm0/tpm_version_major") == "2")
        #expect(try machine.output(of: "ls /sys/firmware/acpi/tables/TPM2") == "/sys/firmware/acpi/tables/TPM2")
        // TPM2_GetRandom of 16 bytes: a response of 28 bytes without an error, and not the same twice.
        let ask =
            "printf '\\200\\1\\0\\0\\0\\14\\0\\0\\1\\173\\0\\20' >/q; exec 3<>/dev/tpm0; cat /q >&3; head -c 28 <&3 | "
            + "hexdump -ve '1/1 \"%02x\"'; exec 3<&-"
        let answers = try (0..<2).map { _ in try machine.output(of: ask) }
        #expect(answers.allSatisfy { $0.hasPrefix("80010000001c000000000010") && $0.count == 56 }, "\(answers)")
        #expect(answers[0] != answers[1])
    }

    /// TPM2_PCR_Extend of register 16 by a digest of SHA-256, with an empty password.
    private static let extension16: [UInt8] =
        [0x80, 0x02, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 16, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0]
        + [0, 0, 0, 1, 0, 0x0B] + [UInt8](repeating: 0xA5, count: 32)

    /// Has a guest be able to extend register 16.
    static func prepare(_ machine: GuestMachine) throws { try machine.write(extension16, to: "/extend") }
    /// Extends register 16; what is in it then.
    static func extend(_ machine: GuestMachine) throws -> String {
        _ = try machine.output(of: "exec 3<>/dev/tpm0; cat /extend >&3; head -c 10 <&3 >/dev/null; exec 3<&-")
        return try register(machine)
    }
    /// What a guest reads from register 16.
    static func register(_ machine: GuestMachine) throws -> String {
        try machine.output(of: "cat /sys/class/tpm/tpm0/pcr-sha256/16")
    }
}

/// A TPM belongs to its machine's state: what a guest has put in its registers is there wherever the machine goes on.
@Suite(
    .serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"),
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/swtpm"), "needs swtpm"))
struct TPMStateTests {
    private static let image = Repository.root.appendingPathComponent(".build/release/apus-img").path

    /// One process of the machine, with a TPM of its own.
    private final class Stage {
        let folder: TemporaryFolder
        let tpm: SoftwareTPM
        let machine: GuestMachine
        let monitor: MonitorClient

        init(_ disk: String, _ more: [String] = [], keys: [String] = []) throws {
            folder = try TemporaryFolder()
            tpm = try SoftwareTPM(folder, keys)
            machine = try GuestMachine(
                [
                    "-accel", "tcg", "-M", "q35", "-m", "256", "-nodefaults", "-display", "none", "-serial", "stdio",
                    "-kernel", StockKernel.kernel, "-initrd", StockKernel.initramfs, "-append", "console=ttyS0",
                    "-drive", "file=\(disk),format=qcow2,if=virtio,id=disk",
                    "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
                ] + tpm.arguments("tpm-crb") + more)
            monitor = try MonitorClient(path: folder.path("qmp"))
        }

        func go(to address: String) throws -> [String: Any] {
            try monitor.execute("migrate", ["uri": address])
            let end = Date().addingTimeInterval(120)
            while true {
                let known = try #require(try monitor.execute("query-migrate") as? [String: Any])
                if ["completed", "failed"].contains(known["status"] as? String ?? "") || Date() > end { return known }
                Thread.sleep(forTimeInterval: 0.02)
            }
        }
        func quit() throws {
            try monitor.execute("quit")
            #expect(try machine.status() == 0)
        }
        var status: String? {
            get throws { (try monitor.execute("query-status") as? [String: Any])?["status"] as? String }
        }
    }

    @Test func registersGoWhereTheMachineGoes() throws {
        let files = try TemporaryFolder()
        let disk = files.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        // The first keeps its files under a key of its own, which nobody else has.
        let key = try files.file("key", Array("00112233445566778899aabbccddeeff".utf8))
        let first = try Stage(disk, keys: ["--key", "file=\(key)"])
        try first.machine.wait(for: "Type poweroff to end.")
        try SoftwareTPM.check(first.machine, module: "tpm_crb")
        try SoftwareTPM.prepare(first.machine)
        // Its first start is one that the guest's driver has to help with.
        _ = try first.machine.output(of: "dmesg -c >/boot.log; dmesg -n 1")
        let one = try SoftwareTPM.extend(first.machine)
        #expect(one.count == 64 && one.contains { $0 != "0" })

        // A snapshot takes the register back with all else.
        #expect(try first.monitor.human("savevm one").isEmpty)
        let two = try SoftwareTPM.extend(first.machine)
        #expect(two != one)
        #expect(try first.monitor.human("loadvm one").isEmpty)
        #expect(try SoftwareTPM.register(first.machine) == one)
        #expect(try SoftwareTPM.extend(first.machine) == two)

        // While it runs, to another process with an swtpm that has seen nothing of it.
        let door = "unix:\(files.path("door"))"
        let second = try Stage(disk, ["-incoming", door])
        let known = try first.go(to: door)
        #expect(known["status"] as? String == "completed", "\(known)")
        try first.quit()
        #expect(try SoftwareTPM.register(second.machine) == two)

        // A TPM that is gone is said before the machine is given up: it goes on.
        let spare = files.path("spare.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", spare, "1M").status == 0)
        let lonely = try Stage(spare, ["-S"])
        lonely.tpm.end()
        let lost = try lonely.go(to: "file:\(files.path("lost"))")
        #expect(lost["status"] as? String == "failed")
        #expect((lost["error-desc"] as? String)?.contains("Section 'tpm-crb': Field 'tpm': ") == true, "\(lost)")
        #expect(try lonely.status == "prelaunch")
        try lonely.quit()

        // To a file, and on from there.
        let state = files.path("state")
        let kept = try second.go(to: "file:\(state)")
        #expect(kept["status"] as? String == "completed", "\(kept)")
        try second.quit()
        let entry = files.path("entry")
        let third = try Stage(disk, ["-incoming", "file:\(state)", "-qmp", "unix:\(entry),server=on,wait=off"])
        #expect(try SoftwareTPM.register(third.machine) == two)
        #expect(try third.machine.output(of: "dmesg | grep -iE 'tpm.*(error|fail|timed out)'") == "")

        // A reset of the machine is one of its TPM too: what came with the state does not come back.
        try third.monitor.execute("system_reset")
        let end = Date().addingTimeInterval(240)
        while third.machine.console.components(separatedBy: "Type poweroff to end.").count < 2, Date() < end {
            Thread.sleep(forTimeInterval: 0.05)
        }
        _ = try third.machine.output(of: "modprobe tpm_crb")
        #expect(try SoftwareTPM.register(third.machine) == String(repeating: "0", count: 64))

        // Copies would have the same secrets.
        let ended = try HostProgram.run(
            Repository.apus, ["fork", "--qmp", entry, "--folder", files.path("forks")])
        #expect(ended.status == 1 && ended.errors.contains("TPM 't' keeps the secrets of one machine"), "\(ended)")
        #expect(try third.status == "running")
        try third.machine.type("poweroff -f")
        #expect(try third.machine.status() == 0)
    }

    @Test func aStateUnderAKeyNeedsTheKey() throws {
        let files = try TemporaryFolder()
        let disk = files.path("disk.qcow2")
        #expect(try runOnHost(Self.image, "create", "-f", "qcow2", disk, "64M").status == 0)
        let key = try files.file("key", Array("00112233445566778899aabbccddeeff".utf8))
        let other = try files.file("other", Array("ffeeddccbbaa99887766554433221100".utf8))
        let state = "file:\(files.path("state"))"
        let first = try Stage(disk, ["-S"], keys: ["--migration-key", "file=\(key)"])
        let known = try first.go(to: state)
        #expect(known["status"] as? String == "completed", "\(known)")
        try first.quit()
        for keys in [[], ["--migration-key", "file=\(other)"]] {
            let refused = try Stage(disk, ["-incoming", "defer"], keys: keys)
            try refused.monitor.execute("migrate-incoming", ["uri": state])
            #expect(try refused.machine.status() == 1)
            let said = try refused.machine.remainder()
            #expect(said.contains("Section 'tpm-crb': Field 'tpm': TPM emulator: "), "\(said)")
        }
        let taken = try Stage(disk, ["-incoming", state], keys: ["--migration-key", "file=\(key)"])
        let end = Date().addingTimeInterval(60)
        while try taken.status == "inmigrate", Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        // It stood when it was saved, and does so still.
        #expect(try taken.status == "paused")
        try taken.quit()
    }
}
