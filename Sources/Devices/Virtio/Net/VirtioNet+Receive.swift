internal import Network
import Synchronization
internal import VirtQueue

// Frames from the back-end. virtio 1.2, 5.1.6.3 and 5.1.6.4.
extension VirtioNet {
    /// New buffers: the frame that waited goes first, then the back-end's.
    func refill() {
        let isReady = receiving.withLock { state in
            if let held = state.held {
                // SAFETY: frames are valid for the calls and cut to the counts that were checked.
                guard unsafe held.withUnsafeBytes({ unsafe deliver($0, state.heldOffload, state.heldPair, &state) })
                else { return false }
                state.held = nil
            }
            return !state.isPaused && state.queues.prefix(state.activePairs).contains { $0?.hasBuffers == true }
        }
        if isReady { backend.receiverReady() }
    }

    func canReceive() -> Bool {
        receiving.withLock { state in
            guard let first = state.queues.first, let queue = first, !state.isPaused, state.held == nil else {
                return false
            }
            // Of several queues the one that a frame is for may be full: then the frame waits, and others behind it.
            if state.activePairs > 1 {
                let queues = state.queues.prefix(state.activePairs).compactMap { $0 }
                if queues.contains(where: { $0.hasBuffers }) { return true }
                // All of them are to tell.
                return queues.map { $0.enableNotifications() }.contains(true)
            }
            // `enableNotifications` says whether there are buffers, and has the driver tell if not.
            return queue.hasBuffers || queue.enableNotifications()
        }
    }

    func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) {
        guard link.withLock({ $0.isUp }), frame.count <= Self.mostBytes else { return }
        receiving.withLock { state in
            guard state.queues.first.flatMap({ $0 }) != nil, state.held == nil,
                unsafe state.filter.passes(frame, own: state.address)
            else { return }
            // A flow's frames stay in one queue, and with it on one processor.
            let pair = state.activePairs > 1 ? unsafe Int(FlowHash.of(frame) % UInt32(state.activePairs)) : 0
            if state.isPaused || !(unsafe deliver(frame, offload, pair, &state)) {
                state.heldPair = pair
                state.held = unsafe [UInt8](frame)
                state.heldOffload = offload
            }
        }
    }

    /// Puts a frame in as many buffers as it needs. Returns false where the driver has too few: nothing is taken then.
    private func deliver(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, _ wanted: Int, _ state: inout ReceiveState
    ) -> Bool {
        // A queue that the driver has not set up takes nothing: the first does.
        let pair = state.queues.indices.contains(wanted) && state.queues[wanted] != nil ? wanted : 0
        guard let first = state.queues.first, let queue = pair == 0 ? first : state.queues[pair], let interrupt = state.interrupt, !state.isPaused else { return false }
        let total = state.headerSize + frame.count
        var taken = 0
        var room = 0
        do throws(VirtQueueError) {
            while room < total {
                if taken == state.memory.count {
                    state.memory.append(DescriptorChain(memory: state.memory[0].memory))
                }
                guard try queue.pop(into: state.memory[taken]) else {
                    if queue.enableNotifications() { continue }
                    for chain in state.memory[..<taken].reversed() { queue.unpop(chain) }
                    return false
                }
                room += state.memory[taken].writableCount
                taken += 1
                // A buffer without room for the header, or one too small where buffers do not merge: 5.1.6.3.1.
                if state.memory[0].writableCount < state.headerSize || (!state.merges && room < total) {
                    for chain in state.memory[..<taken] { queue.push(chain, written: 0) }
                    if queue.needsInterrupt() { interrupt.signalQueue(Queue.receive(pair)) }
                    return true
                }
            }
        } catch {
            interrupt.setNeedsReset()
            return true
        }
        var header = [UInt8](repeating: 0, count: state.headerSize)
        // A driver without the feature takes no flags, not even that checksums were looked at.
        if state.offloads.contains(FrameOffloads.checksum) {
            unsafe header.withUnsafeMutableBytes { unsafe offload.write(to: $0) }
        }
        if header.count > 10 {
            header[10] = UInt8(truncatingIfNeeded: taken)
            header[11] = UInt8(truncatingIfNeeded: taken >> 8)
        }
        var done = 0
        for (index, chain) in state.memory[..<taken].enumerated() {
            let start = index == 0 ? chain.write(at: 0, bytes: header) : 0
            let count = min(chain.writableCount - start, frame.count - done)
            let copied = unsafe chain.write(
                at: start, from: UnsafeRawBufferPointer(rebasing: frame[done..<done + max(count, 0)]))
            done += copied
            queue.stage(chain, written: start + copied)
        }
        queue.publish()
        if queue.needsInterrupt() { interrupt.signalQueue(Queue.receive(pair)) }
        return true
    }
}
