public import DeviceModel
internal import GuestMemory
public import HostOS
internal import Log
import Synchronization
internal import VirtQueue

/// Stream sockets between a guest and programs of the host: virtio 1.2, 5.10. What vhost does in a kernel is done here by
/// Unix sockets, in the way of Firecracker's documentation: who of the host connects to the device's path and writes
/// `CONNECT port` is connected with a port of the guest (and reads `OK port` first); what the guest connects to, at a
/// port of the host, is the Unix socket `path_port`.
///
/// All work is done on the device's own thread, but for configuration and doorbells.
public final class VirtioSocket: VirtioDevice {
    /// VIRTIO_VSOCK_F_STREAM.
    private static let stream: UInt64 = 1 << 0
    /// Packets that one turn of the thread takes, and gives.
    static let turnLimit = 256
    /// Clients of the path that have not said yet what they want.
    static let mostClients = 64

    struct Device {
        var receive: VirtQueue?
        var transmit: VirtQueue?
        var event: VirtQueue?
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var isPaused = false
        /// A guest that went on from a saved state has to hear that its connections are gone.
        var owesReset = false
        var model: SocketModel
        var sockets: [SocketModel.Key: HostSocket] = [:]
        var clients: [HostSocket] = []
        var listener: EventSource?
        var hasEnded = false
    }
    let state: Mutex<Device>
    let path: String
    let thread: WorkerThread
    let log = RateLimitedLogger(Logger("vsock"))
    private let configuration: [UInt8]
    // Made once in `init`; it needs `self`.
    private let item = Mutex<(any WorkItem)?>(nil)

    /// A device of a guest with an address of 3 or more, which listens at a path. Throws where that cannot be.
    public init(guest: UInt64, path: String, thread: WorkerThread) throws(HostError) {
        self.path = path
        self.thread = thread
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, guest)
        configuration = bytes
        state = Mutex(Device(model: SocketModel(guest: guest)))
        let listener = try Socket.listen(try SocketAddress.unix(path), backlog: 16)
        let work = thread.makeItem { [weak self] in self?.work() }
        item.withLock { $0 = work }
        let source = try thread.watch(listener, [.read]) { [weak self] _ in self?.accept(listener) }
        state.withLock { $0.listener = source }
    }

    public var kind: VirtioDeviceKind { .socket }
    public var features: UInt64 { Self.stream }
    public var queueSizes: [UInt16] { [128, 128, 128] }
    public var configurationCount: Int { configuration.count }
    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        VirtioConfiguration.read(configuration, offset: offset, size: size)
    }

    // MARK: Life

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory) = (context.queues, context.interrupt, context.memory)
        state.withLock { state in
            state.receive = queues[0]
            state.transmit = queues[1]
            state.event = queues[2]
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
        }
    }
    public func notify(queue: Int) { schedule() }
    func schedule() { item.withLock { $0 }?.schedule() }

    public func reset() {
        let sockets = state.withLock { state -> [HostSocket] in
            state.receive = nil
            state.transmit = nil
            state.event = nil
            state.interrupt = nil
            state.chain = nil
            _ = state.model.clear()
            defer { state.sockets = [:] }
            return Array(state.sockets.values)
        }
        for socket in sockets { socket.close() }
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        schedule()
    }
    public func halt() {
        let (listener, sockets) = state.withLock { state -> (EventSource?, [HostSocket]) in
            state.hasEnded = true
            defer {
                state.listener = nil
                state.clients = []
                state.sockets = [:]
            }
            return (state.listener, state.clients + state.sockets.values)
        }
        listener?.remove()
        for socket in sockets { socket.close() }
        if listener != nil { try? HostFile.remove(path) }
    }

    /// Nothing: connections end where the machine goes on elsewhere, and its driver hears of it.
    public func exportState() -> DeviceState { DeviceState(version: 1) }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        state.withLock { $0.owesReset = true }
    }

    // MARK: Work

    private func work() {
        var effects: [(SocketModel.Effect, [UInt8])] = []
        var hasMore = false
        state.withLock { state in
            guard let interrupt = state.interrupt, !state.isPaused else { return }
            do throws(VirtQueueError) {
                try tellReset(&state, interrupt)
                hasMore = try takePackets(&state, interrupt, &effects)
            } catch {
                interrupt.setNeedsReset()
                state.transmit?.stop()
            }
        }
        for (effect, bytes) in effects { perform(effect, bytes) }
        if givePackets() { hasMore = true }
        if hasMore { schedule() }
    }

    /// Tells a driver that went on elsewhere (5.10.6.7, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET).
    private func tellReset(_ state: inout Device, _ interrupt: VirtioInterrupt) throws(VirtQueueError) {
        guard state.owesReset, let queue = state.event, let chain = state.chain, try queue.pop(into: chain) else {
            return
        }
        state.owesReset = false
        queue.push(chain, written: chain.store(at: 0, UInt32(0)) ? 4 : 0)
        if queue.needsInterrupt() { interrupt.signalQueue(2) }
    }

    /// Takes what the guest sends; true where there is more.
    private func takePackets(
        _ state: inout Device, _ interrupt: VirtioInterrupt, _ effects: inout [(SocketModel.Effect, [UInt8])]
    ) throws(VirtQueueError) -> Bool {
        guard let queue = state.transmit, let chain = state.chain else { return false }
        defer { if queue.needsInterrupt() { interrupt.signalQueue(1) } }
        queue.disableNotifications()
        var count = 0
        repeat {
            while true {
                // Answers wait for the guest's buffers: one that gives none is not listened to. More is taken when it does.
                guard !state.model.isFull else { return false }
                guard count < Self.turnLimit else { return true }
                guard try queue.pop(into: chain) else { break }
                count += 1
                if let packet = SocketPacket(chain.bytes(at: 0, count: SocketPacket.headerBytes)) {
                    let bytes = Int(min(packet.count, UInt32(SocketPacket.mostBytes)))
                    let effect = state.model.take(packet, count: chain.readableCount - SocketPacket.headerBytes)
                    if case .data = effect {
                        effects.append((effect, chain.bytes(at: SocketPacket.headerBytes, count: bytes)))
                    } else if effect != .nothing {
                        effects.append((effect, []))
                    }
                }
                queue.push(chain, written: 0)
            }
        } while queue.enableNotifications()
        return false
    }

    /// Gives the guest what it is to hear; true where there is more and room for it.
    private func givePackets() -> Bool {
        var closed: [HostSocket] = []
        let hasMore = state.withLock { state -> Bool in
            guard let queue = state.receive, let interrupt = state.interrupt, let chain = state.chain, !state.isPaused
            else { return false }
            defer { if queue.needsInterrupt() { interrupt.signalQueue(0) } }
            do throws(VirtQueueError) {
                queue.disableNotifications()
                for _ in 0..<Self.turnLimit {
                    guard state.model.hasPackets else { return false }
                    guard try pop(queue, chain) else { return false }
                    guard chain.writableCount >= SocketPacket.headerBytes else {
                        queue.push(chain, written: 0)
                        continue
                    }
                    if !give(&state, queue, chain, &closed) { queue.unpop(chain) }
                }
                return state.model.hasPackets
            } catch {
                interrupt.setNeedsReset()
                state.receive?.stop()
                return false
            }
        }
        for socket in closed { socket.close() }
        return hasMore
    }

    /// The next buffer for the guest; false where there is none, and then its driver rings when there is.
    private func pop(_ queue: VirtQueue, _ chain: DescriptorChain) throws(VirtQueueError) -> Bool {
        repeat {
            if try queue.pop(into: chain) { return true }
        } while queue.enableNotifications()
        return false
    }

    /// Fills a buffer with the next packet; false where there was none after all.
    private func give(
        _ state: inout Device, _ queue: VirtQueue, _ chain: DescriptorChain, _ closed: inout [HostSocket]
    ) -> Bool {
        while let next = state.model.next() {
            switch next {
            case .packet(let packet):
                queue.push(chain, written: chain.write(at: 0, bytes: packet.bytes))
                return true
            case .data(let key, let limit):
                guard let socket = state.sockets[key] else {
                    state.model.inputIsEmpty(key)
                    continue
                }
                let room = min(limit, chain.writableCount - SocketPacket.headerBytes)
                guard room > 0 else {
                    queue.push(chain, written: 0)
                    return true
                }
                guard let bytes = socket.read(limit: room) else {
                    state.model.inputIsEmpty(key)
                    socket.wait(for: [.read])
                    continue
                }
                if bytes.isEmpty {
                    socket.wait(for: [])
                    state.model.hostEnds(key)
                    continue
                }
                let packet = state.model.data(key, count: bytes.count)
                let written = chain.write(at: 0, bytes: packet.bytes + bytes)
                queue.push(chain, written: written)
                return true
            }
        }
        return false
    }
}
