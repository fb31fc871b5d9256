package import DeviceModel
package import HostOS
internal import Synchronization

/// Carries bytes from a descriptor to a receiver, at the receiver's pace: what it cannot take stays in the kernel.
///
/// Reading and delivery happen on the loop's thread, with no lock held. The pump outlives its descriptors: a port that
/// reconnects attaches one after the other.
package final class InputPump: Sendable {
    /// A descriptor and how it is read.
    package struct Feed: Sendable {
        /// What is read. It must not be in the loop otherwise.
        var descriptor: Descriptor
        /// Takes a protocol's own bytes out of the stream.
        var filter: (@Sendable ([UInt8]) -> ([UInt8], [CharacterEvent]))?
        /// Takes the descriptors that a Unix socket's peer passes; without it they are refused.
        var passed: (@Sendable ([Descriptor]) -> Void)?
        /// One read takes a whole message, which may be more than the receiver has room for.
        var isDatagram = false
        /// Called once, on the loop's thread, when the stream has ended or failed.
        var ended: @Sendable () -> Void

        package init(_ descriptor: Descriptor, isDatagram: Bool = false, ended: @escaping @Sendable () -> Void = {}) {
            self.descriptor = descriptor
            self.isDatagram = isDatagram
            self.ended = ended
        }
    }

    private struct State {
        var receiver: (any CharacterReceiver)?
        var source: EventSource?
        var feed: Feed?
        /// Bytes that were read and not delivered: of a datagram, or of a peer that has gone.
        var pending = ByteRing()
    }

    /// What a peer that hung up may leave behind for a receiver without room.
    private static let legacyLimit = 256 << 10
    private static let chunk = 4096

    private let loop: EventLoop
    private let state = Mutex(State())
    /// The receiver had no room, and nobody has told since that it has.
    private let paused = Atomic(true)

    package init(loop: EventLoop) { self.loop = loop }

    package func setReceiver(_ receiver: (any CharacterReceiver)?) {
        state.withLock { $0.receiver = receiver }
        paused.store(false, ordering: .sequentiallyConsistent)
        loop.post { [weak self] in self?.resume() }
    }

    package func acceptInput() {
        // Called for each byte that a guest reads: a load, unless somebody waits for it.
        guard paused.load(ordering: .sequentiallyConsistent),
            paused.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        loop.post { [weak self] in self?.resume() }
    }

    /// Reads from the feed from now on.
    package func attach(_ feed: Feed) throws(HostError) {
        detach()
        let source = try loop.add(feed.descriptor, [.edgeTriggered]) { [weak self] in self?.ready($0) }
        state.withLock {
            $0.source = source
            $0.feed = feed
        }
        loop.post { [weak self] in self?.resume() }
    }

    /// Reads no more. What was read and not delivered still is.
    package func detach() {
        let source = state.withLock { state -> EventSource? in
            defer {
                state.source = nil
                state.feed = nil
            }
            return state.source
        }
        source?.remove()
    }

    /// Tells the receiver, on the loop's thread, in order with the bytes delivered before.
    package func notify(_ event: CharacterEvent) {
        loop.post { [weak self] in self?.deliver(event) }
    }

    private func deliver(_ event: CharacterEvent) {
        (state.withLock { $0.receiver } as? any CharacterEventReceiver)?.receive(event: event)
    }

    // MARK: - On the loop's thread

    private func ready(_ events: EventLoop.Events) {
        if paused.load(ordering: .relaxed) {
            if events.contains(.hangUp) { takeLegacy() }
        } else {
            pump(isReady: true)
        }
    }

    private func resume() {
        paused.store(false, ordering: .sequentiallyConsistent)
        pump(isReady: false)
    }

    /// The receiver's room; 0 after noting that the pump waits for `acceptInput` or `setReceiver`.
    private func room(_ receiver: (any CharacterReceiver)?) -> Int {
        if let receiver {
            let room = receiver.receiveCapacity()
            if room > 0 { return room }
        }
        paused.store(true, ordering: .sequentiallyConsistent)
        // Asked again after the note: room that came between the two would have woken nobody.
        guard let receiver else { return 0 }
        let room = receiver.receiveCapacity()
        if room > 0 { paused.store(false, ordering: .sequentiallyConsistent) }
        return max(0, room)
    }

    private func pump(isReady: Bool) {
        // Bounded: other sources of the loop have their turn after so many.
        for _ in 0..<16 {
            let (receiver, source, feed) = state.withLock { ($0.receiver, $0.source, $0.feed) }
            let room = room(receiver)
            guard room > 0, let receiver else {
                try? source?.modify([.edgeTriggered])
                return
            }
            let bytes = state.withLock { $0.pending.take(min(room, InputPump.chunk)) }
            if bytes.isEmpty {
                guard let source, let feed else { return }
                // A blocking descriptor is read once for each time that it is ready.
                let ready = isReady || !source.descriptor.wait(for: [.read], milliseconds: 0).isEmpty
                if ready && !transfer(feed, receiver, room) { return }
                try? source.modify([.read])
                return
            }
            receiver.receive(bytes)
        }
        loop.post { [weak self] in self?.resume() }
    }

    /// One read and its delivery. False: the stream has ended.
    private func transfer(_ feed: Feed, _ receiver: any CharacterReceiver, _ room: Int) -> Bool {
        let limit = feed.isDatagram ? 65536 : min(room, InputPump.chunk)
        let (result, bytes) = InputPump.read(feed, limit: limit)
        switch result {
        case .moved: deliver(bytes, feed, receiver, room: room)
        case .wouldBlock: break
        case .end, .failed:
            // An empty datagram ends nothing, nor does the refusal of one that was sent.
            if feed.isDatagram { return true }
            detach()
            feed.ended()
            return false
        }
        return true
    }

    private func deliver(_ bytes: [UInt8], _ feed: Feed, _ receiver: any CharacterReceiver, room: Int) {
        let (data, events) = feed.filter.map { $0(bytes) } ?? (bytes, [])
        if data.count > room {
            state.withLock { $0.pending.append(data[...]) }
            loop.post { [weak self] in self?.resume() }
        } else if !data.isEmpty {
            receiver.receive(data)
        }
        for event in events { deliver(event) }
    }

    private static func read(_ feed: Feed, limit: Int) -> (Descriptor.Transfer, [UInt8]) {
        var result = Descriptor.Transfer.wouldBlock
        // SAFETY: the closure writes only inside the buffer and reports how much it set.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            if let passed = feed.passed {
                let descriptors: [Descriptor]
                (result, descriptors) = unsafe Socket.receive(feed.descriptor, into: raw)
                if !descriptors.isEmpty { passed(descriptors) }
            } else {
                result = unsafe feed.descriptor.read(into: raw)
            }
            if case .moved(let moved) = result { count = min(moved, limit) }
        }
        return (result, bytes)
    }

    /// The peer is gone and the receiver has no room: keeps what the peer left, so that the descriptor may go.
    private func takeLegacy() {
        guard let feed = state.withLock({ $0.feed }) else { return }
        while state.withLock({ $0.pending.count }) < InputPump.legacyLimit {
            let (result, bytes) = InputPump.read(feed, limit: InputPump.chunk)
            switch result {
            case .moved:
                let (data, events) = feed.filter.map { $0(bytes) } ?? (bytes, [])
                state.withLock { $0.pending.append(data[...]) }
                for event in events { deliver(event) }
            case .wouldBlock: return
            case .end, .failed:
                detach()
                feed.ended()
                return
            }
        }
    }
}
