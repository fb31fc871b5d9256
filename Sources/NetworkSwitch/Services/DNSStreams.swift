internal import HostOS
internal import Network
internal import Synchronization

/// Questions for names over TCP (RFC 7766) that machines send to the gateway of our own switch. On the loop's thread.
final class DNSStreams: Sendable {
    /// Connections at most, and of one port.
    private static let limit = 128
    private static let portLimit = 16
    /// Nanoseconds after which a silent connection is forgotten, and between two looks.
    private static let patience: UInt64 = 10_000_000_000
    private static let pause: UInt64 = 500_000_000

    /// Where a packet to the gateway came from, and where it went to.
    struct Way: Hashable {
        /// Addresses of one family of the Internet.
        enum Ends: Hashable {
            case four(machine: IPv4Address, gateway: IPv4Address)
            case six(machine: [UInt8], gateway: [UInt8])
        }
        /// The switch's port.
        let port: Int
        let machine: HardwareAddress
        let gateway: HardwareAddress
        let ends: Ends
    }
    private struct Key: Hashable {
        let way: Way
        let number: UInt16
    }
    private struct Entry {
        var connection: TCPConnection
        var seen: UInt64
    }
    private struct State {
        var entries: [Key: Entry] = [:]
        var timer: EventTimer?
    }
    /// Asks a question and gives the answer, on the loop's thread.
    typealias Ask = @Sendable ([UInt8], @escaping @Sendable ([UInt8]) -> Void) -> Void

    private let loop: EventLoop
    private let ask: Ask
    private let reply: NetworkServices.Reply
    private let state = Mutex(State())

    init(loop: EventLoop, ask: @escaping Ask, reply: @escaping NetworkServices.Reply) {
        self.loop = loop
        self.ask = ask
        self.reply = reply
    }

    /// Takes the payload of a packet to the gateway.
    func take(_ payload: ArraySlice<UInt8>, _ way: Way) {
        guard let segment = TCPSegment(payload), segment.toPort == 53 else { return }
        let key = Key(way: way, number: segment.fromPort)
        let now = HostClock.monotonic
        let (messages, isKnown) = state.withLock { state -> ([[UInt8]], Bool) in
            if state.entries[key] == nil {
                guard segment.has(TCPSegment.Flag.syn), !segment.has(TCPSegment.Flag.ack),
                    state.entries.count < Self.limit,
                    state.entries.keys.count(where: { $0.way.port == way.port }) < Self.portLimit
                else { return ([], false) }
                state.entries[key] = Entry(
                    connection: TCPConnection(segment, start: UInt32.random(in: 0...UInt32.max)), seen: now)
                if state.entries.count == 1 { arm(&state) }
                return ([], true)
            }
            state.entries[key]?.seen = now
            return (state.entries[key]?.connection.receive(segment) ?? [], true)
        }
        guard isKnown else {
            // Nobody is there (RFC 9293, 3.10.7.1).
            if !segment.has(TCPSegment.Flag.reset) { refuse(segment, key) }
            return
        }
        send(key)
        for message in messages {
            ask(message) { [weak self] answer in
                self?.state.withLock { $0.entries[key]?.connection.answer(answer) }
                self?.send(key)
            }
        }
    }

    private func send(_ key: Key) {
        let segments = state.withLock { state -> [TCPSegment] in
            let segments = state.entries[key]?.connection.takeSegments() ?? []
            if state.entries[key]?.connection.isDone == true { state.entries[key] = nil }
            return segments
        }
        for segment in segments { send(segment, key) }
    }

    private func send(_ given: TCPSegment, _ key: Key) {
        var segment = given
        (segment.fromPort, segment.toPort) = (53, key.number)
        let way = key.way
        switch way.ends {
        case .four(let machine, let gateway):
            reply(
                IPv4Frame.bytes(
                    source: way.gateway, destination: way.machine, from: gateway, to: machine, proto: 6,
                    payload: segment.bytes(from: gateway, to: machine)), way.port)
        case .six(let machine, let gateway):
            reply(
                IPv6Frame.bytes(
                    source: way.gateway, destination: way.machine, from: IPv6Address(bytes: gateway),
                    to: IPv6Address(bytes: machine), proto: 6, payload: segment.bytes,
                    checksumAt: TCPSegment.checksumPlace), way.port)
        }
    }

    private func refuse(_ segment: TCPSegment, _ key: Key) {
        var answer = TCPSegment()
        answer.flags = TCPSegment.Flag.reset | TCPSegment.Flag.ack
        answer.sequence = segment.acknowledged
        let length = UInt32(segment.payload.count) + (segment.has(TCPSegment.Flag.syn) ? 1 : 0)
        answer.acknowledged = segment.sequence &+ length
        send(answer, key)
    }

    /// Looks after the connections as long as there are some.
    private func arm(_ state: inout State) {
        let timer = state.timer ?? loop.makeTimer { [weak self] in self?.look() }
        state.timer = timer
        timer.arm(after: Self.pause)
    }

    private func look() {
        let now = HostClock.monotonic
        let keys = state.withLock { state -> [Key] in
            state.entries = state.entries.filter { now &- $0.value.seen < Self.patience }
            for key in Array(state.entries.keys) { state.entries[key]?.connection.retry() }
            if !state.entries.isEmpty { arm(&state) }
            return Array(state.entries.keys)
        }
        for key in keys { send(key) }
    }
}
