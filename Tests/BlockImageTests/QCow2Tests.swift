import BlockImage
import CLinux
import TestSupport
import Testing

/// A shape of image that tests go through.
struct Shape: Sendable, CustomStringConvertible {
    var clusterSize = 65536
    var version: UInt32 = 3
    var refcountBits = 16
    var hasBacking = false
    var description: String { "\(clusterSize)v\(version)r\(refcountBits)\(hasBacking ? "+backing" : "")" }

    static let all: [Shape] = [
        Shape(), Shape(hasBacking: true), Shape(version: 2), Shape(version: 2, hasBacking: true),
        Shape(clusterSize: 512), Shape(clusterSize: 512, refcountBits: 64, hasBacking: true),
        Shape(clusterSize: 4096, refcountBits: 1), Shape(clusterSize: 1024, refcountBits: 2),
        Shape(clusterSize: 2048, refcountBits: 4), Shape(clusterSize: 8192, refcountBits: 8),
        Shape(clusterSize: 16384, refcountBits: 32, hasBacking: true), Shape(clusterSize: 2 << 20),
    ]
}

func createImage(
    _ file: TestFile, size: UInt64, _ shape: Shape = Shape(), backing: TestFile? = nil, format: String? = "raw"
) throws(BlockError) {
    let node = try openFile(file)
    defer { node.close() }
    var options = QCow2CreateOptions(size: size)
    options.clusterSize = shape.clusterSize
    options.version = shape.version
    options.refcountBits = shape.refcountBits
    options.backingFile = backing?.path
    options.backingFormat = backing == nil ? nil : format
    try QCow2Node.create(options, in: node)
}

func openImage(
    _ file: TestFile, _ more: [String: String] = [:]
) throws(BlockError) -> (graph: BlockGraph, device: BlockDevice) {
    let graph = BlockGraph()
    let options = [
        "driver": "qcow2", "node-name": "disk", "file.driver": "file", "file.filename": file.path,
        "discard": "unmap",
    ]
    try graph.open(options.merging(more) { $1 })
    return (graph, try graph.attach("disk", id: "drive"))
}

/// What `qemu-img check` and `convert` say about an image.
func qemuCheck(_ file: TestFile) -> (status: Int32, output: String) {
    Tool.capture([Tool.qemuImg!, "check", "-f", "qcow2", file.path])
}

func qemuContent(_ file: TestFile) -> [UInt8] {
    let raw = TestFile()
    let result = Tool.capture([Tool.qemuImg!, "convert", "-f", "qcow2", "-O", "raw", file.path, raw.path])
    #expect(result.status == 0, "\(result.output)")
    return raw.read()
}

@Suite struct QCow2Tests {
    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: Shape.all)
    func createdImagesPassTheCheck(_ shape: Shape) throws {
        for size in [0, 1, 512, 1 << 20, (8 << 20) + 512, shape.clusterSize == 512 ? 1 << 30 : 1 << 36] as [UInt64] {
            let file = TestFile()
            try createImage(file, size: size, shape)
            let check = qemuCheck(file)
            #expect(check.status == 0, "\(size): \(check.output)")
            let info = Tool.capture([Tool.qemuImg!, "info", "--output=json", "-f", "qcow2", file.path]).output
            #expect(info.contains("\"virtual-size\": \((size + 511) / 512 * 512),"), "\(info)")
        }
    }

    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: Shape.all)
    func randomRequestsMatchTheOracle(_ shape: Shape) throws {
        // Arrange: the backing image is shorter than the disk.
        let size = 3 * 512 + min(max(shape.clusterSize * 40, 256 << 10), 6 << 20)
        var numbers = SplitMix64(state: 42)
        let base = TestFile(bytes: shape.hasBacking ? randomBytes(size / 3 / 512 * 512, &numbers) : [])
        var oracle = [UInt8](repeating: 0, count: size)
        if shape.hasBacking { oracle.replaceSubrange(0..<base.read().count, with: base.read()) }
        let file = TestFile()
        try createImage(file, size: UInt64(size), shape, backing: shape.hasBacking ? base : nil)
        let largest = min(size, shape.clusterSize * 5)

        for session in 0..<3 {
            let (graph, device) = try openImage(file)
            #expect(device.sizeInBytes == UInt64(size))
            for step in 0..<120 {
                // Act
                let offset = Int.random(in: 0..<size, using: &numbers)
                var range = offset..<min(size, offset + Int.random(in: 1...largest, using: &numbers))
                let at = UInt64(offset)
                let zeroes = [UInt8](repeating: 0, count: range.count)
                switch Int.random(in: 0..<10, using: &numbers) {
                case 0...2:
                    let result = device.read(range.count, at: at)
                    #expect(result.status == 0)
                    let isSame = result.bytes == Array(oracle[range])
                    #expect(isSame, "session \(session), step \(step)")
                case 3...6:
                    let bytes = [UInt8](repeating: UInt8.random(in: 0...255, using: &numbers), count: range.count)
                    #expect(device.write(bytes, at: at, segment: 7000, fua: step % 5 == 0) == 0)
                    oracle.replaceSubrange(range, with: bytes)
                case 7, 8:
                    let mayUnmap = Bool.random(using: &numbers)
                    #expect(device.perform(.writeZeroes(mayUnmap: mayUnmap), at, UInt64(range.count)) == 0)
                    oracle.replaceSubrange(range, with: zeroes)
                default:
                    // Whole clusters are given up; their content is zero, or (version 2 over a base) stays.
                    #expect(device.perform(.discard, at, UInt64(range.count)) == 0)
                    let cluster = shape.clusterSize
                    let first = (range.lowerBound + cluster - 1) / cluster * cluster
                    let last = range.upperBound == size ? size : range.upperBound / cluster * cluster
                    if first < last && !shape.hasBacking {
                        range = first..<last
                        oracle.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
                    } else {
                        let now = device.read(size, at: 0).bytes
                        #expect(now.count == size)
                        oracle = now
                    }
                }
                if step % 40 == 39 { #expect(device.perform(.flush) == 0) }
            }
            let isSame = device.read(size, at: 0).bytes == oracle
            #expect(isSame, "session \(session)")
            graph.detach(device)
            graph.closeAll()

            // Assert
            let check = qemuCheck(file)
            #expect(check.status == 0, "session \(session): \(check.output)")
            let isEqual = qemuContent(file) == oracle
            #expect(isEqual, "session \(session)")
        }
    }

    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"))
    func concurrentRequests() throws {
        let file = TestFile()
        let piece = 3000
        let count = 200
        try createImage(file, size: UInt64(piece * count + 511) / 512 * 512, Shape(clusterSize: 4096))
        let (graph, device) = try openImage(file)
        var numbers = SplitMix64(state: 4)
        for _ in 0..<3 {
            let contents = (0..<count).map { _ in randomBytes(piece, &numbers) }
            let memories = contents.map { Memory($0) }
            let replies = (0..<count).map { _ in Reply() }
            for index in (0..<count).shuffled(using: &numbers) {
                let reply = replies[index]
                device.submit(
                    BlockRequest(
                        operation: .write, offset: UInt64(index * piece), length: UInt64(piece),
                        segments: memories[index].segments(), completion: { reply.set($0) }))
                if index % 16 == 0 { device.submit(BlockRequest(operation: .flush, completion: { _ in })) }
            }
            #expect(replies.allSatisfy { $0.wait() == 0 })
            withExtendedLifetime(memories) {}
            let isSame = device.read(piece * count, at: 0).bytes == contents.flatMap { $0 }
            #expect(isSame)
        }
        graph.detach(device)
        graph.closeAll()
        #expect(qemuCheck(file).status == 0)
    }

    /// The table of counts outgrows its clusters and moves.
    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: [64, 16])
    func theRefcountTableGrows(_ bits: Int) throws {
        let file = TestFile()
        let size = 24 << 20
        try createImage(file, size: UInt64(size), Shape(clusterSize: 512, refcountBits: bits))
        let (graph, device) = try openImage(file)
        let bytes = [UInt8](repeating: 0x5a, count: 1 << 20)
        for index in 0..<24 { #expect(device.write(bytes, at: UInt64(index) << 20) == 0) }
        graph.detach(device)
        graph.closeAll()
        let check = qemuCheck(file)
        #expect(check.status == 0, "\(check.output.suffix(300))")
        #expect(qemuContent(file).allSatisfy { $0 == 0x5a })
    }

    @Test(.enabled(if: Tool.qemuImg != nil && Tool.qemuIO != nil, "qemu-img or qemu-io is not installed"))
    func imagesOfQEMUAreReadEqual() throws {
        for options in [
            "", "compat=0.10", "cluster_size=4096", "refcount_bits=1,cluster_size=1024", "lazy_refcounts=on",
        ] {
            let base = TestFile()
            let file = TestFile()
            _ = Tool.run([Tool.qemuImg!, "create", "-q", "-f", "qcow2", base.path, "5M"])
            _ = Tool.run([Tool.qemuIO!, "-f", "qcow2", "-c", "write -P 17 0 3M", base.path])
            var words = [Tool.qemuImg!, "create", "-q", "-f", "qcow2", "-b", base.path, "-F", "qcow2"]
            if !options.isEmpty { words += ["-o", options] }
            #expect(Tool.run(words + [file.path, "8M"]) == 0)
            let commands = ["write -P 1 1000 5000", "write -z 100k 200k", "write -P 3 4M 1M", "discard 4M 300k"]
            #expect(
                Tool.run([Tool.qemuIO!, "-f", "qcow2", "-d", "unmap"] + commands.flatMap { ["-c", $0] } + [file.path])
                    == 0)
            let (graph, device) = try openImage(file, ["read-only": "on"])
            #expect(graph.nodes.count == 4)
            let isSame = device.read(8 << 20, at: 0).bytes == qemuContent(file)
            #expect(isSame, "\(options)")
            graph.detach(device)
            graph.closeAll()
        }
    }

    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: [512, 4096, 65536])
    func compressedClusters(_ clusterSize: Int) throws {
        var numbers = SplitMix64(state: 77)
        let text = Array("Machines of glass and light. ".utf8)
        var bytes = (0..<300_000).map { text[$0 % text.count] &+ UInt8($0 / 70_000) }
        bytes += randomBytes(100_000, &numbers) + [UInt8](repeating: 0, count: 112 * 1024)
        bytes.removeLast(bytes.count % 512)
        let raw = TestFile(bytes: bytes)
        let file = TestFile()
        #expect(
            Tool.run([
                Tool.qemuImg!, "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=\(clusterSize)",
                raw.path, file.path,
            ]) == 0)
        let (graph, device) = try openImage(file)
        let isSame = device.read(bytes.count, at: 0).bytes == bytes
        #expect(isSame)
        // Writing unpacks what is around, and frees the packed cluster.
        for _ in 0..<60 {
            let offset = Int.random(in: 0..<bytes.count - 2000, using: &numbers)
            let new = randomBytes(Int.random(in: 1...2000, using: &numbers), &numbers)
            #expect(device.write(new, at: UInt64(offset)) == 0)
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        }
        graph.detach(device)
        graph.closeAll()
        let check = qemuCheck(file)
        #expect(check.status == 0, "\(check.output)")
        let isEqual = qemuContent(file) == bytes
        #expect(isEqual)
    }

    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"))
    func snapshotsKeepTheirContent() throws {
        let file = TestFile()
        #expect(Tool.run([Tool.qemuImg!, "create", "-q", "-f", "qcow2", file.path, "2M"]) == 0)
        let first = try openImage(file)
        #expect(first.device.write([UInt8](repeating: 1, count: 1 << 20), at: 0) == 0)
        first.graph.detach(first.device)
        first.graph.closeAll()
        #expect(Tool.run([Tool.qemuImg!, "snapshot", "-c", "before", file.path]) == 0)
        #expect(Tool.run([Tool.qemuImg!, "snapshot", "-c", "second", file.path]) == 0)

        let (graph, device) = try openImage(file)
        let node = try #require(device.root as? QCow2Node)
        #expect(node.snapshots.map(\.name) == ["before", "second"])
        #expect(node.snapshots.map(\.id) == ["1", "2"])
        #expect(node.snapshots.map(\.diskSize) == [2 << 20, 2 << 20])
        #expect(node.snapshots[0].seconds > 1_600_000_000)
        #expect(device.write([9, 9, 9], at: 100_000) == 0)
        #expect(device.perform(.discard, 512 << 10, 128 << 10) == 0)
        #expect(device.perform(.writeZeroes(mayUnmap: true), 0, 65536) == 0)
        graph.detach(device)
        graph.closeAll()
        let check = qemuCheck(file)
        #expect(check.status == 0, "\(check.output)")
        #expect(Array(qemuContent(file)[99_999..<100_004]) == [1, 9, 9, 9, 1])
        #expect(Tool.run([Tool.qemuImg!, "snapshot", "-a", "before", file.path]) == 0)
        #expect(qemuContent(file).prefix(1 << 20).allSatisfy { $0 == 1 })
        #expect(qemuCheck(file).status == 0)
    }

    @Test func extentsTellDataFromZeroes() throws {
        let file = TestFile()
        try createImage(file, size: 1 << 20)
        let (graph, device) = try openImage(file)
        #expect(device.write([1], at: 65536) == 0)
        #expect(device.write([1], at: 262_144) == 0)
        #expect(device.perform(.writeZeroes(mayUnmap: false), 262_144, 65536) == 0)
        let node = try #require(device.root as? QCow2Node)
        let extents = try node.extents(offset: 0, length: 1 << 20, limit: 100)
        #expect(extents.map(\.length) == [65536, 65536, 131_072, 65536, 720_896])
        #expect(extents.map(\.isAllocated) == [false, true, false, true, false])
        #expect(extents.map(\.isZero) == [true, false, true, true, true])
        graph.detach(device)
        graph.closeAll()
    }

    @Test func drivesAreProbedAndBackingNamesAreRelative() throws {
        let base = TestFile(bytes: [UInt8](repeating: 4, count: 4096))
        let file = TestFile()
        let node = try openFile(file)
        var options = QCow2CreateOptions(size: 8192)
        options.backingFile = String(base.path.dropFirst("/tmp/".count))
        try QCow2Node.create(options, in: node)
        node.close()
        let graph = BlockGraph()
        let device = try graph.openDrive(DriveOptions(id: "d", path: file.path))
        #expect(device.root.driverName == "qcow2")
        #expect(device.root.children.map(\.role) == ["file", "backing"])
        #expect(device.read(2, at: 4095).bytes == [4, 0])
        graph.detach(device)
        #expect(graph.nodes.isEmpty)
        let alone = try openImage(file, ["backing": ""])
        #expect(alone.device.read(1, at: 0).bytes == [0])
        alone.graph.detach(alone.device)
        alone.graph.closeAll()
    }
}
