public import HostOS
internal import Log
internal import Synchronization

/// A back-end whose descriptor moves frames whole: a tap, a packet socket, datagram sockets. Any thread.
///
/// What the host does not take at once waits in a queue of a fixed size; what has no room there is dropped.
public final class DatagramNetwork: NetworkBackend {
    /// Where frames go.
    public enum Peer: Sendable {
        /// A connected datagram or packet socket.
        case socket(Descriptor)
        /// A socket whose datagrams go to an address. From others than `only` (an IPv4 address) none are taken.
        case address(Descriptor, SocketAddress, only: UInt32?)
        /// The queues of a tap; frames of one flow go out by one of them.
        case tap([TapDevice])
    }

    private let core: DatagramCore
    private let thread: NetworkThread

    /// Takes the descriptors over.
    public init(_ peer: Peer, name: String) throws(HostError) {
        thread = try NetworkThread(name: name)
        core = DatagramCore(thread.loop, peer)
        do throws(HostError) { try core.start() } catch {
            thread.stop()
            throw error
        }
    }

    deinit { stop() }

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool { unsafe core.transmit(frame, FrameOffload.none) }
    public func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        unsafe core.transmit(frame, offload)
    }
    public var offloads: FrameOffloads { core.hasHeaders ? FrameOffloads.all : [] }
    public var queuePairs: Int { core.queuePairs }
    public func setReceiverOffloads(_ offloads: FrameOffloads) { core.setReceiverOffloads(offloads) }
    public func setReceiver(_ receiver: (any FrameReceiver)?) { core.setReceiver(receiver) }
    public func receiverReady() { core.receiverReady() }
    public func stop() {
        core.stop()
        thread.stop()
    }

    /// Leaves its descriptors to somebody else, who reads and writes them (the kernel's vhost), or takes them back.
    public func setLent(_ isLent: Bool) { core.setLent(isLent) }
}

private final class DatagramCore: Sendable {
    private struct Outgoing: ~Copyable {
        var queue = FrameQueue(capacity: 1 << 20)
        var frame = [UInt8](repeating: 0, count: FrameFinisher.mostBytes + FrameOffload.headerSize)
        var waitsForRoom = false
        var isPaused = false
        var sources: [EventSource] = []
    }
    private let loop: EventLoop
    private let peer: DatagramNetwork.Peer
    private let descriptors: [Descriptor]
    let hasHeaders: Bool
    private let outgoing = Mutex(Outgoing())
    private let buffer = Mutex([UInt8](repeating: 0, count: FrameFinisher.mostBytes + FrameOffload.headerSize))
    private let gate = ReceiverGate()

    init(_ loop: EventLoop, _ peer: DatagramNetwork.Peer) {
        self.loop = loop
        self.peer = peer
        switch peer {
        case .socket(let socket): (descriptors, hasHeaders) = ([socket], false)
        case .address(let socket, _, _): (descriptors, hasHeaders) = ([socket], false)
        case .tap(let taps): (descriptors, hasHeaders) = (taps.map(\.descriptor), taps.allSatisfy(\.hasHeaders))
        }
    }

    var queuePairs: Int {
        if case .tap(let taps) = peer { return max(1, taps.count) }
        return 1
    }

    func start() throws(HostError) {
        for descriptor in descriptors {
            try descriptor.setNonBlocking()
            let source = try loop.add(descriptor, [.read]) { [weak self] events in self?.happened(events, descriptor) }
            outgoing.withLock { $0.sources.append(source) }
        }
    }

    func stop() {
        gate.setReceiver(nil)
        setLent(true)
    }

    func setLent(_ isLent: Bool) {
        let sources = outgoing.withLock { outgoing -> [EventSource] in
            defer { outgoing.sources = [] }
            outgoing.isPaused = false
            outgoing.waitsForRoom = false
            return outgoing.sources
        }
        for source in sources { source.remove() }
        if !isLent { try? start() }
    }

    func setReceiverOffloads(_ offloads: FrameOffloads) {
        guard case .tap(let taps) = peer, hasHeaders else { return }
        for tap in taps {
            tap.setOffloads(
                checksum: offloads.contains(FrameOffloads.checksum),
                segments4: offloads.contains(FrameOffloads.tcp4), segments6: offloads.contains(FrameOffloads.tcp6))
        }
    }

    // MARK: - Sending

    func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        guard frame.count >= 14, frame.count <= FrameFinisher.mostBytes else { return true }
        return outgoing.withLock { outgoing in
            var header: (UInt64, UInt32) = (0, 0)
            // SAFETY: the header is on this stack; its first 12 bytes are used, or none.
            return unsafe withUnsafeMutableBytes(of: &header) { bytes in
                let header = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: bytes[..<(hasHeaders ? FrameOffload.headerSize : 0)])
                unsafe offload.write(to: header)
                if outgoing.queue.isEmpty {
                    guard unsafe put(UnsafeRawBufferPointer(header), frame) == Descriptor.Transfer.wouldBlock else {
                        return true
                    }
                }
                return unsafe keep(UnsafeRawBufferPointer(header), frame, &outgoing)
            }
        }
    }

    /// Keeps a frame until the host takes more.
    private func keep(
        _ header: UnsafeRawBufferPointer, _ frame: UnsafeRawBufferPointer, _ outgoing: inout Outgoing
    ) -> Bool {
        var whole = [UInt8]()
        swap(&whole, &outgoing.frame)
        let count = header.count + frame.count
        let isKept = unsafe whole.withUnsafeMutableBytes { bytes in
            unsafe bytes.copyMemory(from: header)
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[header.count...]).copyMemory(from: frame)
            return unsafe outgoing.queue.push(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        swap(&whole, &outgoing.frame)
        if !outgoing.waitsForRoom {
            outgoing.waitsForRoom = true
            try? outgoing.sources.first?.modify(outgoing.isPaused ? [.write] : [.read, .write])
        }
        return isKept
    }

    private func put(_ header: UnsafeRawBufferPointer, _ frame: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        switch peer {
        case .socket(let socket): return unsafe PacketSocket.send(socket, frame, UnsafeRawBufferPointer(start: nil, count: 0))
        case .address(let socket, let address, _): return unsafe PacketSocket.send(socket, frame, to: address)
        case .tap(let taps):
            guard let first = taps.first else { return Descriptor.Transfer.end }
            var tap = first
            // What was kept has its header in front of it and goes by the first, whose room was waited for.
            if taps.count > 1, unsafe !header.isEmpty { tap = unsafe taps[Int(FlowHash.of(frame)) % taps.count] }
            if unsafe header.isEmpty { return unsafe tap.descriptor.write(frame) }
            return unsafe PacketSocket.write(tap.descriptor, header, frame)
        }
    }

    private func sendKept() {
        outgoing.withLock { outgoing in
            var whole = [UInt8]()
            swap(&whole, &outgoing.frame)
            while !outgoing.queue.isEmpty {
                let result = unsafe whole.withUnsafeMutableBytes { bytes in
                    let count = unsafe outgoing.queue.copyFirst(into: bytes)
                    let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
                    return unsafe put(empty, UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                }
                if result == Descriptor.Transfer.wouldBlock { break }
                outgoing.queue.removeFirst()
            }
            swap(&whole, &outgoing.frame)
            if outgoing.queue.isEmpty, outgoing.waitsForRoom {
                outgoing.waitsForRoom = false
                try? outgoing.sources.first?.modify(outgoing.isPaused ? [] : [.read])
            }
        }
    }

    // MARK: - Receiving, on the thread

    func setReceiver(_ receiver: (any FrameReceiver)?) {
        gate.setReceiver(receiver)
        receiverReady()
    }

    func receiverReady() {
        if gate.takeWait() { loop.post { [weak self] in self?.goOn() } }
    }

    private func goOn() { if gate.isOpen() { setPaused(false) } }

    private func setPaused(_ paused: Bool) {
        outgoing.withLock { outgoing in
            guard outgoing.isPaused != paused else { return }
            outgoing.isPaused = paused
            for (place, source) in outgoing.sources.enumerated() {
                var events: EventLoop.Events = paused ? [] : [.read]
                if place == 0, outgoing.waitsForRoom { events.insert(.write) }
                try? source.modify(events)
            }
        }
    }

    private func happened(_ events: EventLoop.Events, _ descriptor: Descriptor) {
        if events.contains(.write) { sendKept() }
        guard !events.isDisjoint(with: [.read, .error, .hangUp]) else { return }
        // A batch, then others of the loop have theirs.
        for _ in 0..<256 {
            guard gate.isOpen() else { return setPaused(true) }
            let goesOn = buffer.withLock { bytes in
                unsafe bytes.withUnsafeMutableBytes { unsafe receive(descriptor, $0) }
            }
            guard goesOn else { return }
        }
    }

    /// Takes one frame; false where none is there.
    private func receive(_ descriptor: Descriptor, _ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        let result: Descriptor.Transfer
        if case .address(_, _, let only) = peer {
            let (transfer, sender) = unsafe PacketSocket.receive(descriptor, into: buffer)
            if let only, case .moved = transfer, sender.ipv4 != only { return true }
            result = transfer
        } else {
            result = unsafe descriptor.read(into: buffer)
        }
        guard case .moved(let count) = result else {
            // What the network reported about an earlier datagram (ECONNREFUSED) ends nothing.
            if case .failed(let reason) = result { return reason == 111 }
            return false
        }
        let skipped = hasHeaders ? FrameOffload.headerSize : 0
        guard count >= skipped + 14 else { return true }
        let frame = unsafe UnsafeRawBufferPointer(rebasing: buffer[skipped..<count])
        let offload = hasHeaders ? unsafe FrameOffload(UnsafeRawBufferPointer(buffer)) ?? FrameOffload.none : FrameOffload.none
        unsafe gate.deliver(frame, offload)
        return true
    }
}
