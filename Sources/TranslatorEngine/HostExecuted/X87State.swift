internal import CEngine

// x87 and MMX state around stubs (SDM volume 1, chapters 8 and 9). The stack lies in the state by distance from TOP,
// as FXSAVE stores it, while MMX registers are named by number: a change of TOP that is no push or pop moves it.
//
// From one x87 instruction to the next the host's unit keeps the guest's registers (`x87_live`): loading and storing
// them costs more than a hundred instructions. Nothing else of a processor's thread uses the unit while guest code
// runs, and nothing here reads `s.fx` before `saveX87`.

extension CPU {
    /// TOP of the stack.
    @inline(__always) var x87Top: Int { Int(fsw >> 11) & 7 }

    /// What every MMX instruction does first: TOP becomes 0 and all registers valid.
    @inline(__always) func enterMMX() {
        saveX87()
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

    /// Lets the host's unit hold the guest's registers. No exception is pending.
    @inline(__always) func loadX87() {
        if unsafe p.pointee.x87_live != 0 { return }
        unsafe apus_x87_load(fx)
        noteX87Live()
    }

    /// The host's unit holds the guest's registers, and control word.
    @inline(__always) func noteX87Live() {
        unsafe p.pointee.x87_live = UInt8(fcw & 0x3f == 0x3f ? APUS_X87_MASKED : APUS_X87_UNMASKED)
    }

    /// Brings the x87 state up to date, and gives the host's unit back. To be called on the processor's thread before
    /// `run` returns and before the state is read; where the unit holds nothing it costs a compare.
    @inline(__always) package func saveX87() {
        if unsafe p.pointee.x87_live != 0 { storeX87() }
    }
    @inline(never) private func storeX87() {
        let image = unsafe bytes + VectorLayout.image
        unsafe apus_x87_save(image)
        unsafe p.pointee.x87_live = 0
        unsafe fx.copyMemory(from: image, byteCount: 5)
        unsafe (bytes + VectorLayout.stack).copyMemory(from: image + Int(APUS_FX_ST), byteCount: 128)
    }
    /// Forgets what the host's unit holds.
    func discardX87() {
        if unsafe p.pointee.x87_live == 0 { return }
        apus_x87_discard()
        unsafe p.pointee.x87_live = 0
    }

    /// Runs an x87 stub, and notes the instruction and its operand as the last ones.
    @inline(__always) func runX87(_ op: MicroOp, _ memory: UnsafeMutableRawPointer?) {
        loadX87()
        let status = unsafe runStub(op, memory)
        // SAFETY: constant offsets in the 160 bytes.
        unsafe fx.storeBytes(of: op.dst, toByteOffset: Int(APUS_FX_FOP), as: UInt16.self)
        unsafe fx.storeBytes(of: ripOf(op), toByteOffset: Int(APUS_FX_FIP), as: UInt64.self)
        if op.src != 0 { unsafe fx.storeBytes(of: leaAddress(op), toByteOffset: Int(APUS_FX_FDP), as: UInt64.self) }
        // An exception waits for the guest's next instruction, not for one of the host's.
        if status & 0x80 != 0 { saveX87() }
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

    /// FNINIT's state (SDM volume 2, FINIT/FNINIT): registers keep their bits.
    func initializeX87() {
        setX87Top(0)
        unsafe fx.initializeMemory(as: UInt8.self, repeating: 0, count: 24)
        fcw = 0x37f
    }

    /// Makes x87 and SSE state that comes from outside, such as a saved machine, one that a processor can be in:
    /// stubs load it into the host's processor, which would fault on reserved bits.
    package func sanitizeVectorState() {
        discardX87()
        mxcsr &= 0xffff
        setFCW(fcw)
        for index in 0..<8 {
            // SAFETY: eight slots of 16 bytes, of which 10 are used.
            unsafe (bytes + VectorLayout.stack + 16 * index + 10).initializeMemory(
                as: UInt8.self, repeating: 0, count: 6)
        }
    }
}
