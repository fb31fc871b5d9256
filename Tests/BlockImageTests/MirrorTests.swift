import BlockImage
import HostOS
import Synchronization
import TestSupport
import Testing

/// `copy-mode=write-blocking`: when a change is over, the target shows it.
@Suite struct MirrorTests {
    private static let size = 4 << 20

    /// A disk and a mirror of it that is ready.
    private struct Bench {
        let graph = BlockGraph()
        let files = (TestFile(suffix: ".raw"), TestFile(suffix: ".raw"))
        let device: BlockDevice
        let job: BlockJob
        let target: any BlockNode
        private let ended = Reply()

        init(_ mode: MirrorCopyMode, faults: Bool = false) throws {
            for path in [files.0.path, files.1.path] {
                try graph.makeImage(path, format: "raw", size: UInt64(MirrorTests.size))
            }
            let source = try graph.open(
                ["driver": "raw", "discard": "unmap", "file.driver": "file", "file.filename": files.0.path])
            var options = ["driver": "raw", "file.driver": "file", "file.filename": files.1.path]
            if faults {
                options = [
                    "driver": "raw", "file.driver": "blkdebug", "file.image.driver": "file",
                    "file.image.filename": files.1.path, "file.inject-error.0.event": "none",
                    "file.inject-error.0.errno": "28", "file.inject-error.0.iotype": "write",
                    "file.inject-error.0.sector": "100",
                ]
            }
            target = try graph.open(options)
            device = BlockDevice(id: "d", root: source)
            let (ready, ended) = (Reply(), ended)
            job = try graph.mirrorJob(
                BlockJob.Settings(id: "m"), device: device, target: target, scope: .none, granularity: 65536,
                copyMode: mode
            ) { _, event in
                switch event {
                case .ready: ready.set(0)
                case .completed(let error):
                    ready.set(1)
                    ended.set(error == nil ? 0 : 28)
                case .cancelled: ended.set(1)
                default: break
                }
            }
            try job.start()
            try #require(ready.wait() == 0)
        }
        /// Ends the job; how it ended.
        func end() -> Int32 {
            job.cancel(force: false)
            return ended.wait()
        }
        /// How a job ends that nobody ends.
        func outcome() -> Int32 { ended.wait() }
    }

    @Test func eachChangeIsAtBothWhenItIsOver() throws {
        let bench = try Bench(.writeBlocking)
        defer { bench.graph.closeAll() }
        var numbers = SplitMix64(state: 11)
        for round in 0..<300 * FuzzRounds.factor {
            let offset = Int.random(in: 0..<MirrorTests.size / 512, using: &numbers) * 512
            let most = min(200, (MirrorTests.size - offset) / 512)
            let count = Int.random(in: 1...most, using: &numbers) * 512
            let status: Int32
            switch round % 5 {
            case 3: status = bench.device.perform(.writeZeroes(mayUnmap: round % 2 == 0), UInt64(offset), UInt64(count))
            case 4: status = bench.device.perform(.discard, UInt64(offset), UInt64(count))
            default:
                status = bench.device.write(
                    randomBytes(count, &numbers), at: UInt64(offset), segment: round % 3 == 0 ? 700 : nil)
            }
            #expect(status == 0)
            let isSame =
                bench.device.read(count, at: UInt64(offset)).bytes == bench.target.read(count, at: UInt64(offset)).bytes
            #expect(isSame, "round \(round): \(count) bytes at \(offset)")
        }
        #expect(bench.end() == 0)
    }

    /// Writes of the same bytes side by side end alike on both disks, whatever their order.
    @Test func rivalsEndAlike() throws {
        let bench = try Bench(.writeBlocking)
        defer { bench.graph.closeAll() }
        var numbers = SplitMix64(state: 12)
        for _ in 0..<40 {
            let memories = (0..<24).map { _ in Memory(randomBytes(8192, &numbers)) }
            let replies = memories.map { _ in Reply() }
            for (memory, reply) in zip(memories, replies) {
                let offset = UInt64.random(in: 0..<16, using: &numbers) * 512
                bench.device.submit(
                    BlockRequest(
                        operation: .write, offset: offset, length: 8192, segments: memory.segments(),
                        completion: { reply.set($0) }))
            }
            #expect(replies.allSatisfy { $0.wait() == 0 })
            withExtendedLifetime(memories) {}
            let isSame = bench.device.read(16384, at: 0).bytes == bench.target.read(16384, at: 0).bytes
            #expect(isSame)
        }
        #expect(bench.end() == 0)
    }

    /// A target that fails ends the mirror; the guest's write is good.
    @Test func aFailingTargetIsNotTheGuests() throws {
        let bench = try Bench(.writeBlocking, faults: true)
        defer { bench.graph.closeAll() }
        #expect(bench.device.write([UInt8](repeating: 7, count: 4096), at: 100 * 512) == 0)
        #expect(bench.outcome() == 28)
        #expect(bench.device.write([UInt8](repeating: 8, count: 4096), at: 100 * 512) == 0)
        #expect(bench.device.read(1, at: 100 * 512).bytes == [8])
    }
}
