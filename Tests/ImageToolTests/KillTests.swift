import BlockImage
import CLinux
import HostOS
import Synchronization
import TestSupport
import Testing

/// A server is killed in the middle of a write load: what it has flushed is there, a check finds leaks at worst, and no
/// sector shows another's content. The same image goes through it again and again.
@Suite(.enabled(if: Tool.isBuilt, "apus-img has not been built"))
struct KillTests {
    struct Shape: Sendable, CustomStringConvertible {
        let description: String
        var options: String
        var clusterSize: Int
        var hasBacking = false
        static let all = [
            Shape(description: "64 KiB, backing", options: "cluster_size=64k", clusterSize: 65536, hasBacking: true),
            Shape(description: "4 KiB, backing", options: "cluster_size=4k", clusterSize: 4096, hasBacking: true),
            Shape(
                description: "extended L2, backing", options: "extended_l2=on,cluster_size=16k", clusterSize: 16384,
                hasBacking: true),
            Shape(
                description: "1-bit counts, backing", options: "refcount_bits=1,cluster_size=4k", clusterSize: 4096,
                hasBacking: true),
            Shape(description: "lazy counts", options: "lazy_refcounts=on,cluster_size=64k", clusterSize: 65536),
        ]
    }

    private static let size = 32 << 20

    /// Two regions: at the start, and over the border of two L2 tables or the disk's middle.
    private func models(_ shape: Shape) -> [DiskModel] {
        let clusters = 12
        let entries = shape.clusterSize / (shape.options.contains("extended") ? 16 : 8)
        let border = min(shape.clusterSize * entries, Self.size / 2)
        let count = clusters * shape.clusterSize / 512
        return [0, border / 512 - count / 2].map { first in
            DiskModel(first: first, count: count, content: shape.hasBacking ? DiskModel.base : 0)
        }
    }

    /// Writes, zeroes, discards and flushes, up to four at a time, until the server is gone.
    private func load(_ node: any BlockNode, _ models: inout [DiskModel], _ numbers: inout SplitMix64, _ sectors: Int) {
        while true {
            var batch: [(region: Int, start: Int, count: Int, stamp: UInt64?, request: BlockRequest, bytes: [UInt8])] =
                []
            var isGone = false
            for _ in 0..<1 + numbers.next() % 4 {
                let region = Int(numbers.next() % 2)
                let start = Int(numbers.next() % UInt64(models[region].count))
                let count = min(1 + Int(numbers.next() % UInt64(2 * sectors)), models[region].count - start)
                // Requests that are under way together must not touch each other.
                let isFree = batch.allSatisfy {
                    $0.region != region || $0.start + $0.count <= start || start + count <= $0.start
                }
                guard isFree else { continue }
                let range = models[region].first + start..<models[region].first + start + count
                var (stamp, bytes): (UInt64?, [UInt8]) = (0, [])
                var operation = BlockRequest.Operation.write
                switch numbers.next() % 8 {
                case 0: operation = .writeZeroes(mayUnmap: true)
                case 1: operation = .writeZeroes(mayUnmap: false)
                case 2: (operation, stamp) = (.discard, nil)
                default:
                    stamp = models[region].stamp()
                    bytes = DiskModel.bytes(range, stamp ?? 0)
                }
                let request = BlockRequest(
                    operation: operation, offset: UInt64(range.lowerBound) * 512, length: UInt64(count) * 512
                ) { _ in }
                batch.append((region, start, count, stamp, request, bytes))
            }
            let answers = Answers(batch.count)
            for (index, entry) in batch.enumerated() {
                var request = entry.request
                let buffer = AlignedBuffer(count: max(entry.bytes.count, 1))
                if !entry.bytes.isEmpty {
                    // SAFETY: the buffer is as long as the bytes, and the completion keeps it.
                    unsafe entry.bytes.withUnsafeBytes {
                        unsafe buffer.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                    }
                    unsafe request.segments = [BlockSegment(pointer: buffer.base, count: entry.bytes.count)]
                }
                request.completion = { status in
                    withExtendedLifetime(buffer) {}
                    answers.set(index, status)
                }
                node.submit(request)
            }
            for (entry, status) in zip(batch, answers.wait()) {
                if status != 0 { isGone = true }
                if let stamp = entry.stamp {
                    models[entry.region].note(entry.start, entry.count, stamp, isDone: status == 0)
                } else {
                    models[entry.region].noteDiscard(entry.start, entry.count)
                }
            }
            if isGone { return }
            guard numbers.next() % 4 == 0 else { continue }
            guard node.performAndWait(.flush) == 0 else { return }
            for index in models.indices { models[index].flushed() }
        }
    }

    @Test(arguments: Shape.all) func randomKills(_ shape: Shape) throws {
        let folder = try Folder()
        var models = models(shape)
        if shape.hasBacking {
            folder.write("base", DiskModel.bytes(0..<Self.size / 512, DiskModel.base))
            folder.image("create", "-q", "-f", "qcow2", "-o", shape.options, "-b", "base", "-F", "raw", "@disk")
        } else {
            folder.image("create", "-q", "-f", "qcow2", "-o", shape.options, "@disk", "\(Self.size)")
        }
        for index in models.indices { models[index].flushed() }
        var numbers = SplitMix64(state: UInt64(shape.clusterSize))
        var kills = 0
        for round in 0..<FuzzRounds.times(44) {
            let server = try Server(
                [Tool.apusImg ?? "", "nbd", "--discard", "unmap"], folder, ["-f", "qcow2", folder.file("disk")])
            let graph = BlockGraph()
            guard
                let node = try? graph.open([
                    "driver": "nbd", "server.type": "unix", "server.path": server.socket, "discard": "unmap",
                ])
            else {
                Issue.record("round \(round): no server")
                return
            }
            let delay = 200 + UInt32(numbers.next() % 25_000)
            let process = server.process
            let killer = try HostThread(name: "killer", stackSize: 512 << 10) {
                usleep(delay)
                _ = kill(process, SIGKILL)
            }
            load(node, &models, &numbers, shape.clusterSize / 512)
            killer.join()
            graph.closeAll()
            _ = unsafe unlink(server.socket)
            kills += 1
            server.join()
            // The kernel ends what was under way, and gives up the image's lock, a little after the process.
            var check = folder.image("check", "@disk")
            let bell = Bell()
            for _ in 0..<6000 where check.errors.contains(" lock") {
                bell.wait(nanoseconds: 10_000_000)
                check = folder.image("check", "@disk")
            }
            #expect(check.status == 0 || check.status == 3, "round \(round): \(check.output)\(check.errors)")
            if round % 8 == 0, Tool.isThere {
                let theirs = folder.qemu("check", "@disk")
                #expect(theirs.status == 0 || theirs.status == 3, "round \(round): \(theirs.output)")
            }
            let images = BlockGraph()
            defer { images.closeAll() }
            let disk = try images.open(
                [
                    "driver": "qcow2", "file.driver": "file", "file.filename": folder.file("disk"), "read-only": "on",
                    "backing.driver": shape.hasBacking ? "raw" : "null-co",
                ].filter { shape.hasBacking || !$0.key.hasPrefix("backing") }
                    .merging(
                        shape.hasBacking
                            ? ["backing.file.driver": "file", "backing.file.filename": folder.file("base")] : [:]
                    ) { $1 })
            for index in models.indices {
                let (status, bytes) = disk.bytesAndWait(
                    at: UInt64(models[index].first) * 512, count: models[index].count * 512)
                let wrong = status == 0 ? models[index].compare(bytes, isLost: true) : "a read ends with \(status)"
                #expect(wrong == nil, "round \(round)")
                if wrong != nil { return }
            }
        }
        #expect(kills >= 40)
        // Opened for writing once more, it is clean.
        #expect(folder.image("bitmap", "--add", "@disk", "b").status == 0)
        #expect(folder.image("check", "@disk").status == 0)
    }
}

/// What several requests have come to.
private final class Answers: Sendable {
    private let state: Mutex<(values: [Int32], left: Int)>
    private let bell = Bell()

    init(_ count: Int) { state = Mutex(([Int32](repeating: 0, count: count), count)) }

    func set(_ index: Int, _ status: Int32) {
        let isLast = state.withLock { state in
            state.values[index] = status
            state.left -= 1
            return state.left == 0
        }
        if isLast { bell.ring() }
    }

    func wait() -> [Int32] {
        while state.withLock({ $0.left }) > 0 { bell.wait(nanoseconds: 1_000_000_000) }
        return state.withLock { $0.values }
    }
}
