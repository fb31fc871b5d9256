import BlockImage
import CLinux
import HostOS
import Synchronization
import TestSupport
import Testing

/// The top of the graph: accounting, draining, standing still.
@Suite struct BlockDeviceTests {
    @Test func drainWaitsForEveryRequest() {
        let device = BlockDevice(
            id: "d", root: NullNode(nodeName: "n", latency: 20_000_000, readsZeroes: true))
        let done = Atomic(0)
        for index in 0..<20 {
            device.submit(
                BlockRequest(operation: .discard, offset: UInt64(index) * 512, length: 512) { _ in
                    done.wrappingAdd(1, ordering: .relaxed)
                })
        }
        #expect(device.inFlight > 0)
        device.drain()
        #expect(done.load(ordering: .relaxed) == 20)
        #expect(device.inFlight == 0)
        device.root.close()
    }

    @Test func aDrainedDeviceHoldsRequests() {
        let device = BlockDevice(id: "d", root: NullNode(nodeName: "n"))
        device.beginDrained()
        device.beginDrained()
        let reply = Reply()
        device.submit(BlockRequest(operation: .flush) { reply.set($0) })
        device.endDrained()
        #expect(reply.value == nil)
        device.endDrained()
        #expect(reply.wait() == 0)
        device.drain()
        device.root.close()
    }

    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func statisticsCountByKind(_ aio: FileAIO) throws {
        let file = TestFile(bytes: [UInt8](repeating: 1, count: 8192))
        let node = try openFile(file, aio: aio)
        let device = BlockDevice(id: "d", root: node)
        #expect(device.read(512, at: 0).status == 0)
        #expect(device.write([UInt8](repeating: 2, count: 1024), at: 4096) == 0)
        #expect(device.perform(.flush) == 0)
        #expect(device.perform(.discard, 0, 512) == 0)
        #expect(device.read(512, at: 8192).status == EIO)
        #expect(device.write([1], at: UInt64.max) == EINVAL)
        device.drain()
        let numbers = device.statistics
        #expect(numbers.read.operations == 1)
        #expect(numbers.read.bytes == 512)
        #expect(numbers.read.invalid == 1)
        #expect(numbers.read.nanoseconds > 0)
        #expect(numbers.write.bytes == 1024)
        #expect(numbers.write.invalid == 1)
        #expect(numbers.flush.operations == 1)
        #expect(numbers.unmap.operations == 1)
        #expect(numbers.highestWrite == 5120)
        node.close()
    }

    /// A snapshot may come between the two ends of a batch that has submitted nothing yet.
    @Test func aBatchEndsWhereTheDiskIsThen() throws {
        let (below, above) = (TestFile(suffix: ".raw"), TestFile(suffix: ".qcow2"))
        let graph = BlockGraph()
        defer { graph.closeAll() }
        try graph.makeImage(below.path, format: "raw", size: 1 << 20)
        try graph.makeImage(above.path, format: "qcow2", size: 1 << 20, backing: (below.path, "raw"))
        let old = try graph.open(["driver": "raw", "file.driver": "file", "file.filename": below.path])
        let device = BlockDevice(id: "d", root: old)
        let overlay = try graph.openTarget(above.path, format: "qcow2", nodeName: "top", like: old)
        device.beginBatch()
        device.beginDrained()
        _ = try graph.takeSnapshot(device, overlay: overlay)
        device.endDrained()
        device.endBatch()
        // Neither disk still waits for the end of a batch.
        #expect(device.root === overlay && device.perform(.flush) == 0)
        #expect(old.read(512, at: 0).status == 0)
        device.drain()
    }

    @Test func smallWritesOfABatchAreDoneAtItsEnd() throws {
        let file = TestFile(bytes: [UInt8](repeating: 0, count: 1 << 20))
        let node = try openFile(file)
        var numbers = SplitMix64(state: 5)
        let pieces = (0..<200).map { _ in randomBytes(4096, &numbers) }
        for round in 0..<4 {
            let memories = pieces.map { Memory($0) }
            let replies = pieces.map { _ in Reply() }
            node.beginBatch()
            for index in pieces.indices {
                node.submit(
                    BlockRequest(
                        operation: .write, offset: UInt64(index * 4096 + round * 512), length: 4096,
                        segments: memories[index].segments(round == 1 ? 1000 : nil), forceUnitAccess: round == 2,
                        completion: { replies[index].set($0) }))
            }
            #expect(replies.allSatisfy { $0.value == nil }, "not before the end")
            node.endBatch()
            #expect(replies.allSatisfy { $0.wait() == 0 })
            withExtendedLifetime(memories) {}
            let isSame = Array(file.read()[(round * 512)...].prefix(200 * 4096)) == pieces.flatMap { $0 }
            #expect(isSame)
        }
        #expect(node.perform(.flush) == 0)
        node.close()
    }

    /// A device calls `submit` with its lock held: a completion from within would lock up.
    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func completionsNeverComeFromWithinSubmit(_ aio: FileAIO) throws {
        let node = try openFile(TestFile(bytes: [1]), aio: aio) {
            $1.cache = CacheMode(name: "unsafe")!
            $1.readOnly = true
        }
        let device = BlockDevice(id: "d", root: node)
        let operations: [BlockRequest.Operation] = [
            .read, .write, .flush, .discard, .writeZeroes(mayUnmap: true),
        ]
        for operation in operations {
            let caller = HostThread.currentID
            let thread = Atomic<Int32>(0)
            device.submit(
                BlockRequest(operation: operation) { _ in
                    thread.store(HostThread.currentID, ordering: .relaxed)
                })
            device.drain()
            #expect(thread.load(ordering: .relaxed) != caller)
        }
        node.close()
    }

    /// Completions submit the next request, as a guest's queue does.
    @Test(arguments: [FileAIO.auto, FileAIO.threads])
    func requestsFromCompletions(_ aio: FileAIO) throws {
        let file = TestFile(bytes: [UInt8](repeating: 3, count: 4096))
        let node = try openFile(file, aio: aio)
        let device = BlockDevice(id: "d", root: node)
        let chain = Chain(device: device, left: 500)
        for _ in 0..<4 { chain.step() }
        #expect(chain.reply.wait() == 0)
        device.drain()
        #expect(device.statistics.read.operations >= 500)
        node.close()
    }

    private final class Chain: Sendable {
        let device: BlockDevice
        let left: Atomic<Int>
        let memory = Memory([UInt8](repeating: 0, count: 512))
        let reply = Reply()
        init(device: BlockDevice, left: Int) {
            self.device = device
            self.left = Atomic(left)
        }
        func step() {
            device.submit(
                BlockRequest(operation: .read, length: 512, segments: memory.segments()) { [self] status in
                    if left.wrappingSubtract(1, ordering: .relaxed).newValue > 0 && status == 0 {
                        step()
                    } else {
                        reply.set(status)
                    }
                })
        }
    }

    @Test func writeThroughMarksEachWrite() {
        let recorder = Recorder()
        let device = BlockDevice(id: "d", root: recorder, writeCache: false)
        #expect(device.perform(.writeZeroes(mayUnmap: false), 0, 512) == 0)
        #expect(recorder.forced.withLock { $0 } == [true])
        device.isWriteCacheEnabled = true
        #expect(device.perform(.writeZeroes(mayUnmap: false), 0, 512) == 0)
        #expect(recorder.forced.withLock { $0 } == [true, false])
    }

    private final class Recorder: BlockNode {
        let forced = Mutex<[Bool]>([])
        let null = NullNode(nodeName: "null")
        var nodeName: String { "recorder" }
        var driverName: String { "recorder" }
        var filename: String { "" }
        var children: [BlockChild] { [] }
        var sizeInBytes: UInt64 { 1 << 20 }
        var isReadOnly: Bool { false }
        var logicalBlockSize: Int { 512 }
        func submit(_ request: BlockRequest) {
            forced.withLock { $0.append(request.forceUnitAccess) }
            null.submit(request)
        }
        func schedule(_ work: @escaping @Sendable () -> Void) { null.schedule(work) }
        func drain() { null.drain() }
        func close() { null.close() }
    }
}
