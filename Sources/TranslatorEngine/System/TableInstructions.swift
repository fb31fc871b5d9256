internal import CEngine

// Descriptor tables and what examines descriptors: LGDT to STR, LAR, LSL, VERR, VERW, ARPL, and loads of segments.

extension CPU {
    fileprivate func forbidUserStore() throws(Leave) {
        if cpl != 0 && cr4 & CR4.umip != 0 { throw raise(Vector.general, error: 0) }
    }
    fileprivate var tableSize: Int { code64 ? 10 : 6 }
}

/// LGDT and LIDT (`extra` bit 0); `extra` bit 1: a 16-bit operand size, 24 bits of base.
let loadTable: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let address = try cpu.operandAddress(op, size: cpu.tableSize, write: false)
        let limit = try cpu.readMemory(address, size: 2, .current)
        var base = try cpu.readMemory(address &+ 2, size: cpu.code64 ? 8 : 4, .current)
        if op.extra & 2 != 0 && !cpu.code64 { base &= 0xff_ffff }
        guard isCanonical(base) || !cpu.code64 else { throw cpu.raise(Vector.general, error: 0) }
        let table = apus_x86_table(base: base, limit: UInt32(limit), reserved: 0)
        if op.extra & 1 != 0 { unsafe cpu.p.pointee.s.idtr = table } else { unsafe cpu.p.pointee.s.gdtr = table }
        return op.next
    }
}
let storeTable: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.forbidUserStore()
        let table = unsafe op.extra & 1 != 0 ? cpu.p.pointee.s.idtr : cpu.p.pointee.s.gdtr
        let address = try cpu.operandAddress(op, size: cpu.tableSize, write: true)
        try cpu.probe(address, size: cpu.tableSize, .write, .current)
        try cpu.writeMemory(address, UInt64(table.limit), size: 2, .current)
        try cpu.writeMemory(address &+ 2, table.base, size: cpu.code64 ? 8 : 4, .current)
        return op.next
    }
}

/// The 16-bit source of LLDT, LTR, LAR and others: `extra` bit 7 says memory.
private func selectorOperand(_ cpu: CPU, _ op: MicroOp) throws(Leave) -> UInt16 {
    UInt16(truncatingIfNeeded: op.extra & 0x80 != 0 ? try cpu.operandRead(op, size: 2) : cpu.readRegister(op.src, size: 2))
}

let lldt: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        try cpu.requirePrivilege()
        let selector = try selectorOperand(cpu, op)
        if selector & ~3 == 0 {
            cpu.setSegment(APUS_SEG_LDTR, apus_x86_segment(base: 0, limit: 0, selector: selector, attributes: 0))
            return op.next
        }
        let error = UInt32(selector & ~3)
        guard selector & 4 == 0 else { throw cpu.raise(Vector.general, error: error) }
        let d = try cpu.descriptor(selector)
        guard d.isSystem, d.type == 2 else { throw cpu.raise(Vector.general, error: error) }
        guard d.present else { throw cpu.raise(Vector.notPresent, error: error) }
        guard !cpu.longMode || isCanonical(d.base) else { throw cpu.raise(Vector.general, error: error) }
        cpu.setSegment(APUS_SEG_LDTR, d.segment(selector))
        return op.next
    }
}
let ltr: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        try cpu.requirePrivilege()
        let selector = try selectorOperand(cpu, op)
        let error = UInt32(selector & ~3)
        guard error != 0, selector & 4 == 0 else { throw cpu.raise(Vector.general, error: error) }
        let d = try cpu.descriptor(selector)
        guard d.isSystem, d.type == 9 || d.type == 1 && !cpu.longMode else {
            throw cpu.raise(Vector.general, error: error)
        }
        guard d.present else { throw cpu.raise(Vector.notPresent, error: error) }
        guard !cpu.longMode || isCanonical(d.base) else { throw cpu.raise(Vector.general, error: error) }
        try cpu.setBusy(selector, true)
        var s = d.segment(selector)
        s.attributes |= 2
        cpu.setSegment(APUS_SEG_TR, s)
        return op.next
    }
}
/// SLDT and STR (`extra` bit 0) to memory (bit 7) or a register of `imm` bytes.
let storeSelector: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        try cpu.forbidUserStore()
        let selector = UInt64(cpu.segment(op.extra & 1 != 0 ? APUS_SEG_TR : APUS_SEG_LDTR).selector)
        if op.extra & 0x80 != 0 {
            try cpu.operandWrite(op, selector, size: 2)
        } else {
            cpu.writeRegister(op.dst, selector, size: Int(op.imm))
        }
        return op.next
    }
}

extension CPU {
    /// The descriptor that LAR, LSL, VERR and VERW look at: nil where the selector is null or out of its table, or
    /// privilege hides it.
    fileprivate func visible(_ selector: UInt16) throws(Leave) -> Descriptor? {
        guard selector & ~3 != 0 else { return nil }
        let ldt = segment(APUS_SEG_LDTR)
        if selector & 4 != 0 && ldt.attributes & SegmentBits.present == 0 { return nil }
        let limit = unsafe selector & 4 != 0 ? ldt.limit : p.pointee.s.gdtr.limit
        guard UInt32(selector | 7) <= limit else { return nil }
        let base = unsafe selector & 4 != 0 ? ldt.base : p.pointee.s.gdtr.base
        let d = Descriptor(low: try readMemory(systemLinear(base &+ UInt64(selector & ~7)), size: 8, .system))
        if d.isCode && d.conforming { return d }
        return max(cpl, UInt8(selector & 3)) <= d.dpl ? d : nil
    }
    fileprivate func setZero(_ zero: Bool) { arith = arith & ~Flag.zero | (zero ? Flag.zero : 0) }
}

/// LAR and LSL (`extra` bit 0); bit 7 memory, `imm` the operand size.
let examineSegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        let wantsLimit = op.extra & 1 != 0
        guard let d = try cpu.visible(selectorOperand(cpu, op)) else {
            cpu.setZero(false)
            return op.next
        }
        if d.isSystem {
            let types: [UInt8] =
                cpu.longMode ? (wantsLimit ? [2, 9, 11] : [2, 9, 11, 12])
                : wantsLimit ? [1, 2, 3, 9, 11] : [1, 2, 3, 4, 5, 9, 11, 12]
            guard types.contains(d.type) else {
                cpu.setZero(false)
                return op.next
            }
        }
        let value = wantsLimit ? UInt64(d.limit) : (d.low >> 32) & 0x00ff_ff00
        cpu.writeRegister(op.dst, value, size: Int(op.imm))
        cpu.setZero(true)
        return op.next
    }
}
/// VERR and VERW (`extra` bit 0).
let verifySegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        let d = try cpu.visible(selectorOperand(cpu, op))
        cpu.setZero(d.map { op.extra & 1 != 0 ? $0.writableData : $0.readable } ?? false)
        return op.next
    }
}
/// ARPL: raises the RPL of the destination to the source's.
let arpl: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.paragraphs { throw cpu.raise(Vector.undefined) }
        let memory = op.extra & 0x80 != 0
        let old = memory ? try cpu.operandRead(op, size: 2) : cpu.readRegister(op.dst, size: 2)
        let wanted = cpu.readRegister(op.src, size: 2) & 3
        let raises = old & 3 < wanted
        if raises {
            let new = old & ~3 | wanted
            if memory { try cpu.operandWrite(op, new, size: 2) } else { cpu.writeRegister(op.dst, new, size: 2) }
        }
        cpu.setZero(raises)
        return op.next
    }
}

/// MOV Sreg: from a register, or memory (`extra` bit 7); `extra` bits 0-2 the segment.
let moveToSegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.loadDataSegment(Int32(op.extra & 7), selectorOperand(cpu, op))
        return cpu.afterSegmentLoad(op, shadow: true)
    }
}
/// MOV from Sreg to a register of `imm` bytes, or memory (`extra` bit 7).
let moveFromSegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let selector = UInt64(cpu.segment(Int32(op.extra & 7)).selector)
        if op.extra & 0x80 != 0 {
            try cpu.operandWrite(op, selector, size: 2)
        } else {
            cpu.writeRegister(op.dst, selector, size: Int(op.imm))
        }
        return op.next
    }
}
let pushSegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(UInt64(cpu.segment(Int32(op.extra & 7)).selector), size: Int(op.imm))
        return op.next
    }
}
let popSegment: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let value = try cpu.peek(0, size: Int(op.imm))
        let after = cpu.stackPointer(adding: Int64(op.imm))
        try cpu.loadDataSegment(Int32(op.extra & 7), UInt16(truncatingIfNeeded: value))
        cpu.rsp = after
        return cpu.afterSegmentLoad(op, shadow: true)
    }
}
/// LDS, LES, LSS, LFS, LGS: `extra` the segment, `imm` the operand size.
let loadFarPointer: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.imm)
        let address = try cpu.operandAddress(op, size: size + 2, write: false)
        let offset = try cpu.readMemory(address, size: size, .current)
        let selector = try cpu.readMemory(address &+ UInt64(size), size: 2, .current)
        try cpu.loadDataSegment(Int32(op.extra & 7), UInt16(truncatingIfNeeded: selector))
        cpu.writeRegister(op.dst, offset, size: size)
        return cpu.afterSegmentLoad(op, shadow: false)
    }
}

extension CPU {
    /// A new SS may bring another stack size, which decoded code depends on. MOV and POP to it let one more instruction
    /// run, which sets the stack pointer, before any event (SDM volume 3, 6.8.3).
    fileprivate func afterSegmentLoad(_ op: MicroOp, shadow: Bool) -> MicroOp {
        guard op.extra & 7 == 2 else { return op.next }
        if shadow { unsafe p.pointee.s.interrupt_shadow = InterruptShadow.stackSegment }
        return stateChanged(after: op)
    }
}
