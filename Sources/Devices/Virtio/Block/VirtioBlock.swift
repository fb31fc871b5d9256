public import BlockImage
public import DeviceModel
internal import HostOS
import Synchronization
internal import VirtQueue

/// The block device. virtio 1.2, 5.2.
///
/// Requests are read from the rings by a worker and run by the back-end; nothing but the doorbell happens on a
/// processor's thread. Each queue has a lock of its own, which is not held while the back-end is called.
public final class VirtioBlock: VirtioDevice {
    /// One buffer of the driver's on its way, used again and again.
    private final class Job: Sendable {
        let chain: DescriptorChain
        init(_ chain: DescriptorChain) { self.chain = chain }
    }

    /// A queue and what is in flight from it.
    private final class Lane: Sendable {
        struct State {
            var queue: VirtQueue?
            var interrupt: VirtioInterrupt?
            var makeJob: (() -> Job)?
            var free: [Job] = []
            var inFlight = 0
            var isPaused = false
            var isStopping = false
            var forcesAccess = false
            /// Commands whose errors have stopped the machine: they begin anew when it goes on.
            var stopped: [(command: BlockCommand, job: Job)] = []
        }
        let state = Mutex(State())
        /// Rung when nothing is in flight and somebody waits for it.
        let idle = Bell()
    }

    private let properties: Properties
    private let backend: any BlockBackend
    private let blockSize: Int
    private let lanes: [Lane]
    private let writeCache: Mutex<Bool>
    // Set once in `init`, where they need `self`.
    private let work = Mutex<[any WorkItem]>([])
    private let interrupt = Mutex<VirtioInterrupt?>(nil)

    /// The most requests that one turn of the worker takes from a queue.
    private static let batch = 64

    /// A device on a back-end. Queues work on `schedulers`, in turn where there are fewer.
    public init(_ properties: Properties = Properties(), backend: any BlockBackend, schedulers: [any WorkScheduler]) {
        precondition(!schedulers.isEmpty, "A block device needs a worker")
        self.properties = properties
        self.backend = backend
        let size = max(properties.logicalBlockSize ?? backend.logicalBlockSize, 512)
        blockSize = size & (size - 1) == 0 ? size : 512
        lanes = (0..<properties.queueCount).map { _ in Lane() }
        writeCache = Mutex(properties.writeCache)
        let items = lanes.indices.map { index in
            schedulers[index % schedulers.count].makeItem { [weak self] in self?.perform(index) }
        }
        work.withLock { $0 = items }
        backend.observeSize { [weak self] in self?.capacityChanged() }
    }

    public var kind: VirtioDeviceKind { .block }

    public var features: UInt64 {
        var result = Feature.segmentMax | Feature.geometry | Feature.blockSize | Feature.flush | Feature.topology
        if backend.isReadOnly { result |= Feature.readOnly }
        if properties.configuresWriteCache { result |= Feature.configuresWriteCache }
        if properties.queueCount > 1 { result |= Feature.multiQueue }
        if properties.hasDiscard && !backend.isReadOnly { result |= Feature.discard }
        if properties.hasWriteZeroes && !backend.isReadOnly { result |= Feature.writeZeroes }
        return result
    }
    public var queueSizes: [UInt16] { [UInt16](repeating: properties.queueSize, count: properties.queueCount) }
    public var configurationCount: Int { 60 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        let bytes = Self.configuration(
            properties, backend, blockSize: blockSize, writeCache: writeCache.withLock { $0 })
        return VirtioConfiguration.read(bytes, offset: offset, size: size)
    }

    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        guard offset == Self.writeCacheOffset, size == 1, properties.configuresWriteCache else { return }
        let isOn = value & 1 != 0
        writeCache.withLock { $0 = isOn }
        for lane in lanes { lane.state.withLock { $0.forcesAccess = !isOn } }
    }

    /// The back-end has grown or shrunk: the driver reads the capacity again.
    public func capacityChanged() { interrupt.withLock { $0 }?.signalConfigurationChange() }

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory, features) =
            (context.queues, context.interrupt, context.memory, context.features)
        // 5.2.5.1: a driver that knows no flush gets a disk that needs none.
        let mayCache =
            features & Feature.configuresWriteCache != 0
            ? writeCache.withLock { $0 } : features & Feature.flush != 0 && properties.writeCache
        for (index, lane) in lanes.enumerated() {
            lane.state.withLock { state in
                state.queue = queues[index]
                state.interrupt = interrupt
                state.makeJob = { Job(DescriptorChain(memory: memory)) }
                state.free = []
                state.forcesAccess = !mayCache
            }
        }
        self.interrupt.withLock { $0 = interrupt }
    }

    public func notify(queue: Int) {
        let item = work.withLock { $0.indices.contains(queue) ? $0[queue] : nil }
        item?.schedule()
    }

    // MARK: Requests

    private var disk: BlockCommand.Disk {
        BlockCommand.Disk(
            size: backend.sizeInBytes, blockSize: UInt64(blockSize), isReadOnly: backend.isReadOnly,
            hasDiscard: properties.hasDiscard, hasWriteZeroes: properties.hasWriteZeroes)
    }

    /// Takes requests from a queue and hands them on until there are none.
    private func perform(_ index: Int) {
        let lane = lanes[index]
        let disk = self.disk
        var hasMore = true
        while hasMore {
            var requests: [BlockRequest] = []
            hasMore = lane.state.withLock { take(index, lane, disk, &$0, &requests) }
            let batching = backend as? any BatchingBackend
            batching?.beginBatch()
            for request in requests { backend.submit(request) }
            batching?.endBatch()
            if !requests.isEmpty { batching?.poll() }
        }
    }

    /// Reads up to a batch of commands; answers at once those that need no disk. Returns true where more may wait.
    private func take(
        _ index: Int, _ lane: Lane, _ disk: BlockCommand.Disk, _ state: inout Lane.State,
        _ requests: inout [BlockRequest]
    ) -> Bool {
        guard let queue = state.queue, let interrupt = state.interrupt, let makeJob = state.makeJob, !state.isPaused,
            !state.isStopping
        else { return false }
        var isFull = false
        var taken = 0
        do throws(VirtQueueError) {
            queue.disableNotifications()
            repeat {
                while taken < Self.batch {
                    let job = state.free.popLast() ?? makeJob()
                    guard try queue.pop(into: job.chain) else {
                        state.free.append(job)
                        break
                    }
                    taken += 1
                    guard var command = BlockCommand(job.chain, disk) else {
                        // Without a header or a status byte there is nothing to answer: 2.1.1's last resort.
                        queue.stop()
                        interrupt.setNeedsReset()
                        return false
                    }
                    if let request = request(&command, job, index, lane, forcesAccess: state.forcesAccess) {
                        state.inFlight += 1
                        requests.append(request)
                    } else {
                        answer(command, job, queue)
                        state.free.append(job)
                    }
                }
                isFull = taken >= Self.batch
            } while !isFull && queue.enableNotifications()
        } catch {
            interrupt.setNeedsReset()
        }
        if queue.needsInterrupt() { interrupt.signalQueue(index) }
        return isFull
    }

    /// The back-end's form of a command, or nil where the device answers by itself.
    private func request(
        _ command: inout BlockCommand, _ job: Job, _ index: Int, _ lane: Lane, forcesAccess: Bool
    ) -> BlockRequest? {
        var segments: [BlockSegment] = []
        var operation = BlockRequest.Operation.flush
        var found = Int(command.count)
        switch command.action {
        case .read:
            operation = .read
            found = unsafe job.chain.forEachWritable(from: 0, count: Int(command.count)) { pointer, count in
                unsafe segments.append(BlockSegment(pointer: pointer, count: count))
            }
        case .write:
            operation = .write
            found = unsafe job.chain.forEachReadable(
                from: BlockCommand.headerSize, count: Int(command.count)
            ) { pointer, count in unsafe segments.append(BlockSegment(pointer: pointer, count: count)) }
        case .flush: break
        case .discard: operation = .discard
        case .writeZeroes(let mayUnmap): operation = .writeZeroes(mayUnmap: mayUnmap)
        case .getID, .fail: return nil
        }
        // Memory that vanished between the taking of the chain and now: the sums no longer agree.
        guard found == Int(command.count) else {
            command.action = .fail(BlockCommand.Status.ioError)
            return nil
        }
        let started = command
        return BlockRequest(
            operation: operation, offset: command.offset, length: command.count, segments: segments,
            forceUnitAccess: forcesAccess && operation != .read && operation != .flush
        ) { [self] error in complete(started, job, index, lane, error: error) }
    }

    /// Answers a command that needs no disk.
    private func answer(_ command: BlockCommand, _ job: Job, _ queue: VirtQueue) {
        let chain = job.chain
        var status = BlockCommand.Status.ok
        var written = 0
        if case .fail(let reason) = command.action { status = reason }
        if command.action == .getID {
            var id = Array(properties.serial.utf8.prefix(20))
            id += [UInt8](repeating: 0, count: 20 - id.count)
            written = chain.write(at: 0, bytes: Array(id.prefix(chain.writableCount - 1)))
        }
        chain.store(at: chain.writableCount - 1, status)
        queue.push(chain, written: status == BlockCommand.Status.ok ? written + 1 : chain.writableCount)
    }

    /// The back-end is done: any thread.
    private func complete(_ command: BlockCommand, _ job: Job, _ index: Int, _ lane: Lane, error failure: Int32) {
        let action = failure == 0 ? BlockErrorAction.ignore : backend.judge(failure, isWrite: command.action != .read)
        let error = action == .ignore ? 0 : failure
        let isIdle = lane.state.withLock { state in
            let chain = job.chain
            if action == .stop {
                // A reset waits for the last answers, and wants none.
                if !state.isStopping { state.stopped.append((command, job)) }
                state.inFlight -= 1
                return state.inFlight == 0 && (state.isPaused || state.isStopping)
            }
            if command.action == .read { chain.noteWritten(from: 0, count: Int(command.count)) }
            chain.store(
                at: chain.writableCount - 1, error == 0 ? BlockCommand.Status.ok : BlockCommand.Status.ioError)
            if let queue = state.queue {
                queue.push(chain, written: command.action == .read ? chain.writableCount : 1)
                if queue.needsInterrupt() { state.interrupt?.signalQueue(index) }
            }
            state.free.append(job)
            state.inFlight -= 1
            return state.inFlight == 0 && (state.isPaused || state.isStopping)
        }
        if isIdle { lane.idle.ring() }
    }

    /// Hands those requests on once more whose errors have stopped the machine.
    private func retry(_ index: Int, _ lane: Lane) {
        let requests = lane.state.withLock { state -> [BlockRequest] in
            var requests: [BlockRequest] = []
            for (command, job) in state.stopped {
                var command = command
                if let request = request(&command, job, index, lane, forcesAccess: state.forcesAccess) {
                    state.inFlight += 1
                    requests.append(request)
                } else if let queue = state.queue {
                    answer(command, job, queue)
                    state.free.append(job)
                }
            }
            state.stopped = []
            return requests
        }
        for request in requests { backend.submit(request) }
    }

    // MARK: Life

    /// Whether requests wait whose errors have stopped the machine: they are no part of the saved state.
    public var hasStoppedRequests: Bool { lanes.contains { $0.state.withLock { !$0.stopped.isEmpty } } }

    private func drain() {
        for lane in lanes {
            while lane.state.withLock({ $0.inFlight }) > 0 { lane.idle.wait(nanoseconds: 100_000_000) }
        }
    }

    public func reset() {
        for lane in lanes { lane.state.withLock { $0.isStopping = true } }
        drain()
        for lane in lanes {
            lane.state.withLock { state in
                state = Lane.State(isPaused: state.isPaused)
            }
        }
        writeCache.withLock { $0 = properties.writeCache }
        interrupt.withLock { $0 = nil }
    }
    public func pause() {
        for lane in lanes { lane.state.withLock { $0.isPaused = true } }
        drain()
    }
    public func resume() {
        for lane in lanes { lane.state.withLock { $0.isPaused = false } }
        for (index, lane) in lanes.enumerated() { retry(index, lane) }
        for item in work.withLock({ $0 }) { item.schedule() }
    }

    public func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("write-cache", writeCache.withLock { $0 })
        return state
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let isOn = try state.bool("write-cache")
        writeCache.withLock { $0 = isOn }
    }
}
