import Foundation
import Testing

/// Errors of images, as guests and monitors see them.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct DriveErrorTests {
    /// A machine with a disk behind `blkdebug`, and its monitor.
    private struct Bench {
        let folder: TemporaryFolder
        let machine: GuestMachine
        let monitor: MonitorClient

        init(rules: String, drive: String, more: [String] = [], format: String = "qcow2") throws {
            folder = try TemporaryFolder()
            let image = folder.path("disk.\(format)")
            let tool = Repository.root.appendingPathComponent(".build/release/apus-img").path
            #expect(try runOnHost(tool, "create", "-q", "-f", format, image, "16M").status == 0)
            try Data(rules.utf8).write(to: URL(fileURLWithPath: folder.path("rules")))
            let socket = folder.path("qmp")
            machine = try GuestMachine(
                booting: [
                    "-nic", "none", "-qmp", "unix:\(socket),server=on,wait=off", "-drive",
                    "file=blkdebug:\(folder.path("rules")):\(image),format=\(format),\(drive)",
                ] + more)
            monitor = try MonitorClient(path: socket)
            try machine.wait(for: "Type poweroff to end.")
        }
        var image: String { folder.path("disk.qcow2") }

        func status() throws -> String? {
            (try monitor.execute("query-status") as? [String: Any])?["status"] as? String
        }
        func health() throws -> [String] {
            (try monitor.execute("query-block") as? [[String: Any]] ?? []).filter { $0["inserted"] != nil }
                .compactMap { $0["io-status"] as? String }
        }
        func end() throws {
            try machine.type("poweroff -f")
            #expect(try machine.status() == 0)
            let tool = Repository.root.appendingPathComponent(".build/release/apus-img").path
            let check = try runOnHost(tool, "check", image)
            #expect(check.status == 0, "\(check.output)")
        }
    }

    /// A way to have a disk.
    struct Way: Sendable, CustomStringConvertible {
        let description: String
        let drive: String
        var more: [String] = []
        let name: String
        /// Requests that wait go with a saved machine.
        var savesRequests = false
        /// Or it is not saved.
        var refusesToSave = false
    }
    // Debian's cloud kernel has no driver for AHCI: DevicesTests have that.
    private static let ways = [
        Way(description: "virtio-blk", drive: "if=virtio", name: "vda", refusesToSave: true),
        Way(description: "IDE", drive: "if=ide", name: "sda"),
        Way(
            description: "NVMe", drive: "if=none,id=d", more: ["-device", "nvme,drive=d,serial=1"], name: "nvme0n1",
            savesRequests: true),
        Way(
            description: "SCSI", drive: "if=none,id=d",
            more: ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d"], name: "sda",
            refusesToSave: true),
    ]

    @Test(arguments: ways)
    func fullHostStopsTheMachineAndContinuing(_ way: Way) throws {
        let bench = try Bench(
            rules: "[inject-error]\nevent = \"write_aio\"\nerrno = \"28\"\nonce = \"on\"\n", drive: way.drive,
            more: way.more)
        let name = way.name
        try bench.machine.type("dd if=/dev/zero bs=64k count=4 | tr '\\0' 'A' >/dev/\(name) && sync && echo do''ne")
        let data = try bench.monitor.wait(forEvent: "BLOCK_IO_ERROR", seconds: 120)
        #expect(data["action"] as? String == "stop" && data["operation"] as? String == "write")
        #expect(data["nospace"] as? Bool == true && data["reason"] as? String == "No space left on device")
        try bench.monitor.wait(forEvent: "STOP", seconds: 60)
        #expect(try bench.status() == "io-error")
        #expect(try bench.health() == ["nospace"])
        if way.savesRequests {
            #expect(try bench.monitor.human("savevm stopped") == "")
            #expect(try bench.monitor.human("loadvm stopped") == "")
        }
        if way.refusesToSave {
            #expect(try bench.monitor.human("savevm stopped").contains("waits for the machine to go on"))
        }
        try bench.monitor.execute("cont")
        #expect(try bench.health() == ["ok"])
        try bench.machine.wait(for: "done")
        let count = try bench.machine.output(of: "head -c 262144 /dev/\(name) | tr -d A | wc -c")
        #expect(count == "0")
        #expect(!(try bench.machine.output(of: "dmesg")).contains("I/O error"))
        try bench.end()
    }

    @Test func errorsReachTheGuestOrAreIgnored() throws {
        let rules = "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nonce = \"on\"\n"
        let bench = try Bench(rules: rules, drive: "if=virtio,rerror=report,werror=ignore")
        _ = try bench.machine.output(of: "dd if=/dev/zero bs=64k count=1 | tr '\\0' 'B' >/dev/vda; sync")
        let text = try bench.machine.output(
            of:
                "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda of=/dev/null bs=4k count=1 iflag=direct; dmesg | tail -3"
        )
        let data = try bench.monitor.wait(forEvent: "BLOCK_IO_ERROR", seconds: 60)
        #expect(data["action"] as? String == "report" && data["operation"] as? String == "read", "\(text)")
        #expect(try bench.status() == "running")
        try bench.end()
    }
}
