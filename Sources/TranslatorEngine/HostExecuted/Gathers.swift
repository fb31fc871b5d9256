internal import CEngine
internal import X86

// The gathers of AVX2 (SDM volume 2, VPGATHERDD and following). Elements are read in order; each that is read clears
// its mask, so that the instruction can go on after a fault.

/// What a gather does, packed into `imm`.
private struct GatherPlan {
    var packed: UInt64
    var result: UInt8 { UInt8(truncatingIfNeeded: packed) & 15 }
    var mask: UInt8 { UInt8(truncatingIfNeeded: packed >> 8) & 15 }
    var index: UInt8 { UInt8(truncatingIfNeeded: packed >> 16) & 15 }
    var elementSize: Int { packed >> 24 & 1 != 0 ? 8 : 4 }
    var indexSize: Int { packed >> 25 & 1 != 0 ? 8 : 4 }
    var shift: UInt64 { packed >> 26 & 3 }
    var count: Int { Int(packed >> 32 & 15) }

    init(packed: UInt64) { self.packed = packed }

    init(_ instruction: Instruction) {
        let eight = instruction.encoding.opcode & 1 != 0
        let wide = instruction.prefixes.contains(.wide)
        let length = instruction.encoding.vectorLength256 ? 32 : 16
        let count = length / (eight || wide ? 8 : 4)
        packed = UInt64(instruction.operands.0.register) | UInt64(instruction.operands.2.register) << 8
        packed |= UInt64(instruction.memory.index & 15) << 16
        packed |= (wide ? 1 << 24 : 0) | (eight ? 1 << 25 : 0)
        packed |= UInt64(instruction.memory.shift) << 26 | UInt64(count) << 32
    }
}

extension CPU {
    /// The linear address of the operand moved by `delta` bytes.
    private func gatherAddress(_ op: MicroOp, _ delta: UInt64, size: Int) throws(Leave) -> UInt64 {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 { return address(op) &+ delta }
        var offset = leaAddress(op) &+ delta
        if op.scale & UInt8(APUS_EA_32) != 0 { offset &= 0xffff_ffff }
        if op.scale & UInt8(APUS_EA_SEGMENTED) != 0 {
            return try linear(Int32(op.segment &- 18) / 2, offset, size: size, write: false)
        }
        return slot(op.segment) &+ offset
    }

    fileprivate func gather(_ op: MicroOp) throws(Leave) {
        let plan = GatherPlan(packed: op.imm)
        let result = VectorLayout.register(plan.result)
        let mask = VectorLayout.register(plan.mask)
        let index = VectorLayout.register(plan.index)
        let size = plan.elementSize
        for element in 0..<plan.count {
            let sign = unsafe bytes.load(fromByteOffset: mask + element * size + size - 1, as: UInt8.self)
            if sign & 0x80 != 0 {
                let delta =
                    plan.indexSize == 8
                    ? unsafe bytes.loadUnaligned(fromByteOffset: index + element * 8, as: Int64.self)
                    : unsafe Int64(bytes.loadUnaligned(fromByteOffset: index + element * 4, as: Int32.self))
                let linear = try gatherAddress(op, UInt64(bitPattern: delta) << plan.shift, size: size)
                unsafe try readBytes(linear, scratch, size)
                unsafe (bytes + result + element * size).copyMemory(from: scratch, byteCount: size)
                // This element is done: a device that was read for it must not answer for the next.
                commitReplies()
            }
            unsafe (bytes + mask + element * size).initializeMemory(as: UInt8.self, repeating: 0, count: size)
        }
        let used = plan.count * size
        unsafe (bytes + result + used).initializeMemory(as: UInt8.self, repeating: 0, count: 32 - used)
        unsafe (bytes + mask).initializeMemory(as: UInt8.self, repeating: 0, count: 32)
    }
}

private let gather: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.avx) { return cpu.vectorFault(op, Blocked.avx) }
    return attempt(cpu, op) { () throws(Leave) in
        try cpu.gather(op)
        return op.next
    }
}

/// Lowers a gather; its index is a vector register, so the op's address has none.
func lowerGather(_ instruction: Instruction, into op: inout apus_op) {
    op.handler = gather
    op.imm = GatherPlan(instruction).packed
    op.index = UInt8(truncatingIfNeeded: unsafe MemoryLayout<apus_vcpu>.offset(of: \.zero)! / 8)
    op.scale &= ~3
}
