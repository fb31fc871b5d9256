internal import CLinux
internal import HostOS
internal import Synchronization

/// The top of a graph, where a guest's device (or a job) is attached: checks the range, keeps the write-cache mode,
/// counts, and stands still when it is told to.
public final class BlockDevice: BatchingBackend {
    private struct State {
        var inFlight = 0
        var drained = 0
        var held: [BlockRequest] = []
        var waiting: [Bell] = []
        var statistics = BlockStatistics()
        var rules: BlockErrorRules?
        var health = BlockHealth.ok
        var root: any BlockNode
        var batching: (any BatchingBackend)?
        /// How many batches are open there.
        var batches = 0
        var taps: [any ChangeTap] = []
        var limits: ThrottleMember?
        var sizeObserver: (@Sendable () -> Void)?
    }

    /// The drive's name (`id=`), as the monitor shows it.
    public let id: String
    /// The node that does the work. Jobs and snapshots put another in its place, or in that of its `image`.
    public var root: any BlockNode { state.withLock { $0.root } }
    /// The node with its image: `root`, or what is below filters there.
    public var image: any BlockNode { root.unfiltered }
    /// It stands for a device that there is none of: on a node that no guest uses, for jobs, bitmaps and clients that write.
    /// It does not count among the node's users.
    public let isStandIn: Bool
    private let state: Mutex<State>
    private let writeCache: Atomic<Bool>

    /// A device on `root`. With `writeCache` off, each write is durable when it completes (`cache=writethrough`).
    public init(id: String, root: any BlockNode, writeCache: Bool = true) {
        self.id = id
        isStandIn = false
        state = Mutex(State(root: root, batching: root as? any BatchingBackend))
        self.writeCache = Atomic(writeCache)
    }

    /// What all who change a node go through that no guest uses, so that jobs and bitmaps hear of it.
    public init(standingOn root: any BlockNode) {
        id = ""
        isStandIn = true
        state = Mutex(State(root: root, batching: root as? any BatchingBackend))
        writeCache = Atomic(true)
    }

    public var sizeInBytes: UInt64 { root.sizeInBytes }
    public var isReadOnly: Bool { root.isReadOnly }
    public var logicalBlockSize: Int { root.logicalBlockSize }

    /// Whether the device announces a volatile write cache. A guest may switch it.
    public var isWriteCacheEnabled: Bool {
        get { writeCache.load(ordering: .relaxed) }
        set { writeCache.store(newValue, ordering: .relaxed) }
    }

    public func observeSize(_ observer: (@Sendable () -> Void)?) { state.withLock { $0.sizeObserver = observer } }
    /// The image has another size: the guest's device is to know.
    public func sizeChanged() { state.withLock { $0.sizeObserver }?() }

    /// What the device has done so far.
    public var statistics: BlockStatistics { state.withLock { $0.statistics } }

    /// How many requests are in flight.
    public var inFlight: Int { state.withLock { $0.inFlight } }

    /// What is done about errors; nil: they are reported, and nobody is told.
    public var errorRules: BlockErrorRules? {
        get { state.withLock { $0.rules } }
        set { state.withLock { $0.rules = newValue } }
    }

    /// Whether an error has stopped the machine; nil where none can.
    public var health: BlockHealth? {
        state.withLock { $0.rules?.mayStop ?? false ? $0.health : nil }
    }

    /// The machine goes on: what failed before counts no more.
    public func resetHealth() { state.withLock { $0.health = .ok } }

    public func judge(_ error: Int32, isWrite: Bool) -> BlockErrorAction {
        let (rules, action) = state.withLock { state -> (BlockErrorRules?, BlockErrorAction) in
            guard let rules = state.rules else { return (nil, .report) }
            let action = rules.action(error, isWrite: isWrite)
            // The first error is the one to be shown.
            if action == .stop, state.health == .ok { state.health = error == ENOSPC ? .noSpace : .failed }
            return (rules, action)
        }
        rules?.onFailure(
            BlockFailure(device: id, node: root.nodeName, isWrite: isWrite, action: action, error: error))
        return action
    }

    public func submit(_ request: BlockRequest) {
        let starts = state.withLock { state in
            guard state.drained == 0 else {
                state.held.append(request)
                return false
            }
            state.inFlight += 1
            return true
        }
        if starts { start(request) }
    }

    public func beginBatch() { changeBatches(by: 1)?.beginBatch() }
    public func endBatch() { changeBatches(by: -1)?.endBatch() }
    public func poll() { state.withLock { $0.batching }?.poll() }

    private func changeBatches(by step: Int) -> (any BatchingBackend)? {
        state.withLock { state in
            state.batches += step
            return state.batching
        }
    }

    /// Sleeps until nothing is in flight, here or below. New requests may come in meanwhile. Not from a completion.
    public func drain() {
        // Limits do not hold up who waits for the end.
        let limits = state.withLock { $0.limits }
        limits?.beginDrain()
        defer { limits?.endDrain() }
        while true {
            let bell = state.withLock { state -> Bell? in
                guard state.inFlight > 0 else { return nil }
                let bell = Bell()
                state.waiting.append(bell)
                return bell
            }
            guard let bell else { break }
            bell.wait(nanoseconds: nil)
        }
        root.drain()
    }

    /// Holds back new requests and drains. Nests. What is held starts at the last `endDrained`.
    public func beginDrained() {
        state.withLock { $0.drained += 1 }
        drain()
    }

    /// Ends one `beginDrained`.
    public func endDrained() {
        let released = state.withLock { state -> [BlockRequest] in
            state.drained = max(0, state.drained - 1)
            guard state.drained == 0 else { return [] }
            let held = state.held
            state.held = []
            state.inFlight += held.count
            return held
        }
        for request in released { start(request) }
    }

    /// Another node has the image from now on. Between `beginDrained` and `endDrained`; the graph counts the users.
    func exchange(image: any BlockNode) {
        var filter = root as? any FilterNode
        while let below = filter?.filtered as? any FilterNode { filter = below }
        if let filter { filter.exchange(filtered: image) } else { exchange(root: image) }
    }
    private func exchange(root: any BlockNode) {
        let new = root as? any BatchingBackend
        let (old, batches) = state.withLock { state in
            defer { (state.root, state.batching) = (root, new) }
            return (state.batching, state.batches)
        }
        // Who has begun a batch and submitted nothing yet ends it at the new node.
        for _ in 0..<max(0, batches) {
            new?.beginBatch()
            old?.endBatch()
        }
    }

    /// Lets someone know of changes. Nothing is in flight that it would hear the end of alone.
    func add(_ tap: any ChangeTap) {
        beginDrained()
        state.withLock { $0.taps.append(tap) }
        endDrained()
    }
    /// Ends that. Whether it was so.
    @discardableResult
    func remove(_ tap: any ChangeTap) -> Bool {
        beginDrained()
        defer { endDrained() }
        return state.withLock { state in
            let before = state.taps.count
            state.taps.removeAll { $0 === tap }
            return state.taps.count < before
        }
    }

    /// Whether someone hears of changes.
    func hasTap(_ tap: any ChangeTap) -> Bool { state.withLock { $0.taps.contains { $0 === tap } } }

    /// The bitmaps that hear of this device's changes hear of another's from now on: it writes to their node then. Nobody
    /// writes by either meanwhile.
    func handOverBitmaps(to other: BlockDevice) {
        let bitmaps = state.withLock { state in
            let bitmaps = state.taps.filter { $0 is DirtyBitmap }
            state.taps.removeAll { $0 is DirtyBitmap }
            return bitmaps
        }
        other.state.withLock { $0.taps += bitmaps }
    }

    /// A range has changed by another way than a request: bitmaps are to know.
    func noteChange(_ offset: UInt64, _ length: UInt64) {
        for tap in state.withLock({ $0.taps }) { (tap as? DirtyBitmap)?.didChange(offset, length, 0) }
    }

    /// Tells those who have to know before a change begins, one after the other; each may hold it back.
    private func enter(
        _ left: ArraySlice<any ChangeTap>, _ entered: [(any ChangeTap, UInt64)], _ request: BlockRequest,
        _ root: any BlockNode
    ) {
        guard let tap = left.first else {
            var inner = request
            inner.completion = { status in
                for (tap, token) in entered { tap.didChange(request.offset, request.length, token) }
                request.completion(status)
            }
            for (tap, _) in entered { inner = tap.request(for: inner) }
            return root.submit(inner)
        }
        tap.willChange(request.offset, request.length) { [self] token in
            enter(left.dropFirst(), entered + [(tap, token)], request, root)
        }
    }

    private func start(_ request: BlockRequest) {
        let limits = state.withLock { $0.limits }
        guard let limits, request.operation != .flush else { return begin(request) }
        limits.admit(request.length, isWrite: request.isModifying) { [self] in begin(request) }
    }

    /// The limits of the device's throughput; nil without.
    public var throttle: ThrottleGroup? {
        get { state.withLock { $0.limits }?.group }
        set {
            let old = state.withLock { $0.limits }
            guard old?.group !== newValue else { return }
            // Not under the lock: what waited in the group that it leaves begins.
            let new = newValue.map(ThrottleMember.init)
            state.withLock { $0.limits = new }
        }
    }

    private func begin(_ request: BlockRequest) {
        let started = HostClock.monotonic
        var inner = request
        let (root, taps) = state.withLock { ($0.root, $0.taps) }
        if let refused = refusal(of: request) {
            root.schedule { [self] in finish(request, status: refused, isInvalid: true, started: started) }
            return
        }
        if request.isModifying && !isWriteCacheEnabled { inner.forceUnitAccess = true }
        inner.completion = { [self] status in finish(request, status: status, isInvalid: false, started: started) }
        if taps.isEmpty || !request.isModifying { root.submit(inner) } else { enter(taps[...], [], inner, root) }
    }

    /// `EIO` for a request outside of the disk, as QEMU's devices see it; `EPERM` for a write to a read-only one.
    private func refusal(of request: BlockRequest) -> Int32? {
        if let malformed = RequestPolicy.malformed(request) { return malformed }
        if request.operation == .flush { return nil }
        let size = root.sizeInBytes
        guard request.offset <= size, request.length <= size - request.offset else { return EIO }
        return root.isReadOnly && request.isModifying ? EPERM : nil
    }

    private func finish(_ request: BlockRequest, status: Int32, isInvalid: Bool, started: UInt64) {
        let ended = HostClock.monotonic
        state.withLock {
            $0.statistics.book(request, status: status, isInvalid: isInvalid, started: started, ended: ended)
        }
        request.completion(status)
        let woken = state.withLock { state -> [Bell] in
            state.inFlight -= 1
            guard state.inFlight == 0, !state.waiting.isEmpty else { return [] }
            let bells = state.waiting
            state.waiting = []
            return bells
        }
        for bell in woken { bell.ring() }
    }
}
