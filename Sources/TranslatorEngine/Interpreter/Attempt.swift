internal import CEngine

/// Runs the body of an instruction that takes the slow, throwing road: `rip` names it, and an exception or exit
/// leaves the loop.
@inline(__always)
func attempt(_ cpu: CPU, _ op: MicroOp, _ body: () throws(Leave) -> MicroOp) -> MicroOp {
    cpu.rip = cpu.ripOf(op)
    do throws(Leave) { return try body() } catch { return .leave }
}

extension CPU {
    /// Throws #GP(0) unless the current privilege level is 0.
    @inline(__always) func requirePrivilege() throws(Leave) {
        if cpl != 0 { throw raise(Vector.general, error: 0) }
    }

    /// The address of a memory operand of `size` bytes, read and written by the throwing accessors.
    func operandRead(_ op: MicroOp, size: Int) throws(Leave) -> UInt64 {
        try readMemory(operandAddress(op, size: size, write: false), size: size, .current)
    }
    func operandWrite(_ op: MicroOp, _ value: UInt64, size: Int) throws(Leave) {
        try writeMemory(operandAddress(op, size: size, write: true), value, size: size, .current)
    }

    /// Reads a register (by byte offset) of a size known at run time.
    func readRegister(_ offset: UInt16, size: Int) -> UInt64 {
        switch size {
        case 1: UInt64(read(offset, as: UInt8.self))
        case 2: UInt64(read(offset, as: UInt16.self))
        case 4: UInt64(read(offset, as: UInt32.self))
        default: read(offset, as: UInt64.self)
        }
    }
    /// Writes a register (by byte offset) of a size known at run time.
    func writeRegister(_ offset: UInt16, _ value: UInt64, size: Int) {
        switch size {
        case 1: write(offset, UInt8(truncatingIfNeeded: value))
        case 2: write(offset, UInt16(truncatingIfNeeded: value))
        case 4: write(offset, UInt32(truncatingIfNeeded: value))
        default: write(offset, value)
        }
    }
}
