internal import CEngine
internal import X86

// Hints, fences and non-temporal stores from general registers. Guest and host order memory alike, so that an ordinary
// store is stronger than a non-temporal one and needs no SFENCE; a fence orders the guest's accesses among threads.

private let hint: apus_handler = { _, op in op.next }
private let loadFence: apus_handler = { _, op in op.next }
private let fullFence: apus_handler = { _, op in
    apus_fence()
    return op.next
}
/// CLFLUSH and its kin fault as a load of a byte does, but do not load it.
private let flushLine: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        _ = try cpu.translate(cpu.operandAddress(op, size: 1, write: false), .read, .current)
        return op.next
    }
}
private let movnti4: apus_handler = { c, o in c.store(o, c.read(o.src, as: UInt32.self)) ? o.next : .leave }
private let movnti8: apus_handler = { c, o in c.store(o, c.read(o.src, as: UInt64.self)) ? o.next : .leave }

/// Lowers one of these; false for others.
func lowerCacheControl(_ instruction: Instruction, into op: inout apus_op) -> Bool {
    switch instruction.mnemonic {
    case .prefetch, .prefetchw: op.handler = hint
    case .lfence: op.handler = loadFence
    case .sfence, .mfence: op.handler = fullFence
    case .clflush, .clflushopt, .clwb: op.handler = flushLine
    case .movnti:
        op.src = 8 * UInt16(instruction.operands.1.register & 15)
        op.handler = instruction.operands.1.size == 8 ? movnti8 : movnti4
    default: return false
    }
    return true
}
