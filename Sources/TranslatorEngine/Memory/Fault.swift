internal import CEngine

/// The instruction at hand cannot go on: an exception is recorded in the processor, or an exit to the machine is.
/// Carries nothing, so that throwing costs a compare.
struct Leave: Error {}

/// Exception vectors (SDM volume 3, 6.3).
enum Vector {
    static let divide: UInt8 = 0
    static let debug: UInt8 = 1
    static let nmi: UInt8 = 2
    static let breakpoint: UInt8 = 3
    static let overflow: UInt8 = 4
    static let bound: UInt8 = 5
    static let undefined: UInt8 = 6
    static let deviceNotAvailable: UInt8 = 7
    static let doubleFault: UInt8 = 8
    static let invalidTSS: UInt8 = 10
    static let notPresent: UInt8 = 11
    static let stack: UInt8 = 12
    static let general: UInt8 = 13
    static let page: UInt8 = 14
    static let x87: UInt8 = 16
    static let alignment: UInt8 = 17
    static let machineCheck: UInt8 = 18
    static let simd: UInt8 = 19
}

extension CPU {
    /// Records an exception; `rip` must already be that of the faulting instruction.
    @inline(never) func raise(_ vector: UInt8, error: UInt32? = nil) -> Leave {
        unsafe p.pointee.fault_vector = vector
        unsafe p.pointee.fault_has_error = error == nil ? 0 : 1
        unsafe p.pointee.fault_error = error ?? 0
        unsafe p.pointee.status = UInt8(APUS_STATUS_FAULT)
        return Leave()
    }

    /// Records an exception of the given instruction and leaves the loop.
    @inline(never) func fault(_ op: MicroOp, _ vector: UInt8, error: UInt32? = nil) -> MicroOp {
        rip = ripOf(op)
        _ = raise(vector, error: error)
        return .leave
    }

    /// Records a page fault (SDM volume 3, 4.7).
    func pageFault(_ linear: UInt64, _ error: UInt32) -> Leave {
        if tracesMemory {
            trace("page fault: \(hexadecimal(linear, 16)) error=\(hexadecimal(UInt64(error), 4)) rip=\(hexadecimal(rip, 16))\n")
        }
        unsafe p.pointee.fault_address = linear
        return raise(Vector.page, error: error)
    }
}
