import BlockImage
import Glibc
import HostOS
import JSON
import Machine
import TestSupport
import Testing

/// What a machine's disk may be, seen by the driver of its guest.
@Suite(.serialized) struct DiskImageTests {
    private func drive(_ id: String, _ path: String, format: String? = nil, readOnly: Bool = false)
        -> DriveConfiguration
    {
        var drive = DriveConfiguration(id: id)
        drive.interface = .none
        (drive.file, drive.format, drive.readOnly, drive.origin) = (path, format, readOnly, "-drive id=\(id)")
        return drive
    }
    /// When a file's content was last changed.
    private func changed(_ path: String) -> [Int] {
        var found = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe stat(path, &found) == 0 else { return [] }
        return [found.st_mtim.tv_sec, found.st_mtim.tv_nsec, Int(found.st_size)]
    }
    private func content(_ sectors: Int) -> [UInt8] { DiskModel.bytes(0..<sectors, 7) }

    /// Formats that are only read: a guest reads such a disk, and does not get one to write to.
    @Test(arguments: ["qed", "parallels", "bochs", "cloop", "dmg"]) func formatsThatAreOnlyRead(_ format: String) throws
    {
        let disk = content(600) + [UInt8](repeating: 0, count: 200 * 512)
        var files = DiskBench.files
        let isMade = ["bochs", "cloop", "dmg"].contains(format)
        files["disk"] = isMade ? LaidOut.image(format, disk) : disk
        try Samples.withFolder(files) { folder in
            var path = "\(folder)/disk"
            if !isMade {
                path = "\(folder)/image"
                guard unsafe access("/usr/bin/qemu-img", X_OK) == 0 else { return }
                try HostProgram.output(
                    "/usr/bin/qemu-img", ["convert", "-f", "raw", "-O", format, "\(folder)/disk", path])
            }
            let before = try HostFile.contents(path)
            let bench = try DiskBench(folder, drives: [drive("d", path, format: format, readOnly: true)])
            for start in stride(from: 0, to: 800, by: 100) {
                let (status, bytes) = try bench.read(start, count: 100)
                #expect(status == 0 && bytes == Array(disk[start * 512..<(start + 100) * 512]), "sector \(start)")
            }
            #expect(try bench.write(0, [UInt8](repeating: 1, count: 512)) == 1)
            bench.end()
            #expect(try HostFile.contents(path) == before)
            let error = #expect(throws: MachineBuildError.self) {
                try DiskBench(folder, drives: [drive("d", path, format: format)])
            }
            let words = error?.description ?? ""
            #expect(words.lowercased().contains("writing to a \(format) image") && !words.contains("\n"), "\(words)")
        }
    }

    /// What another user's image names is opened by a machine only where its own command line names it.
    @Test(.enabled(if: geteuid() == 0, "needs root, to give an image to another user"))
    func anotherUsersImage() throws {
        var files = DiskBench.files
        files["base"] = content(128)
        try Samples.withFolder(files) { folder in
            let graph = BlockGraph()
            for (name, below) in [("over", "base"), ("own", "over"), ("other", "base")] {
                try graph.makeImage(
                    "\(folder)/\(name)", format: "qcow2", size: 65536,
                    backing: (below, below == "base" ? "raw" : "qcow2"))
            }
            for name in ["over", "other"] { #expect(unsafe chown("\(folder)/\(name)", 65534, 65534) == 0) }
            let alone = drive("d", "\(folder)/over", format: "qcow2")
            for refused in [alone, drive("d", "\(folder)/own", format: "qcow2")] {
                let error = #expect(throws: MachineBuildError.self) { try DiskBench(folder, drives: [refused]) }
                let words = error?.description ?? ""
                #expect(words.contains("names 'base' as its backing file, which is not followed"), "\(words)")
                #expect(words.contains("backing.file.filename=") && !words.contains("\n"), "\(words)")
            }
            // Named, it is what the user asked for.
            var named = alone
            named.fileOptions = [
                "backing.driver": "raw", "backing.file.driver": "file",
                "backing.file.filename": .string("\(folder)/base"),
            ]
            let bench = try DiskBench(folder, drives: [named])
            #expect(try bench.read(0, count: 128).bytes == content(128))
            // Nor does a running machine follow it.
            var node = BlockNodeConfiguration(driver: "qcow2")
            (node.nodeName, node.readOnly) = ("n", true)
            node.other = ["file": ["driver": "file", "filename": .string("\(folder)/other")]]
            let error = #expect(throws: MachineError.self) { try bench.machine.addBlockNode(node) }
            #expect(error?.description.contains("which is not followed") == true)
            bench.end()
        }
    }

    /// Threads for disks come and go while the machine is there.
    @Test func threadsOfObjects() throws {
        try Samples.withFolder(["disk": content(64)]) { folder in
            let bench = try Bench(Samples.configuration(.pc))
            defer { bench.machine.close() }
            let machine = bench.machine
            try machine.addObject(ObjectConfiguration(type: "iothread", id: "t"))
            #expect(machine.ioThreads.map(\.id) == ["t"] && machine.ioThreads[0].threadID > 0)
            #expect(throws: MachineError.self) {
                try machine.addObject(ObjectConfiguration(type: "iothread", id: "t"))
            }
            try machine.addDrive(drive("d", "\(folder)/disk", format: "raw"))
            var disk = DeviceConfiguration(driver: "virtio-blk-pci")
            disk.id = "v"
            disk.properties = ["drive": "d", "iothread": "t"]
            try machine.addDevice(disk)
            let error = #expect(throws: MachineError.self) { try machine.removeObject("t") }
            #expect(error?.description == "object 't' is in use, can not be deleted")
            try machine.addObject(ObjectConfiguration(type: "iothread", id: "u"))
            try machine.removeObject("u")
            #expect(machine.ioThreads.map(\.id) == ["t"] && !machine.objects.contains { $0.id == "u" })
        }
    }

    /// Many machines on one template that nobody may write to.
    @Test func clonesOfATemplate() throws {
        var files = DiskBench.files
        files["template.raw"] = content(1024)
        try Samples.withFolder(files) { folder in
            let template = "\(folder)/template.raw"
            #expect(unsafe chmod(template, 0o444) == 0)
            let before = changed(template)
            let graph = BlockGraph()
            for number in 0..<4 {
                try graph.makeImage(
                    "\(folder)/clone\(number)", format: "qcow2", size: 1024 * 512, backing: (template, "raw"))
            }
            let benches = try (0..<4).map { number in
                try DiskBench(folder, drives: [drive("d", "\(folder)/clone\(number)", format: "qcow2")])
            }
            for (number, bench) in benches.enumerated() {
                #expect(try bench.write(8 * number, DiskModel.bytes(0..<8, UInt64(100 + number))) == 0)
            }
            for (number, bench) in benches.enumerated() {
                var expected = content(1024)
                expected.replaceSubrange(
                    8 * number * 512..<(8 * number + 8) * 512, with: DiskModel.bytes(0..<8, UInt64(100 + number)))
                for start in stride(from: 0, to: 1024, by: 128) {
                    let (status, bytes) = try bench.read(start, count: 128)
                    let isSame = bytes == Array(expected[start * 512..<(start + 128) * 512])
                    #expect(status == 0 && isSame, "\(number), \(start)")
                }
            }
            // A clone is one machine's; the template may not be written while it is in use.
            let taken = #expect(throws: MachineBuildError.self) {
                try DiskBench(folder, drives: [drive("d", "\(folder)/clone0", format: "qcow2")])
            }
            #expect(taken?.description.contains("clone0") == true)
            #expect(throws: MachineBuildError.self) {
                try DiskBench(folder, drives: [drive("d", template, format: "raw")])
            }
            for bench in benches { bench.end() }
            #expect(changed(template) == before)
            #expect(try HostFile.contents(template) == content(1024))
        }
    }
}
