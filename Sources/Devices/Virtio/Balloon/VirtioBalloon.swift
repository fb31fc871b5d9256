public import DeviceModel
public import GuestMemory
import Synchronization
internal import VirtQueue

/// The balloon: takes pages from the guest, gives them back, and asks it how its memory is used. virtio 1.2, 5.5.
public final class VirtioBalloon: VirtioDevice {
    /// What `-device virtio-balloon-…` may set.
    public struct Properties: Equatable, Sendable {
        /// `deflate-on-oom`: the guest may take pages back when it runs out.
        public var deflatesOnOOM: Bool
        /// `free-page-reporting`: the guest tells of free pages by itself.
        public var hasFreePageReporting: Bool
        /// `guest-stats-polling-interval` in seconds; 0 for never.
        public var statisticsInterval: UInt64

        /// The defaults are QEMU's.
        public init(deflatesOnOOM: Bool = false, hasFreePageReporting: Bool = false, statisticsInterval: UInt64 = 0) {
            self.deflatesOnOOM = deflatesOnOOM
            self.hasFreePageReporting = hasFreePageReporting
            self.statisticsInterval = statisticsInterval
        }
    }

    /// What the guest says of its memory. virtio 1.2, 5.5.6.3.
    public struct Statistics: Equatable, Sendable {
        /// Values by tag: 0 swap-in, 1 swap-out, 2 major faults, 3 minor faults, 4 free, 5 total, 6 available,
        /// 7 disk caches, 8 and 9 huge page allocations and failures.
        public var values: [UInt16: UInt64] = [:]
        /// When they came, in virtual nanoseconds; 0 for never.
        public var time: UInt64 = 0
        /// None.
        public init() {}
    }

    private enum Feature {
        static let statistics: UInt64 = 1 << 1
        static let deflateOnOOM: UInt64 = 1 << 2
        static let reporting: UInt64 = 1 << 5
    }
    private enum Queue {
        static let inflate = 0
        static let deflate = 1
        static let statistics = 2
        static let reporting = 3
    }
    /// Pages are of 4 KiB in this device, whatever the guest's are.
    private static let pageShift: UInt64 = 12
    private static let actualOffset = 4
    /// Page numbers of one buffer that count: Linux sends 256.
    private static let mostPages = 16384

    private struct State {
        var queues: [VirtQueue?] = []
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        /// The driver's buffer for statistics, which waits here until new ones are wanted.
        var statisticsChain: DescriptorChain?
        var holdsStatistics = false
        var isPaused = false
        var target: UInt32 = 0
        var actual: UInt32 = 0
        var interval: UInt64 = 0
        var statistics = Statistics()
    }
    private let state: Mutex<State>
    private let properties: Properties
    private let memory: AddressSpace
    private let clock: (any VirtualClock)?
    // Set once in `init`, where they need `self`.
    private let parts = Mutex<(work: (any WorkItem)?, timer: (any VirtualTimer)?)>((nil, nil))
    private let observer = Mutex<(@Sendable (_ actualPages: UInt32) -> Void)?>(nil)

    /// A balloon in a guest's memory. Statistics are polled where there is a clock.
    public init(
        _ properties: Properties = Properties(), memory: AddressSpace, scheduler: any WorkScheduler,
        clock: (any VirtualClock)? = nil
    ) {
        self.properties = properties
        self.memory = memory
        self.clock = clock
        state = Mutex(State(interval: properties.statisticsInterval))
        let work = scheduler.makeItem { [weak self] in self?.perform() }
        let timer = clock?.makeTimer { [weak self] in self?.poll() }
        parts.withLock { $0 = (work, timer) }
    }

    public var kind: VirtioDeviceKind { .balloon }
    public var features: UInt64 {
        Feature.statistics | (properties.deflatesOnOOM ? Feature.deflateOnOOM : 0)
            | (properties.hasFreePageReporting ? Feature.reporting : 0)
    }
    public var queueSizes: [UInt16] { [UInt16](repeating: 128, count: properties.hasFreePageReporting ? 4 : 3) }
    public var configurationCount: Int { 8 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        VirtioConfiguration.read(state.withLock { Self.bytes($0.target, $0.actual) }, offset: offset, size: size)
    }
    private static func bytes(_ target: UInt32, _ actual: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, target)
        VirtioConfiguration.append(&bytes, actual)
        return bytes
    }

    /// The driver's count of the pages that it has given.
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        guard offset >= Self.actualOffset else { return }
        let changed: UInt32? = state.withLock { state in
            var bytes = Self.bytes(state.target, state.actual)
            VirtioConfiguration.write(&bytes, offset: offset, size: size, value: value)
            let actual = VirtioConfiguration.read(bytes, offset: Self.actualOffset, size: 4)
            defer { state.actual = actual }
            return actual == state.actual ? nil : actual
        }
        if let changed { observer.withLock { $0 }?(changed) }
    }

    // MARK: For the machine

    /// Asks the guest for so many pages of 4 KiB.
    public func setTarget(pages: UInt32) {
        state.withLock { state in
            state.target = pages
            state.interrupt?.signalConfigurationChange()
        }
    }
    /// Pages of 4 KiB that the guest has given.
    public var actualPages: UInt32 { state.withLock { $0.actual } }
    /// Who hears of changes of `actualPages`, on a processor's thread.
    public func observe(_ observer: (@Sendable (_ actualPages: UInt32) -> Void)?) {
        self.observer.withLock { $0 = observer }
    }
    /// The guest's last statistics.
    public var statistics: Statistics { state.withLock { $0.statistics } }
    /// `guest-stats-polling-interval` in seconds; 0 stops.
    public func setStatisticsInterval(_ seconds: UInt64) {
        state.withLock { $0.interval = min(seconds, UInt64(UInt32.max)) }
        if seconds == 0 { parts.withLock { $0.timer }?.cancel() } else { arm() }
    }

    // MARK: Work

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory) = (context.queues, context.interrupt, context.memory)
        state.withLock { state in
            state.queues = queues
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
            state.statisticsChain = DescriptorChain(memory: memory)
            state.holdsStatistics = false
        }
        arm()
    }

    public func notify(queue: Int) { parts.withLock { $0.work }?.schedule() }

    private func perform() {
        let hasMore = state.withLock { state in
            guard let interrupt = state.interrupt, let chain = state.chain, !state.isPaused else { return false }
            var hasMore = false
            if let queue = state.queues[Queue.inflate] {
                hasMore = queue.process(Queue.inflate, interrupt, chain) { chain in
                    takePages(chain)
                    return 0
                }
            }
            // Pages come back by being touched; there is nothing to do for them.
            if let queue = state.queues[Queue.deflate] {
                hasMore = queue.process(Queue.deflate, interrupt, chain) { _ in 0 } || hasMore
            }
            if state.queues.indices.contains(Queue.reporting), let queue = state.queues[Queue.reporting] {
                let more = queue.process(Queue.reporting, interrupt, chain) { chain in
                    for segment in chain.writable { memory.discard(segment.address, count: UInt64(segment.count)) }
                    return 0
                }
                hasMore = hasMore || more
            }
            takeStatistics(&state, interrupt)
            return hasMore
        }
        if hasMore { parts.withLock { $0.work }?.schedule() }
    }

    /// Discards the pages that a buffer numbers, neighbours in one go.
    private func takePages(_ chain: DescriptorChain) {
        var start: UInt64 = 0
        var count: UInt64 = 0
        let bytes = chain.bytes(at: 0, count: Self.mostPages * 4)
        for index in stride(from: 0, to: bytes.count & ~3, by: 4) {
            let page = UInt64(VirtioConfiguration.read(bytes, offset: index, size: 4))
            if count > 0 && page == start + count {
                count += 1
                continue
            }
            if count > 0 && page &+ 1 == start {
                // Linux hands pages from the top down.
                start = page
                count += 1
                continue
            }
            memory.discard(GuestPhysical(start << Self.pageShift), count: count << Self.pageShift)
            start = page
            count = 1
        }
        memory.discard(GuestPhysical(start << Self.pageShift), count: count << Self.pageShift)
    }

    /// Reads statistics and keeps their buffer: giving it back asks for new ones.
    private func takeStatistics(_ state: inout State, _ interrupt: VirtioInterrupt) {
        guard let queue = state.queues[Queue.statistics], let chain = state.statisticsChain, !state.holdsStatistics
        else { return }
        do throws(VirtQueueError) {
            guard try queue.pop(into: chain) else { return }
        } catch {
            interrupt.setNeedsReset()
            return
        }
        state.holdsStatistics = true
        // Entries of a tag (2 bytes) and a value (8); a driver has some ten of them.
        let bytes = chain.bytes(at: 0, count: 640)
        for index in stride(from: 0, to: bytes.count - 9, by: 10) {
            let tag = UInt16(VirtioConfiguration.read(bytes, offset: index, size: 2))
            let low = VirtioConfiguration.read(bytes, offset: index + 2, size: 4)
            let high = VirtioConfiguration.read(bytes, offset: index + 6, size: 4)
            if tag < 64 { state.statistics.values[tag] = UInt64(high) << 32 | UInt64(low) }
        }
        state.statistics.time = clock?.now ?? 0
    }

    /// Asks the guest for new statistics, now.
    public func requestStatistics() {
        state.withLock { state in
            guard state.holdsStatistics, !state.isPaused, let interrupt = state.interrupt,
                let chain = state.statisticsChain, let queue = state.queues[Queue.statistics]
            else { return }
            state.holdsStatistics = false
            queue.push(chain, written: 0)
            if queue.needsInterrupt() { interrupt.signalQueue(Queue.statistics) }
        }
    }

    private func poll() {
        requestStatistics()
        arm()
    }
    private func arm() {
        let interval = state.withLock { $0.interrupt == nil ? 0 : $0.interval }
        if interval > 0, let clock { parts.withLock { $0.timer }?.arm(at: clock.now &+ interval &* 1_000_000_000) }
    }

    // MARK: Life

    public func reset() {
        parts.withLock { $0.timer }?.cancel()
        state.withLock { state in
            state = State(isPaused: state.isPaused, target: state.target, interval: state.interval)
        }
    }
    public func pause() {
        state.withLock { state in
            state.isPaused = true
            // The held buffer goes back where it came from, so that the queue's progress says all.
            if state.holdsStatistics, let chain = state.statisticsChain {
                state.queues[Queue.statistics]?.unpop(chain)
                state.holdsStatistics = false
            }
        }
    }
    public func resume() {
        state.withLock { $0.isPaused = false }
        parts.withLock { $0.work }?.schedule()
        arm()
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var result = DeviceState(version: 1)
            result.set("target", state.target)
            result.set("actual", state.actual)
            return result
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let target: UInt32 = try saved.integer("target")
        let actual: UInt32 = try saved.integer("actual")
        state.withLock { state in
            state.target = target
            state.actual = actual
        }
    }
}
