import BlockImage
import CLinux
import TestSupport

/// An image's shape, and what is done to it.
struct CrashConfiguration: Sendable, CustomStringConvertible {
    var name: String
    var clusterSize = 65536
    var refcountBits = 16
    var version: UInt32 = 3
    var isExtended = false
    var isLazy = false
    var hasBacking = false
    var takesSnapshots = false
    var packs = false
    /// Bytes that are allocated before, to have tables that are nearly full.
    var filled = 0
    var description: String { name }

    static let all: [CrashConfiguration] = [
        CrashConfiguration(name: "64 KiB"),
        CrashConfiguration(name: "4 KiB", clusterSize: 4096),
        CrashConfiguration(name: "4 KiB, backing, packed", clusterSize: 4096, hasBacking: true, packs: true),
        CrashConfiguration(name: "1-bit counts, backing", clusterSize: 4096, refcountBits: 1, hasBacking: true),
        CrashConfiguration(name: "64 KiB, backing, lazy counts", isLazy: true, hasBacking: true),
        CrashConfiguration(name: "extended L2", clusterSize: 16384, isExtended: true),
        CrashConfiguration(name: "extended L2, backing", clusterSize: 16384, isExtended: true, hasBacking: true),
        CrashConfiguration(name: "snapshots", clusterSize: 4096, takesSnapshots: true),
        CrashConfiguration(name: "version 2, packed", clusterSize: 4096, version: 2, packs: true),
        CrashConfiguration(name: "growing count table", clusterSize: 512, refcountBits: 64, filled: 3955 * 512),
    ]
}

/// A disk of two regions that are written over and over: at the start, and over the border of two L2 tables.
final class CrashDisk {
    let configuration: CrashConfiguration
    let backing: VolatileNode?
    var models: [DiskModel]
    var numbers: SplitMix64
    /// What went wrong, in words.
    var failures: [String] = []
    private let packer: ClusterPacker?
    private let sectorsPerCluster: Int
    private var snapshotNumber = 0

    init(_ configuration: CrashConfiguration, seed: UInt64) {
        self.configuration = configuration
        numbers = SplitMix64(state: seed &* 0x1000_0001)
        let sectorsPerCluster = configuration.clusterSize / 512
        self.sectorsPerCluster = sectorsPerCluster
        let entries = configuration.clusterSize / (configuration.isExtended ? 16 : 8)
        let border = configuration.clusterSize * entries
        let start = configuration.filled
        let regions = [(start / 512, 8), (start / 512 + border / 512 - 3 * sectorsPerCluster, 6)]
        var content: UInt64 = 0
        // The base image ends in the middle of the first region: behind it the disk reads as zeroes.
        let baseSectors = 5 * sectorsPerCluster + 3
        if configuration.hasBacking {
            backing = VolatileNode(DiskModel.bytes(0..<baseSectors, DiskModel.base))
            content = DiskModel.base
        } else {
            backing = nil
        }
        models = regions.map { DiskModel(first: $0.0, count: $0.1 * sectorsPerCluster, content: 0) }
        if content != 0 { models[0].note(0, baseSectors, content, isDone: true) }
        for index in models.indices { models[index].flushed() }
        packer = configuration.packs ? ClusterPacker(.deflate) : nil
    }

    /// The image before the first write.
    func makeImage(base: String = "base") throws -> [UInt8] {
        let file = VolatileNode()
        var options = QCow2CreateOptions(size: UInt64((models[1].first + models[1].count) * 512))
        options.clusterSize = configuration.clusterSize
        options.version = configuration.version
        options.refcountBits = configuration.refcountBits
        options.extendedL2 = configuration.isExtended
        options.lazyRefcounts = configuration.isLazy
        if backing != nil { (options.backingFile, options.backingFormat) = (base, "raw") }
        try QCow2Node.create(options, in: file)
        if configuration.filled > 0 {
            let node = try open(file)
            let bytes = [UInt8](repeating: 0x77, count: configuration.filled)
            guard node.writeAndWait(at: 0, bytes: bytes) == 0 else { throw BlockError.snapshot("fill") }
            node.close()
        }
        return file.bytes
    }

    func open(_ file: any BlockNode, readOnly: Bool = false) throws(BlockError) -> QCow2Node {
        var own = QCow2Node.Options()
        // Small caches, so that tables come and go.
        own.l2CacheSize = configuration.clusterSize
        own.refcountCacheSize = configuration.clusterSize
        var node = NodeOptions()
        node.readOnly = readOnly
        node.discard = .unmap
        return try QCow2Node(file: file, backing: backing, nodeName: "disk", options: own, node: node)
    }

    /// One operation of a guest's, or of who manages the image.
    func step(_ node: QCow2Node) {
        let region = Int(numbers.next() % 2)
        let total = models[region].count
        let isWhole = numbers.next() % 3 == 0
        var start = Int(numbers.next() % UInt64(total))
        var count = 1 + Int(numbers.next() % UInt64(numbers.next() % 2 == 0 ? 8 : 2 * sectorsPerCluster))
        if isWhole {
            start = start / sectorsPerCluster * sectorsPerCluster
            count = sectorsPerCluster * (1 + Int(numbers.next() % 2))
        }
        count = min(count, total - start)
        let sectors = models[region].first + start..<models[region].first + start + count
        let (offset, length) = (UInt64(sectors.lowerBound) * 512, UInt64(count) * 512)
        switch numbers.next() % 20 {
        case 0..<8:
            let stamp = models[region].stamp()
            let status = node.writeAndWait(at: offset, bytes: DiskModel.bytes(sectors, stamp))
            models[region].note(start, count, stamp, isDone: status == 0)
        case 8..<11:
            let status = node.performAndWait(
                .writeZeroes(mayUnmap: numbers.next() % 2 == 0), offset: offset, length: length)
            models[region].note(start, count, 0, isDone: status == 0)
        case 11..<14:
            // What a discard leaves is not said; that it failed changes nothing of that.
            _ = node.performAndWait(.discard, offset: offset, length: length)
            models[region].noteDiscard(start, count)
        case 14 where packer != nil:
            start = start / sectorsPerCluster * sectorsPerCluster
            let cluster = models[region].first + start..<models[region].first + start + sectorsPerCluster
            let stamp = models[region].stamp()
            guard let packed = packer?.pack(DiskModel.bytes(cluster, stamp)) else { return }
            let isDone = (try? node.writePacked(at: UInt64(cluster.lowerBound) * 512, packed)) != nil
            models[region].note(start, sectorsPerCluster, stamp, isDone: isDone)
        case 15 where configuration.takesSnapshots:
            snapshotNumber += 1
            if let first = node.snapshots.first, numbers.next() % 2 == 0 {
                try? node.deleteSnapshot(first)
            } else if node.snapshots.count < 3 {
                try? node.createSnapshot(name: "s\(snapshotNumber)", seconds: 1, nanoseconds: 0)
            }
        default:
            if node.performAndWait(.flush) == 0 {
                for index in models.indices { models[index].flushed() }
            }
        }
    }

    /// Checks an image after a crash: at worst leaks, and the content is one that may be.
    func examine(_ file: VolatileNode, isLost: Bool) {
        do throws(BlockError) {
            var words: [String] = []
            let found = try QCow2Check(file: file, repair: .nothing) { words.append($0) }.run()
            if found.errors > 0 || (found.corruptions > 0 && !areFlagsOnly(words)) {
                failures.append("check: \(words.filter { !$0.hasPrefix("Leaked") })")
            }
            let node = try open(file, readOnly: true)
            defer { node.close() }
            for index in models.indices {
                let (status, bytes) = node.bytesAndWait(
                    at: UInt64(models[index].first) * 512, count: models[index].count * 512)
                if status != 0 { failures.append("a read ends with \(status)") }
                if status == 0, let wrong = models[index].compare(bytes, isLost: isLost) { failures.append(wrong) }
            }
            if configuration.filled > 0 {
                let (status, bytes) = node.bytesAndWait(at: 0, count: configuration.filled)
                if status != 0 || bytes.contains(where: { $0 != 0x77 }) { failures.append("old content is lost") }
            }
        } catch {
            failures.append("\(error)")
        }
    }

    /// Taking or removing a snapshot changes the count of a cluster and the flag that says whether it is one in places
    /// far apart. In between the flag is wrong, the image is marked, and who opens it makes the flag anew.
    func areFlagsOnly(_ words: [String]) -> Bool {
        configuration.takesSnapshots
            && words.allSatisfy { !$0.hasPrefix("ERROR") || $0.hasPrefix("ERROR OFLAG_COPIED") }
    }

    /// Opens the image for writing and closes it: after that nothing leaks.
    func mend(_ file: VolatileNode) {
        do throws(BlockError) {
            try open(file).close()
            var words: [String] = []
            let found = try QCow2Check(file: file, repair: .nothing) { words.append($0) }.run()
            if found.corruptions > 0 || found.errors > 0 { failures.append("check after mending: \(words)") }
            // Version 2 has no mark that would tell.
            if found.leaks > 0 && configuration.version >= 3 { failures.append("leaks stay: \(words)") }
        } catch {
            failures.append("\(error)")
        }
    }
}
