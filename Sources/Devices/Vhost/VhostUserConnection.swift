internal import HostOS

/// A connection to a back-end: messages with descriptors one way, their replies the other. Calls wait, but no longer than
/// the connection's patience in all; one thread at a time. After an error it is of no use.
struct VhostUserConnection: Sendable {
    let socket: Descriptor
    /// Milliseconds that an answer may take.
    let patience: Int32
    /// Whether every message may ask for an answer (REPLY_ACK).
    var acknowledges = false

    init(_ socket: Descriptor, patience: Int32) {
        self.socket = socket
        self.patience = patience
    }

    // MARK: Requests

    /// Sends a message; where the back-end can say whether it did as it was told, that is waited for.
    func tell(
        _ request: VhostUserRequest, _ body: [UInt8] = [], passing: [Descriptor] = []
    ) throws(VhostError) {
        try send(VhostUserHeader(request, count: body.count, wantsReply: acknowledges), body, passing)
        guard acknowledges else { return }
        let answer = try receive(replyTo: request, counts: 8...8)
        let code: UInt64 = VhostUserBytes.integer(answer[...], at: 0)
        guard code == 0 else { throw .refused(request: request.name, code) }
    }

    /// Sends a message that has an answer of its own.
    func ask(
        _ request: VhostUserRequest, _ body: [UInt8] = [], counts: ClosedRange<Int>
    ) throws(VhostError) -> [UInt8] {
        try send(VhostUserHeader(request, count: body.count, wantsReply: false), body, [])
        return try receive(replyTo: request, counts: counts)
    }

    /// A request whose answer is a number.
    func number(_ request: VhostUserRequest) throws(VhostError) -> UInt64 {
        VhostUserBytes.integer(try ask(request, counts: 8...8)[...], at: 0)
    }

    /// What came without having been asked for: nil for nothing. A back-end never speaks first on this socket.
    func unexpected() -> VhostError? {
        var byte: UInt8 = 0
        // SAFETY: one byte on this stack. Descriptors that come with it are closed.
        switch unsafe withUnsafeMutableBytes(of: &byte, { unsafe Socket.receive(socket, into: $0).0 }) {
        case .wouldBlock: return nil
        case .moved: return .badReply(request: "nothing", "was not asked for")
        case .end, .failed: return .disconnected
        }
    }

    // MARK: Bytes

    private func send(
        _ header: VhostUserHeader, _ body: [UInt8], _ passing: [Descriptor]
    ) throws(VhostError) {
        let bytes = header.bytes + body
        var sent = 0
        let deadline = HostClock.monotonic &+ UInt64(patience) * 1_000_000
        while sent < bytes.count {
            switch Socket.send(socket, bytes[sent...], passing: sent == 0 ? passing : []) {
            case .moved(let count): sent += count
            case .wouldBlock:
                let left = Self.milliseconds(until: deadline)
                guard left > 0 else { throw .silent(request: Self.name(header.request)) }
                _ = socket.wait(for: [.write], milliseconds: left)
            case .end, .failed: throw .disconnected
            }
        }
    }

    private func receive(
        replyTo request: VhostUserRequest, counts: ClosedRange<Int>
    ) throws(VhostError) -> [UInt8] {
        let deadline = HostClock.monotonic &+ UInt64(patience) * 1_000_000
        let header = VhostUserHeader(try receive(VhostUserHeader.size, request, deadline)[...])
        guard header.isSound, header.isReply else {
            throw .badReply(request: request.name, "is no reply (flags 0x\(String(header.flags, radix: 16)))")
        }
        guard header.request == request.rawValue else {
            throw .badReply(request: request.name, "is one to request \(header.request)")
        }
        guard counts.contains(header.count) else {
            throw .badReply(request: request.name, "has \(header.count) bytes")
        }
        return try receive(header.count, request, deadline)
    }

    /// Just so many bytes; descriptors that come with them are nobody's, and closed.
    private func receive(
        _ count: Int, _ request: VhostUserRequest, _ deadline: UInt64
    ) throws(VhostError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            // SAFETY: the buffer is the array's rest.
            let moved = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Socket.receive(socket, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...])).0
            }
            switch moved {
            case .moved(let more): done += more
            case .wouldBlock:
                let left = Self.milliseconds(until: deadline)
                guard left > 0 else { throw .silent(request: request.name) }
                _ = socket.wait(for: [.read], milliseconds: left)
            case .end, .failed: throw .disconnected
            }
        }
        return bytes
    }

    private static func milliseconds(until deadline: UInt64) -> Int32 {
        let now = HostClock.monotonic
        return now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
    }
    private static func name(_ request: UInt32) -> String {
        VhostUserRequest(rawValue: request)?.name ?? "request \(request)"
    }
}
