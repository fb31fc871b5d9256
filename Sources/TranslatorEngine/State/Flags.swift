internal import CEngine
internal import X86

/// Arithmetic flags as LAHF and SETO leave them in AX, and RFLAGS.
enum Flag {
    // In `arith`
    static let overflow: UInt16 = 0x0001
    static let carry: UInt16 = 0x0100
    static let parity: UInt16 = 0x0400
    static let adjust: UInt16 = 0x1000
    static let zero: UInt16 = 0x4000
    static let sign: UInt16 = 0x8000

    // In RFLAGS (SDM volume 1, 3.4.3)
    static let arithmetic: UInt64 = 0x8d5
    static let tf: UInt64 = 0x100
    static let `if`: UInt64 = 0x200
    static let df: UInt64 = 0x400
    static let iopl: UInt64 = 0x3000
    static let nt: UInt64 = 0x4000
    static let rf: UInt64 = 0x10000
    static let vm: UInt64 = 0x20000
    static let ac: UInt64 = 0x40000
    static let vif: UInt64 = 0x80000
    static let vip: UInt64 = 0x100000
    static let id: UInt64 = 0x200000
}

extension CPU {
    /// RFLAGS, whole. Bits outside the arithmetic ones live in the neutral state while code runs.
    var rflags: UInt64 {
        get {
            let a = UInt64(arith)
            return unsafe (p.pointee.s.rflags & ~Flag.arithmetic) | ((a >> 8) & 0xd5) | ((a & 1) << 11) | 2
        }
        nonmutating set {
            arith = UInt16(truncatingIfNeeded: (newValue & 0xd5) << 8 | (newValue >> 11) & 1)
            unsafe p.pointee.s.rflags = newValue & ~Flag.arithmetic | 2
        }
    }
    /// The bits outside the arithmetic ones.
    @inline(__always) var systemFlags: UInt64 {
        get { unsafe p.pointee.s.rflags }
        nonmutating set { unsafe p.pointee.s.rflags = newValue }
    }

    /// Condition 0...15 of Jcc, SETcc and CMOVcc (SDM volume 1, appendix B).
    @inline(__always) func condition(_ code: UInt8) -> Bool {
        let f = arith
        let result: Bool
        switch code >> 1 {
        case 0: result = f & Flag.overflow != 0
        case 1: result = f & Flag.carry != 0
        case 2: result = f & Flag.zero != 0
        case 3: result = f & (Flag.carry | Flag.zero) != 0
        case 4: result = f & Flag.sign != 0
        case 5: result = f & Flag.parity != 0
        case 6: result = (f >> 15) != (f & 1)
        default: result = (f >> 15) != (f & 1) || f & Flag.zero != 0
        }
        return result != (code & 1 != 0)
    }
}
