import Foundation
import Glibc
import Testing

/// Mirrors that copy what the guest writes before it hears of the end, and targets of other formats.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct MirrorTests {
    /// Writes sectors that say their numbers, one after the other, and tells each that is done.
    private static let countingLoad =
        "dmesg -n 1; i=0; while true; do printf '%-512d' $i >/s; "
        + "dd if=/s of=/dev/vda bs=512 seek=$i count=1 oflag=direct conv=notrunc 2>/dev/null && echo \"done $i.\"; "
        + "i=$((i + 1)); done"

    /// The guest and the machine are killed: what the guest was told is written is in the copy.
    @Test func whatTheGuestWasToldIsInTheCopy() throws {
        let bench = try LiveJobTests.Bench(chain: ["disk.qcow2"])
        let copy = bench.folder.path("copy.raw")
        try bench.monitor.execute(
            "drive-mirror",
            [
                "device": "disk", "target": copy, "sync": "full", "format": "raw", "copy-mode": "write-blocking",
                "granularity": 1 << 20,
            ])
        _ = try bench.wait(for: "BLOCK_JOB_READY")
        try bench.machine.type(Self.countingLoad)
        try bench.machine.wait(for: "done 150.")
        kill(bench.machine.identifier, SIGKILL)
        _ = try? bench.machine.status()
        let told = try bench.machine.remainder().components(separatedBy: "done ").dropFirst()
            .compactMap { part in part.contains(".") ? Int(part.prefix { $0 != "." }) : nil }
        let last = try #require(told.max())
        let bytes = try Data(contentsOf: URL(fileURLWithPath: copy))
        let wrong = (0...last).filter { number in
            let text = String(decoding: bytes[number * 512..<number * 512 + 16], as: UTF8.self)
            return Int(text.prefix { $0 != " " }) != number
        }
        #expect(last >= 150 && wrong.isEmpty, "of \(last + 1) sectors: \(wrong.prefix(10))")
    }

    @Test func copiesOfEveryFormatAreWhole() throws {
        let bench = try LiveJobTests.Bench()
        let formats = ["vmdk", "vdi", "vhdx", "vpc", "qcow2"]
        try bench.startLoad()
        for format in formats {
            try bench.monitor.execute(
                "drive-mirror",
                [
                    "device": "disk", "target": bench.folder.path("copy.\(format)"), "sync": "full", "format": format,
                    "copy-mode": format == "vmdk" || format == "qcow2" ? "write-blocking" : "background",
                ])
            _ = try bench.wait(for: "BLOCK_JOB_READY")
            // The last one takes the others' place.
            if format == formats.last {
                try bench.awaitWrites()
                try bench.monitor.execute("block-job-complete", ["device": "disk"])
            } else {
                try bench.monitor.execute("block-job-cancel", ["device": "disk"])
            }
            #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        }
        try bench.endLoad()
        let sum = try bench.sum()
        for format in formats.dropLast() {
            try bench.monitor.execute(
                "drive-backup",
                [
                    "device": "disk", "target": bench.folder.path("saved.\(format)"), "sync": "full", "format": format,
                ])
            #expect(try bench.wait(for: "BLOCK_JOB_COMPLETED")["error"] == nil)
        }
        #expect(try bench.shown()["file"] as? String == bench.folder.path("copy.qcow2"))
        try bench.end()
        #expect(try bench.sum(of: "copy.qcow2") == sum)
        for format in formats.dropLast() {
            #expect(try bench.sum(of: "saved.\(format)", checks: false) == sum, "\(format)")
            let copy = try runOnHost(LiveJobTests.judge, "info", bench.folder.path("copy.\(format)"))
            #expect(copy.output.contains("file format: \(format)"), "\(copy.output)")
        }
    }

    /// `blockdev-create` of images that are several files.
    @Test func imagesOfSeveralFilesAreMade() throws {
        let bench = try LiveJobTests.Bench(chain: ["disk.qcow2"])
        for name in ["a", "a.data", "b", "b.1", "b.2", "c", "c.flat"] {
            let path = bench.folder.path(name)
            try Data().write(to: URL(fileURLWithPath: path))
            try bench.monitor.execute("blockdev-add", ["driver": "file", "node-name": name, "filename": path])
        }
        func make(_ options: [String: Any]) throws -> String? {
            try bench.monitor.execute("blockdev-create", ["job-id": "new", "options": options])
            var jobs: [[String: Any]] = []
            repeat {
                jobs = try bench.monitor.execute("query-jobs") as? [[String: Any]] ?? []
            } while !jobs.contains { $0["status"] as? String == "concluded" }
            try bench.monitor.execute("job-dismiss", ["id": "new"])
            return jobs.first?["error"] as? String
        }
        let split: [String: Any] = ["driver": "vmdk", "file": "b", "size": 3 << 30, "subformat": "twoGbMaxExtentSparse"]
        #expect(try make(split) == "Extent [0] not specified")
        #expect(
            try make(split.merging(["extents": ["b.1", "b.2", "c"]]) { $1 }) == "List of extents contains unused extents")
        #expect(try make(split.merging(["extents": ["b.1", "b.2"]]) { $1 }) == nil)
        let flat: [String: Any] = ["driver": "vmdk", "file": "c", "size": 1 << 20, "subformat": "monolithicFlat"]
        #expect(try make(flat.merging(["extents": ["c.flat"]]) { $1 }) == nil)
        let external: [String: Any] = ["driver": "qcow2", "file": "a", "size": 8 << 20, "data-file": "a.data"]
        #expect(try make(external.merging(["version": "v2"]) { $1 })?.contains("compatibility level 1.1") == true)
        #expect(try make(external.merging(["data-file-raw": true]) { $1 }) == nil)
        try bench.end()
        func info(_ name: String) throws -> String {
            try runOnHost(LiveJobTests.judge, "info", bench.folder.path(name)).output
        }
        #expect(try info("b").contains("virtual size: 3 GiB"))
        #expect(try info("c").contains("virtual size: 1 MiB"))
        let made = try info("a")
        #expect(made.contains("data file: \(bench.folder.path("a.data"))"), "\(made)")
        #expect(made.contains("data file raw: true"), "\(made)")
        #expect(try bench.sum(of: "a") == bench.sum(of: "a.data", checks: false))
    }
}
