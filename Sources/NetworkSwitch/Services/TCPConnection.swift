internal import Network

/// A segment of TCP (RFC 9293, 3.1), as much as a server of short questions needs.
struct TCPSegment: Equatable {
    enum Flag {
        static let fin: UInt8 = 1
        static let syn: UInt8 = 2
        static let reset: UInt8 = 4
        static let push: UInt8 = 8
        static let ack: UInt8 = 16
    }
    var fromPort: UInt16 = 0
    var toPort: UInt16 = 0
    var sequence: UInt32 = 0
    var acknowledged: UInt32 = 0
    var flags: UInt8 = 0
    var window: UInt16 = 32768
    /// The longest segment that the sender takes, where it says so.
    var longest: UInt16?
    var payload: [UInt8] = []

    init() {}

    /// Reads the payload of an IP packet. Its checksum is the sender's network's business: a guest may leave it open.
    init?(_ bytes: ArraySlice<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count >= 20 else { return nil }
        let header = Int(bytes[12] >> 4) * 4
        guard header >= 20, header <= bytes.count else { return nil }
        func word(_ place: Int) -> UInt16 { UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1]) }
        (fromPort, toPort) = (word(0), word(2))
        sequence = UInt32(word(4)) << 16 | UInt32(word(6))
        acknowledged = UInt32(word(8)) << 16 | UInt32(word(10))
        flags = bytes[13]
        window = word(14)
        var place = 20
        while place < header, bytes[place] != 0 {
            if bytes[place] == 1 {
                place += 1
                continue
            }
            guard place + 1 < header, bytes[place + 1] >= 2, place + Int(bytes[place + 1]) <= header else { break }
            if bytes[place] == 2, bytes[place + 1] == 4 { longest = word(place + 2) }
            place += Int(bytes[place + 1])
        }
        payload = Array(bytes[header...])
    }

    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }

    /// The segment without its checksum, which is to be at `checksumPlace`.
    var bytes: [UInt8] {
        func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
        func long(_ value: UInt32) -> [UInt8] { IPv4Address(rawValue: value).bytes }
        let options = longest.map { [2, 4] + word($0) } ?? []
        var result = word(fromPort) + word(toPort) + long(sequence) + long(acknowledged)
        result += [UInt8((20 + options.count) / 4) << 4, flags] + word(window) + [0, 0, 0, 0] + options + payload
        return result
    }
    static let checksumPlace = 16

    /// The segment with its checksum, between two addresses of IPv4.
    func bytes(from: IPv4Address, to: IPv4Address) -> [UInt8] {
        var result = bytes
        let (count, place) = (result.count, Self.checksumPlace)
        let pseudo = from.bytes + to.bytes + [0, 6, UInt8(count >> 8 & 255), UInt8(count & 255)]
        // SAFETY: the arrays live for the calls, which only read them.
        let sum = unsafe pseudo.withUnsafeBytes { unsafe InternetChecksum.sum($0) }
        let value = unsafe result.withUnsafeBytes { unsafe InternetChecksum.checksum($0, initial: sum) }
        result.replaceSubrange(place..<place + 2, with: [UInt8(value >> 8), UInt8(value & 255)])
        return result
    }
}

/// The server's end of a connection that carries messages behind their lengths of two bytes (DNS, RFC 1035, 4.2.2).
/// A pure value: segments in, segments and messages out. Bounded, whatever the peer sends.
struct TCPConnection {
    /// Bytes of questions that may wait.
    private static let inputLimit = 8192
    /// Bytes of answers that may wait.
    private static let outputLimit = 1 << 18
    /// Bytes on their way at most.
    private static let flight: UInt32 = 16384
    private static let retryLimit = 8

    private var receiveNext: UInt32
    private var sentUnacknowledged: UInt32
    private var sendNext: UInt32
    private var window: UInt32
    private var longest: Int
    private var isOpen = false
    private var input: [UInt8] = []
    /// From the first byte that is not acknowledged.
    private var output: [UInt8] = []
    private var peerEnded = false
    private var hasEnded = false
    private var retries = 0
    /// Questions without an answer yet.
    private(set) var pending = 0
    private(set) var isDone = false
    /// Segments to send, without ports.
    private(set) var segments: [TCPSegment] = []

    /// A connection that a segment with SYN asks for. `start`: the first number of this side's.
    init(_ opening: TCPSegment, start: UInt32) {
        receiveNext = opening.sequence &+ 1
        sentUnacknowledged = start
        sendNext = start &+ 1
        window = UInt32(opening.window)
        longest = min(max(Int(opening.longest ?? 536), 64), 1400)
        greet()
    }

    private mutating func greet() {
        var segment = TCPSegment()
        segment.flags = TCPSegment.Flag.syn | TCPSegment.Flag.ack
        segment.longest = 1400
        (segment.sequence, segment.acknowledged) = (sentUnacknowledged, receiveNext)
        segments.append(segment)
    }

    /// The segments to send, which are then forgotten.
    mutating func takeSegments() -> [TCPSegment] {
        defer { segments = [] }
        return segments
    }

    /// Takes a segment; the whole messages that are there then.
    mutating func receive(_ segment: TCPSegment) -> [[UInt8]] {
        guard !isDone else { return [] }
        if segment.has(TCPSegment.Flag.reset) {
            isDone = true
            return []
        }
        if segment.has(TCPSegment.Flag.syn) {
            if !isOpen { greet() }
            return []
        }
        if segment.has(TCPSegment.Flag.ack) { acknowledge(segment) }
        guard isOpen else { return [] }
        var isOwed = !segment.payload.isEmpty
        if segment.sequence == receiveNext, input.count + segment.payload.count <= Self.inputLimit, !peerEnded {
            input += segment.payload
            receiveNext &+= UInt32(segment.payload.count)
            if segment.has(TCPSegment.Flag.fin) {
                receiveNext &+= 1
                peerEnded = true
                isOwed = true
            }
        } else if segment.has(TCPSegment.Flag.fin) {
            isOwed = true
        }
        var messages: [[UInt8]] = []
        while input.count >= 2 {
            let count = Int(input[0]) << 8 | Int(input[1])
            guard count <= Self.inputLimit - 2 else {
                isDone = true
                emit([], TCPSegment.Flag.reset)
                return messages
            }
            guard input.count >= 2 + count else { break }
            messages.append(Array(input[2..<2 + count]))
            input.removeFirst(2 + count)
        }
        pending += messages.count
        let before = segments.count
        pump()
        if isOwed, segments.count == before { emit([], TCPSegment.Flag.ack) }
        return messages
    }

    private mutating func acknowledge(_ segment: TCPSegment) {
        window = UInt32(segment.window)
        let count = segment.acknowledged &- sentUnacknowledged
        guard count > 0, count <= sendNext &- sentUnacknowledged else { return }
        retries = 0
        sentUnacknowledged = segment.acknowledged
        guard isOpen else {
            isOpen = true
            return
        }
        let bytes = min(Int(count), output.count)
        output.removeFirst(bytes)
        if hasEnded, Int(count) > bytes { isDone = true }
    }

    /// Sends an answer.
    mutating func answer(_ message: [UInt8]) {
        pending = max(0, pending - 1)
        guard message.count <= 65535, output.count + message.count + 2 <= Self.outputLimit, !hasEnded else { return }
        output += [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
        pump()
    }

    private mutating func emit(_ payload: [UInt8], _ flags: UInt8) {
        var segment = TCPSegment()
        (segment.sequence, segment.acknowledged) = (sendNext, receiveNext)
        (segment.flags, segment.payload) = (flags | TCPSegment.Flag.ack, payload)
        segments.append(segment)
    }

    private mutating func pump() {
        guard isOpen, !hasEnded else { return }
        while true {
            let sent = sendNext &- sentUnacknowledged
            let rest = output.count - Int(sent)
            let room = Int(min(window, Self.flight)) - Int(sent)
            guard rest > 0, room > 0 else { break }
            let count = min(rest, room, longest)
            emit(Array(output[Int(sent)..<Int(sent) + count]), TCPSegment.Flag.push)
            sendNext &+= UInt32(count)
        }
        if peerEnded, pending == 0, Int(sendNext &- sentUnacknowledged) == output.count {
            emit([], TCPSegment.Flag.fin)
            sendNext &+= 1
            hasEnded = true
        }
    }

    /// Some time has gone by: what nobody has acknowledged goes again, and at last not any more.
    mutating func retry() {
        guard sendNext != sentUnacknowledged else { return }
        retries += 1
        guard retries <= Self.retryLimit else {
            isDone = true
            return
        }
        guard isOpen else { return greet() }
        sendNext = sentUnacknowledged
        hasEnded = false
        pump()
    }
}
