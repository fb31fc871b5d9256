import Foundation
import HostOS
import RPCWire
import Synchronization
import TestSupport
import Testing

/// Machines that go to another daemon with their disks.
@Suite("Migration with disks", .serialized, .enabled(if: TestPrograms.hasVirsh && TestPrograms.hasGuest))
struct StorageMigrationTests {
    /// A machine with two disks of data, and what it is to be at the other end.
    private struct Bench {
        let source: DaemonProcess
        let destination: DaemonProcess
        let virsh: Virsh
        let other: Virsh

        init(_ emulator: String? = nil, size: Int = 64) throws {
            (source, destination) = (try DaemonProcess(), try DaemonProcess())
            (virsh, other) = (Virsh(daemon: source), Virsh(daemon: destination))
            var devices = emulator.map { "<emulator>\($0)</emulator>" } ?? ""
            for (name, format, target) in [("d.qcow2", "qcow2", "vda"), ("e.raw", "raw", "vdb")] {
                let path = "\(source.folder)/\(name)"
                _ = try HostProgram.output(TestPrograms.imageTool, ["create", "-q", "-f", format, path, "\(size)M"])
                devices += """
                    <disk type='file' device='disk'><driver name='qemu' type='\(format)' cache='none'/>
                    <source file='\(path)'/><target dev='\(target)' bus='virtio'/></disk>
                    """
            }
            let xml = TestXML.domain("m", devices: devices + "<serial type='pty'/>", kernel: TestPrograms.kernel)
            try HostFile.replace(source.folder + "/m.xml", with: Array(xml.utf8))
            try virsh("define", source.folder + "/m.xml")
            // As bytes that no guest has written: what comes is what was there.
            for name in ["d.qcow2", "e.raw"] {
                let format = name.hasSuffix("raw") ? "raw" : "qcow2"
                let data = "\(source.folder)/data"
                try HostFile.replace(data, with: (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
                _ = try HostProgram.output(
                    TestPrograms.imageTool, ["convert", "-f", "raw", "-O", format, data, "\(source.folder)/\(name)"])
                _ = try HostProgram.output(
                    TestPrograms.imageTool, ["resize", "-q", "-f", format, "\(source.folder)/\(name)", "\(size)M"])
            }
            try virsh("start", "m")
        }

        /// The machine with its disks at the destination's paths, in a file there.
        func there() throws -> String {
            let text = try virsh("dumpxml", "--migratable", "m")
                .replacingOccurrences(of: source.folder + "/", with: destination.folder + "/")
            try HostFile.replace(destination.folder + "/m.xml", with: Array(text.utf8))
            return destination.folder + "/m.xml"
        }

        func migrate(_ words: [String]) throws -> HostProgram {
            // From client to daemon the place of the state is asked for; two daemons find it between them.
            let place = words.contains("--p2p") ? [] : ["tcp:127.0.0.1:0"]
            return try HostProgram.run(
                "virsh",
                ["-c", Virsh.uri(source), "migrate", "--live", "--xml", try there()] + words
                    + ["m", Virsh.uri(destination)] + place)
        }

        /// Whether both ends' images have the same bytes for a guest.
        func areSame(_ name: String) throws -> Bool {
            try HostProgram.run(
                TestPrograms.imageTool, ["compare", "-U", "\(source.folder)/\(name)", "\(destination.folder)/\(name)"]
            ).status == 0
        }
    }

    @Test("Disks go with their machine, to images that are made for them", arguments: [[], ["--p2p"]] as [[String]])
    func all(way: [String]) throws {
        let bench = try Bench()
        let done = try bench.migrate(["--copy-storage-all"] + way)
        #expect(done.status == 0, "\(done)")
        #expect(try bench.other.state("m") == "running (migrated)")
        #expect(try bench.virsh.state("m") == "shut off (migrated)")
        try bench.other("destroy", "m")
        #expect(try bench.areSame("d.qcow2") && bench.areSame("e.raw"))
        #expect(HostFile.status(bench.destination.folder + "/e.raw").size == 64 << 20)
    }

    @Test("Those that are named go, the others are shared; bases stay where they are")
    func some() throws {
        let bench = try Bench()
        // The second disk is the same at both ends.
        try HostFile.link(bench.destination.folder + "/e.raw", to: bench.source.folder + "/e.raw")
        let same = try bench.migrate(["--copy-storage-all", "--unsafe"])
        #expect(same.errors.contains("disk vdb is the same image at both ends"), "\(same)")
        #expect(HostFile.status(bench.destination.folder + "/d.qcow2").kind == .nothing)
        let wrong = try bench.migrate(["--copy-storage-all", "--unsafe", "--migrate-disks", "vdz"])
        #expect(wrong.errors.contains("disk target vdz not found"), "\(wrong)")
        let missing = try bench.migrate(["--copy-storage-inc", "--unsafe", "--migrate-disks", "vda"])
        #expect(missing.errors.contains("pre-creation of storage target"), "\(missing)")
        #expect(try bench.virsh.state("m") == "running (booted)")
        let done = try bench.migrate(["--copy-storage-all", "--unsafe", "--migrate-disks", "vda"])
        #expect(done.status == 0, "\(done)")
        try bench.other("destroy", "m")
        #expect(try bench.areSame("d.qcow2"))
    }

    @Test("Progress tells of the disks; a client that gives up leaves all as it was")
    func abandoned() throws {
        let bench = try Bench(size: 512)
        let path = bench.source.folder + "/libvirt-sock"
        let words = ["--copy-storage-all", "--bandwidth", "1", "--p2p"]
        let result = Outcome()
        let thread = try HostThread(name: "migrate") {
            let done = try? bench.migrate(words)
            result.value.withLock { $0 = done }
        }
        let client = try TestClient(path, opens: true)
        let domain = try client.call(Remote.DomainLookupByName.self, .init(name: "m")).dom
        let pause = Bell()
        var (total, copied): (UInt64, UInt64) = (0, 0)
        for _ in 0..<3000 where copied == 0 {
            let job = try client.call(Remote.DomainGetJobStats.self, .init(dom: domain, flags: 0))
            for parameter in job.params {
                if parameter.field == "disk_total", case .ulong(let value) = parameter.value { total = value }
                if parameter.field == "disk_processed", case .ulong(let value) = parameter.value { copied = value }
            }
            pause.wait(nanoseconds: 10_000_000)
        }
        #expect(total > 0 && copied > 0 && copied < total)
        _ = try client.call(Remote.DomainAbortJob.self, .init(dom: domain))
        thread.join()
        let answer = result.value.withLock { $0 }
        #expect(answer?.errors.contains("operation aborted: job 'migration out' canceled by client") == true)
        #expect(try bench.virsh.state("m").hasPrefix("running"))
        for _ in 0..<500 where HostFile.status(bench.destination.folder + "/e.raw").kind != .nothing {
            pause.wait(nanoseconds: 10_000_000)
        }
        #expect(HostFile.status(bench.destination.folder + "/e.raw").kind == .nothing)
        // It can go still.
        #expect(try bench.migrate(["--copy-storage-all"]).status == 0)
        try bench.other("destroy", "m")
        #expect(try bench.areSame("d.qcow2"))
    }

    @Test("A machine of QEMU goes with its disks", .enabled(if: Program.exists(Program.qemu)))
    func qemu() throws {
        let bench = try Bench(Program.qemu)
        let done = try bench.migrate(["--copy-storage-all", "--copy-storage-synchronous-writes", "--p2p"])
        #expect(done.status == 0, "\(done)")
        #expect(try bench.other.state("m") == "running (migrated)")
        try bench.other("destroy", "m")
        #expect(try bench.areSame("d.qcow2") && bench.areSame("e.raw"))
    }
}

/// How a program ended that another thread ran.
private final class Outcome: Sendable {
    let value = Mutex<HostProgram?>(nil)
}
