import Foundation
import Testing

/// Disks of a running Debian kernel that grow, come and go.
@Suite(.serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"))
struct DiskChangeTests {
    private static let controller = ["-device", "virtio-scsi-pci,id=scsi0"]
    private static func add(_ name: String, _ driver: String, _ bench: LiveJobTests.Bench, format: String) throws {
        try bench.monitor.execute(
            "blockdev-add",
            ["driver": format, "node-name": name, "file": ["driver": "file", "filename": bench.folder.path(name)]])
        var device = ["driver": driver, "drive": name, "id": "\(name)-device"]
        if driver == "scsi-hd" { device["bus"] = "scsi0.0" }
        try bench.monitor.execute("device_add", device)
    }

    @Test func growthIsSeen() throws {
        let bench = try LiveJobTests.Bench(chain: ["disk.qcow2"], more: Self.controller)
        // What loads drivers in this guest has run: there was no SCSI disk then.
        _ = try bench.machine.output(of: "modprobe sd_mod")
        for name in ["one", "two"] { try LiveJobTests.run("create", "-q", "-f", "qcow2", bench.folder.path(name), "64M") }
        try Self.add("one", "virtio-blk-pci", bench, format: "qcow2")
        try Self.add("two", "scsi-hd", bench, format: "qcow2")
        _ = try bench.machine.output(of: "until [ -b /dev/vdb ] && [ -b /dev/sda ]; do sleep 0.05; done")
        #expect(try bench.machine.output(of: "ls /sys/block | grep -c '^sd'") == "1", "one unit is one disk")
        try bench.monitor.execute("block_resize", ["device": "disk", "size": 96 << 20])
        for name in ["one", "two"] { try bench.monitor.execute("block_resize", ["node-name": name, "size": 96 << 20]) }
        for disk in ["vda", "vdb", "sda"] {
            let words = try bench.machine.output(
                of: "n=0; while [ $(cat /sys/block/\(disk)/size) != 196608 -a $n -lt 200 ]; do sleep 0.05; "
                    + "n=$((n + 1)); done; cat /sys/block/\(disk)/size; "
                    + "dd if=/bin/busybox of=/dev/\(disk) bs=64k seek=1530 count=6 conv=fsync,notrunc 2>&1 | tail -1")
            #expect(words == "196608\n6+0 records out", "\(disk): \(words)")
        }
        let sums = try ["vda", "vdb", "sda"].map { disk in
            try bench.machine.output(of: "echo 3 >/proc/sys/vm/drop_caches; md5sum </dev/\(disk)")
        }
        try bench.end()
        for (name, sum) in zip(["disk.qcow2", "one", "two"], sums) { #expect(try bench.sum(of: name) == sum) }
    }

    /// A disk is taken away while the guest writes to it: what was written is there, on the host and when it comes again.
    @Test(arguments: [("virtio-blk-pci", "vdb"), ("scsi-hd", "sda")])
    func whatComesAndGoesLosesNothing(_ driver: String, _ disk: String) throws {
        let bench = try LiveJobTests.Bench(chain: ["disk.qcow2"], more: Self.controller)
        _ = try bench.machine.output(of: "modprobe sd_mod")
        try LiveJobTests.run("create", "-q", "-f", "raw", bench.folder.path("one"), "16M")
        try bench.startLoad()
        var last = -1
        for round in 0..<2 {
            try Self.add("one", driver, bench, format: "raw")
            _ = try bench.machine.output(of: "until [ -b /dev/\(disk) ]; do sleep 0.05; done")
            if round > 0 {
                let words = try bench.machine.output(
                    of: "dd if=/dev/\(disk) bs=512 count=\(last + 1) 2>/dev/null | md5sum; "
                        + "(i=0; while [ $i -le \(last) ]; do printf '%-512d' $i; i=$((i + 1)); done) | md5sum")
                let sums = Set(words.split(separator: "\n"))
                #expect(sums.count == 1, "\(words)")
            }
            _ = try bench.machine.output(
                of: "rm -f /over /told; (exec 3<>/dev/\(disk); i=\(last + 1); while printf '%-512d' $i >/s; do "
                    + "dd if=/s of=/proc/self/fd/3 bs=512 seek=$i count=1 conv=fsync,notrunc 2>/dev/null || break; "
                    + "echo $i >/told; i=$((i + 1)); done; echo >/over) & "
                    + "until [ $(cat /told 2>/dev/null || echo -1) -gt \(last + 60) ]; do sleep 0.05; done")
            try bench.monitor.execute("device_del", ["id": "one-device"])
            _ = try bench.wait(for: "DEVICE_DELETED")
            // Linux looks for what comes while it still takes leave of what went, and would find that.
            _ = try bench.machine.output(of: "until [ -e /over -a ! -e /dev/\(disk) ]; do sleep 0.05; done")
            let told = try #require(Int(try bench.machine.output(of: "cat /told")))
            #expect(told > last + 60)
            last = told
            try bench.monitor.execute("blockdev-del", ["node-name": "one"])
            let bytes = try Data(contentsOf: URL(fileURLWithPath: bench.folder.path("one")))
            let wrong = (0...last).filter { number in
                let text = String(decoding: bytes[number * 512..<number * 512 + 16], as: UTF8.self)
                return Int(text.prefix { $0 != " " }) != number
            }
            let found = wrong.prefix(3).map { number in
                String(decoding: bytes[number * 512..<number * 512 + 16], as: UTF8.self).debugDescription
            }
            #expect(wrong.isEmpty, "of \(last + 1) sectors: \(wrong.prefix(10)), which have \(found)")
        }
        try bench.endLoad()
        let sum = try bench.sum()
        try bench.end()
        #expect(try bench.sum(of: "disk.qcow2") == sum)
    }
}
