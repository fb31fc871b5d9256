import BlockImage
import Glibc
import HostOS
import TestSupport
import Testing

/// Images that stand on many others, and many that stand on one.
@Suite(.serialized) struct ChainTests {
    /// A chain of images, each of which has a cluster of its own. The bytes that the last one shows.
    private func chain(_ folder: Folder, depth: Int) throws -> [UInt8] {
        let cluster = 512
        var disk = mixedBytes(cluster * (depth + 8), seed: 3)
        folder.write("0", disk)
        let graph = BlockGraph()
        defer { graph.closeAll() }
        for number in 1...depth {
            folder.write("\(number)", [])
            let file = try graph.open([
                "driver": "file", "filename": folder.file("\(number)"), "node-name": "f\(number)",
                "cache.no-flush": "on",
            ])
            var options = QCow2CreateOptions(size: UInt64(disk.count))
            options.clusterSize = cluster
            options.backingFile = "\(number - 1)"
            options.backingFormat = number == 1 ? "raw" : "qcow2"
            try QCow2Node.create(options, in: try #require(file as? any Resizable))
            let node = try graph.open(["driver": "qcow2", "file": "f\(number)", "backing": "", "node-name": "n"])
            let stamp = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: cluster)
            #expect(node.writeAndWait(at: UInt64(number * cluster), bytes: stamp) == 0)
            disk.replaceSubrange(number * cluster..<(number + 1) * cluster, with: stamp)
            try graph.remove("n")
            try graph.remove("f\(number)")
        }
        return disk
    }

    @Test func deepChains() throws {
        let folder = try Folder()
        let depth = 500
        let disk = try chain(folder, depth: depth)
        let info = folder.image("info", "--backing-chain", "@\(depth)")
        #expect(info.status == 0 && info.output.components(of: "image: ") == depth + 1, "\(info.errors)")
        let convert = folder.image("convert", "-O", "raw", "@\(depth)", "@out")
        #expect(convert.status == 0, "\(convert.errors)")
        #expect(folder.read("out") == disk)
        let map = folder.image("map", "--output=json", "@\(depth)")
        #expect(map.status == 0 && map.output.contains("\"depth\": \(depth)"))
        // Small requests everywhere, by the program's threads of small stacks.
        let read = folder.run(
            "qemu-io",
            [
                "-f", "qcow2", "-c", "read -q 0 64k", "-c", "aio_read -q 1k 100k", "-c", "read -q -P 1 512 512",
                "@\(depth)",
            ])
        #expect(read.status == 0 && !read.output.contains("Pattern"), "\(read)")
        #expect(folder.image("commit", "-q", "-d", "@\(depth)").status == 0)
        #expect(folder.image("rebase", "-b", folder.file("0"), "-F", "raw", "@\(depth - 1)").status == 0)
        #expect(folder.image("convert", "-O", "raw", "@\(depth - 1)", "@out").status == 0)
        #expect(folder.read("out") == disk)
    }

    @Test func chainsBeyondWhatIsFollowedAndLoops() throws {
        let folder = try Folder()
        // The same few images over and over would be a loop; so many are one file each.
        folder.image("create", "-q", "-f", "qcow2", "@0", "64k")
        let image = folder.read("0")
        func write(_ name: String, below: String) {
            var bytes = image
            let place = 1024
            for index in 0..<8 { bytes[8 + index] = UInt8(truncatingIfNeeded: UInt64(place) >> UInt64(56 - 8 * index)) }
            for index in 0..<4 { bytes[16 + index] = UInt8(truncatingIfNeeded: below.utf8.count >> (24 - 8 * index)) }
            bytes.replaceSubrange(place..<place + below.utf8.count, with: Array(below.utf8))
            folder.write(name, bytes)
        }
        for number in 1...1001 { write("\(number)", below: "\(number - 1)") }
        let deepest = folder.image("convert", "-O", "raw", "@1000", "@out")
        #expect(deepest.status == 0, "\(deepest.errors)")
        let far = folder.image("convert", "-O", "raw", "@1001", "@out")
        #expect(far.status == 1)
        #expect(far.errors.contains("a chain of over 1000 backing images is not followed"), "\(far.errors)")
        #expect(far.errors.split(separator: "\n").count == 1)
        // A loop that begins further down.
        write("100", below: "150")
        let loop = folder.image("convert", "-O", "raw", "@300", "@out")
        #expect(loop.status == 1 && loop.errors.contains("the backing images below it are a loop"), "\(loop.errors)")
        // What is not there at the bottom is told in a line that is no longer than need be.
        write("100", below: "nothing")
        let missing = folder.image("convert", "-O", "raw", "@1000", "@out")
        #expect(missing.status == 1 && missing.errors.utf8.count < 600, "\(missing.errors)")
        #expect(missing.errors.contains("nothing"))
    }

    @Test func manyClonesOfAReadOnlyTemplate() throws {
        let folder = try Folder()
        let disk = mixedBytes(1 << 20, seed: 5)
        folder.write("template.raw", disk)
        #expect(folder.image("convert", "-O", "qcow2", "@template.raw", "@template").status == 0)
        #expect(unsafe chmod(folder.file("template"), 0o444) == 0)
        let before = folder.read("template")
        var graphs: [BlockGraph] = []
        defer { for graph in graphs { graph.closeAll() } }
        var nodes: [any BlockNode] = []
        for number in 0..<200 {
            let graph = BlockGraph(defaultAIO: .threads)
            graphs.append(graph)
            try graph.makeImage(
                folder.file("clone\(number)"), format: "qcow2", size: UInt64(disk.count),
                backing: (folder.file("template"), "qcow2"))
            nodes.append(
                try graph.open([
                    "driver": "qcow2", "file.driver": "file", "file.filename": folder.file("clone\(number)"),
                    "discard": "unmap",
                ]))
        }
        for (number, node) in nodes.enumerated() {
            #expect(node.writeAndWait(at: UInt64(number * 4096), bytes: [UInt8](repeating: 0xC1, count: 4096)) == 0)
        }
        for (number, node) in nodes.enumerated() {
            var expected = disk
            expected.replaceSubrange(number * 4096..<(number + 1) * 4096, with: [UInt8](repeating: 0xC1, count: 4096))
            let (status, bytes) = node.bytesAndWait(at: 0, count: disk.count)
            let isSame = bytes == expected
            #expect(status == 0 && isSame, "clone \(number)")
        }
        // Nobody writes to what the clones read.
        #expect(throws: BlockError.self) {
            try BlockGraph().open(["driver": "qcow2", "file.driver": "file", "file.filename": folder.file("template")])
        }
        for graph in graphs { graph.closeAll() }
        #expect(folder.read("template") == before)
        for number in [0, 100, 199] { #expect(folder.image("check", "-q", "@clone\(number)").status == 0) }
    }
}

extension String {
    /// How often a text is in this one.
    fileprivate func components(of text: String) -> Int {
        var (count, rest) = (0, self[...])
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
