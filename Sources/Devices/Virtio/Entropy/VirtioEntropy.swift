public import DeviceModel
import Synchronization
internal import VirtQueue

/// The entropy device: fills the driver's buffers with random bytes. virtio 1.2, 5.4.
public final class VirtioEntropy: VirtioDevice {
    /// What `-device virtio-rng-…` may set.
    public struct Properties: Equatable, Sendable {
        /// `max-bytes`: how many bytes the driver gets in a period; nil for any number.
        public var maxBytes: UInt64?
        /// `period`, in milliseconds.
        public var period: UInt64

        /// The defaults are QEMU's.
        public init(maxBytes: UInt64? = nil, period: UInt64 = 65536) {
            self.maxBytes = maxBytes
            self.period = period
        }
    }

    /// Fills a buffer with random bytes; must not block for long.
    public typealias Source = @Sendable (inout [UInt8]) -> Void

    /// The host's random numbers (getrandom).
    public static let hostSource: Source = { bytes in
        var generator = SystemRandomNumberGenerator()
        var index = 0
        while index < bytes.count {
            var word: UInt64 = generator.next()
            for _ in 0..<min(8, bytes.count - index) {
                bytes[index] = UInt8(truncatingIfNeeded: word)
                word >>= 8
                index += 1
            }
        }
    }

    /// The most bytes that one buffer gets: the driver asks again where it wants more.
    private static let mostBytes = 4096
    private static let queueSize: UInt16 = 64

    private struct State {
        var queue: VirtQueue?
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var isPaused = false
        var quota: UInt64
        var isTimerArmed = false
    }
    private let state: Mutex<State>
    private let source: Source
    private let properties: Properties
    private let clock: (any VirtualClock)?
    // Made once in `init`, after which they are read only; they need `self`.
    private let parts = Mutex<(work: (any WorkItem)?, timer: (any VirtualTimer)?)>((nil, nil))

    /// A device. Its limit works where there is a clock.
    public init(
        _ properties: Properties = Properties(), scheduler: any WorkScheduler, clock: (any VirtualClock)? = nil,
        source: @escaping Source = VirtioEntropy.hostSource
    ) {
        self.properties = properties
        self.clock = clock
        self.source = source
        state = Mutex(State(quota: properties.maxBytes ?? UInt64.max))
        let work = scheduler.makeItem { [weak self] in self?.work() }
        let timer = properties.maxBytes == nil ? nil : clock?.makeTimer { [weak self] in self?.refill() }
        parts.withLock { $0 = (work, timer) }
    }

    public var kind: VirtioDeviceKind { .entropy }
    public var features: UInt64 { 0 }
    public var queueSizes: [UInt16] { [Self.queueSize] }
    public var configurationCount: Int { 0 }
    public func readConfiguration(offset: Int, size: Int) -> UInt32 { 0 }

    public func activate(_ context: consuming VirtioActivation) {
        let (queue, interrupt, memory) = (context.queues[0], context.interrupt, context.memory)
        state.withLock { state in
            state.queue = queue
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
        }
    }

    public func notify(queue: Int) { parts.withLock { $0.work }?.schedule() }

    private func work() {
        var hasMore = false
        let mustWait = state.withLock { state in
            guard let queue = state.queue, let interrupt = state.interrupt, let chain = state.chain, !state.isPaused
            else { return false }
            for _ in 0..<VirtQueue.turnLimit where state.quota > 0 {
                var quota = state.quota
                let source = self.source
                let more = queue.process(0, interrupt, chain, limit: 1) { chain in
                    var bytes = [UInt8](
                        repeating: 0,
                        count: min(chain.writableCount, Self.mostBytes, Int(min(quota, UInt64(Self.mostBytes)))))
                    source(&bytes)
                    if quota != UInt64.max { quota -= UInt64(bytes.count) }
                    return chain.write(at: 0, bytes: bytes)
                }
                state.quota = quota
                if !more { return false }
            }
            if state.quota > 0 {
                hasMore = true
                return false
            }
            defer { state.isTimerArmed = true }
            return !state.isTimerArmed
        }
        if hasMore { parts.withLock { $0.work }?.schedule() }
        if mustWait, let clock { parts.withLock { $0.timer }?.arm(at: clock.now &+ properties.period &* 1_000_000) }
    }

    private func refill() {
        state.withLock { state in
            state.quota = properties.maxBytes ?? UInt64.max
            state.isTimerArmed = false
        }
        parts.withLock { $0.work }?.schedule()
    }

    public func reset() {
        state.withLock { state in
            state.queue = nil
            state.interrupt = nil
            state.chain = nil
        }
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        parts.withLock { $0.work }?.schedule()
    }
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try state.requireVersion(1...1) }
}
