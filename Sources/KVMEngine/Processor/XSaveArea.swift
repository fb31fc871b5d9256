internal import CEngine

/// The standard XSAVE image of one processor (Intel SDM volume 1, 13.4), as KVM_GET_XSAVE gives it.
struct XSaveArea {
    var bytes: [UInt8]
    /// Where KVM keeps protection keys; nil where it has none.
    let pkruOffset: Int?
    /// XCR0 bits that KVM saves.
    let components: UInt64

    private static let xmm = 160
    private static let header = 512
    private static let upperHalves = 576

    /// Takes what the neutral state has out of the image.
    func copy(to state: inout apus_x86_state) {
        let bytes = self.bytes
        unsafe withUnsafeMutableBytes(of: &state.fx) { fx in
            for index in 0..<160 { unsafe fx[index] = bytes[index] }
        }
        let hasUpper = components & 4 != 0
        // SAFETY: 16 registers of 32 bytes are 512, as the field has.
        unsafe withUnsafeMutableBytes(of: &state.ymm) { ymm in
            for register in 0..<16 {
                for index in 0..<16 {
                    unsafe ymm[register * 32 + index] = bytes[Self.xmm + register * 16 + index]
                    unsafe ymm[register * 32 + 16 + index] =
                        hasUpper ? bytes[Self.upperHalves + register * 16 + index] : 0
                }
            }
        }
        if let pkruOffset, pkruOffset + 4 <= bytes.count { state.pkru = bytes.get(pkruOffset, as: UInt32.self) }
    }

    /// Puts the neutral state into the image.
    mutating func set(_ state: apus_x86_state) {
        var state = state
        var bytes = self.bytes
        let hasUpper = components & 4 != 0
        // The mask of MXCSR is the host's.
        let mask = bytes[28..<32]
        unsafe withUnsafeBytes(of: &state.fx) { fx in
            for index in 0..<160 { unsafe bytes[index] = fx[index] }
        }
        bytes.replaceSubrange(28..<32, with: mask)
        // SAFETY: as above.
        unsafe withUnsafeBytes(of: &state.ymm) { ymm in
            for register in 0..<16 {
                for index in 0..<16 {
                    bytes[Self.xmm + register * 16 + index] = unsafe ymm[register * 32 + index]
                    if hasUpper {
                        bytes[Self.upperHalves + register * 16 + index] = unsafe ymm[register * 32 + 16 + index]
                    }
                }
            }
        }
        var present = bytes.get(Self.header, as: UInt64.self) | 3 | components & 4
        if let pkruOffset, pkruOffset + 4 <= bytes.count {
            bytes.put(state.pkru, at: pkruOffset)
            present |= 1 << 9
        }
        // Components beyond the neutral state go back to their initial configuration.
        bytes.put(present & (7 | 1 << 9), at: Self.header)
        self.bytes = bytes
    }
}
