internal import CEngine
internal import X86

final class HostCode: Sendable { init() {}; var isFull: Bool { false } }
extension Lowering {
    func lowerHostExecuted(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
        switch instruction.mnemonic {
        case .fninit: unsafe op.handler = { cpu, op in
            unsafe cpu.fxState.storeBytes(of: 0x037f, toByteOffset: 0, as: UInt16.self)
            unsafe cpu.fxState.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
            unsafe cpu.fxState.storeBytes(of: 0, toByteOffset: 4, as: UInt16.self)
            return op.next }
        case .fnstsw: op.extra = instruction.operands.0.kind == .memory ? 1 : 0
            unsafe op.handler = { cpu, op in
            let v = unsafe cpu.fxState.load(fromByteOffset: 2, as: UInt16.self)
            if op.extra == 0 { cpu.write(0, v); return op.next }
            return cpu.store(op, v) ? op.next : .leave }
        case .fnstcw: unsafe op.handler = { cpu, op in
            let v = unsafe cpu.fxState.load(fromByteOffset: 0, as: UInt16.self)
            return cpu.store(op, v) ? op.next : .leave }
        case .fxsave: unsafe op.handler = { cpu, op in
            attempt(cpu, op) { () throws(Leave) in
                let a = try cpu.operandAddress(op, size: 512, write: true)
                for i in 0..<20 { try cpu.writeMemory(a &+ UInt64(i*8), unsafe cpu.fxState.load(fromByteOffset: i*8, as: UInt64.self), size: 8, .current) }
                try cpu.writeMemory(a &+ 28, 0xffff, size: 4, .current)
                return op.next } }
        case .fxrstor: unsafe op.handler = { cpu, op in
            attempt(cpu, op) { () throws(Leave) in
                let a = try cpu.operandAddress(op, size: 512, write: true)
                for i in 0..<20 { unsafe cpu.fxState.storeBytes(of: try cpu.readMemory(a &+ UInt64(i*8), size: 8, .current), toByteOffset: i*8, as: UInt64.self) }
                return op.next } }
        case .fnclex, .wait, .ldmxcsr, .emms, .lfence, .mfence, .sfence, .clflush: unsafe op.handler = { cpu, op in op.next }
        case .stmxcsr: unsafe op.handler = { cpu, op in cpu.store(op, 0x1f80 as UInt32) ? op.next : .leave }
        default: return false
        }
        return true
    }
}
