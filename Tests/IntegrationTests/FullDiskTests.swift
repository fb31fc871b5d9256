import Foundation
import TestSupport
import Testing

/// A file system of the host's that is full: a small one in memory, in a mount namespace of its own.
private final class SmallDisk {
    static let megabytes = 8
    private let folder: TemporaryFolder
    private let holder: Process
    var path: String { folder.path }
    /// What puts a program there.
    var way: [String] { ["nsenter", "-t", "\(holder.processIdentifier)", "-m", "--"] }
    /// The folder, as the rest of the host sees it.
    var place: String { "/proc/\(holder.processIdentifier)/root\(folder.path)" }

    init() throws {
        folder = try TemporaryFolder()
        holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        holder.arguments = [
            "unshare", "-m", "sh", "-c",
            "mount -t tmpfs -o size=\(Self.megabytes)m none $0 && touch $0/ready && exec sleep 600", folder.path,
        ]
        holder.standardInput = FileHandle.nullDevice
        try HostProgram.withoutBlockedSignals { try holder.run() }
        let end = Date().addingTimeInterval(20)
        func isReady() -> Bool { FileManager.default.fileExists(atPath: "\(place)/ready") }
        while !isReady(), ProcessEnd.status(of: holder) == nil, Date() < end {
            Thread.sleep(forTimeInterval: 0.005)
        }
        try #require(isReady(), "no file system in memory")
    }
    deinit { if ProcessEnd.status(of: holder) == nil { holder.terminate() } }

    @discardableResult
    func run(_ words: String...) throws -> HostProgram {
        try HostProgram.run("/usr/bin/env", way + words, joined: true)
    }

    /// Why there is none; nil where there is.
    static let absence: String? = {
        guard geteuid() == 0 else { return "not root" }
        for program in ["unshare", "nsenter"] where (try? runOnHost("which", program))?.status != 0 {
            return "no \(program)"
        }
        return (try? SmallDisk()) == nil ? "this host forbids file systems in namespaces" : nil
    }()
}

/// A guest whose image can grow no more.
@Suite(
    .serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"),
    .disabled(if: SmallDisk.absence != nil, "\(SmallDisk.absence ?? "")"))
struct FullDiskTests {
    private static let tool = LiveJobTests.tool

    /// It stops with the host's last block, goes on once there is room, and has lost nothing.
    @Test(arguments: ["qcow2", "raw"]) func roomComesBack(_ format: String) throws {
        let disk = try SmallDisk()
        let image = "\(disk.path)/disk"
        #expect(try disk.run(Self.tool, "create", "-q", "-f", format, image, "64M").status == 0)
        #expect(try disk.run("dd", "if=/dev/zero", "of=\(disk.path)/filler", "bs=1M", "count=6").status == 0)
        let socket = try TemporaryFolder()
        let machine = try GuestMachine(
            program: "/usr/bin/env",
            disk.way + [
                Repository.program, "-m", "512", "-nographic", "-kernel", Repository.kernel, "-initrd",
                Repository.initramfs, "-append", "console=ttyS0", "-nic", "none", "-qmp",
                "unix:\(socket.path("qmp")),server=on,wait=off", "-drive", "file=\(image),format=\(format),if=virtio",
            ])
        let monitor = try MonitorClient(path: socket.path("qmp"))
        try machine.wait(for: "Type poweroff to end.")
        _ = try machine.output(of: "dmesg -n 1; seq 1 700000 >/tmp/data")
        try machine.type("dd if=/tmp/data of=/dev/vda bs=64k 2>/dev/null && sync && echo do''ne")
        let data = try monitor.wait(forEvent: "BLOCK_IO_ERROR", seconds: 120)
        #expect(data["nospace"] as? Bool == true && data["action"] as? String == "stop")
        try monitor.wait(forEvent: "STOP", seconds: 60)
        // Without room it comes no further.
        try monitor.execute("cont")
        try monitor.wait(forEvent: "STOP", seconds: 60)
        #expect((try monitor.execute("query-status") as? [String: Any])?["status"] as? String == "io-error")
        try FileManager.default.removeItem(atPath: "\(disk.place)/filler")
        try monitor.execute("cont")
        try machine.wait(for: "done")
        _ = try machine.output(of: "echo 3 >/proc/sys/vm/drop_caches")
        let same = "head -c $(wc -c </tmp/data) /dev/vda | cmp - /tmp/data && echo same"
        #expect(try machine.output(of: same) == "same")
        #expect(!(try machine.output(of: "dmesg")).contains("I/O error"))
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
        if format == "qcow2" {
            let check = try disk.run(Self.tool, "check", image)
            #expect(check.status == 0, "\(check.output)")
        }
    }
}
