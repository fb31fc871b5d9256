internal import HostOS
internal import Log
internal import Network
internal import Synchronization

/// A port as others see it.
public struct PortStatus: Sendable, Equatable {
    /// What it was asked to be.
    public var settings: PortSettings
    /// Whether a machine is connected.
    public var isConnected: Bool
    /// What went by.
    public var counters: PortCounters
    /// Addresses that were seen behind it.
    public var addresses: [HardwareAddress]
}

// The connections of ports, on the loop's thread.
extension VirtualSwitch {
    /// Rounds of reading that one port has before others have theirs.
    private static let rounds = 4

    /// A new port; nil where there are too many or the name is taken.
    func makePort(_ settings: PortSettings, isLasting: Bool) -> Int? {
        state.withLock { state in
            guard state.ports.count < Self.portLimit,
                !state.ports.values.contains(where: { $0.settings.name == settings.name })
            else { return nil }
            let number = state.nextNumber
            state.nextNumber += 1
            state.ports[number] = SwitchPort(
                number: number, kind: .machine, settings, isLasting: isLasting, now: HostClock.monotonic)
            return number
        }
    }

    /// Ends a port and its connection.
    func removePort(_ number: Int) {
        let (source, socket) = state.withLock { state -> (EventSource?, Descriptor?) in
            guard number != Self.gatewayPort, let port = state.ports.removeValue(forKey: number) else {
                return (nil, nil)
            }
            state.table.forget(port: number)
            defer {
                port.socket = nil
                port.source = nil
            }
            return (port.source, port.socket)
        }
        source?.remove()
        if let socket { Socket.shutDown(socket) }
    }

    /// Connects a machine to a port. A connection that the port has ends: the machine has come anew.
    func connect(_ socket: Descriptor, to number: Int) {
        guard
            let source = try? loop.add(
                socket, [.read], handler: { [weak self] events in self?.happened(events, number, socket) })
        else { return removeIfPassing(number) }
        let old = state.withLock { state -> (EventSource?, Descriptor?)? in
            guard let port = state.ports[number] else { return nil }
            defer {
                port.socket = socket
                port.source = source
                port.outbox.removeAll()
                port.inbox.removeAll()
                port.waitsForRoom = false
            }
            return (port.source, port.socket)
        }
        guard let old else { return source.remove() }
        old.0?.remove()
        if let socket = old.1 { Socket.shutDown(socket) }
    }

    private func removeIfPassing(_ number: Int) {
        if state.withLock({ $0.ports[number]?.isLasting == false }) { removePort(number) }
    }

    private func disconnect(_ number: Int, _ socket: Descriptor) {
        let (source, isLasting) = state.withLock { state -> (EventSource?, Bool) in
            guard let port = state.ports[number], port.socket === socket else { return (nil, true) }
            defer {
                port.socket = nil
                port.source = nil
                port.outbox.removeAll()
            }
            state.table.forget(port: number)
            return (port.source, port.isLasting)
        }
        source?.remove()
        Socket.shutDown(socket)
        if !isLasting { removePort(number) }
    }

    private func happened(_ events: EventLoop.Events, _ number: Int, _ socket: Descriptor) {
        let ended = state.withLock { state -> Bool in
            guard let port = state.ports[number], port.socket === socket else { return false }
            state.now = HostClock.monotonic
            if events.contains(.write) {
                port.waitsForRoom = false
                flush(port)
                if !port.waitsForRoom { try? port.source?.modify([.read]) }
            }
            guard !events.isDisjoint(with: [.read, .hangUp, .error]) else { return false }
            defer { flushAll(&state) }
            return read(port, socket, &state)
        }
        if ended { disconnect(number, socket) }
    }

    /// Reads what is there and moves its frames. True: the connection is to end.
    private func read(_ port: SwitchPort, _ socket: Descriptor, _ state: inout State) -> Bool {
        for _ in 0..<Self.rounds {
            var result = Descriptor.Transfer.wouldBlock
            // SAFETY: the buffer is the inbox's own and valid inside the closure.
            unsafe port.inbox.fill { buffer in
                result = unsafe socket.read(into: buffer)
                if case .moved(let count) = result { return count }
                return 0
            }
            switch result {
            case .moved: break
            case .wouldBlock: return false
            case .end, .failed: return true
            }
            while true {
                switch port.inbox.next() {
                case .incomplete: break
                case .invalid:
                    log.warning("Port '\(port.settings.name)' sent a frame of an impossible length: it is cut off")
                    return true
                case .frame(let place, let count):
                    unsafe port.inbox.withFrame(place, count) { bytes in unsafe take(bytes, port, &state) }
                    port.inbox.removeFirst(count)
                    continue
                }
                break
            }
        }
        return false
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ port: SwitchPort, _ state: inout State) {
        guard port.settings.hasHeaders else { return unsafe forward(bytes, FrameOffload.none, from: port, &state) }
        guard bytes.count >= FrameOffload.headerSize + 14, let offload = unsafe FrameOffload(bytes) else {
            return port.counters.refused += 1
        }
        unsafe forward(
            UnsafeRawBufferPointer(rebasing: bytes[FrameOffload.headerSize...]), offload, from: port, &state)
    }

    /// Gives a port's socket what waits.
    func flush(_ port: SwitchPort) {
        guard let socket = port.socket else { return port.outbox.removeAll() }
        while port.outbox.count > 0 {
            switch unsafe port.outbox.withPieces({ unsafe PacketSocket.send(socket, $0, $1) }) {
            case .moved(let count): port.outbox.remove(count)
            case .wouldBlock:
                if !port.waitsForRoom {
                    port.waitsForRoom = true
                    try? port.source?.modify([.read, .write])
                }
                return
            // The reading side sees the end, too.
            case .end, .failed: return port.outbox.removeAll()
            }
        }
    }

    /// Sends what the frames of a batch have left in ports.
    func flushAll(_ state: inout State) {
        for port in state.dirty {
            port.isDirty = false
            if !port.waitsForRoom { flush(port) }
        }
        state.dirty.removeAll(keepingCapacity: true)
        state.gateway?.flush()
    }

    // MARK: - For others

    /// All ports but the gateway, by number.
    public var ports: [PortStatus] {
        state.withLock { state in
            state.ports.values.filter { $0.kind == .machine }.sorted { $0.number < $1.number }.map { port in
                PortStatus(
                    settings: port.settings, isConnected: port.socket != nil, counters: port.counters,
                    addresses: state.table.addresses(port: port.number))
            }
        }
    }

    /// The number of a port by its name.
    func port(named name: String) -> Int? {
        state.withLock { $0.ports.values.first { $0.settings.name == name && $0.kind == .machine }?.number }
    }

    /// Begins a capture of a port, or of all that comes in.
    func addCapture(_ capture: PacketCapture, name: String, port: Int?) {
        state.withLock { state in
            state.captures.removeAll { $0.name == name }
            state.captures.append((name, port, capture))
        }
    }

    /// Ends a capture.
    func removeCapture(_ name: String) -> Bool {
        state.withLock { state in
            let count = state.captures.count
            state.captures.removeAll { $0.name == name }
            return state.captures.count < count
        }
    }
}
