/// Does in software what a frame's sender left to do. Pure functions; every length is checked.
public enum FrameFinisher {
    /// The longest segment: 64 KiB, an Ethernet header and tags.
    public static let mostBytes = 65536 + 32
    /// A segment that would fall into smaller pieces than this is no honest one: TCP's least is 536 (RFC 9293, 3.7.1).
    private static let leastPayload = 32

    /// Finishes the checksum. False: the offload does not fit the frame, which must be dropped.
    public static func finishChecksum(
        _ frame: UnsafeMutableRawBufferPointer, _ offload: FrameOffload
    ) -> Bool {
        guard offload.leavesChecksum else { return true }
        let start = Int(offload.checksumStart)
        let place = start + Int(offload.checksumOffset)
        guard start >= 14, place + 2 <= frame.count else { return false }
        // The field holds the pseudo header's sum, which so becomes part of the whole.
        var value = unsafe InternetChecksum.checksum(UnsafeRawBufferPointer(rebasing: frame[start...]))
        // UDP's 0 means that there is none (RFC 768).
        if value == 0, offload.checksumOffset == 6 { value = 0xFFFF }
        unsafe put16(frame, place, value)
        return true
    }

    /// Makes a TCP segment one valid packet of its size. False: it is none.
    public static func finishWhole(_ frame: UnsafeMutableRawBufferPointer, _ offload: FrameOffload) -> Bool {
        if offload.segment != FrameOffload.Segment.none {
            guard let shape = unsafe Shape(UnsafeRawBufferPointer(frame), offload),
                frame.count - shape.network <= 65535
            else { return false }
            if shape.isIPv4 { unsafe setLength4(frame, shape, identification: 0) }
        }
        return unsafe finishChecksum(frame, offload)
    }

    /// Gives the packets of a frame, in order: the frame itself with its checksum, or the pieces of a segment. The
    /// buffer is changed; `scratch` takes each piece. False: the frame is none, and nothing was given.
    public static func forEachPacket(
        _ frame: UnsafeMutableRawBufferPointer, _ offload: FrameOffload, scratch: UnsafeMutableRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        guard offload.segment != FrameOffload.Segment.none else {
            guard unsafe finishChecksum(frame, offload) else { return false }
            unsafe body(UnsafeRawBufferPointer(frame))
            return true
        }
        let size = Int(offload.payload)
        guard let shape = unsafe Shape(UnsafeRawBufferPointer(frame), offload), size >= leastPayload,
            shape.end + size <= scratch.count
        else { return false }
        let total = frame.count - shape.end
        var offset = 0
        var number: UInt16 = 0
        repeat {
            let count = min(size, total - offset)
            let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<(shape.end + count)])
            // SAFETY: header and payload lie inside the frame, and the piece has room for both.
            unsafe piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<shape.end]))
            unsafe UnsafeMutableRawBufferPointer(rebasing: piece[shape.end...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[(shape.end + offset)..<(shape.end + offset + count)]))
            unsafe finishPiece(piece, shape, offset: offset, number: number, isLast: offset + count == total)
            unsafe body(UnsafeRawBufferPointer(piece))
            offset += count
            number &+= 1
        } while offset < total
        return true
    }

    /// Where the headers of a TCP segment are.
    private struct Shape {
        let network: Int
        let transport: Int
        let end: Int
        let isIPv4: Bool

        init?(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) {
            let kind = offload.segment & ~FrameOffload.Segment.ecn
            guard offload.leavesChecksum, offload.checksumOffset == 16,
                kind == FrameOffload.Segment.tcp4 || kind == FrameOffload.Segment.tcp6
            else { return nil }
            isIPv4 = kind == FrameOffload.Segment.tcp4
            var place = 12
            var tags = 0
            while tags < 2, place + 4 <= frame.count, unsafe FrameFinisher.get16(frame, place) == 0x8100 {
                place += 4
                tags += 1
            }
            network = place + 2
            transport = Int(offload.checksumStart)
            guard place + 2 <= frame.count, transport + 20 <= frame.count,
                unsafe FrameFinisher.get16(frame, place) == (isIPv4 ? 0x0800 : 0x86DD),
                transport >= network + (isIPv4 ? 20 : 40)
            else { return nil }
            if isIPv4 {
                let words = unsafe Int(frame[network] & 15)
                guard unsafe frame[network] >> 4 == 4, network + words * 4 == transport,
                    unsafe frame[network + 9] == 6
                else { return nil }
            } else {
                guard unsafe frame[network] >> 4 == 6 else { return nil }
            }
            let words = unsafe Int(frame[transport + 12] >> 4)
            end = transport + words * 4
            guard words >= 5, end <= frame.count else { return nil }
        }
    }

    private static func finishPiece(
        _ piece: UnsafeMutableRawBufferPointer, _ shape: Shape, offset: Int, number: UInt16, isLast: Bool
    ) {
        if shape.isIPv4 {
            unsafe setLength4(piece, shape, identification: number)
        } else {
            unsafe put16(piece, shape.network + 4, UInt16(truncatingIfNeeded: piece.count - shape.network - 40))
        }
        let bytes = UnsafeRawBufferPointer(piece)
        let sequence =
            unsafe UInt32(get16(bytes, shape.transport + 4)) << 16 | UInt32(get16(bytes, shape.transport + 6))
        let moved = sequence &+ UInt32(truncatingIfNeeded: offset)
        unsafe put16(piece, shape.transport + 4, UInt16(moved >> 16))
        unsafe put16(piece, shape.transport + 6, UInt16(moved & 0xFFFF))
        // FIN and PSH belong to the last piece, CWR to the first.
        if !isLast { unsafe piece[shape.transport + 13] &= ~0x09 }
        if offset > 0 { unsafe piece[shape.transport + 13] &= ~0x80 }
        unsafe put16(piece, shape.transport + 16, 0)
        let addresses = shape.isIPv4 ? shape.network + 12..<shape.network + 20 : shape.network + 8..<shape.network + 40
        let pseudo =
            unsafe InternetChecksum.sum(UnsafeRawBufferPointer(rebasing: piece[addresses])) + 6
            + UInt32(piece.count - shape.transport)
        let value = unsafe InternetChecksum.checksum(
            UnsafeRawBufferPointer(rebasing: piece[shape.transport...]), initial: pseudo)
        unsafe put16(piece, shape.transport + 16, value)
    }

    private static func setLength4(
        _ frame: UnsafeMutableRawBufferPointer, _ shape: Shape, identification: UInt16
    ) {
        unsafe put16(frame, shape.network + 2, UInt16(truncatingIfNeeded: frame.count - shape.network))
        let first = unsafe get16(UnsafeRawBufferPointer(frame), shape.network + 4)
        unsafe put16(frame, shape.network + 4, first &+ identification)
        unsafe put16(frame, shape.network + 10, 0)
        let value = unsafe InternetChecksum.checksum(
            UnsafeRawBufferPointer(rebasing: frame[shape.network..<shape.transport]))
        unsafe put16(frame, shape.network + 10, value)
    }

    private static func get16(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt16 {
        unsafe UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
    }
    private static func put16(_ bytes: UnsafeMutableRawBufferPointer, _ place: Int, _ value: UInt16) {
        unsafe bytes[place] = UInt8(value >> 8)
        unsafe bytes[place + 1] = UInt8(value & 0xFF)
    }
}
