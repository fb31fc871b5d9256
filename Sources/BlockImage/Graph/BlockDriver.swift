/// A driver: its name, and how a node of it comes to be from options.
public struct BlockDriver: Sendable {
    /// Makes a node. Takes the driver's own options; the graph checks that none is left.
    public typealias Opening =
        @Sendable (
            _ graph: BlockGraph, _ options: inout BlockOptions, _ node: NodeOptions, _ name: String
        ) throws(BlockError) -> any BlockNode

    /// The name (`driver=`).
    public let name: String
    /// Makes a node.
    public let open: Opening

    /// A driver of a name.
    public init(name: String, open: @escaping Opening) {
        self.name = name
        self.open = open
    }

    /// Whether nothing is opened below nodes of a driver.
    static func isBottom(_ name: String) -> Bool {
        ["file", "host_device", "nbd", "null-co", "null-aio"].contains(name)
    }

    /// Every driver of this package.
    public static let all: [BlockDriver] = [
        file(name: "file", isDevice: false), file(name: "host_device", isDevice: true),
        null(name: "null-co"), null(name: "null-aio"), raw, blkdebug, copyOnRead, throttle,
        qcow2, luks, nbd,
        vmdk, qed, qcow,
        readable("bochs") { file throws(BlockError) in try BochsMap(file) },
        readable("cloop") { file throws(BlockError) in try CloopMap(file) },
        readable("dmg") { file throws(BlockError) in try DMGMap(file) },
        mapped("vhdx") { file, _, _ throws(BlockError) in try VHDXMap(file) },
        readable("parallels") { file throws(BlockError) in try ParallelsMap(file) },
        mapped("vdi") { file, _, _ throws(BlockError) in try VDIMap(file) },
        mapped("vpc") { file, _, options throws(BlockError) in
            // Accepted as QEMU does; the size is told by who made the image.
            _ = options.take("force_size_calc")
            return try VPCMap(file)
        },
    ]

    private static func file(name: String, isDevice: Bool) -> BlockDriver {
        BlockDriver(name: name) { graph, options, node, nodeName throws(BlockError) in
            var path = try options.require("filename", driver: name)
            if path.hasPrefix("file:") { path = String(path.dropFirst(5)) }
            var file = FileOptions(path: path)
            file.aio = try options.takeCase("aio", FileAIO.self) ?? graph.defaultAIO
            file.locking = try options.takeCase("locking", FileLocking.self) ?? .auto
            file.isInactive = graph.isInactive
            file.waitsForWriter = try options.takeBool("x-waits") ?? false
            // Tuning of QEMU's own event loop, and a debugging aid: accepted, without effect here.
            _ = try options.takeSize("aio-max-batch")
            _ = try options.takeBool("drop-cache")
            _ = try options.takeBool("x-check-cache-dropped")
            try options.finish(driver: name)
            let made = try FileNode(file, node: node, isDevice: isDevice, nodeName: nodeName, open: graph.opener)
            if !graph.lockedMemory.isEmpty { _ = made.register(graph.lockedMemory) }
            return made
        }
    }

    private static func null(name: String) -> BlockDriver {
        BlockDriver(name: name) { _, options, node, nodeName throws(BlockError) in
            let size = try options.takeSize("size") ?? 1 << 30
            guard size <= UInt64(Int64.max) else {
                throw BlockError.invalidOption(option: "size", value: "\(size)", expected: "at most \(Int64.max)")
            }
            let latency = try options.takeSize("latency-ns") ?? 0
            let readsZeroes = try options.takeBool("read-zeroes") ?? false
            try options.finish(driver: name)
            return NullNode(
                driverName: name, nodeName: nodeName, size: size, latency: latency, readsZeroes: readsZeroes,
                options: node)
        }
    }

    private static var raw: BlockDriver {
        BlockDriver(name: "raw") { graph, options, node, nodeName throws(BlockError) in
            let offset = try options.takeSize("offset") ?? 0
            let size = try options.takeSize("size")
            let isProbed = try options.takeBool("x-probed") ?? false
            let file = try graph.openChild("file", of: "raw", &options, node)
            do throws(BlockError) {
                try options.finish(driver: "raw")
                return try RawNode(
                    file: file, nodeName: nodeName, offset: offset, size: size, isProbed: isProbed, options: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
