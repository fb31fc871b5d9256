public import HostOS
internal import Log
internal import Network
internal import Synchronization

/// What the network does itself with machines' frames.
protocol FrameService: AnyObject, Sendable {
    /// Looks at a frame that may be for the service, and the port that it is of. True: it was for the service alone.
    /// The switch's lock is held: the answer comes later, by another thread.
    func take(_ frame: UnsafeRawBufferPointer, _ port: Int) -> Bool
}

/// A switch between stream sockets, each of which is a machine's cable, and a gateway. Any thread; frames move on the
/// loop's thread, in batches, and nothing there waits.
public final class VirtualSwitch: Sendable {
    struct State: ~Copyable {
        var ports: [Int: SwitchPort] = [:]
        var table = ForwardingTable()
        var nextNumber = 1
        var dirty: [SwitchPort] = []
        var captures: [(name: String, port: Int?, capture: PacketCapture)] = []
        var gateway: (any NetworkBackend)?
        var now: UInt64 = 0
    }
    /// Ports at most.
    static let portLimit = 1024
    /// The gateway's number among the ports.
    static let gatewayPort = 0

    let loop: EventLoop
    let state = Mutex(State())
    /// The hardware address that the gateway and the services answer to.
    public let gatewayAddress: HardwareAddress
    /// Whether the gateway speaks IPv6, from addresses of libslirp's choice.
    private let hasIPv6: Bool
    let buffers = Mutex(Buffers())
    private let service = Mutex<(any FrameService)?>(nil)
    let log = RateLimitedLogger(Logger("switch"))

    struct Buffers: ~Copyable {
        var frame = [UInt8](repeating: 0, count: FrameFinisher.mostBytes + 8)
        var tagged = [UInt8](repeating: 0, count: FrameFinisher.mostBytes + 8)
        var scratch = [UInt8](repeating: 0, count: FrameFinisher.mostBytes + 8)
    }

    /// A switch without ports.
    public init(loop: EventLoop, gatewayAddress: HardwareAddress, hasIPv6: Bool = false) {
        self.loop = loop
        self.hasIPv6 = hasIPv6
        self.gatewayAddress = gatewayAddress
        state.withLock { state in
            let port = SwitchPort(
                number: Self.gatewayPort, kind: .gateway, PortSettings(name: "gateway"), isLasting: true,
                now: HostClock.monotonic)
            state.ports[Self.gatewayPort] = port
        }
    }

    /// Whether frames for an address are the gateway's.
    private func isGateway(_ address: HardwareAddress) -> Bool {
        address == gatewayAddress || (hasIPv6 && address.rawValue >> 32 == NetworkPlan.gatewayPrefix6)
    }

    /// Limits what goes to a port and what comes from it, from now on.
    func setLimits(_ number: Int, inbound: RateLimit?, outbound: RateLimit?) {
        let now = HostClock.monotonic
        state.withLock { state in
            guard let port = state.ports[number] else { return }
            (port.settings.inbound, port.settings.outbound) = (inbound, outbound)
            port.inbound = inbound.map { TokenBucket(rate: $0.average, burst: $0.burst, now: now) }
            port.outbound = outbound.map { TokenBucket(rate: $0.average, burst: $0.burst, now: now) }
        }
    }

    func setService(_ new: (any FrameService)?) { service.withLock { $0 = new } }

    /// Whether a frame is within its port's limit: of the gateway's, machines may have a part for themselves.
    private func isWithinLimit(
        _ count: Int, from port: SwitchPort, _ destination: HardwareAddress, _ state: inout State
    ) -> Bool {
        if port.outbound == nil { return true }
        if port.kind == .gateway, let number = state.table.port(of: ForwardingTable.Key(vlan: 0, address: destination)),
            let target = state.ports[number], target.floor?.take(count, now: state.now) == true
        {
            port.outbound?.force(count, now: state.now)
            return true
        }
        return port.outbound?.take(count, now: state.now) != false
    }

    /// Names what is behind the gateway.
    func setGateway(_ backend: any NetworkBackend) { state.withLock { $0.gateway = backend } }

    // MARK: - Frames

    /// Moves a frame that came in by a port. The switch's lock is held; the services are asked under it.
    func forward(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, from port: SwitchPort, _ state: inout State
    ) {
        guard frame.count >= 14, frame.count <= FrameFinisher.mostBytes else { return port.counters.refused += 1 }
        let (destination, source) = unsafe (HardwareAddress(frame, at: 0), HardwareAddress(frame, at: 6))
        var tag: UInt16?
        if unsafe PacketBytes.word(frame, 12) == 0x8100 {
            guard frame.count >= 18 else { return port.counters.refused += 1 }
            tag = unsafe PacketBytes.word(frame, 14) & 0xFFF
        }
        guard !source.isGroup, source.rawValue != 0, let (vlan, removesTag) = port.ingress(tag: tag),
            port.kind == .gateway || !isGateway(source), unsafe port.guarding.passes(frame, now: state.now),
            isWithinLimit(frame.count, from: port, destination, &state),
            !destination.isGroup || port.floods.take(max(1024, frame.count), now: state.now)
        else { return port.counters.refused += 1 }
        if removesTag {
            // The copy is of a bounded frame: 18 bytes or more, of which four go.
            var (copy, left) = ([UInt8](), offload)
            buffers.withLock { swap(&copy, &$0.frame) }
            unsafe copy.withUnsafeMutableBytes { bytes in
                unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<12]))
                unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[12...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[16...]))
                left.checksumStart = left.checksumStart >= 4 ? left.checksumStart - 4 : 0
                let plain = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<(frame.count - 4)])
                unsafe spread(plain, left, from: port, vlan, destination, source, &state)
            }
            buffers.withLock { swap(&copy, &$0.frame) }
        } else {
            unsafe spread(frame, offload, from: port, vlan, destination, source, &state)
        }
    }

    private func spread(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, from port: SwitchPort, _ vlan: UInt16,
        _ destination: HardwareAddress, _ source: HardwareAddress, _ state: inout State
    ) {
        port.counters.received += 1
        port.counters.receivedBytes += UInt64(frame.count)
        if port.kind == .machine {
            state.table.learn(ForwardingTable.Key(vlan: vlan, address: source), port: port.number, now: state.now)
        }
        for watch in state.captures where watch.port == nil || watch.port == port.number {
            unsafe watch.capture.add(frame)
        }
        if vlan == 0, port.kind == .machine, isGateway(destination) || destination.isGroup,
            let service = service.withLock({ $0 }), unsafe service.take(frame, port.number)
        {
            return
        }
        if isGateway(destination) {
            if let gateway = state.ports[Self.gatewayPort], port.kind == .machine {
                unsafe send(frame, offload, to: gateway, vlan, &state)
            }
            return
        }
        if !destination.isGroup,
            let number = state.table.port(of: ForwardingTable.Key(vlan: vlan, address: destination))
        {
            guard number != port.number, let target = state.ports[number],
                !(port.settings.isIsolated && target.settings.isIsolated)
            else { return }
            unsafe send(frame, offload, to: target, vlan, &state)
            return
        }
        for target in state.ports.values where target !== port {
            if port.settings.isIsolated, target.settings.isIsolated { continue }
            // The gateway is no machine: what is for an address that nobody has is not for it.
            if target.kind == .gateway, !destination.isGroup { continue }
            unsafe send(frame, offload, to: target, vlan, &state)
        }
    }

    /// Sends a frame out by a port, as far as that may have it and has room.
    func send(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, to port: SwitchPort, _ vlan: UInt16,
        _ state: inout State
    ) {
        let (goesOut, tag) = port.egress(vlan: vlan)
        guard goesOut else { return }
        guard let tag else { return unsafe put(frame, offload, to: port, &state) }
        var (copy, left) = ([UInt8](), offload)
        buffers.withLock { swap(&copy, &$0.tagged) }
        unsafe copy.withUnsafeMutableBytes { bytes in
            guard frame.count + 4 <= bytes.count else { return }
            unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<12]))
            for (index, byte) in [0x81, 0, UInt8(tag >> 8), UInt8(tag & 0xFF)].enumerated() {
                unsafe bytes[12 + index] = byte
            }
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[16...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[12...]))
            if !left.isComplete { left.checksumStart &+= 4 }
            unsafe put(UnsafeRawBufferPointer(rebasing: bytes[..<(frame.count + 4)]), left, to: port, &state)
        }
        buffers.withLock { swap(&copy, &$0.tagged) }
    }

    private func put(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, to port: SwitchPort, _ state: inout State
    ) {
        guard port.inbound?.take(frame.count, now: state.now) != false else { return port.counters.dropped += 1 }
        guard unsafe port.guarding.admits(frame, now: state.now) else { return port.counters.dropped += 1 }
        for watch in state.captures where watch.port == port.number { unsafe watch.capture.add(frame) }
        let isTaken: Bool
        if port.kind == .gateway {
            guard let gateway = state.gateway else { return }
            isTaken = unsafe finishing(frame, offload) { bytes, scratch in
                unsafe gateway.transmit(finishing: bytes, offload, scratch: scratch)
            }
        } else if port.settings.hasHeaders {
            isTaken = unsafe push(frame, offload, to: port, &state)
        } else if offload.isComplete {
            isTaken = unsafe push(frame, FrameOffload.none, to: port, &state)
        } else {
            isTaken = unsafe finishing(frame, offload) { bytes, scratch in
                var all = true
                let isFrame = unsafe FrameFinisher.forEachPacket(bytes, offload, scratch: scratch) {
                    all = unsafe push($0, FrameOffload.none, to: port, &state) && all
                }
                return isFrame && all
            }
        }
        if isTaken {
            port.counters.sent += 1
            port.counters.sentBytes += UInt64(frame.count)
        } else {
            port.counters.dropped += 1
        }
    }

    /// Gives a copy of a frame that may be changed, and room for pieces.
    private func finishing(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload,
        _ body: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) -> Bool
    ) -> Bool {
        var (copy, scratch) = ([UInt8](), [UInt8]())
        buffers.withLock { buffers in
            swap(&copy, &buffers.scratch)
            swap(&scratch, &buffers.tagged)
        }
        // A copy of its own where the frame already lies in one of the two.
        if scratch.isEmpty { scratch = [UInt8](repeating: 0, count: FrameFinisher.mostBytes) }
        if copy.isEmpty { copy = [UInt8](repeating: 0, count: FrameFinisher.mostBytes + 8) }
        defer {
            buffers.withLock { buffers in
                if buffers.scratch.isEmpty { swap(&copy, &buffers.scratch) }
                if buffers.tagged.isEmpty { swap(&scratch, &buffers.tagged) }
            }
        }
        return unsafe copy.withUnsafeMutableBytes { bytes in
            guard frame.count <= bytes.count else { return false }
            unsafe bytes.copyMemory(from: frame)
            return unsafe scratch.withUnsafeMutableBytes {
                unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[..<frame.count]), $0)
            }
        }
    }

    private func push(
        _ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, to port: SwitchPort, _ state: inout State
    ) -> Bool {
        guard port.socket != nil else { return false }
        if !port.isDirty {
            port.isDirty = true
            state.dirty.append(port)
        }
        var isTaken = unsafe store(frame, offload, port)
        if !isTaken, !port.waitsForRoom {
            flush(port)
            isTaken = unsafe store(frame, offload, port)
        }
        return isTaken
    }

    private func store(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, _ port: SwitchPort) -> Bool {
        guard port.settings.hasHeaders else { return unsafe port.outbox.push(nil, frame) }
        var header: (UInt64, UInt32) = (0, 0)
        // SAFETY: the header is on this stack; its first 12 bytes are used.
        return unsafe withUnsafeMutableBytes(of: &header) { bytes in
            let header = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<FrameOffload.headerSize])
            unsafe offload.write(to: header)
            return unsafe port.outbox.push(UnsafeRawBufferPointer(header), frame)
        }
    }

    // MARK: - Frames of the network's own

    /// Gives the machines a frame of the gateway's or of a service's.
    func inject(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload = FrameOffload.none) {
        state.withLock { state in
            state.now = HostClock.monotonic
            guard let gateway = state.ports[Self.gatewayPort] else { return }
            unsafe forward(frame, offload, from: gateway, &state)
            flushAll(&state)
        }
    }

    /// Sends a frame out by one port, inside a service's turn: the lock is held by the caller.
    func reply(_ frame: [UInt8], to number: Int, _ state: inout State) {
        guard let port = state.ports[number] else { return }
        unsafe frame.withUnsafeBytes { unsafe put($0, FrameOffload.none, to: port, &state) }
    }

    /// Forgets addresses that were not seen for long.
    func age() { state.withLock { $0.table.age(now: HostClock.monotonic) } }
}
