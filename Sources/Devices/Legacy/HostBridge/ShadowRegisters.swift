/// A host bridge's seven registers of programmable attributes (PAM), which say who answers from 0xC0000 to 0xFFFFF. A pure
/// value. Intel 290549 (82441FX), 3.2.18.
struct ShadowRegisters: Equatable {
    /// A run of addresses at which RAM answers.
    struct Range: Equatable {
        var start: UInt64
        var end: UInt64
        /// Whether writes reach it; else they are lost.
        var writable: Bool
    }
    static let pamCount = 7

    private static let readable: UInt8 = 1
    private static let writable: UInt8 = 2

    var pam = [UInt8](repeating: 0, count: ShadowRegisters.pamCount)

    /// Where RAM answers, in ascending order; elsewhere in the MiB's upper part ROM or the bus does. A segment that
    /// takes writes but answers no reads is the bus's in both, as no view of memory can tell the two apart.
    var ranges: [Range] {
        var result: [Range] = []
        func add(_ start: UInt64, _ count: UInt64, _ attributes: UInt8) {
            guard attributes & Self.readable != 0 else { return }
            let writable = attributes & Self.writable != 0
            if let last = result.last, last.end == start, last.writable == writable {
                result[result.count - 1].end = start + count
            } else {
                result.append(Range(start: start, end: start + count, writable: writable))
            }
        }
        for segment in 0..<12 {
            let attributes = pam[1 + segment / 2] >> UInt8(segment % 2 * 4)
            add(0xC_0000 + UInt64(segment) * 0x4000, 0x4000, attributes & 3)
        }
        add(0xF_0000, 0x1_0000, pam[0] >> 4 & 3)
        return result
    }
}
