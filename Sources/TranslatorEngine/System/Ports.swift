internal import CEngine

// Port I/O: the permission checks of the manual (SDM volume 1, 19.5), and accesses as exits that are answered when the
// instruction starts again.
extension CPU {
    /// Throws #GP(0) where I/O privilege and the task's permission map forbid the port.
    func checkPort(_ port: UInt16, size: Int) throws(Leave) {
        guard protected else { return }
        if !virtual8086 && UInt64(cpl) <= (systemFlags & Flag.iopl) >> 12 { return }
        let tr = segment(APUS_SEG_TR)
        // Only a 32- or 64-bit TSS has a map.
        guard tr.attributes & 0x9d == 0x89, tr.limit >= 103 else { throw raise(Vector.general, error: 0) }
        let map = try readMemory(systemLinear(tr.base &+ 102), size: 2, .system)
        let offset = map + UInt64(port >> 3)
        guard offset + 1 <= UInt64(tr.limit) else { throw raise(Vector.general, error: 0) }
        let bits = try readMemory(systemLinear(tr.base &+ offset), size: 2, .system)
        let mask: UInt64 = ((1 << UInt64(size)) - 1) << UInt64(port & 7)
        guard bits & mask == 0 else { throw raise(Vector.general, error: 0) }
    }

    /// A recorded reply, or an exit that asks for one.
    func portRead(_ port: UInt16, size: Int) throws(Leave) -> UInt64 {
        if let reply = nextReply() { return reply }
        throw exit(.portRead, address: UInt64(port), value: 0, size: size)
    }

    func portWrite(_ port: UInt16, _ value: UInt64, size: Int) throws(Leave) {
        if nextReply() != nil { return }
        throw exit(.portWrite, address: UInt64(port), value: value, size: size)
    }

    /// The port of IN and OUT: `extra` bit 2 says that it is in DX, else in `imm`.
    fileprivate func port(_ op: MicroOp) -> UInt16 {
        UInt16(truncatingIfNeeded: op.extra & 4 != 0 ? rdx : op.imm)
    }
}

/// IN: `extra` bits 0-1 log2 of the size, bit 2 the port is in DX.
let portIn: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = 1 << Int(op.extra & 3)
        let port = cpu.port(op)
        try cpu.checkPort(port, size: size)
        cpu.writeRegister(0, try cpu.portRead(port, size: size), size: size)
        return op.next
    }
}
/// OUT, encoded as IN.
let portOut: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = 1 << Int(op.extra & 3)
        let port = cpu.port(op)
        try cpu.checkPort(port, size: size)
        try cpu.portWrite(port, cpu.readRegister(0, size: size), size: size)
        return op.next
    }
}
