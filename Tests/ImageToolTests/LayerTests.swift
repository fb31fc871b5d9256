import BlockImage
import TestSupport
import Testing

/// Long chains of images in all formats that have images below them, and what else an image may name below itself.
@Suite(.serialized) struct LayerTests {
    private static let depth = 1000
    /// Every so many images have a block of their own.
    private static let step = 20

    /// What the last image of a chain shows: the first block of the bottom, and one of every twentieth image.
    private func disk(_ block: Int) -> [UInt8] {
        (0..<64).flatMap { index -> [UInt8] in
            [UInt8](repeating: index <= Self.depth / Self.step ? UInt8(index + 1) : 0, count: block)
        }
    }
    private func block(of number: Int, _ size: Int) -> [UInt8]? {
        number % Self.step == 0 ? [UInt8](repeating: UInt8(number / Self.step + 1), count: size) : nil
    }

    private func put<Number: FixedWidthInteger>(_ value: Number, _ at: Int, _ bytes: inout [UInt8]) {
        for index in 0..<Number.bitWidth / 8 {
            bytes[at + index] = UInt8(truncatingIfNeeded: value >> Number(8 * index))
        }
    }

    /// A QED image of 64 clusters (QEMU's docs/interop/qed_spec.txt): a header, two tables, one cluster of data.
    private func qed(_ number: Int) -> [UInt8] {
        let cluster = 4096
        var bytes = [UInt8](repeating: 0, count: 3 * cluster)
        bytes.replaceSubrange(0..<3, with: Array("QED".utf8))
        put(UInt32(cluster), 4, &bytes)
        put(UInt32(1), 8, &bytes)
        put(UInt32(1), 12, &bytes)
        put(UInt64(cluster), 40, &bytes)
        put(UInt64(64 * cluster), 48, &bytes)
        if number > 0 {
            let name = Array("\(number - 1)".utf8)
            put(UInt64(1), 16, &bytes)
            put(UInt32(64), 56, &bytes)
            put(UInt32(name.count), 60, &bytes)
            bytes.replaceSubrange(64..<64 + name.count, with: name)
        }
        guard let data = block(of: number, cluster) else { return bytes }
        put(UInt64(2 * cluster), cluster, &bytes)
        put(UInt64(3 * cluster), 2 * cluster + number / Self.step * 8, &bytes)
        return bytes + data
    }

    private func qcow2(_ number: Int, _ folder: Folder, below: String) throws {
        let graph = BlockGraph()
        defer { graph.closeAll() }
        folder.write("\(number)", [])
        let file = try graph.open([
            "driver": "file", "filename": folder.file("\(number)"), "node-name": "f", "cache.no-flush": "on",
        ])
        var options = QCow2CreateOptions(size: 64 * 4096)
        options.clusterSize = 4096
        (options.backingFile, options.backingFormat) = ("\(number - 1)", below)
        try QCow2Node.create(options, in: try #require(file as? any Resizable))
        guard let data = block(of: number, 4096) else { return }
        let node = try graph.open(["driver": "qcow2", "file": "f", "backing": ""])
        #expect(node.writeAndWait(at: UInt64(number / Self.step * 4096), bytes: data) == 0)
    }

    /// A VMDK image from a model whose descriptor names the image `model`.
    private func vmdk(_ number: Int, _ folder: Folder, _ model: [UInt8]) throws {
        var bytes = model
        let old = Array("parentFileNameHint=\"model\"".utf8)
        let new = Array("parentFileNameHint=\"\(number - 1)\"".utf8)
        let place = try #require(
            (0..<bytes.count - old.count).first { bytes[$0] == old[0] && bytes[$0..<$0 + old.count].elementsEqual(old) }
        )
        // The descriptor ends with zeroes: what is shorter or longer moves its end.
        let end = try #require(bytes[place...].firstIndex(of: 0))
        let rest = Array(bytes[place + old.count..<end])
        bytes.replaceSubrange(place..<end, with: [UInt8](repeating: 0, count: end - place))
        bytes.replaceSubrange(place..<place + new.count + rest.count, with: new + rest)
        folder.write("\(number)", bytes)
        guard let data = block(of: number, 65536) else { return }
        let graph = BlockGraph()
        defer { graph.closeAll() }
        let node = try graph.open([
            "driver": "vmdk", "file.driver": "file", "file.filename": folder.file("\(number)"), "backing": "",
            "cache.no-flush": "on",
        ])
        #expect(node.writeAndWait(at: UInt64(number / Self.step * 65536), bytes: data) == 0)
    }

    /// The last image shows what it should, to every kind of reader, and closes.
    private func examine(_ folder: Folder, _ format: String, block: Int) throws {
        let expected = disk(block)
        let convert = folder.image("convert", "-f", format, "-O", "raw", "@\(Self.depth)", "@out")
        #expect(convert.status == 0, "\(convert.errors)")
        let isSame = folder.read("out") == expected
        #expect(isSame)
        let commands = ["read -q -P 1 0 \(block)", "aio_read -q -P 1 0 \(block)", "read -q -P 6 \(5 * block) 512"]
        let read = folder.run(
            "qemu-io", ["-r", "-f", format] + commands.flatMap { ["-c", $0] } + ["@\(Self.depth)"])
        #expect(read.status == 0 && !read.output.contains("Pattern"), "\(read)")
        let info = folder.image("info", "--backing-chain", "@\(Self.depth)")
        #expect(info.status == 0, "\(info.errors)")
    }

    @Test func deepQED() throws {
        let folder = try Folder()
        for number in 0...Self.depth { folder.write("\(number)", qed(number)) }
        try examine(folder, "qed", block: 4096)
    }

    @Test func deepAndMixed() throws {
        let folder = try Folder()
        for number in 0...Self.depth {
            if number % 2 == 0 && number > 0 {
                try qcow2(number, folder, below: "qed")
            } else {
                folder.write("\(number)", qed(number))
            }
        }
        try examine(folder, "qcow2", block: 4096)
    }

    @Test func deepVMDK() throws {
        let folder = try Folder()
        #expect(folder.image("create", "-q", "-f", "vmdk", "@model", "4M").status == 0)
        folder.write("0", folder.read("model"))
        let graph = BlockGraph()
        let bottom = try graph.open(["driver": "vmdk", "file.driver": "file", "file.filename": folder.file("0")])
        #expect(bottom.writeAndWait(at: 0, bytes: [UInt8](repeating: 1, count: 65536)) == 0)
        graph.closeAll()
        // Relative to its own folder.
        let made = folder.image("create", "-q", "-f", "vmdk", "-b", "model", "-F", "vmdk", "@overlay")
        #expect(made.status == 0, "\(made.errors)")
        let model = folder.read("overlay")
        for number in 1...Self.depth { try vmdk(number, folder, model) }
        try examine(folder, "vmdk", block: 65536)
    }

    /// A qcow2 image with a name below it, whatever that is.
    private func image(_ folder: Folder, naming name: String, format: String? = nil) {
        folder.image("create", "-q", "-f", "qcow2", "@blank", "64k")
        var bytes = folder.read("blank")
        let place = 1024
        for index in 0..<8 { bytes[8 + index] = UInt8(truncatingIfNeeded: UInt64(place) >> UInt64(56 - 8 * index)) }
        for index in 0..<4 { bytes[16 + index] = UInt8(truncatingIfNeeded: name.utf8.count >> (24 - 8 * index)) }
        bytes.replaceSubrange(place..<place + name.utf8.count, with: Array(name.utf8))
        folder.write("image", bytes)
    }

    /// An image that stands on itself, with another node between, or says that the chain begins with it, or does so on
    /// several ways at once.
    @Test(arguments: [
        #"json:{"driver":"raw","file":{"driver":"qcow2","file":{"driver":"file","filename":"@"}}}"#,
        #"json:{"driver":"throttle","throttle-group":"g","file":{"driver":"qcow2","file.filename":"@"}}"#,
        #"json:{"driver":"copy-on-read","file":{"driver":"qcow2","file.filename":"@"}}"#,
        #"json:{"driver":"qcow2","x-depth":"0","x-mark":"","file.filename":"@"}"#,
        #"json:{"driver":"qcow2","file":{"driver":"raw","file":{"driver":"qcow2","file.filename":"@"}}}"#,
        #"json:{"driver":"qcow2","file.filename":"@","backing":{"driver":"qcow2","file.filename":"@"}}"#,
        #"json:{"driver":"qcow2","file":{"driver":"qcow2","file.filename":"@"},"data-file":{"driver":"qcow2","file.filename":"@"}}"#,
        #"json:{"driver":"blkdebug","image":{"driver":"qcow2","file.filename":"@"}}"#,
    ])
    func imagesThatStandOnThemselves(_ name: String) throws {
        let folder = try Folder()
        image(folder, naming: name.replacing("@", with: folder.file("image")))
        for command in [["convert", "-O", "raw", "@image", "@out"], ["compare", "@image", "@blank"]] {
            let outcome = folder.image([command[0], "--object", "throttle-group,id=g"] + command.dropFirst())
            #expect(outcome.status != 0 && outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
            #expect(outcome.errors.utf8.count < 600, "\(outcome.errors)")
        }
    }

    @Test func aNameOfManyNodes() throws {
        let folder = try Folder()
        folder.write("raw", mixedBytes(65536, seed: 4))
        func nested(_ count: Int) -> String {
            (0..<count).reduce(#"{"driver":"file","filename":"\#(folder.file("raw"))"}"#) { inner, _ in
                #"{"driver":"raw","file":\#(inner)}"#
            }
        }
        let few = folder.image("convert", "-O", "raw", "json:\(nested(20))", "@out")
        #expect(few.status == 0 && folder.read("out") == folder.read("raw"), "\(few.errors)")
        let many = folder.image("convert", "-O", "raw", "json:\(nested(200))", "@out")
        #expect(many.status == 1 && many.errors.split(separator: "\n").count == 1, "\(many.errors)")
    }
}
