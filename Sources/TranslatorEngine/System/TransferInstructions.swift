internal import CEngine

// Far transfers and software interrupts as instructions. They set rIP themselves; `afterTransfer` goes on from there.

extension CPU {
    /// Goes on at `rip` after a transfer: by the jump cache where nothing waits.
    func afterTransfer() -> MicroOp {
        if maskedEvents || systemFlags & Flag.tf != 0 {
            unsafe p.pointee.status = UInt8(APUS_STATUS_STATE)
            unsafe p.pointee.charged = nil
            return .leave
        }
        return jump(rip)
    }

    /// Runs a transfer whose return address is after the instruction; the instruction's own where it faults.
    fileprivate func transfer(_ op: MicroOp, _ body: () throws(Leave) -> Void) -> MicroOp {
        rip = ripOf(op)
        do throws(Leave) {
            try body()
            count(op)
            return afterTransfer()
        } catch { return .leave }
    }

    fileprivate func softwareInterrupt(_ op: MicroOp, _ vector: UInt8, _ source: EventSource) -> MicroOp {
        transfer(op) { () throws(Leave) in
            let start = rip
            rip = ripAfter(op)
            do throws(Leave) { try deliver(vector, error: nil, source) } catch {
                rip = start
                throw error
            }
            // TF is clear now, and the instruction does not trap (SDM volume 3, 17.3.1.4).
            unsafe p.pointee.trap_armed = 0
        }
    }
}

/// INT n, the vector in `imm`.
let softwareInterrupt: apus_handler = { cpu, op in
    if cpu.virtual8086 && cpu.systemFlags & Flag.iopl != Flag.iopl {
        return cpu.fault(op, Vector.general, error: 0)
    }
    return cpu.softwareInterrupt(op, UInt8(truncatingIfNeeded: op.imm), .software)
}
let breakpointInstruction: apus_handler = { cpu, op in
    cpu.softwareInterrupt(op, Vector.breakpoint, .software)
}
let overflowInstruction: apus_handler = { cpu, op in
    cpu.arith & Flag.overflow == 0 ? op.next : cpu.softwareInterrupt(op, Vector.overflow, .software)
}
/// INT1: #DB without the checks of a software interrupt.
let icebp: apus_handler = { cpu, op in
    let next = cpu.softwareInterrupt(op, Vector.debug, .exception)
    // A data breakpoint that a load of SS held off is told with it.
    let causes = cpu.takeDataBreakpoints()
    if causes != 0 { cpu.noteDebug(causes) }
    return next
}

/// IRET of `extra` bytes.
let interruptReturn: apus_handler = { cpu, op in
    cpu.transfer(op) { () throws(Leave) in
        let size = Int(op.extra)
        // A task switch saves the address after the instruction.
        let start = cpu.rip
        if cpu.systemFlags & Flag.nt != 0 && cpu.protected && !cpu.longMode { cpu.rip = cpu.ripAfter(op) }
        do throws(Leave) { try cpu.interruptReturn(size: size) } catch {
            cpu.rip = start
            throw error
        }
        if unsafe cpu.p.pointee.s.nmi_blocked != 0 {
            unsafe cpu.p.pointee.s.nmi_blocked = 0
            cpu.maskedEvents = true
        }
    }
}

/// Far JMP and CALL: selector in `src`, offset in `imm`, size in `extra`; bit 7 CALL, bit 6 a pointer in memory.
let farTransfer: apus_handler = { cpu, op in
    cpu.transfer(op) { () throws(Leave) in
        let size = Int(op.extra & 15)
        var offset = op.imm
        var selector = op.src
        if op.extra & 0x40 != 0 {
            let address = try cpu.operandAddress(op, size: size + 2, write: false)
            offset = try cpu.readMemory(address, size: size, .current)
            selector = UInt16(truncatingIfNeeded: try cpu.readMemory(address &+ UInt64(size), size: 2, .current))
        }
        let start = cpu.rip
        let next = cpu.ripAfter(op)
        do throws(Leave) {
            if op.extra & 0x80 != 0 {
                try cpu.farCall(selector, offset, size: size, returnTo: next)
            } else {
                cpu.rip = next
                try cpu.farJump(selector, offset)
            }
        } catch {
            cpu.rip = start
            throw error
        }
    }
}
/// RETF of `extra` bytes, releasing `imm` more.
let farReturn: apus_handler = { cpu, op in
    cpu.transfer(op) { () throws(Leave) in try cpu.farReturn(size: Int(op.extra), release: op.imm) }
}
