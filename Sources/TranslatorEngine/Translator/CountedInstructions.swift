internal import CEngine

// Counted instructions (`-icount`): virtual time is a number of executed instructions. A block adds all of its own when
// it begins, where they fit before the limit, at which a timer is due; what remains before the limit runs alone. So each
// timer fires after the same instruction, however the code is executed. Where a block is left in its middle the rest is
// given back, so that devices and counters tell the time of the instruction that asks.

extension CPU {
    var countsInstructions: Bool { unsafe p.pointee.counts_instructions != 0 }
    var isAtLimit: Bool { unsafe p.pointee.executed >= p.pointee.execution_limit }

    /// Begins a block, `header` being its first op, where it fits before the limit.
    @inline(__always) func charge(_ header: MicroOp) -> MicroOp {
        let total = unsafe p.pointee.executed &+ UInt64(header.extra)
        guard unsafe total <= p.pointee.execution_limit else { return leaveBeforeLimit(header) }
        unsafe p.pointee.executed = total
        unsafe p.pointee.charged = header.op
        return header.next
    }

    /// Leaves before a block that does not fit: its first instruction runs alone.
    @inline(never) fileprivate func leaveBeforeLimit(_ header: MicroOp) -> MicroOp {
        rip = ripOf(header)
        unsafe p.pointee.runs_alone = 1
        unsafe p.pointee.charged = nil
        unsafe p.pointee.status = UInt8(APUS_STATUS_STATE)
        return .leave
    }

    /// Takes back those instructions of the block at hand that lie at an address or behind it.
    @inline(never) func giveBackCharge(at rip: UInt64) {
        guard let header = unsafe p.pointee.charged else { return }
        unsafe p.pointee.charged = nil
        let place = (rip &- pageBase) & ripMask
        let count = unsafe UInt64(header.pointee.extra)
        var done: UInt64 = 0
        // SAFETY: the ops of a block's instructions follow its first op, which has their number.
        while unsafe done < count && UInt64((header + 1 + Int(done)).pointee.offset) < place { done += 1 }
        unsafe p.pointee.executed &-= count - done
    }

    /// Counts an instruction that ran alone, unless it is to run again.
    @inline(never) func countSingle(_ op: MicroOp, _ next: MicroOp) {
        let status = unsafe Int32(p.pointee.status)
        let isUnfinished = status == APUS_STATUS_STATE && rip == ripOf(op)
        if next.isLeave && (status == APUS_STATUS_FAULT || status == APUS_STATUS_EXIT || isUnfinished) { return }
        unsafe p.pointee.executed &+= 1
    }
}

/// The first op of a block that is not translated.
let chargeBlock: apus_handler = { cpu, op in cpu.charge(op) }

let translatedLimit: @convention(c) (UnsafeMutablePointer<apus_vcpu>, UnsafePointer<apus_op>, UInt64) -> UInt64 = {
    vcpu, op, _ in
    let cpu = unsafe CPU(vcpu: vcpu)
    return unsafe cpu.leaveBeforeLimit(MicroOp(op: op)).pointer
}

extension BlockTranslator {
    /// Emits what `charge` does; the flags are in the structure.
    mutating func emitCharge(_ count: Int) {
        let executed = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.executed))
        a.load(Host.addend, executed)
        a.lea(Host.addend, .base(Host.addend, Int32(count)))
        unsafe a.modrm(
            0, wide: true, opcode: 0x3b, length: 1, reg: Host.addend,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.execution_limit)))
        unsafe limitPath = a.jump(if: 7)
        a.store(Host.addend, executed)
        unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: ops)))
        unsafe a.store(Host.addend, .field(MemoryLayout<apus_vcpu>.offset(of: \.charged)))
    }
    mutating func emitLimitPath() {
        guard let path = unsafe limitPath else { return }
        unsafe a.land(path)
        unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: ops)))
        unsafe a.jump(to: stubs.limit)
    }
}
