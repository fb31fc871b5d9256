internal import HostOS
internal import Log
import Synchronization
internal import VirtQueue

// The connection to the back-end: what it says unasked, its end, and the next one.
extension VhostDevice {
    /// Listens to a back-end that has come.
    func watch(_ front: inout Front) throws(VhostError) {
        guard let backend = front.backend else { return }
        do throws(HostError) {
            if let socket = backend.socket {
                front.sources.append(
                    try thread.watch(socket, [.read, .peerClosed]) { [weak self] _ in self?.lookAtSocket(socket) })
            }
            if let channel = backend.channel {
                let reader = VhostUserChannel(channel)
                front.sources.append(
                    try thread.watch(channel, [.read]) { [weak self] _ in self?.listen(reader) })
            }
        } catch { throw .host("\(error)") }
    }

    /// Something is on the socket: the answer to a question that another thread asks, the end, or what nobody asked for.
    private func lookAtSocket(_ socket: Descriptor) {
        front.withLock { front in
            guard let backend = front.backend, backend.socket === socket, let error = backend.unexpected()
            else { return }
            lose(&front, error)
        }
    }

    /// What the back-end says on its own channel.
    private func listen(_ reader: VhostUserChannel) {
        switch reader.next() {
        case .nothing: break
        case .configurationChanged: scheduleRefresh()
        case .ended:
            let source = front.withLock { front -> EventSource? in
                guard let place = front.sources.firstIndex(where: { $0.descriptor === reader.socket }) else {
                    return nil
                }
                return front.sources.remove(at: place)
            }
            source?.remove()
        }
    }

    /// Reads the configuration anew and tells the guest.
    func refreshConfiguration() {
        guard case .backend(let count, let patch) = model.configuration else { return }
        var bytes: [UInt8]?
        withBackend { backend throws(VhostError) in
            bytes = try backend.readConfiguration(count: count, patch)
        }
        guard let bytes else { return }
        settings.withLock { $0.bytes = bytes }
        interruptOfConfiguration.withLock { $0 }?.signalConfigurationChange()
    }

    /// Asks the back-end something, where there is one; an error is its end.
    func withBackend(_ body: (any VhostBackend) throws(VhostError) -> Void) {
        front.withLock { front in
            guard let backend = front.backend else { return }
            do throws(VhostError) { try body(backend) } catch { lose(&front, error) }
        }
    }

    // MARK: The end

    /// Goes on without a back-end, and looks for the next one where that was asked for.
    func lose(_ front: inout Front, _ error: VhostError) {
        guard let backend = front.backend else { return }
        front.backend = nil
        front.isRunning = false
        backend.disconnect()
        for source in front.sources + front.calls { source.remove() }
        front.sources = []
        front.calls = []
        for relay in relays { relay.stop() }
        if !front.isMissing {
            front.isMissing = true
            log.warning("Device '\(name)': \(error); the guest goes on without it")
        }
        setLink { $0.hasBackend = false }
        lookForNext(&front)
    }

    private func lookForNext(_ front: inout Front) {
        guard !front.hasEnded else { return }
        do throws(HostError) {
            switch peer.next {
            case .none: break
            case .connect(_, let pause):
                if front.timer == nil { front.timer = try thread.makeTimer { [weak self] in self?.tryAgain() } }
                front.timer?.arm(after: UInt64(pause) * 1_000_000)
            case .accept(let listener):
                front.sources.append(
                    try thread.watch(listener, [.read]) { [weak self] _ in self?.tryAgain() })
            }
        } catch { log.warning("Device '\(name)': \(error); no other back-end is looked for") }
    }

    /// Another back-end may be there.
    private func tryAgain() {
        front.withLock { front in
            guard front.backend == nil, !front.hasEnded else { return }
            do throws(VhostError) {
                guard let socket = try nextConnection() else {
                    if case .connect = peer.next { lookForNext(&front) }
                    return
                }
                for source in front.sources { source.remove() }
                front.sources = []
                let backend = try VhostUserBackend(socket, model: model, patience: patience)
                let missing = features & ~(backend.features | model.own)
                guard missing == 0 else {
                    throw .lacks("features 0x\(String(missing, radix: 16)) of the one before it")
                }
                front.backend = backend
                try watch(&front)
                front.isMissing = false
                log.info("Device '\(name)': a back-end is there again")
                if case .backend = model.configuration { scheduleRefresh() }
                setLink { $0.hasBackend = true }
                scheduleStart()
            } catch {
                front.backend = nil
                lookForNext(&front)
            }
        }
    }

    private func nextConnection() throws(VhostError) -> Descriptor? {
        switch peer.next {
        case .none: return nil
        case .connect(let address, _): return try? Socket.connect(address)
        case .accept(let listener):
            do throws(HostError) { return try Socket.accept(listener) } catch { throw .host("\(error)") }
        }
    }

    /// A card has a link while its back-end is there and its cable is in.
    private func setLink(_ change: (inout Configuration) -> Void) {
        guard model.hasLink else { return }
        settings.withLock { settings in
            change(&settings)
            VirtioConfiguration.write(
                &settings.bytes, offset: 6, size: 2, value: settings.hasBackend && settings.isPlugged ? 1 : 0)
        }
        interruptOfConfiguration.withLock { $0 }?.signalConfigurationChange()
    }
    /// Plugs a card's cable in or out: the guest hears of it, and no frames go.
    public func setLink(up: Bool) {
        setLink { $0.isPlugged = up }
        front.withLock { enableWhereRunning(&$0) }
    }
}

/// The way on which a back-end speaks first (SET_BACKEND_REQ_FD). One thread.
final class VhostUserChannel: Sendable {
    enum Event { case nothing, configurationChanged, ended }
    private static let configurationChange: UInt32 = 2

    let socket: Descriptor
    private let buffer = Mutex<[UInt8]>([])

    init(_ socket: Descriptor) { self.socket = socket }

    /// Takes what has come, and answers it where it wants an answer: everything but a change of the configuration is
    /// refused. Descriptors are nobody's, and closed.
    func next() -> Event {
        buffer.withLock { buffer in
            var changed = false
            var space = [UInt8](repeating: 0, count: VhostUserHeader.size + VhostUserHeader.mostBytes)
            // SAFETY: the buffer is the array.
            switch unsafe space.withUnsafeMutableBytes({ unsafe Socket.receive(socket, into: $0).0 }) {
            case .wouldBlock: return .nothing
            case .end, .failed: return .ended
            case .moved(let count): buffer += space.prefix(count)
            }
            while buffer.count >= VhostUserHeader.size {
                let header = VhostUserHeader(buffer[...])
                guard header.isSound, !header.isReply else { return .ended }
                let whole = VhostUserHeader.size + header.count
                guard buffer.count >= whole else { break }
                buffer.removeFirst(whole)
                let isKnown = header.request == Self.configurationChange
                changed = changed || isKnown
                guard header.wantsReply else { continue }
                let reply = VhostUserHeader(replyTo: header.request, count: 8).bytes
                // A back-end that does not read its answers gets none.
                _ = Socket.send(socket, (reply + VhostUserBytes.of(isKnown ? UInt64(0) : 1))[...], passing: [])
            }
            return changed ? .configurationChanged : .nothing
        }
    }
}
