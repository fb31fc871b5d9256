/// Tells flows apart, so that frames of one flow keep their order in one queue.
public enum FlowHash {
    /// A number that is the same for all frames of a flow in one direction: of addresses and, for TCP and UDP without
    /// fragments, ports. 0 for what is no IP.
    public static func of(_ frame: UnsafeRawBufferPointer) -> UInt32 {
        guard frame.count >= 34 else { return 0 }
        // SAFETY: each place is compared with the frame's count before it is read.
        let type = unsafe UInt16(frame[12]) << 8 | UInt16(frame[13])
        var (first, last, kind, ports): (Int, Int, UInt8, Int)
        if type == 0x0800 {
            let header = unsafe Int(frame[14] & 15) * 4
            let isWhole = unsafe frame[20] & 0x3F == 0 && frame[21] == 0
            (first, last, kind, ports) = unsafe (26, 34, isWhole ? frame[23] : 0, 14 + header)
        } else if type == 0x86DD, frame.count >= 54 {
            (first, last, kind, ports) = unsafe (22, 54, frame[20], 54)
        } else {
            return 0
        }
        // FNV-1a.
        var hash: UInt32 = 0x811C_9DC5
        for place in first..<last { hash = unsafe (hash ^ UInt32(frame[place])) &* 0x0100_0193 }
        if kind == 6 || kind == 17, ports >= last, ports + 4 <= frame.count {
            for place in ports..<ports + 4 { hash = unsafe (hash ^ UInt32(frame[place])) &* 0x0100_0193 }
        }
        return hash ^ hash >> 16
    }
}
