import BlockImage
import CLinux
import TestSupport
import Testing

/// Nodes by name and option, and the drivers above a file.
@Suite struct BlockGraphTests {
    @Test func opensANestedNode() throws {
        let file = TestFile(bytes: Array(0...255) + [UInt8](repeating: 9, count: 2048))
        let graph = BlockGraph()
        let node = try graph.open([
            "driver": "raw", "node-name": "disk0", "offset": "0x200", "size": "1K", "file.driver": "file",
            "file.filename": file.path, "file.node-name": "file0", "discard": "unmap",
        ])
        #expect(graph.nodes.map(\.nodeName) == ["disk0", "file0"])
        #expect(node.sizeInBytes == 1024)
        #expect(node.children.map(\.role) == ["file"])
        let device = try graph.attach("disk0", id: "drive0")
        #expect(device.write([1, 2, 3], at: 0) == 0)
        #expect(device.read(1, at: 1024).status == EIO)
        #expect(node.write([1], at: 1024) == ENOSPC)
        #expect(throws: BlockError.nodeInUse("disk0")) { try graph.attach("disk0", id: "drive1") }
        #expect(throws: BlockError.nodeInUse("disk0")) { try graph.remove("disk0") }
        #expect(throws: BlockError.nodeInUse("file0")) { try graph.remove("file0") }
        graph.detach(device)
        try graph.remove("disk0")
        #expect(graph.nodes.isEmpty)
        #expect(Array(file.read()[512..<516]) == [1, 2, 3, 9])
    }

    @Test func childrenByReference() throws {
        let file = TestFile(bytes: [UInt8](repeating: 9, count: 1024))
        let graph = BlockGraph()
        try graph.open(["driver": "file", "node-name": "f", "filename": file.path])
        try graph.open(["driver": "raw", "node-name": "r", "file": "f"])
        #expect(throws: BlockError.nodeInUse("f")) { try graph.open(["driver": "raw", "file": "f"]) }
        #expect(throws: BlockError.unknownNode("g")) { try graph.open(["driver": "raw", "file": "g"]) }
        #expect(throws: BlockError.nodeInUse("f")) { try graph.remove("f") }
        try graph.remove("r")
        try graph.remove("f")
        #expect(throws: BlockError.unknownNode("f")) { try graph.remove("f") }
    }

    @Test func badOptionsAreNamed() throws {
        let file = TestFile(bytes: [UInt8](repeating: 9, count: 1024))
        let graph = BlockGraph()
        func open(_ more: [String: String]) throws(BlockError) {
            try graph.open(
                ["driver": "raw", "file.driver": "file", "file.filename": file.path].merging(more) { $1 })
        }
        #expect(throws: BlockError.unknownDriver("qcow9")) { try open(["driver": "qcow9"]) }
        #expect(throws: BlockError.unknownOption(driver: "raw", option: "sizes")) { try open(["sizes": "1"]) }
        #expect(throws: BlockError.unknownOption(driver: "file", option: "x")) { try open(["file.x": "1"]) }
        #expect(throws: BlockError.missingOption(driver: "raw", option: "file")) { try graph.open(["driver": "raw"]) }
        #expect(throws: BlockError.missingOption(driver: "file", option: "filename")) {
            try graph.open(["driver": "file"])
        }
        for (option, value) in [
            ("size", "12Q"), ("size", "-1"), ("size", "100000G"), ("offset", "2K"), ("read-only", "maybe"),
            ("discard", "yes"), ("detect-zeroes", "unmap"), ("node-name", "1a"), ("file.aio", "fast"),
        ] {
            #expect(throws: BlockError.self, "\(option)=\(value)") { try open([option: value]) }
        }
        // Nothing is left behind, and no lock is held.
        #expect(graph.nodes.isEmpty)
        try open(["node-name": "a"])
        #expect(throws: BlockError.duplicateNode("a")) {
            try graph.open(["driver": "null-co", "node-name": "a"])
        }
        graph.closeAll()
        #expect(graph.nodes.isEmpty)
    }

    @Test func aDriveWithoutFormatIsGuarded() throws {
        let file = TestFile(bytes: [UInt8](repeating: 0, count: 4096))
        let graph = BlockGraph()
        let device = try graph.openDrive(DriveOptions(id: "d", path: file.path))
        #expect(device.root.driverName == "raw")
        var header = [UInt8](repeating: 0, count: 512)
        #expect(device.write(header, at: 0) == 0)
        header.replaceSubrange(0..<8, with: [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3])
        #expect(device.write(header, at: 0) == EPERM)
        #expect(device.write(Array(header.prefix(8)), at: 0) == EPERM)
        #expect(device.write(header, at: 512) == 0)
        graph.detach(device)
        #expect(graph.nodes.isEmpty)

        let explicit = try graph.openDrive(DriveOptions(id: "d", path: file.path, format: "raw"))
        #expect(explicit.write(header, at: 0) == 0)
        graph.detach(explicit)
        #expect(try BlockGraph.probe(path: file.path) == .qcow2)
        #expect(throws: BlockError.isDirectory(path: "/tmp")) { try BlockGraph.probe(path: "/tmp") }
        #expect(throws: BlockError.notFound(path: "/none")) {
            try graph.openDrive(DriveOptions(id: "d", path: "/none"))
        }
        #expect(throws: BlockError.notRegularFile(path: "/dev/zero")) { try BlockGraph.probe(path: "/dev/zero") }
    }

    @Test func nullDisksReadZeroesWhenTold() throws {
        let graph = BlockGraph()
        let node = try graph.open(["driver": "null-co", "size": "1G", "read-zeroes": "on"])
        #expect(node.sizeInBytes == 1 << 30)
        #expect(node.read(512, at: 0).bytes == [UInt8](repeating: 0, count: 512))
        let other = try graph.open(["driver": "null-aio", "read-only": "on"])
        #expect(other.read(1, at: 0).bytes == [0xee])
        #expect(other.write([1], at: 0) == EPERM)
        graph.closeAll()
    }

    @Test func sizes() {
        let good: [(String, UInt64)] = [
            ("0", 0), ("512", 512), ("1k", 1024), ("10G", 10 << 30), ("1.5M", 3 << 19), ("0x10", 16), ("7B", 7),
            ("15E", 15 << 60),
        ]
        for (text, value) in good { #expect(BlockOptions.size(text) == value, "\(text)") }
        for text in ["", "G", "-1", "1.5", "1..5G", "16E", "99999999999999999999", "1 G", "0x", "1.G ", "+1"] {
            #expect(BlockOptions.size(text) == nil, "\(text)")
        }
    }

    @Test func formatsByMagic() {
        func padded(_ text: String, at offset: Int = 0) -> [UInt8] {
            [UInt8](repeating: 0, count: offset) + Array(text.utf8) + [UInt8](repeating: 0, count: 64)
        }
        let qfi: [UInt8] = [0x51, 0x46, 0x49, 0xfb, 0, 0, 0]
        #expect(ImageFormat.probe(qfi + [1]) == .qcow)
        #expect(ImageFormat.probe(qfi + [2]) == .qcow2)
        #expect(ImageFormat.probe(qfi + [3]) == .qcow2)
        #expect(ImageFormat.probe(padded("KDMV")) == .vmdk)
        #expect(ImageFormat.probe(padded("# Disk DescriptorFile\nversion=1\nCID=1\n")) == .vmdk)
        #expect(ImageFormat.probe(padded("# a comment\nhello\n")) == .raw)
        #expect(ImageFormat.probe([UInt8](repeating: 0, count: 64) + [0x7f, 0x10, 0xda, 0xbe]) == .vdi)
        #expect(ImageFormat.probe(padded("vhdxfile")) == .vhdx)
        #expect(ImageFormat.probe(padded("conectix")) == .vpc)
        #expect(ImageFormat.probe(padded("QED\0")) == .qed)
        #expect(ImageFormat.probe([0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]) == .luks)
        #expect(ImageFormat.probe([]) == .raw)
        #expect(ImageFormat.probe([0x51, 0x46]) == .raw)
        var numbers = SplitMix64(state: 1)
        for _ in 0..<200 { _ = ImageFormat.probe(randomBytes(Int.random(in: 0...512, using: &numbers), &numbers)) }
    }
}
