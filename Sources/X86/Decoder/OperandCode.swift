/// How one operand is encoded, in the notation of the manual's opcode map (SDM volume 2, appendix A.2).
///
/// First letter, the place: E general register or memory by ModRM.rm, M memory only, R register only by ModRM.rm,
/// G general register by ModRM.reg, Z register in the opcode's low bits, C, D and S control, debug and segment
/// register, I immediate, J relative branch, A far pointer, O offset without ModRM. Then the size: b, w, d, q, dq are
/// 1, 2, 4, 8, 16 bytes; v is the operand size, z the operand size but at most 4, y is 4 or with REX.W 8; m is the
/// mode's natural size, 8 in 64-bit mode and 4 elsewhere.
///
/// Vectors: V by ModRM.reg, W register or memory by ModRM.rm, U register by ModRM.rm, H by VEX.vvvv, L by the
/// immediate's high bits; P, Q and N are MMX's V, W and U; B is a general register by VEX.vvvv. Their size x is the
/// vector length, x2, x4 and x8 are its half, quarter and eighth; b, w, d, q, dq are as above, for a register the part
/// of it that is used.
enum OperandCode: UInt8, Sendable {
    case none

    // General register or memory
    case Eb, Ew, Ed, Ez, Ey, Ev
    /// A general register of operand size, or 2 bytes of memory.
    case EvMw
    /// A general register of 4 bytes, or 1, 2 bytes of memory.
    case EdMb, EdMw

    // Memory
    /// An address whose memory is not accessed.
    case M
    /// An area whose size the processor's state decides.
    case Marea
    case Mb, Mw, Md, Mq, Mdq, Mv, Mz, My
    /// Two values of operand size (BOUND).
    case Ma
    /// A far pointer: offset of operand size, then a selector.
    case Mp
    /// A descriptor-table register: a limit of 2 bytes, then a base of 4, or 8 in 64-bit mode.
    case Ms
    /// The FXSAVE area.
    case M512
    /// An 80-bit real or a packed decimal.
    case M80
    /// The x87 environment, with the registers for FSAVE: 14 and 94 bytes with 16-bit operand size, else 28 and 108.
    case Menv, Msave
    /// A vector.
    case Mx

    // General register
    case Gb, Gw, Gd, Gz, Gy, Gv, Gm
    case Rd, Rv, Ry, Rm

    // System registers
    case C, D, S

    // In the opcode
    case Zb, Zv
    case AL, AX, rAX, eAX, CL, DX
    case ES, CS, SS, DS, FS, GS
    /// The constant 1.
    case one

    // Immediates
    case Ib, Iw, Iz, Iv
    /// A byte sign-extended to the operand size.
    case Ibs
    /// A byte that is the second immediate.
    case Ib2
    case Jb, Jz, Ap, Ob, Ov

    // x87
    case ST, STi

    // MMX
    case Pd, Pq, Qd, Qq, Nq

    // XMM and YMM
    case Vx, Vdq, Vq, Vd
    case Hx, Hdq
    case Ux, Udq, Uq, Ud
    case Wx, Wdq, Wq, Wd, Ww, Wb
    case Wx2, Wx4, Wx8
    /// A whole XMM register, or 4 bytes of memory.
    case WdqMd
    case Lx
    case By
}

/// How an instruction uses its operands.
enum AccessPattern: UInt8, Sendable {
    /// All are read.
    case r
    /// The first is written, the others are read.
    case w
    /// The first is read and written, the others are read.
    case rw
    /// The first two are read and written (XCHG, XADD).
    case rwrw
    /// The first two are written, the others are read (MULX).
    case ww
    /// The first and third are read and written, the second is read (the gathers).
    case gather
    /// Nothing is accessed.
    case n
}

/// How an instruction's operand size comes about (SDM volume 2, tables 3-4 and B-1).
enum SizeRule: UInt8, Sendable {
    /// By mode, 66 and REX.W: 2, 4 or 8.
    case v
    /// As `v`, but never more than 4.
    case z
    /// Always 1.
    case b
    /// Always 2.
    case w
    /// 8 with REX.W, else 4.
    case y
    /// As `v`, but in 64-bit mode 8, or 2 with 66.
    case d64
    /// As `v`, but in 64-bit mode always 8.
    case f64
    /// The natural size of the mode.
    case m
    /// Always 8 (MMX).
    case q
    /// Always 16: SSE, and scalars under VEX.
    case dq
    /// The vector length: 32 with VEX.L, else 16.
    case x
}
