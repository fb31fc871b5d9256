import BlockImage
import HostOS
import TestSupport
import Testing

/// An image whose tables are in a state that faults are made in, and what its disk holds.
struct FaultedImage {
    /// What is special about it.
    enum Shape: Sendable, CaseIterable {
        /// Over a backing image, with clusters of 4 KiB, some of them packed.
        case usual
        /// Its clusters are small and its counts wide: the first block of them is full soon.
        case smallCounts
        /// So is its table of counts, which is nearly full.
        case fullCounts
        /// Not closed, and without counts: they are made anew when it is opened.
        case lostCounts
    }

    let shape: Shape
    let clusterSize: Int
    let image: [UInt8]
    let base: [UInt8]?
    let models: [DiskModel]
    let size: Int
    /// Bytes at the start that hold 0x77.
    let filled: Int

    static func make(_ shape: Shape) throws -> FaultedImage {
        let isSmall = shape == .fullCounts || shape == .smallCounts
        let clusterSize = isSmall ? 512 : 4096
        let filled = shape == .fullCounts ? 3955 * 512 : shape == .smallCounts ? 45 * 512 : 0
        let perCluster = clusterSize / 512
        let border = filled / 512 + clusterSize * (clusterSize / 8) / 512
        let first = filled / 512
        var models = [(first, 8), (border - 3 * perCluster, 6)].map {
            DiskModel(first: $0.0, count: $0.1 * perCluster, content: 0)
        }
        // The base ends in the middle of the first region.
        let baseSectors = 5 * perCluster + 3
        if !isSmall { models[0].note(0, baseSectors, DiskModel.base, isDone: true) }
        let size = (models[1].first + models[1].count) * 512
        return try Samples.withFolder(["image": [], "base": DiskModel.bytes(0..<baseSectors, DiskModel.base)]) {
            folder in
            let path = "\(folder)/image"
            let file = try Self.file(path)
            var options = QCow2CreateOptions(size: UInt64(size))
            options.clusterSize = clusterSize
            if isSmall {
                options.refcountBits = 64
            } else {
                (options.backingFile, options.backingFormat) = ("base", "raw")
            }
            try QCow2Node.create(options, in: file)
            file.close()
            let graph = BlockGraph()
            defer { graph.closeAll() }
            let node = try #require(graph.open(Self.options(path)) as? QCow2Node)
            if filled > 0 {
                let status = node.writeAndWait(at: 0, bytes: [UInt8](repeating: 0x77, count: filled))
                guard status == 0 else { throw BlockError.message("fill: \(status)") }
            } else if !isSmall {
                for cluster in [0, 1, 4] {
                    let start = models[1].first + cluster * perCluster
                    let stamp = models[1].stamp()
                    let packed = ClusterPacker(.deflate)?.pack(DiskModel.bytes(start..<start + perCluster, stamp))
                    try node.writePacked(at: UInt64(start) * 512, try #require(packed))
                    models[1].note(cluster * perCluster, perCluster, stamp, isDone: true)
                }
            }
            graph.closeAll()
            for index in models.indices { models[index].flushed() }
            var image = try HostFile.contents(path)
            if shape == .lostCounts {
                image[79] |= 1
                let table = image[48..<56].reduce(0) { $0 << 8 | Int($1) }
                image.replaceSubrange(table..<table + clusterSize, with: repeatElement(0, count: clusterSize))
            }
            return FaultedImage(
                shape: shape, clusterSize: clusterSize, image: image,
                base: isSmall ? nil : try HostFile.contents("\(folder)/base"), models: models, size: size,
                filled: filled)
        }
    }

    static func file(_ path: String, readOnly: Bool = false) throws(BlockError) -> FileNode {
        var node = NodeOptions()
        node.readOnly = readOnly
        return try FileNode(FileOptions(path: path), node: node, isDevice: false, nodeName: "file")
    }
    static func options(_ path: String) -> [String: String] {
        ["driver": "qcow2", "file.driver": "file", "file.filename": path, "discard": "unmap"]
    }

    // MARK: Afterwards

    /// What is wrong with the image at a path when nobody has it open, and after somebody has opened it, or only then.
    static func damage(_ path: String, isMended: Bool = false) -> [String] {
        do throws(BlockError) {
            let words = isMended ? [] : try check(path)
            let graph = BlockGraph()
            try graph.open(options(path))
            graph.closeAll()
            return words + (try check(path, countsLeaks: true))
        } catch {
            return ["\(error)"]
        }
    }

    private static func check(_ path: String, countsLeaks: Bool = false) throws(BlockError) -> [String] {
        let file = try file(path, readOnly: true)
        defer { file.close() }
        let header = try QCow2Node.readHeader(file)
        var words: [String] = []
        let found = try QCow2Check(file: file) { words.append($0) }.run()
        let corrupt = QCow2Header.Incompatible.corrupt
        if header.incompatible & corrupt != 0 { words.append("ERROR the image is marked as damaged") }
        // In the middle of work on snapshots flags do not fit the counts; whoever opens the image makes them anew.
        let isMarked = header.incompatible & QCow2Header.Incompatible.dirty != 0 && !countsLeaks
        guard found.corruptions + found.errors > 0 || countsLeaks else {
            return words.filter { $0.hasSuffix("damaged") }
        }
        return words.filter { word in
            if word.hasPrefix("Leaked") { return countsLeaks }
            return !(isMarked && word.hasPrefix("ERROR OFLAG_COPIED"))
        }
    }
}
