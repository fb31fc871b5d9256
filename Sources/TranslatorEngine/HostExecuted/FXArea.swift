internal import CEngine

// FXSAVE and FXRSTOR (SDM volume 1, 10.5), and the legacy region of XSAVE, which is the same.

extension CPU {
    /// Vector registers that the mode can name.
    var vectorCount: Int { code64 ? 16 : 8 }

    /// Puts x87 and SSE state into `scratch` in the format of FXSAVE; `wide` with 64-bit pointers (REX.W).
    func buildLegacyRegion(wide: Bool) {
        unsafe scratch.copyMemory(from: fx, byteCount: 160)
        if !wide {
            // Offsets of 32 bits, then selectors, which are 0.
            unsafe scratch.storeBytes(of: 0, toByteOffset: Int(APUS_FX_FIP) + 4, as: UInt32.self)
            unsafe scratch.storeBytes(of: 0, toByteOffset: Int(APUS_FX_FDP) + 4, as: UInt32.self)
        }
        unsafe scratch.storeBytes(of: 0, toByteOffset: 5, as: UInt8.self)
        unsafe scratch.storeBytes(of: 0xffff, toByteOffset: 28, as: UInt32.self)  // MXCSR_MASK
        for register in 0..<vectorCount {
            setVector(
                VectorLayout.scratch + 160 + 16 * register, vector(VectorLayout.register(UInt8(register))))
        }
    }

    /// Loads the x87 state from the legacy region in `scratch`.
    func loadX87Region(wide: Bool) {
        for index in 0..<8 {
            let value = vector(VectorLayout.scratch + 32 + 16 * index)
            setVector(VectorLayout.stack + 16 * index, SIMD2(value.x, value.y & 0xffff))
        }
        unsafe fx.copyMemory(from: scratch, byteCount: 24)
        unsafe fx.storeBytes(of: 0, toByteOffset: 5, as: UInt8.self)
        // The opcode has 11 bits.
        let opcode = unsafe fx.load(fromByteOffset: Int(APUS_FX_FOP), as: UInt16.self) & 0x7ff
        unsafe fx.storeBytes(of: opcode, toByteOffset: Int(APUS_FX_FOP), as: UInt16.self)
        if !wide {
            unsafe fx.storeBytes(of: 0, toByteOffset: Int(APUS_FX_FIP) + 4, as: UInt32.self)
            unsafe fx.storeBytes(of: 0, toByteOffset: Int(APUS_FX_FDP) + 4, as: UInt32.self)
        }
        setFCW(fcw)
    }
    /// Loads the XMM registers from the legacy region in `scratch`.
    func loadSSERegion() {
        for register in 0..<vectorCount {
            setVector(
                VectorLayout.register(UInt8(register)), vector(VectorLayout.scratch + 160 + 16 * register))
        }
    }
    /// The MXCSR in the legacy region in `scratch`. Throws #GP(0) where a reserved bit is set.
    func regionMXCSR() throws(Leave) -> UInt32 {
        let value = unsafe scratch.load(fromByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
        guard value & ~0xffff == 0 else { throw raise(Vector.general, error: 0) }
        return value
    }
}

// `extra`: 1 with REX.W.

let fxsave: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.mmx) { return cpu.vectorFault(op, Blocked.mmx) }
    return attempt(cpu, op) { () throws(Leave) in
        cpu.saveX87()
        let linear = try cpu.areaAddress(op, size: 512, alignment: 16, write: true)
        try cpu.probeRange(linear, 512, .write)
        cpu.buildLegacyRegion(wide: op.extra & 1 != 0)
        unsafe try cpu.copyOut(linear, cpu.scratch, 160 + 16 * cpu.vectorCount)
        return op.next
    }
}

let fxrstor: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.mmx) { return cpu.vectorFault(op, Blocked.mmx) }
    return attempt(cpu, op) { () throws(Leave) in
        cpu.saveX87()
        let linear = try cpu.areaAddress(op, size: 512, alignment: 16, write: false)
        unsafe try cpu.copyIn(cpu.scratch, linear, 512)
        cpu.mxcsr = try cpu.regionMXCSR()
        let mxcsr = cpu.mxcsr
        cpu.loadX87Region(wide: op.extra & 1 != 0)
        cpu.mxcsr = mxcsr
        cpu.loadSSERegion()
        return op.next
    }
}
