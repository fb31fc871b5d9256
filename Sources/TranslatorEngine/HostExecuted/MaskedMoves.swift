internal import CEngine
internal import X86

// Moves under a mask, of which the elements left out neither are accessed nor fault (SDM volume 2: MASKMOVQ,
// MASKMOVDQU, VMASKMOV, VPMASKMOV).

// MASKMOVQ, MASKMOVDQU: bytes to [rDI]. `dst` and `src` are the offsets of data and mask, `disp` the segment, and
// `extra` the address size in bytes, with bit 4 for MMX and bit 5 for VEX.

let maskedByteStore: apus_handler = { cpu, op in
    let isMMX = op.extra & 0x10 != 0
    let reasons = isMMX ? Blocked.mmx : op.extra & 0x20 != 0 ? Blocked.avx : Blocked.sse
    if cpu.blocked(reasons) { return cpu.vectorFault(op, reasons) }
    if isMMX && cpu.x87Pending { return cpu.x87Fault(op) }
    return attempt(cpu, op) { () throws(Leave) in
        if isMMX { cpu.saveX87() }
        let saved = unsafe cpu.p.pointee.s.fx
        if isMMX { cpu.enterMMX() }
        let count = isMMX ? 8 : 16
        let size = op.extra & 15
        do throws(Leave) {
            for writes in [false, true] {
                for index in 0..<count {
                    let mask = unsafe cpu.bytes.load(fromByteOffset: Int(op.src) + index, as: UInt8.self)
                    guard mask & 0x80 != 0 else { continue }
                    var offset = cpu.rdi &+ UInt64(index)
                    if size == 4 { offset &= 0xffff_ffff }
                    if size == 2 { offset &= 0xffff }
                    let linear = try cpu.linear(op.disp, offset, size: 1, write: true)
                    if writes {
                        let value = unsafe cpu.bytes.load(fromByteOffset: Int(op.dst) + index, as: UInt8.self)
                        try cpu.writeMemory(linear, UInt64(value), size: 1, .current)
                    } else {
                        _ = try cpu.translate(linear, .write, .current)
                    }
                }
            }
        } catch {
            if isMMX { unsafe cpu.p.pointee.s.fx = saved }
            throw error
        }
        return op.next
    }
}

func lowerMaskedByteStore(_ instruction: Instruction, into op: inout apus_op) {
    func offset(_ operand: Operand) -> UInt16 {
        UInt16(
            operand.kind == .mmx
                ? VectorLayout.stack + 16 * Int(operand.register & 7) : VectorLayout.register(operand.register))
    }
    op.handler = maskedByteStore
    op.dst = offset(instruction.operands.0)
    op.src = offset(instruction.operands.1)
    op.disp = Int32(instruction.memory.segment)
    op.extra = instruction.addressSize
    if instruction.category == .mmx { op.extra |= 0x10 }
    if instruction.category == .avx { op.extra |= 0x20 }
}

// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ. Where the whole operand can be accessed the stub does it; else the
// elements are accessed one by one. `extra` as in other stubs; `src` is the size less 1; `dst` holds the mask register
// in bits 0-3, the data register in bits 4-7, and bit 8 for elements of 8 bytes.

extension CPU {
    /// The bit positions of elements that the mask chooses.
    private func chosen(_ op: MicroOp, _ body: (_ offset: Int, _ size: Int) throws(Leave) -> Void) throws(Leave) {
        let size = op.dst & 0x100 != 0 ? 8 : 4
        let mask = VectorLayout.register(UInt8(op.dst & 15))
        for offset in stride(from: 0, to: Int(op.src) + 1, by: size) {
            let sign = unsafe bytes.load(fromByteOffset: mask + offset + size - 1, as: UInt8.self)
            if sign & 0x80 != 0 { try body(offset, size) }
        }
    }

    fileprivate func maskedLoad(_ op: MicroOp) throws(Leave) {
        let linear = try operandAddress(op, size: 1, write: false)
        unsafe scratch.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
        try chosen(op) { (offset, size) throws(Leave) in
            unsafe try readBytes(linear &+ UInt64(offset), scratch + offset, size)
        }
    }
    fileprivate func maskedStore(_ op: MicroOp) throws(Leave) {
        let linear = try operandAddress(op, size: 1, write: true)
        let data = VectorLayout.register(UInt8(op.dst >> 4 & 15))
        try chosen(op) { (offset, size) throws(Leave) in
            try probe(linear &+ UInt64(offset), size: size, .write, .current)
        }
        try chosen(op) { (offset, size) throws(Leave) in
            unsafe try writeBytes(linear &+ UInt64(offset), bytes + data + offset, size)
        }
    }
}

private let maskedLoad: apus_handler = { cpu, op in
    if cpu.blocked(op.extra) { return cpu.vectorFault(op, op.extra) }
    if let memory = unsafe cpu.fastReadable(op, last: UInt64(op.src), mask: 0) {
        _ = unsafe cpu.runStub(op, memory)
        return op.next
    }
    return attempt(cpu, op) { () throws(Leave) in
        try cpu.maskedLoad(op)
        _ = unsafe cpu.runStub(op, cpu.scratch)
        return op.next
    }
}
private let maskedStore: apus_handler = { cpu, op in
    if cpu.blocked(op.extra) { return cpu.vectorFault(op, op.extra) }
    if let memory = unsafe cpu.fastWritable(op, last: UInt64(op.src), mask: 0) {
        _ = unsafe cpu.runStub(op, memory)
        return op.next
    }
    return attempt(cpu, op) { () throws(Leave) in
        try cpu.maskedStore(op)
        return op.next
    }
}

/// Changes an op lowered as a stub into one that leaves out what the mask leaves out.
func makeMasked(_ instruction: Instruction, _ op: inout apus_op) {
    let stores = instruction.operands.0.kind == .memory
    let data = (stores ? instruction.operands.2 : instruction.operands.0).register
    let is64 = instruction.mnemonic == .vmaskmovpd || instruction.mnemonic == .vpmaskmovq
    op.dst = UInt16(instruction.operands.1.register & 15) | UInt16(data & 15) << 4 | (is64 ? 0x100 : 0)
    op.handler = stores ? maskedStore : maskedLoad
}
