internal import CEngine
internal import X86

// The moves that make up most vector instructions of real programs, without a stub. `dst` and `src` are byte offsets
// of registers in the state.

@inline(__always) private func sse(_ cpu: CPU, _ op: MicroOp, _ body: () -> MicroOp) -> MicroOp {
    cpu.blocked(Blocked.sse) ? cpu.vectorFault(op, Blocked.sse) : body()
}

extension CPU {
    /// Loads 16 bytes. On false the handler leaves.
    @inline(__always) func loadVector(_ op: MicroOp, _ value: inout SIMD2<UInt64>, aligned: Bool) -> Bool {
        let mask: UInt64 = aligned ? 15 : 0
        guard let memory = unsafe readable(op, last: 15, mask: mask) else { return false }
        value = unsafe memory.loadUnaligned(as: SIMD2<UInt64>.self)
        return true
    }
    /// Stores 16 bytes. On false the handler leaves.
    @inline(__always) func storeVector(_ op: MicroOp, _ value: SIMD2<UInt64>, aligned: Bool) -> Bool {
        let mask: UInt64 = aligned ? 15 : 0
        if let memory = unsafe fastWritable(op, last: 15, mask: mask) {
            unsafe memory.storeBytes(of: value, as: SIMD2<UInt64>.self)
            return true
        }
        return slowStoreVector(op, value, mask: mask)
    }
    @inline(never) private func slowStoreVector(_ op: MicroOp, _ value: SIMD2<UInt64>, mask: UInt64) -> Bool {
        unsafe slowWrite(op, last: 15, mask: mask) { scratch in
            unsafe scratch.storeBytes(of: value, as: SIMD2<UInt64>.self)
            return .write
        }
    }
    @inline(__always) fileprivate func lane(_ offset: UInt16) -> UInt64 {
        unsafe bytes.load(fromByteOffset: Int(offset), as: UInt64.self)
    }
    @inline(__always) fileprivate func setLane(_ offset: UInt16, _ value: UInt64) {
        unsafe bytes.storeBytes(of: value, toByteOffset: Int(offset), as: UInt64.self)
    }
}

private let moveRegister: apus_handler = { c, o in
    sse(c, o) {
        c.setVector(Int(o.dst), c.vector(Int(o.src)))
        return o.next
    }
}
@inline(__always) private func load16(_ cpu: CPU, _ op: MicroOp, aligned: Bool) -> MicroOp {
    sse(cpu, op) {
        var value = SIMD2<UInt64>()
        guard cpu.loadVector(op, &value, aligned: aligned) else { return .leave }
        cpu.setVector(Int(op.dst), value)
        return op.next
    }
}
private let loadAligned: apus_handler = { c, o in load16(c, o, aligned: true) }
private let loadUnaligned: apus_handler = { c, o in load16(c, o, aligned: false) }
private let storeAligned: apus_handler = { c, o in
    sse(c, o) { c.storeVector(o, c.vector(Int(o.src)), aligned: true) ? o.next : .leave }
}
private let storeUnaligned: apus_handler = { c, o in
    sse(c, o) { c.storeVector(o, c.vector(Int(o.src)), aligned: false) ? o.next : .leave }
}

// Parts of registers, from and to memory
@inline(__always)
private func loadZero<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    sse(cpu, op) {
        var value: T = 0
        guard cpu.load(op, &value) else { return .leave }
        cpu.setVector(Int(op.dst), SIMD2(UInt64(truncatingIfNeeded: value), 0))
        return op.next
    }
}
private let loadZero4: apus_handler = { c, o in loadZero(UInt32.self, c, o) }
private let loadZero8: apus_handler = { c, o in loadZero(UInt64.self, c, o) }
/// MOVLPS and MOVHPS: half of the register; `dst` is the half's place.
private let loadHalf: apus_handler = { c, o in
    sse(c, o) {
        var value: UInt64 = 0
        guard c.load(o, &value) else { return .leave }
        c.setLane(o.dst, value)
        return o.next
    }
}
private let store4: apus_handler = { c, o in
    sse(c, o) { c.store(o, UInt32(truncatingIfNeeded: c.lane(o.src))) ? o.next : .leave }
}
private let store8: apus_handler = { c, o in sse(c, o) { c.store(o, c.lane(o.src)) ? o.next : .leave } }

// Parts of registers, between registers
/// MOVQ between XMM registers, and from a general register: clears the upper half.
private let moveLow8: apus_handler = { c, o in
    sse(c, o) {
        c.setVector(Int(o.dst), SIMD2(c.lane(o.src), 0))
        return o.next
    }
}
private let moveLow4: apus_handler = { c, o in
    sse(c, o) {
        c.setVector(Int(o.dst), SIMD2(c.lane(o.src) & 0xffff_ffff, 0))
        return o.next
    }
}
/// To a general register, and the MOVSD, MOVHLPS and MOVLHPS that leave the other half alone.
private let moveLane8: apus_handler = { c, o in
    sse(c, o) {
        c.setLane(o.dst, c.lane(o.src))
        return o.next
    }
}
private let moveToGeneral4: apus_handler = { c, o in
    sse(c, o) {
        c.setLane(o.dst, c.lane(o.src) & 0xffff_ffff)
        return o.next
    }
}
private let mergeLow4: apus_handler = { c, o in
    sse(c, o) {
        c.setLane(o.dst, c.lane(o.dst) & ~0xffff_ffff | c.lane(o.src) & 0xffff_ffff)
        return o.next
    }
}

// Logic
@inline(__always)
private func logic(_ cpu: CPU, _ op: MicroOp, _ body: (SIMD2<UInt64>, SIMD2<UInt64>) -> SIMD2<UInt64>) -> MicroOp {
    sse(cpu, op) {
        cpu.setVector(Int(op.dst), body(cpu.vector(Int(op.dst)), cpu.vector(Int(op.src))))
        return op.next
    }
}
@inline(__always)
private func logicMemory(
    _ cpu: CPU, _ op: MicroOp, _ body: (SIMD2<UInt64>, SIMD2<UInt64>) -> SIMD2<UInt64>
) -> MicroOp {
    sse(cpu, op) {
        var value = SIMD2<UInt64>()
        guard cpu.loadVector(op, &value, aligned: true) else { return .leave }
        cpu.setVector(Int(op.dst), body(cpu.vector(Int(op.dst)), value))
        return op.next
    }
}
private let andRegister: apus_handler = { c, o in logic(c, o) { $0 & $1 } }
private let andNotRegister: apus_handler = { c, o in logic(c, o) { ~$0 & $1 } }
private let orRegister: apus_handler = { c, o in logic(c, o) { $0 | $1 } }
private let xorRegister: apus_handler = { c, o in logic(c, o) { $0 ^ $1 } }
private let andMemory: apus_handler = { c, o in logicMemory(c, o) { $0 & $1 } }
private let andNotMemory: apus_handler = { c, o in logicMemory(c, o) { ~$0 & $1 } }
private let orMemory: apus_handler = { c, o in logicMemory(c, o) { $0 | $1 } }
private let xorMemory: apus_handler = { c, o in logicMemory(c, o) { $0 ^ $1 } }

/// Lowers a common move or logic instruction on XMM registers; false for others.
func lowerVectorMove(_ instruction: Instruction, into op: inout apus_op) -> Bool {
    let target = instruction.operands.0
    let source = instruction.operands.1
    let loads = source.kind == .memory
    let stores = target.kind == .memory
    func place(_ operand: Operand) -> UInt16 {
        UInt16(operand.kind == .general ? 8 * Int(operand.register & 15) : VectorLayout.register(operand.register))
    }
    if !stores { op.dst = place(target) }
    if !loads { op.src = place(source) }
    switch instruction.mnemonic {
    case .movaps, .movapd, .movdqa, .movntps, .movntpd, .movntdq, .movntdqa:
        op.handler = loads ? loadAligned : stores ? storeAligned : moveRegister
    case .movups, .movupd, .movdqu, .lddqu:
        op.handler = loads ? loadUnaligned : stores ? storeUnaligned : moveRegister
    case .movq:
        op.handler = loads ? loadZero8 : stores ? store8 : target.kind == .general ? moveLane8 : moveLow8
    case .movd:
        op.handler = loads ? loadZero4 : stores ? store4 : target.kind == .general ? moveToGeneral4 : moveLow4
    case .movss: op.handler = loads ? loadZero4 : stores ? store4 : mergeLow4
    case .movsd: op.handler = loads ? loadZero8 : stores ? store8 : moveLane8
    case .movlps, .movlpd: op.handler = loads ? loadHalf : store8
    case .movhps, .movhpd:
        if stores { op.src += 8 } else { op.dst += 8 }
        op.handler = loads ? loadHalf : store8
    case .movhlps:
        op.src += 8
        op.handler = moveLane8
    case .movlhps:
        op.dst += 8
        op.handler = moveLane8
    case .pand, .andps, .andpd: op.handler = loads ? andMemory : andRegister
    case .pandn, .andnps, .andnpd: op.handler = loads ? andNotMemory : andNotRegister
    case .por, .orps, .orpd: op.handler = loads ? orMemory : orRegister
    case .pxor, .xorps, .xorpd: op.handler = loads ? xorMemory : xorRegister
    default: return false
    }
    return true
}
