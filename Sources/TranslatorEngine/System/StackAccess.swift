internal import CEngine

// The stack in any mode, for instructions that are not worth a fast path.

extension CPU {
    var stackMask: UInt64 {
        switch unsafe p.pointee.stack_size {
        case 8: .max
        case 4: 0xffff_ffff
        default: 0xffff
        }
    }

    /// rSP after adding to it, the bits above the stack's width kept.
    func stackPointer(adding delta: Int64) -> UInt64 {
        let mask = stackMask
        let new = rsp &+ UInt64(bitPattern: delta)
        // A 32-bit stack pointer write clears the upper half; a 16-bit one keeps the rest.
        return mask == 0xffff ? rsp & ~0xffff | new & 0xffff : new & mask
    }

    /// Pushes 2, 4 or 8 bytes with the current privilege.
    func push(_ value: UInt64, size: Int) throws(Leave) {
        let new = stackPointer(adding: Int64(-size))
        let address = try linear(APUS_SEG_SS, new & stackMask, size: size, write: true)
        try writeMemory(address, value, size: size, .current)
        rsp = new
    }

    /// Pops 2, 4 or 8 bytes with the current privilege.
    func pop(size: Int) throws(Leave) -> UInt64 {
        let value = try peek(0, size: size)
        rsp = stackPointer(adding: Int64(size))
        return value
    }

    /// Reads the stack `offset` bytes above its top.
    func peek(_ offset: Int, size: Int) throws(Leave) -> UInt64 {
        let address = try linear(
            APUS_SEG_SS, stackPointer(adding: Int64(offset)) & stackMask, size: size, write: false)
        return try readMemory(address, size: size, .current)
    }
}
