internal import CEngine

// x87 and MMX state around stubs (SDM volume 1, chapters 8 and 9). The stack lies in the state by distance from TOP,
// as FXSAVE stores it, while MMX registers are named by number: a change of TOP that is no push or pop moves it.

extension CPU {
    /// TOP of the stack.
    @inline(__always) var x87Top: Int { Int(fsw >> 11) & 7 }

    /// What every MMX instruction does first: TOP becomes 0 and all registers valid.
    @inline(__always) func enterMMX() {
        if fsw & 0x3800 != 0 { setX87Top(0) }
        ftw = 0xff
    }

    /// Changes TOP so that every register keeps its contents.
    @inline(never) func setX87Top(_ top: Int) {
        let shift = top &- x87Top
        let old = unsafe p.pointee.s.fx
        unsafe withUnsafeBytes(of: old) { old in
            for index in 0..<8 {
                let from = Int(APUS_FX_ST) + 16 * ((index &+ shift) & 7)
                let value = unsafe old.loadUnaligned(fromByteOffset: from, as: SIMD2<UInt64>.self)
                setVector(VectorLayout.stack + 16 * index, value)
            }
        }
        fsw = fsw & ~0x3800 | UInt16(top & 7) << 11
    }

    /// Takes over what an x87 stub left in the image, and notes the instruction and its operand as the last ones.
    @inline(__always) func takeX87(_ op: MicroOp) {
        unsafe fx.copyMemory(from: bytes + VectorLayout.image, byteCount: 5)
        for index in 0..<8 {
            let place = 16 * index
            setVector(VectorLayout.stack + place, vector(VectorLayout.image + Int(APUS_FX_ST) + place))
        }
        // SAFETY: constant offsets in the 160 bytes.
        unsafe fx.storeBytes(of: op.dst, toByteOffset: Int(APUS_FX_FOP), as: UInt16.self)
        unsafe fx.storeBytes(of: ripOf(op), toByteOffset: Int(APUS_FX_FIP), as: UInt64.self)
        if op.src != 0 { unsafe fx.storeBytes(of: leaAddress(op), toByteOffset: Int(APUS_FX_FDP), as: UInt64.self) }
    }

    /// Loads the control word; its reserved bits are fixed.
    @inline(__always) func setFCW(_ value: UInt16) {
        fcw = value & 0x1f3f | 0x40
        summarizeX87()
    }

    /// Sets the summary bits ES and B from flags and masks, as the processor does after either is written.
    @inline(__always) func summarizeX87() {
        if x87Pending { fsw |= 0x8080 } else { fsw &= ~0x8080 }
    }

    /// FNINIT's state (SDM volume 1, table 8-? "x87 FPU state following initialization"): registers keep their bits.
    func initializeX87() {
        setX87Top(0)
        unsafe fx.initializeMemory(as: UInt8.self, repeating: 0, count: 24)
        fcw = 0x37f
    }

    /// Makes x87 and SSE state that comes from outside, such as a saved machine, one that a processor can be in:
    /// stubs load it into the host's processor, which would fault on reserved bits.
    package func sanitizeVectorState() {
        mxcsr &= 0xffff
        setFCW(fcw)
        for index in 0..<8 {
            // SAFETY: eight slots of 16 bytes, of which 10 are used.
            unsafe (bytes + VectorLayout.stack + 16 * index + 10).initializeMemory(
                as: UInt8.self, repeating: 0, count: 6)
        }
    }
}
