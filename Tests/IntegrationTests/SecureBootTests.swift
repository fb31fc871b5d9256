import Foundation
import Testing

private let image = Repository.root.appendingPathComponent("guest/secure.img").path
private let code = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
private let variables = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"

/// Debian's OVMF with Secure Boot, whose variables only system management writes, and Debian's own signed chain.
@Suite(
    .serialized,
    .enabled(
        if: [image, code, variables].allSatisfy { FileManager.default.fileExists(atPath: $0) },
        "needs ovmf and 'make guest/secure.img'"))
struct SecureBootTests {
    private let folder: TemporaryFolder
    private var flash: String { folder.path("vars.fd") }

    init() throws {
        folder = try TemporaryFolder()
        try #require(try runOnHost("cp", variables, folder.path("vars.fd")).status == 0)
    }

    private func machine(_ arguments: [String]) throws -> GuestMachine {
        try GuestMachine(
            [
                "-M", "q35,smm=on", "-accel", "tcg", "-m", "512", "-nographic", "-nic", "none",
                "-global", "driver=cfi.pflash01,property=secure,value=on",
                "-drive", "if=pflash,unit=0,readonly=on,format=raw,file=\(code)",
                "-drive", "if=pflash,unit=1,format=raw,file=\(flash)", "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off",
            ] + arguments)
    }

    private func wait(_ monitor: MonitorClient, _ command: String, for status: String) throws {
        let end = Date().addingTimeInterval(120)
        while (try monitor.execute(command) as? [String: Any])?["status"] as? String != status {
            try #require(Date() < end, "\(command) does not say \(status)")
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    /// Shim, GRUB and the kernel check each other; variables are written by SMIs; a processor that is plugged in joins them,
    /// and one that is plugged out leaves them; and all of it goes on in another process.
    @Test func debianStartsSecurely() throws {
        let arguments = ["-smp", "1,sockets=2,maxcpus=2", "-drive", "file=\(image),format=raw,if=virtio,snapshot=on"]
        var guest = try machine(arguments)
        try guest.wait(for: "Type poweroff to end.")
        try guest.wait(for: "~ # ")
        #expect(try guest.output(of: "dmesg | grep -c 'secureboot: Secure boot enabled'") == "1")
        #expect(try guest.output(of: "dmesg | grep -c 'Kernel is locked down from EFI Secure Boot'") == "1")
        let directory = "/sys/firmware/efi/efivars"
        let variable = "\(directory)/ApusTest-5a9a2c56-6c1b-4e5b-8f0e-3b1c2d4e5f60"
        _ = try guest.shell("mount -t efivarfs none \(directory)")
        _ = try guest.shell("printf '\\007\\000\\000\\000first' >\(variable)")
        var monitor = try MonitorClient(path: folder.path("qmp"))
        let saved = folder.path("saved")
        try monitor.execute("migrate", ["uri": "file:\(saved)"])
        try wait(monitor, "query-migrate", for: "completed")
        try monitor.execute("quit")
        #expect(try guest.status() == 0)

        guest = try machine(arguments + ["-incoming", "file:\(saved)"])
        monitor = try MonitorClient(path: folder.path("qmp"))
        try wait(monitor, "query-status", for: "running")
        #expect(try guest.output(of: "tail -c 5 \(variable)") == "first")
        // The kernel's words stay out of the answers.
        _ = try guest.shell("dmesg -n 1")
        let refusal = try monitor.human("device_add qemu64-x86_64-cpu,id=c1,socket-id=1,core-id=0,thread-id=0")
        #expect(refusal == "")
        #expect(try guest.output(of: "until dmesg | grep -q 'CPU1 has been hot-added'; do sleep 0.1; done; echo came") == "came")
        _ = try guest.shell("echo 1 >/sys/devices/system/cpu/cpu1/online")
        #expect(try guest.output(of: "nproc") == "2")
        // Two processors enter system management together from now on.
        let second = variable.replacingOccurrences(of: "ApusTest", with: "ApusSecond")
        _ = try guest.shell("printf '\\007\\000\\000\\000again' >\(second)")
        #expect(try guest.output(of: "tail -c 5 \(second)") == "again")
        // Firmware lets it go, and interrupts the other alone; and takes one in again.
        #expect(try monitor.human("device_del c1") == "")
        let gone = "until [ $(nproc) = 1 ] && ! [ -e /sys/devices/system/cpu/cpu1/online ]; do sleep 0.1; done; echo gone"
        #expect(try guest.output(of: gone) == "gone")
        #expect(try guest.output(of: "dmesg | grep -ci 'eject incomplete'") == "0")
        let third = variable.replacingOccurrences(of: "ApusTest", with: "ApusThird")
        _ = try guest.shell("printf '\\007\\000\\000\\000alone' >\(third)")
        #expect(try guest.output(of: "tail -c 5 \(third)") == "alone")
        #expect(try monitor.human("device_add qemu64-x86_64-cpu,id=c2,socket-id=1,core-id=0,thread-id=0") == "")
        let back = "until [ -e /sys/devices/system/cpu/cpu1/online ]; do sleep 0.1; done"
        #expect(try guest.output(of: "\(back); echo 1 >/sys/devices/system/cpu/cpu1/online; nproc") == "2")
        let fourth = variable.replacingOccurrences(of: "ApusTest", with: "ApusFourth")
        _ = try guest.shell("printf '\\007\\000\\000\\000both!' >\(fourth)")
        #expect(try guest.output(of: "tail -c 5 \(fourth)") == "both!")
        try guest.type("poweroff")
        #expect(try guest.status() == 0)
        // What firmware wrote is in the image of the chip.
        #expect(try Data(contentsOf: URL(fileURLWithPath: flash)).range(of: Data("again".utf8)) != nil)
    }

    /// Nothing that is not signed starts, with two processors from the start.
    @Test func whatIsNotSignedDoesNotStart() throws {
        let guest = try machine(["-smp", "2"])
        try guest.wait(for: "failed to start Boot0002 \"EFI Internal Shell\"")
        try guest.wait(for: "Security Violation")
        let monitor = try MonitorClient(path: folder.path("qmp"))
        try monitor.execute("quit")
        #expect(try guest.status() == 0)
    }

    @Test func whoseEngineHasNoSystemManagementSaysSo() throws {
        let guest = try GuestMachine(["-M", "q35,smm=off", "-nographic", "-global", "driver=cfi.pflash01,property=secure,value=on"])
        #expect(try guest.status() == 1)
        #expect(try guest.remainder().contains("flash that only system management writes takes smm=on"))
    }
}
