internal import CEngine

/// Where the vector and x87 state lies in `apus_vcpu`, in bytes: constants once inlined, folded into the handlers.
package enum VectorLayout {
    package static var fx: Int { apus_offset_fx() }
    package static var registers: Int { apus_offset_vectors() }
    package static var arith: Int { apus_offset_arith() }
    package static var scratch: Int { apus_offset_scratch() }

    /// `st0`, or the MMX registers while TOP is 0.
    static var stack: Int { fx + 32 }
    static var mxcsr: Int { fx + 24 }
    /// The MXCSR that a stub loads, and reads back.
    static var temporaryMXCSR: Int { scratch + 496 }
    /// The FXSAVE image that the host's unit is saved to.
    static var image: Int { scratch + 512 }

    static func register(_ number: UInt8) -> Int { registers + 32 * Int(number & 15) }
}

extension CPU {
    // SAFETY of the accessors: offsets come from the lowering and lie within `apus_vcpu`.

    @inline(__always) var bytes: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(p) }
    @inline(__always) var scratch: UnsafeMutableRawPointer { unsafe bytes + VectorLayout.scratch }
    @inline(__always) var fx: UnsafeMutableRawPointer { unsafe bytes + VectorLayout.fx }

    /// The 16 bytes at a byte offset of the state.
    @inline(__always) func vector(_ offset: Int) -> SIMD2<UInt64> {
        unsafe bytes.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
    }
    @inline(__always) func setVector(_ offset: Int, _ value: SIMD2<UInt64>) {
        unsafe bytes.storeBytes(of: value, toByteOffset: offset, as: SIMD2<UInt64>.self)
    }

    // x87 control (SDM volume 1, 8.1)
    @inline(__always) var fcw: UInt16 {
        get { unsafe fx.load(fromByteOffset: Int(APUS_FX_FCW), as: UInt16.self) }
        nonmutating set { unsafe fx.storeBytes(of: newValue, toByteOffset: Int(APUS_FX_FCW), as: UInt16.self) }
    }
    @inline(__always) var fsw: UInt16 {
        get { unsafe fx.load(fromByteOffset: Int(APUS_FX_FSW), as: UInt16.self) }
        nonmutating set { unsafe fx.storeBytes(of: newValue, toByteOffset: Int(APUS_FX_FSW), as: UInt16.self) }
    }
    /// The abridged tag: one bit for each physical register, set where it is not empty.
    @inline(__always) var ftw: UInt8 {
        get { unsafe fx.load(fromByteOffset: Int(APUS_FX_FTW), as: UInt8.self) }
        nonmutating set { unsafe fx.storeBytes(of: newValue, toByteOffset: Int(APUS_FX_FTW), as: UInt8.self) }
    }
    @inline(__always) var mxcsr: UInt32 {
        get { unsafe fx.load(fromByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self) }
        nonmutating set {
            let old = mxcsr
            unsafe fx.storeBytes(of: newValue, toByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
            if (old ^ newValue) & MXCSR.control != 0 { vectorControlChanged() }
        }
    }
    /// An x87 exception is flagged and not masked: waiting instructions raise #MF. None is while the host's unit holds
    /// the registers.
    @inline(__always) var x87Pending: Bool { fsw & ~fcw & 0x3f != 0 }
}

/// Why an instruction may not run: sets of `APUS_FPU_*`, as ops hold them in `extra`.
enum Blocked {
    static var x87: UInt8 { UInt8(APUS_FPU_X87) }
    static var mmx: UInt8 { UInt8(APUS_FPU_EM | APUS_FPU_TS) }
    static var sse: UInt8 { UInt8(APUS_FPU_SSE_UD | APUS_FPU_TS) }
    static var avx: UInt8 { UInt8(APUS_FPU_AVX_UD | APUS_FPU_TS) }
}

extension CPU {
    @inline(__always) func blocked(_ reasons: UInt8) -> Bool { unsafe p.pointee.fpu_blocked & reasons != 0 }

    /// Raises what keeps an instruction with these reasons from running: #UD before #NM (SDM volume 2, 2.4).
    @inline(never) func vectorFault(_ op: MicroOp, _ reasons: UInt8) -> MicroOp {
        let present = unsafe p.pointee.fpu_blocked & reasons
        let undefined = UInt8(APUS_FPU_SSE_UD | APUS_FPU_AVX_UD | APUS_FPU_EM)
        return fault(op, present & undefined != 0 ? Vector.undefined : Vector.deviceNotAvailable)
    }
}
