internal import CEngine

// Stack instructions and near transfers of 16- and 32-bit code, and those of 64-bit code with a 16-bit operand.
// `extra` is the operand size in bytes.

let pushAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(cpu.readRegister(op.src, size: Int(op.extra)), size: Int(op.extra))
        return op.next
    }
}
let pushAnyImmediate: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(op.imm, size: Int(op.extra))
        return op.next
    }
}
let pushAnyMemory: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(cpu.operandRead(op, size: Int(op.extra)), size: Int(op.extra))
        return op.next
    }
}
let popAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let value = try cpu.pop(size: Int(op.extra))
        cpu.writeRegister(op.dst, value, size: Int(op.extra))
        return op.next
    }
}
let popAnyMemory: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let saved = cpu.rsp
        let value = try cpu.pop(size: Int(op.extra))
        do throws(Leave) { try cpu.operandWrite(op, value, size: Int(op.extra)) } catch {
            cpu.rsp = saved
            throw error
        }
        return op.next
    }
}
let pushFlagsAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.virtual8086 && cpu.systemFlags & Flag.iopl != Flag.iopl { throw cpu.raise(Vector.general, error: 0) }
        try cpu.push(cpu.rflags & ~(Flag.rf | Flag.vm), size: Int(op.extra))
        return op.next
    }
}
let pushAll: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let saved = cpu.rsp
        do throws(Leave) {
            for register in 0..<8 { try cpu.push(register == 4 ? saved : cpu.gpr(register), size: Int(op.extra)) }
        } catch {
            cpu.rsp = saved
            throw error
        }
        return op.next
    }
}
let popAll: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        // All are read before the first register changes.
        try cpu.probeStack(size * 8)
        for register in (0..<8).reversed() {
            let value = try cpu.pop(size: size)
            if register != 4 { cpu.writeRegister(UInt16(register * 8), value, size: size) }
        }
        return op.next
    }
}
/// ENTER: `imm` bytes of locals, `src` the nesting level.
let enter: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let saved = cpu.rsp
        do throws(Leave) {
            try cpu.push(cpu.rbp, size: size)
            let frame = cpu.rsp
            let level = Int(op.src & 31)
            if level > 0 {
                var pointer = cpu.rbp
                for _ in 1..<max(level, 1) {
                    pointer &-= UInt64(size)
                    let address = try cpu.linear(APUS_SEG_SS, pointer & cpu.stackMask, size: size, write: false)
                    try cpu.push(cpu.readMemory(address, size: size, .current), size: size)
                }
                try cpu.push(frame, size: size)
            }
            let top = cpu.stackPointer(adding: -Int64(op.imm))
            // The new top must be writable (SDM volume 2, ENTER).
            let address = try cpu.linear(APUS_SEG_SS, top & cpu.stackMask, size: size, write: true)
            try cpu.probe(address, size: size, .write, .current)
            cpu.rsp = top
            if cpu.stackMask == 0xffff { cpu.write(40, UInt16(truncatingIfNeeded: frame)) } else {
                cpu.writeRegister(40, frame, size: size)
            }
        } catch {
            cpu.rsp = saved
            throw error
        }
        return op.next
    }
}
let leaveAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let saved = cpu.rsp
        let mask = cpu.stackMask
        cpu.rsp = mask == 0xffff ? saved & ~0xffff | cpu.rbp & 0xffff : cpu.rbp & mask
        do throws(Leave) {
            let value = try cpu.pop(size: size)
            cpu.writeRegister(40, value, size: size)
        } catch {
            cpu.rsp = saved
            throw error
        }
        return op.next
    }
}

extension CPU {
    /// Throws what reading `count` bytes from the stack's top would throw.
    fileprivate func probeStack(_ count: Int) throws(Leave) {
        for offset in stride(from: 0, to: count, by: 2) { _ = try peek(offset, size: 2) }
    }
    fileprivate func legacyTarget(_ target: UInt64, _ size: Int) throws(Leave) -> UInt64 {
        let target = size == 2 ? target & 0xffff : target & ripMask
        guard code64 || target <= UInt64(segment(APUS_SEG_CS).limit) else { throw raise(Vector.general, error: 0) }
        return target
    }
}

/// Near JMP, CALL of legacy code. `imm` is relative to the next instruction; `dst` counts.
let jumpRelative: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let target = try cpu.legacyTarget(cpu.ripAfter(op) &+ op.imm, Int(op.extra))
        cpu.count(op)
        return cpu.jump(target)
    }
}
let callRelative: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let target = try cpu.legacyTarget(cpu.ripAfter(op) &+ op.imm, Int(op.extra))
        try cpu.push(cpu.ripAfter(op), size: Int(op.extra))
        cpu.count(op)
        return cpu.jump(target)
    }
}
/// CALL rel32 of flat 32-bit code, within the page and to another.
let callLinkedFlat: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(cpu.ripAfter(op), size: 4)
        cpu.count(op)
        return cpu.follow(op)
    }
}
let callFarPageFlat: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.push(cpu.ripAfter(op), size: 4)
        cpu.count(op)
        return cpu.jump((cpu.pageBase &+ UInt64(bitPattern: Int64(op.disp))) & cpu.ripMask)
    }
}
/// Jcc with a 16-bit operand size; the condition in `src`. What follows is the fall-through.
let jccRelative: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        guard cpu.condition(UInt8(truncatingIfNeeded: op.src)) else {
            cpu.count(op)
            return op.next
        }
        let target = try cpu.legacyTarget(cpu.ripAfter(op) &+ op.imm, Int(op.extra))
        cpu.count(op)
        return cpu.jump(target)
    }
}
/// JMP and CALL through a register (`src`) or memory (`imm` 1).
let jumpAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let value = op.imm != 0 ? try cpu.operandRead(op, size: size) : cpu.readRegister(op.src, size: size)
        let target = try cpu.legacyTarget(value, size)
        cpu.count(op)
        return cpu.jump(target)
    }
}
let callAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let value = op.imm != 0 ? try cpu.operandRead(op, size: size) : cpu.readRegister(op.src, size: size)
        let target = try cpu.legacyTarget(value, size)
        try cpu.push(cpu.ripAfter(op), size: size)
        cpu.count(op)
        return cpu.jump(target)
    }
}
let retAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let target = try cpu.legacyTarget(cpu.peek(0, size: size), size)
        cpu.rsp = cpu.stackPointer(adding: Int64(size) + Int64(op.imm))
        cpu.count(op)
        return cpu.jump(target)
    }
}
