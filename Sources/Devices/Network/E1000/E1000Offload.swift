/// Where checksums go and how a long packet is cut: the contents of a context descriptor. SDM 3.3.6.
struct E1000Context: Equatable {
    var ipStart = 0
    var ipOffset = 0
    /// The last byte of the sum; 0 for all.
    var ipEnd = 0
    var transportStart = 0
    var transportOffset = 0
    var transportEnd = 0
    var headerLength = 0
    var segmentSize = 0
    var isTCP = false
    var isIPv4 = false

    init() {}

    /// From the descriptor's two words.
    init(_ first: UInt64, _ second: UInt64) {
        func byte(_ word: UInt64, _ shift: UInt64) -> Int { Int(word >> shift & 0xFF) }
        ipStart = byte(first, 0)
        ipOffset = byte(first, 8)
        ipEnd = Int(first >> 16 & 0xFFFF)
        transportStart = byte(first, 32)
        transportOffset = byte(first, 40)
        transportEnd = Int(first >> 48)
        headerLength = byte(second, 40)
        segmentSize = Int(second >> 48)
        isTCP = second >> 24 & 1 != 0
        isIPv4 = second >> 25 & 1 != 0
    }
}

/// What is done to a packet on its way out: sums and cuts, of packets that are as malformed as the guest makes them.
enum E1000Offload {
    /// The most segments of one packet; what is left of a packet that would make more is dropped.
    static let mostSegments = 4096

    /// The Internet checksum (RFC 1071) of bytes from `start` up to `end`, or to the last where that is 0, put in at
    /// `place`. Nothing happens where the place or the start is outside.
    static func insertChecksum(_ packet: inout [UInt8], start: Int, end: Int, place: Int) {
        let count = end > 0 && end < packet.count ? end + 1 : packet.count
        guard place + 1 < packet.count, start < count else { return }
        var sum: UInt64 = 0
        var index = start
        while index + 1 < count {
            sum &+= UInt64(packet[index]) << 8 | UInt64(packet[index + 1])
            index += 2
        }
        if index < count { sum &+= UInt64(packet[index]) << 8 }
        store16(&packet, place, Int(~fold(sum) & 0xFFFF))
    }

    private static func fold(_ sum: UInt64) -> UInt64 {
        var sum = sum
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return sum
    }
    private static func store16(_ packet: inout [UInt8], _ place: Int, _ value: Int) {
        guard place >= 0, place + 1 < packet.count else { return }
        packet[place] = UInt8(truncatingIfNeeded: value >> 8)
        packet[place + 1] = UInt8(truncatingIfNeeded: value)
    }
    private static func load16(_ packet: [UInt8], _ place: Int) -> Int {
        guard place >= 0, place + 1 < packet.count else { return 0 }
        return Int(packet[place]) << 8 | Int(packet[place + 1])
    }

    /// Puts in the sums that the options of a data descriptor ask for.
    static func insertChecksums(_ packet: inout [UInt8], _ context: E1000Context, ip: Bool, transport: Bool) {
        if ip {
            insertChecksum(&packet, start: context.ipStart, end: context.ipEnd, place: context.ipOffset)
        }
        if transport {
            insertChecksum(
                &packet, start: context.transportStart, end: context.transportEnd, place: context.transportOffset)
        }
    }

    /// Cuts a packet into segments with a header each. SDM 3.5: lengths, identification and sequence numbers go on,
    /// FIN and PSH are the last one's.
    static func segment(
        _ packet: [UInt8], _ context: E1000Context, ip: Bool, transport: Bool, emit: (inout [UInt8]) -> Void
    ) {
        let header = context.headerLength
        let size = context.segmentSize
        guard size > 0, header >= 14, header < packet.count else { return }
        let identification = load16(packet, context.ipStart + 4)
        let sequence =
            load16(packet, context.transportStart + 4) << 16 | load16(packet, context.transportStart + 6)
        let pseudo = load16(packet, context.transportOffset)
        var frame: [UInt8] = []
        var position = header
        var index = 0
        while position < packet.count, index < mostSegments {
            let count = min(size, packet.count - position)
            frame.removeAll(keepingCapacity: true)
            frame.append(contentsOf: packet[..<header])
            frame.append(contentsOf: packet[position..<position + count])
            if context.isIPv4 {
                store16(&frame, context.ipStart + 2, frame.count - context.ipStart)
                store16(&frame, context.ipStart + 4, identification + index)
            } else {
                store16(&frame, context.ipStart + 4, frame.count - context.ipStart - 40)
            }
            let transportLength = max(frame.count - context.transportStart, 0)
            if context.isTCP {
                let number = sequence + (position - header)
                store16(&frame, context.transportStart + 4, number >> 16)
                store16(&frame, context.transportStart + 6, number)
                let flags = context.transportStart + 13
                if position + count < packet.count, flags < frame.count { frame[flags] &= ~0x09 }
            } else {
                store16(&frame, context.transportStart + 4, transportLength)
            }
            if transport {
                // The driver's sum of the pseudo header has no length: each segment has its own.
                store16(&frame, context.transportOffset, Int(fold(UInt64(pseudo + transportLength))))
            }
            insertChecksums(&frame, context, ip: ip, transport: transport)
            emit(&frame)
            position += count
            index += 1
        }
    }
}
