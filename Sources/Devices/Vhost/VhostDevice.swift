public import GuestMemory
internal import HostOS
internal import Log
import Synchronization
internal import VirtQueue

/// A virtio device whose work another process does, or the kernel: the front-end of QEMU's `docs/interop/vhost-user.rst`
/// and of `linux/vhost.h`.
///
/// The model says what the guest sees, the back-end does the rest. Messages to it are sent by whoever needs them, one at
/// a time, and no answer is waited for longer than the patience; buffers go by `RelayQueue`. A back-end that dies, falls
/// silent or lies costs the guest its device until another one comes, and nothing else.
///
/// Lock order: `front`, then a queue's, then the interrupt's. Calls of the guest that begin or end the device's work
/// wait for `front`.
public final class VhostDevice: VirtioDevice {
    /// Milliseconds that the back-end may take for an answer.
    public static let usualPatience: Int32 = 10_000

    struct Activation: Sendable {
        let features: UInt64
        let count: Int
        let interrupt: VirtioInterrupt
        let local: VirtQueue?
    }
    struct Front: Sendable {
        var backend: (any VhostBackend)?
        var activation: Activation?
        /// What the back-end knows of memory.
        var table: VhostMemory?
        var isRunning = false
        var isPaused = false
        var hasEnded = false
        /// Pairs of queues in use.
        var pairs = 1
        /// Whether the operator knows that there is no back-end.
        var isMissing = false
        var sources: [EventSource] = []
        var calls: [EventSource] = []
        var timer: EventTimer?
    }
    struct Local: Sendable {
        var kept: [DescriptorChain] = []
        var queue: VirtQueue?
        var interrupt: VirtioInterrupt?
        var place = 0
        var isPaused = false
        /// An event that no buffer was there for.
        var owesReset = false
    }
    struct Configuration: Sendable {
        var bytes: [UInt8]
        /// Whether the back-end is there, and whether the monitor has the cable plugged in.
        var hasBackend = true
        var isPlugged = true
    }

    let model: VhostModel
    let name: String
    let memory: AddressSpace
    let thread: WorkerThread
    let peer: VhostPeer
    let patience: Int32
    let log = RateLimitedLogger(Logger("vhost-user"))
    /// What the guest may choose from, for good: back-ends that come later have to have it too.
    private let offered: UInt64
    let front: Mutex<Front>
    let local = Mutex(Local())
    let settings: Mutex<Configuration>
    let interruptOfConfiguration = Mutex<VirtioInterrupt?>(nil)
    let relays: [RelayQueue]
    // Made once in `init`; they need `self`.
    private struct Items: Sendable {
        var start, answer, refresh, remap: (any WorkItem)?
    }
    private let items = Mutex(Items())

    /// A device whose back-end is there and answers; `thread` is its own. Throws where the back-end is not, or lacks what
    /// the model needs, or where guest memory is not shared.
    public init(
        _ model: VhostModel, peer: VhostPeer, memory: AddressSpace, thread: WorkerThread, name: String,
        patience: Int32 = VhostDevice.usualPatience
    ) throws(VhostError) {
        self.model = model
        self.name = name
        self.memory = memory
        self.thread = thread
        self.peer = peer
        self.patience = patience
        // Said before anything is asked of another process.
        if case .process = peer { try Self.checkMemory(memory) }
        let backend = try peer.open(model, patience: patience)
        offered = model.shared & backend.features | model.own
        if case .own(let bytes) = model.configuration {
            settings = Mutex(Configuration(bytes: bytes))
        } else {
            settings = Mutex(Configuration(bytes: backend.configuration ?? []))
        }
        var relays: [RelayQueue] = []
        do throws(HostError) {
            for index in 0..<model.queueSizes.count { relays.append(try RelayQueue(index)) }
        } catch { throw .host("\(error)") }
        self.relays = relays
        var front = Front()
        front.backend = backend
        self.front = Mutex(front)
        let start = thread.makeItem { [weak self] in self?.startWhereDue() }
        let answer = thread.makeItem { [weak self] in self?.answerLocal() }
        let refresh = thread.makeItem { [weak self] in self?.refreshConfiguration() }
        let remap = thread.makeItem { [weak self] in self?.remap() }
        items.withLock { $0 = Items(start: start, answer: answer, refresh: refresh, remap: remap) }
        try self.front.withLock { front throws(VhostError) in try watch(&front) }
    }

    /// Throws where guest memory is not such that another process can work in it.
    public static func checkMemory(_ memory: AddressSpace) throws(VhostError) {
        _ = try VhostMemory(sharedOf: memory)
    }

    // MARK: What it is

    public var kind: VirtioDeviceKind { model.kind }
    public var features: UInt64 { offered }
    public var queueSizes: [UInt16] { model.queueSizes }
    public var configurationCount: Int { model.configuration.count }
    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        settings.withLock { VirtioConfiguration.read($0.bytes, offset: offset, size: size) }
    }
    /// Of back-ends that have the configuration, the guest may change what it will: a disk's cache mode.
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        guard case .backend(let count, _) = model.configuration, offset >= 0, size > 0, offset <= count - size else {
            return
        }
        settings.withLock { VirtioConfiguration.write(&$0.bytes, offset: offset, size: size, value: value) }
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, value)
        let written = Array(bytes.prefix(size))
        withBackend { backend throws(VhostError) in try backend.writeConfiguration(written, at: offset) }
    }
    /// Whether there is a back-end. Any thread.
    public var hasBackend: Bool { front.withLock { $0.backend != nil } }
    /// Whether a machine can be saved with it.
    public var isMigratable: Bool { model.isMigratable }

    // MARK: Life

    public func activate(_ context: consuming VirtioActivation) {
        let (features, queues, interrupt) = (context.features, context.queues, context.interrupt)
        let count = min(model.relayedCount(features), queues.count)
        for (index, relay) in relays.enumerated() {
            relay.activate(index < count ? queues[index] : nil, interrupt)
        }
        let localQueue = model.answer != nil && count < queues.count ? queues[count] : nil
        local.withLock { local in
            local.queue = localQueue
            local.interrupt = interrupt
            local.place = count
            local.kept = []
        }
        interruptOfConfiguration.withLock { $0 = interrupt }
        front.withLock { front in
            front.activation = Activation(features: features, count: count, interrupt: interrupt, local: localQueue)
        }
        items.withLock { $0.start }?.schedule()
    }

    public func notify(queue: Int) {
        if queue == local.withLock({ $0.queue == nil ? -1 : $0.place }) {
            items.withLock { $0.answer }?.schedule()
        } else if relays.indices.contains(queue) {
            if relays[queue].forward() { scheduleRemap() }
        }
    }

    public func reset() {
        local.withLock { $0 = Local(isPaused: $0.isPaused, owesReset: $0.owesReset) }
        interruptOfConfiguration.withLock { $0 = nil }
        front.withLock { front in
            front.activation = nil
            front.pairs = 1
            stop(&front)
        }
        for relay in relays { relay.reset() }
    }

    public func pause() {
        local.withLock { local in
            local.isPaused = true
            while let last = local.kept.popLast() { local.queue?.unpop(last) }
        }
        front.withLock { front in
            front.isPaused = true
            quiesce(front)
            stop(&front)
        }
        for relay in relays { relay.settle(model.fail) }
    }

    public func resume() {
        local.withLock { $0.isPaused = false }
        front.withLock { $0.isPaused = false }
        items.withLock { $0.start }?.schedule()
        items.withLock { $0.answer }?.schedule()
    }

    public func halt() {
        let sources = front.withLock { front -> [EventSource] in
            stop(&front)
            front.hasEnded = true
            front.timer?.cancel()
            defer {
                front.sources = []
                front.backend = nil
            }
            return front.sources
        }
        for source in sources { source.remove() }
    }

    /// Requests that are on their way are done before the device stands still, where the back-end does them.
    private func quiesce(_ front: Front) {
        guard front.isRunning, let activation = front.activation else { return }
        let deadline = HostClock.monotonic &+ UInt64(patience) * 1_000_000
        for index in 0..<activation.count where !model.isReceiving(index) {
            while relays[index].outstanding > 0, HostClock.monotonic < deadline {
                guard (try? relays[index].complete()) != nil else { return }
                _ = relays[index].call.descriptor.wait(for: [.read], milliseconds: 2)
            }
        }
    }

    // MARK: Work of the thread

    func scheduleStart() { items.withLock { $0.start }?.schedule() }
    func scheduleRemap() { items.withLock { $0.remap }?.schedule() }
    func scheduleRefresh() { items.withLock { $0.refresh }?.schedule() }

    /// Buffers of the queue that is answered here.
    private func answerLocal() {
        var pairs: Int?
        let mustRepeat = local.withLock { local -> Bool in
            guard let queue = local.queue, let answer = model.answer, !local.isPaused else { return false }
            defer { if queue.needsInterrupt() { local.interrupt?.signalQueue(local.place) } }
            do throws(VirtQueueError) {
                queue.disableNotifications()
                var count = 0
                repeat {
                    while count < VirtQueue.turnLimit {
                        count += 1
                        let chain = DescriptorChain(memory: memory)
                        guard try queue.pop(into: chain) else { break }
                        switch answer(chain) {
                        case .done(let written): queue.push(chain, written: written)
                        case .pairs(let wanted, let written):
                            pairs = wanted
                            queue.push(chain, written: written)
                        case .address(let bytes, let written):
                            settings.withLock { $0.bytes.replaceSubrange(0..<6, with: bytes) }
                            queue.push(chain, written: written)
                        case .kept: local.kept.append(chain)
                        }
                    }
                    if count >= VirtQueue.turnLimit { return true }
                } while queue.enableNotifications()
            } catch { local.interrupt?.setNeedsReset() }
            if local.owesReset, !local.kept.isEmpty {
                // VIRTIO_VSOCK_EVENT_TRANSPORT_RESET (5.10.6.7).
                local.owesReset = false
                let chain = local.kept.removeFirst()
                queue.push(chain, written: chain.store(at: 0, UInt32(0)) ? 4 : 0)
            }
            return false
        }
        if let pairs { setPairs(pairs) }
        if mustRepeat { items.withLock { $0.answer }?.schedule() }
    }
}
