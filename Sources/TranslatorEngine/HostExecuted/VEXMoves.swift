internal import CEngine
internal import X86

// The whole-register moves of AVX, which stubs would leave to the host's alignment checks. `dst` and `src` are byte
// offsets of registers; VEX.128 clears the upper half of the register written.

@inline(__always) private func avx(_ cpu: CPU, _ op: MicroOp, _ body: () -> MicroOp) -> MicroOp {
    cpu.blocked(Blocked.avx) ? cpu.vectorFault(op, Blocked.avx) : body()
}

@inline(__always) private func load(_ cpu: CPU, _ op: MicroOp, wide: Bool, aligned: Bool) -> MicroOp {
    avx(cpu, op) {
        let last: UInt64 = wide ? 31 : 15
        let mask = aligned ? last : 0
        guard let memory = unsafe cpu.readable(op, last: last, mask: mask) else { return .leave }
        let low = unsafe memory.loadUnaligned(as: SIMD2<UInt64>.self)
        let high = wide ? unsafe memory.loadUnaligned(fromByteOffset: 16, as: SIMD2<UInt64>.self) : SIMD2<UInt64>()
        cpu.setVector(Int(op.dst), low)
        cpu.setVector(Int(op.dst) + 16, high)
        return op.next
    }
}
@inline(__always) private func store(_ cpu: CPU, _ op: MicroOp, wide: Bool, aligned: Bool) -> MicroOp {
    avx(cpu, op) {
        let last: UInt64 = wide ? 31 : 15
        let mask = aligned ? last : 0
        let low = cpu.vector(Int(op.src))
        let high = cpu.vector(Int(op.src) + 16)
        if let memory = unsafe cpu.fastWritable(op, last: last, mask: mask) {
            unsafe memory.storeBytes(of: low, as: SIMD2<UInt64>.self)
            if wide { unsafe memory.storeBytes(of: high, toByteOffset: 16, as: SIMD2<UInt64>.self) }
            return op.next
        }
        let done = unsafe cpu.slowWrite(op, last: last, mask: mask) { scratch in
            unsafe scratch.storeBytes(of: low, as: SIMD2<UInt64>.self)
            unsafe scratch.storeBytes(of: high, toByteOffset: 16, as: SIMD2<UInt64>.self)
            return .write
        }
        return done ? op.next : .leave
    }
}
@inline(__always) private func move(_ cpu: CPU, _ op: MicroOp, wide: Bool) -> MicroOp {
    avx(cpu, op) {
        let high = cpu.vector(Int(op.src) + 16)
        cpu.setVector(Int(op.dst), cpu.vector(Int(op.src)))
        cpu.setVector(Int(op.dst) + 16, wide ? high : SIMD2())
        return op.next
    }
}

private let move16: apus_handler = { c, o in move(c, o, wide: false) }
private let move32: apus_handler = { c, o in move(c, o, wide: true) }
private let load16: apus_handler = { c, o in load(c, o, wide: false, aligned: false) }
private let load32: apus_handler = { c, o in load(c, o, wide: true, aligned: false) }
private let loadAligned16: apus_handler = { c, o in load(c, o, wide: false, aligned: true) }
private let loadAligned32: apus_handler = { c, o in load(c, o, wide: true, aligned: true) }
private let store16: apus_handler = { c, o in store(c, o, wide: false, aligned: false) }
private let store32: apus_handler = { c, o in store(c, o, wide: true, aligned: false) }
private let storeAligned16: apus_handler = { c, o in store(c, o, wide: false, aligned: true) }
private let storeAligned32: apus_handler = { c, o in store(c, o, wide: true, aligned: true) }

/// Lowers a move of a whole register; false for others.
func lowerVEXMove(_ instruction: Instruction, into op: inout apus_op) -> Bool {
    let aligned: Bool
    switch instruction.mnemonic {
    case .vmovaps, .vmovapd, .vmovdqa, .vmovntps, .vmovntpd, .vmovntdq, .vmovntdqa: aligned = true
    case .vmovups, .vmovupd, .vmovdqu, .vlddqu: aligned = false
    default: return false
    }
    let wide = instruction.encoding.vectorLength256
    let target = instruction.operands.0
    let source = instruction.operands.1
    if target.kind == .memory {
        op.src = UInt16(VectorLayout.register(source.register))
        op.handler = aligned ? (wide ? storeAligned32 : storeAligned16) : (wide ? store32 : store16)
        return true
    }
    op.dst = UInt16(VectorLayout.register(target.register))
    if source.kind == .memory {
        op.handler = aligned ? (wide ? loadAligned32 : loadAligned16) : (wide ? load32 : load16)
        return true
    }
    op.src = UInt16(VectorLayout.register(source.register))
    op.handler = wide ? move32 : move16
    return true
}
