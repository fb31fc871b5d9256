/// What the sender of a frame has left for others to do: finish a checksum, cut a segment. virtio 1.2, 5.1.6
/// (`struct virtio_net_hdr`), which taps speak too.
public struct FrameOffload: Sendable, Equatable {
    /// Kinds of segments (`gso_type`).
    public enum Segment {
        /// None: the frame is one packet.
        public static let none: UInt8 = 0
        /// TCP over IPv4.
        public static let tcp4: UInt8 = 1
        /// TCP over IPv6.
        public static let tcp6: UInt8 = 4
        /// Added to a TCP kind: the segment has congestion marks.
        public static let ecn: UInt8 = 0x80
    }
    /// Bytes of the header as taps and drivers since virtio 1.0 have it.
    public static let headerSize = 12
    private static let needsChecksum: UInt8 = 1
    private static let isValid: UInt8 = 2

    /// Flags as in the header: 1 a checksum is to be finished, 2 checksums were verified.
    public var flags: UInt8 = 0
    /// The kind of segment.
    public var segment: UInt8 = 0
    /// Bytes of headers, as a hint.
    public var headers: UInt16 = 0
    /// Bytes of payload in each packet of a segment.
    public var payload: UInt16 = 0
    /// Where the checksummed bytes begin.
    public var checksumStart: UInt16 = 0
    /// Where, after their begin, the checksum goes.
    public var checksumOffset: UInt16 = 0

    /// Nothing is left to do.
    public static let none = FrameOffload()
    /// Nothing is left to do, and the checksums need not be looked at.
    public static let verified = FrameOffload(flags: isValid)

    /// Nothing is left to do.
    public init() {}
    private init(flags: UInt8) { self.flags = flags }

    /// Reads the little-endian header of 10 bytes or more; nil of fewer.
    public init?(_ header: UnsafeRawBufferPointer) {
        guard header.count >= 10 else { return nil }
        // SAFETY: callers hand over a whole virtio header of 10 or 12 bytes.
        func word(_ place: Int) -> UInt16 { unsafe UInt16(header[place]) | UInt16(header[place + 1]) << 8 }
        flags = unsafe header[0]
        segment = unsafe header[1]
        headers = word(2)
        payload = word(4)
        checksumStart = word(6)
        checksumOffset = word(8)
    }

    /// Writes the header of 10 bytes, and zeroes behind it as far as there is room.
    public func write(to header: UnsafeMutableRawBufferPointer) {
        guard header.count >= 10 else { return }
        let bytes: [5 of UInt16] = [UInt16(flags) | UInt16(segment) << 8, headers, payload, checksumStart, checksumOffset]
        for index in 0..<5 {
            unsafe header[index * 2] = UInt8(truncatingIfNeeded: bytes[index])
            unsafe header[index * 2 + 1] = UInt8(truncatingIfNeeded: bytes[index] >> 8)
        }
        for index in 10..<header.count { unsafe header[index] = 0 }
    }

    /// Whether the frame is complete as it is.
    public var isComplete: Bool { flags & FrameOffload.needsChecksum == 0 && segment == Segment.none }
    /// Whether a checksum is to be finished.
    public var leavesChecksum: Bool { flags & FrameOffload.needsChecksum != 0 }

    /// What whoever takes the frame as it is must be able to do.
    public var needed: FrameOffloads {
        var result = leavesChecksum ? FrameOffloads.checksum : []
        switch segment & ~Segment.ecn {
        case Segment.none: break
        case Segment.tcp4: result.insert(FrameOffloads.tcp4)
        case Segment.tcp6: result.insert(FrameOffloads.tcp6)
        default: result.insert(FrameOffloads.other)
        }
        if segment & Segment.ecn != 0 { result.insert(FrameOffloads.ecn) }
        return result
    }
}

/// What may be left to do in frames for somebody.
public struct FrameOffloads: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Finishing a checksum.
    public static let checksum = FrameOffloads(rawValue: 1)
    /// Cutting a TCP segment over IPv4.
    public static let tcp4 = FrameOffloads(rawValue: 2)
    /// Cutting a TCP segment over IPv6.
    public static let tcp6 = FrameOffloads(rawValue: 4)
    /// Segments with congestion marks.
    public static let ecn = FrameOffloads(rawValue: 8)
    /// Anything else: nobody here does it.
    public static let other = FrameOffloads(rawValue: 16)
    /// TCP segments larger than the MTU are taken whole, with their checksums: nothing is left to cut.
    public static let wholeSegments = FrameOffloads(rawValue: 32)
    /// All that has a header's bits.
    public static let all: FrameOffloads = FrameOffloads(rawValue: 15)
}
