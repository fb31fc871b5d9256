internal import GuestMemory
internal import HostOS
internal import Synchronization
internal import VirtQueue

/// One queue between a guest's driver and a back-end: buffers go from the guest's ring into one that is shared with the
/// back-end, and come back from there.
///
/// So nothing but this process reads or writes the guest's rings. The back-end may do what it likes to its own; what it
/// has written to guest memory is noted (dirty pages, translated code) before the guest hears of it; and a back-end that
/// goes leaves its buffers here, for the next one. Any thread.
final class RelayQueue: Sendable {
    private struct State {
        var queue: VirtQueue?
        var interrupt: VirtioInterrupt?
        var memory: VhostMemory?
        var ring: RelayRing?
        /// What the back-end has, by its number.
        var chains: [DescriptorChain?] = []
        /// When it was taken from the guest, by the same number.
        var ages: [UInt64] = []
        var next: UInt64 = 0
        /// What was taken from the guest and no back-end has, the eldest first.
        var waiting: [(chain: DescriptorChain, age: UInt64)] = []
        var spare: [DescriptorChain] = []
        var pieces: [RelayRing.Piece] = []
        /// A buffer that waits is in memory that the back-end has not been told of.
        var lacksMemory = false
    }
    private enum Collected { case whole, elsewhere, unsound }
    private let state = Mutex(State())
    let index: Int
    let kick: EventCounter
    let call: EventCounter

    init(_ index: Int) throws(HostError) {
        self.index = index
        kick = try EventCounter()
        call = try EventCounter()
    }

    // MARK: Life

    /// Takes a queue of a driver that is ready.
    func activate(_ queue: VirtQueue?, _ interrupt: VirtioInterrupt) {
        state.withLock { state in
            state = State()
            state.queue = queue
            state.interrupt = interrupt
        }
    }
    /// Forgets the driver's queue, with all that was taken from it.
    func reset() { state.withLock { $0 = State() } }

    /// The driver's size; nil where it has not set the queue up.
    var size: UInt16? { state.withLock { $0.queue?.configuration.size } }

    /// Begins with a back-end: what was taken before is its first work.
    func start(_ ring: RelayRing, _ memory: VhostMemory) {
        state.withLock { state in
            state.ring = ring
            state.memory = memory
            state.lacksMemory = false
            state.chains = [DescriptorChain?](repeating: nil, count: Int(ring.size))
            state.ages = [UInt64](repeating: 0, count: Int(ring.size))
        }
    }

    /// Ends with a back-end: what it has is waiting from here on.
    func stop() {
        state.withLock { state in
            guard state.ring != nil else { return }
            state.ring = nil
            for (number, chain) in state.chains.enumerated() {
                if let chain { state.waiting.append((chain, state.ages[number])) }
            }
            state.waiting.sort { $0.age < $1.age }
            state.chains = []
        }
    }

    /// Whether a back-end has a ring of it.
    var isStarted: Bool { state.withLock { $0.ring != nil } }

    /// Buffers that the back-end has.
    var outstanding: Int { state.withLock { state in state.chains.count { $0 != nil } } }

    /// Gives back to the guest's ring what no back-end has, so that the queue's progress is exact. What cannot be put
    /// back, as others that came later are done, is returned as `fail` leaves it.
    func settle(_ fail: (DescriptorChain) -> Int) {
        state.withLock { state in
            guard let queue = state.queue else { return }
            while let last = state.waiting.last, last.age &+ 1 == state.next {
                queue.unpop(last.chain)
                state.next &-= 1
                state.spare.append(last.chain)
                state.waiting.removeLast()
            }
            for (chain, _) in state.waiting {
                queue.stage(chain, written: fail(chain))
                state.spare.append(chain)
            }
            state.waiting = []
            queue.publish()
            if queue.needsInterrupt() { state.interrupt?.signalQueue(index) }
        }
    }

    // MARK: There

    /// Hands on what the guest has made available. True where a buffer is in memory that the back-end has not been told of:
    /// it waits, with all behind it, for `start` with a new table or for `failMemory`.
    func forward() -> Bool {
        let (mustKick, lacksMemory) = state.withLock { (forward(&$0), $0.lacksMemory) }
        if mustKick { kick.signal() }
        return lacksMemory
    }

    /// There is no such memory: the guest broke the rules.
    func failMemory() {
        state.withLock { state in
            guard state.lacksMemory else { return }
            state.lacksMemory = false
            fail(&state)
        }
    }

    private func forward(_ state: inout State) -> Bool {
        guard let queue = state.queue, state.ring != nil, !state.lacksMemory else { return false }
        while let first = state.waiting.first {
            switch collect(first.chain, &state) {
            case .whole: break
            case .elsewhere:
                state.lacksMemory = true
                return state.ring?.publish() ?? false
            case .unsound:
                fail(&state)
                return false
            }
            guard let id = state.ring?.add(state.pieces) else { return state.ring?.publish() ?? false }
            state.chains[Int(id)] = first.chain
            state.ages[Int(id)] = first.age
            state.waiting.removeFirst()
        }
        do throws(VirtQueueError) {
            queue.disableNotifications()
            repeat {
                while try take(queue, &state) {}
            } while state.waiting.isEmpty && queue.enableNotifications()
        } catch { state.interrupt?.setNeedsReset() }
        return state.ring?.publish() ?? false
    }

    /// Hands one buffer on; false where there is none, or no room for it.
    private func take(_ queue: VirtQueue, _ state: inout State) throws(VirtQueueError) -> Bool {
        let chain = state.spare.popLast() ?? DescriptorChain(memory: queue.memory)
        guard try queue.pop(into: chain) else {
            state.spare.append(chain)
            return false
        }
        let collected = collect(chain, &state)
        if case .unsound = collected {
            fail(&state)
            return false
        }
        let age = state.next
        state.next &+= 1
        if case .elsewhere = collected { state.lacksMemory = true }
        guard !state.lacksMemory, let id = state.ring?.add(state.pieces) else {
            state.waiting.append((chain, age))
            return false
        }
        state.chains[Int(id)] = chain
        state.ages[Int(id)] = age
        return true
    }

    /// The guest broke the rules, or put a buffer where no back-end can reach it.
    private func fail(_ state: inout State) {
        state.interrupt?.setNeedsReset()
        state.queue = nil
    }

    /// Collects the pieces of a buffer as the back-end has them: whether it has them all, and can take so many.
    private func collect(_ chain: DescriptorChain, _ state: inout State) -> Collected {
        state.pieces.removeAll(keepingCapacity: true)
        guard let memory = state.memory else { return .unsound }
        let view = chain.memory.view
        for (segments, isWritable) in [(chain.readable, false), (chain.writable, true)] {
            for segment in segments {
                var address = segment.address
                var left = UInt64(segment.count)
                while left > 0 {
                    guard let range = view.range(at: address), range.writable || !isWritable else { return .unsound }
                    guard let place = memory.address(of: range.block, offset: range.offset + (address - range.start))
                    else { return .elsewhere }
                    let step = min(left, range.end - address)
                    state.pieces.append(
                        RelayRing.Piece(address: place, count: UInt32(clamping: step), isWritable: isWritable))
                    address = address + step
                    left -= step
                }
            }
        }
        return state.ring?.takes(state.pieces.count) == true ? .whole : .unsound
    }

    // MARK: Back

    /// Returns to the guest what the back-end has returned, and hands on what there was no room for, as `forward` does.
    func complete() throws(VhostError) -> Bool {
        let (mustKick, lacksMemory) = try state.withLock { state throws(VhostError) -> (Bool, Bool) in
            guard let queue = state.queue else { return (false, false) }
            defer {
                queue.publish()
                if queue.needsInterrupt() { state.interrupt?.signalQueue(index) }
            }
            while let (id, written) = try state.ring?.take(index) {
                guard let chain = state.chains[Int(id)] else {
                    throw .badRing(index, "it returns buffer \(id), which it has not")
                }
                state.chains[Int(id)] = nil
                // All that it could have written: not every back-end counts right.
                chain.noteWritten(from: 0, count: chain.writableCount)
                queue.stage(chain, written: min(Int(written), chain.writableCount))
                state.spare.append(chain)
            }
            return (state.waiting.isEmpty ? false : forward(&state), state.lacksMemory)
        }
        if mustKick { kick.signal() }
        return lacksMemory
    }
}
