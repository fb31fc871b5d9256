internal import CEngine

// x87 and MMX state around stubs (SDM volume 1, chapters 8 and 9).

extension CPU {
    /// What every MMX instruction but EMMS does first: TOP becomes 0 and all registers valid. The state holds the
    /// stack by distance from TOP, the MMX registers by number, so a TOP other than 0 moves them.
    @inline(__always) func enterMMX() {
        if fsw & 0x3800 != 0 { rotateStack() }
        ftw = 0xff
    }

    @inline(never) private func rotateStack() {
        let top = Int(fsw >> 11) & 7
        let old = unsafe p.pointee.s.fx
        unsafe withUnsafeBytes(of: old) { old in
            for physical in 0..<8 {
                let from = Int(APUS_FX_ST) + 16 * ((physical &- top) & 7)
                let value = unsafe old.loadUnaligned(fromByteOffset: from, as: SIMD2<UInt64>.self)
                setVector(VectorLayout.stack + 16 * physical, value)
            }
        }
        fsw &= ~0x3800
    }

    /// Takes over what an x87 stub left in the image, and notes instruction and operand.
    @inline(__always) func takeX87(_ op: MicroOp) {
        let image = unsafe bytes + VectorLayout.image
        unsafe fx.copyMemory(from: image, byteCount: 6)
        for index in 0..<8 {
            let place = 16 * index
            setVector(VectorLayout.stack + place, vector(VectorLayout.image + Int(APUS_FX_ST) + place))
        }
        unsafe fx.storeBytes(of: ripOf(op), toByteOffset: Int(APUS_FX_FIP), as: UInt64.self)
    }

    /// Sets the summary bits ES and B from flags and masks, as the processor does after either is written.
    func summarizeX87() {
        if x87Pending { fsw |= 0x8080 } else { fsw &= ~0x8080 }
    }
}
