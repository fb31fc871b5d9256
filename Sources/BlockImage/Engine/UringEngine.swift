internal import CLinux
internal import HostOS
internal import Synchronization
internal import SystemPackage

/// Requests by io_uring: one ring and one completion thread a file. What the ring cannot do in one step (bounced or
/// unaligned direct I/O, ioctls, fallbacks) goes to the pool's threads.
///
/// Submission: the caller fills an entry under `state` and enters the kernel outside of it, once for a batch. A
/// completion that submits more leaves the entering to the completion thread, which submits and waits in one call.
///
/// Most file systems make the ring hand a write to the page cache to a thread of the kernel's, which costs more than the
/// write. So small ones of a batch are carried out by whoever ends it, as long as they are quick.
final class UringEngine: FileEngine {
    private struct State {
        /// Free slots.
        var free: [Int32]
        /// Requests that found no free slot, in order.
        var waiting: [BlockRequest] = []
        /// Queued in the ring and not yet handed to the kernel.
        var unsubmitted = 0
        var batches = 0
        /// Small writes for whoever ends the batch.
        var small = SmallWrites()
        var isClosed = false
        var memory = RegisteredMemory()
    }

    let name = "io_uring"
    private let access: FileAccess
    private let pool: WorkerPool
    private let ring: UringRing
    private let slots: [UringSlot]
    private let state: Mutex<State>
    private let reaping = Mutex(())
    /// The completion thread's handle; 0 before it runs.
    private let completionThread = Atomic<UInt>(0)
    private let ended = Bell()

    private static let endToken = UInt64.max
    private static let maximumInFlight = 128

    /// An engine on a ring of 128 requests. More may be submitted; they queue here.
    init(access: FileAccess, pool: WorkerPool) throws(HostError) {
        self.access = access
        self.pool = pool
        // Twice as many entries as requests: the kernel gives entries back only at the end of a submission, when
        // requests of it may have completed already and their slots be taken again.
        ring = try UringRing(capacity: 2 * UringEngine.maximumInFlight)
        slots = (0..<UringEngine.maximumInFlight).map { _ in UringSlot() }
        state = Mutex(State(free: (0..<Int32(UringEngine.maximumInFlight)).reversed()))
        _ = try HostThread(name: "block-uring", stackSize: 256 << 10) { [self] in
            pthread_detach(pthread_self())
            completionThread.store(UInt(pthread_self()), ordering: .relaxed)
            run()
            ended.ring()
        }
    }

    func submit(_ request: BlockRequest) {
        guard access.fitsRing(request) else {
            pool.submit { [access] in request.completion(access.perform(request)) }
            return
        }
        let enters = state.withLock { state -> Bool in
            if state.batches > 0 && state.small.take(request, access) { return false }
            queue(request, &state)
            return state.batches == 0
        }
        if enters && !isOnCompletionThread { enterKernel() }
    }

    private func queue(_ request: BlockRequest, _ state: inout State) {
        guard let index = state.free.popLast() else { return state.waiting.append(request) }
        start(request, in: index, &state)
    }

    func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }

    func beginBatch() { state.withLock { $0.batches += 1 } }

    func endBatch() {
        let (enters, writes) = state.withLock { state -> (Bool, [BlockRequest]) in
            state.batches -= 1
            guard state.batches == 0 else { return (false, []) }
            return (state.unsubmitted > 0, state.small.hand())
        }
        if enters && !isOnCompletionThread { enterKernel() }
        if !writes.isEmpty { carryOut(writes) }
    }

    /// Writes to the page cache here and now. When one takes its time (memory is short, a page must be read first), the
    /// rest and the next ones go by the ring.
    private func carryOut(_ writes: [BlockRequest]) {
        var before = HostClock.monotonic
        for (index, request) in writes.enumerated() {
            let status = access.perform(request)
            let after = HostClock.monotonic
            let isSlow = after &- before > SmallWrites.patience
            request.completion(status)
            before = HostClock.monotonic
            guard isSlow else { continue }
            let rest = writes[(index + 1)...]
            let enters = state.withLock { state in
                state.small.turnAway()
                for request in rest { queue(request, &state) }
                return state.batches == 0 && state.unsubmitted > 0
            }
            if enters { enterKernel() }
            return
        }
        state.withLock { $0.small.commend(writes.count) }
    }

    func poll() { while reap() {} }

    func close() {
        state.withLock { state in
            state.isClosed = true
            state.unsubmitted += 1
            // Nothing is in flight: there is room.
            _ = ring.push(
                IORING_OP_NOP, file: -1, offset: 0, address: 0, length: 0, flags: 0, token: UringEngine.endToken)
        }
        enterKernel()
        ended.wait(nanoseconds: nil)
        pool.close()
    }

    private var isOnCompletionThread: Bool {
        completionThread.load(ordering: .relaxed) == UInt(pthread_self())
    }

    /// Puts a request's next step into the ring. There is always room: what is queued, and what a submission under
    /// way has not given back, are at most one entry each for every slot.
    private func start(_ request: BlockRequest, in index: Int32, _ state: inout State) {
        let slot = slots[Int(index)]
        slot.begin(request)
        push(slot, index, &state)
    }

    private func push(_ slot: UringSlot, _ index: Int32, _ state: inout State) {
        let step = slot.nextStep(state.memory)
        let pushed = ring.push(
            step.opcode, file: access.descriptor, offset: step.offset, address: step.address, length: step.length,
            flags: step.flags, token: UInt64(index), buffer: step.buffer)
        assert(pushed)
        state.unsubmitted += 1
    }

    func register(_ ranges: [MemoryRange]) -> Bool {
        guard let memory = RegisteredMemory(ranges), memory.register(ring.descriptor) else { return false }
        state.withLock { $0.memory = memory }
        return true
    }

    func forgetRegistered() {
        state.withLock { $0.memory = RegisteredMemory() }
        _ = apus_uring_unregister_buffers(ring.descriptor)
    }

    /// Hands everything queued to the kernel.
    private func enterKernel() {
        while true {
            let count = state.withLock { state in
                let count = state.unsubmitted
                state.unsubmitted = 0
                return count
            }
            guard count > 0 else { return }
            returnUntaken(of: count, ring.enter(submit: count, waits: false))
        }
    }

    /// What the kernel did not take (out of memory, a signal) is queued still.
    private func returnUntaken(of count: Int, _ result: Result<Int, Errno>) {
        let taken: Int
        switch result {
        case .success(let number): taken = min(number, count)
        case .failure: taken = 0
        }
        if taken < count { state.withLock { $0.unsubmitted += count - taken } }
        if case .failure(let reason) = result, reason != .interrupted { sched_yield() }
    }

    private func run() {
        while true {
            let count = state.withLock { state in
                let count = state.unsubmitted
                state.unsubmitted = 0
                return count
            }
            returnUntaken(of: count, ring.enter(submit: count, waits: true))
            while reap() {}
            if state.withLock({ $0.isClosed && $0.free.count == slots.count }) { return }
        }
    }

    /// Takes up to 32 completions and finishes their requests; false when there was none.
    private func reap() -> Bool {
        var count = 0
        var batch = [32 of UringRing.Completion](repeating: UringRing.Completion(token: 0, result: 0))
        reaping.withLock { _ in
            while count < 32, let completion = ring.pop() {
                batch[count] = completion
                count += 1
            }
        }
        for index in 0..<count { finish(batch[index]) }
        return count > 0
    }

    private func finish(_ completion: UringRing.Completion) {
        guard completion.token < UInt64(slots.count) else { return }
        let index = Int32(completion.token)
        let slot = slots[Int(index)]
        let outcome = slot.advance(completion.result, access)
        if case .again = outcome {
            state.withLock { push(slot, index, &$0) }
            if !isOnCompletionThread { enterKernel() }
            return
        }
        let request = slot.end()
        let enters = state.withLock { state -> Bool in
            guard !state.waiting.isEmpty else {
                state.free.append(index)
                return false
            }
            start(state.waiting.removeFirst(), in: index, &state)
            return true
        }
        switch outcome {
        case .done(let status): request?.completion(status)
        case .fallBack:
            if let request { pool.submit { [access] in request.completion(access.perform(request)) } }
        case .again: break
        }
        if enters && !isOnCompletionThread { enterKernel() }
    }
}
