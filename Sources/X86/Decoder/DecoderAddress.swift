extension DecoderState {
    /// Reads SIB byte and displacement of the ModRM byte's memory operand (SDM volume 2, tables 2-1 to 2-3).
    @inline(__always)
    mutating func readAddress(vectorIndex: Bool) throws(DecodeError) {
        if instruction.addressSize == 2 {
            if vectorIndex { throw .undefined }
            return try readAddress16()
        }
        let mod = modrm >> 6
        let rm = modrm & 7
        var memory = MemoryReference()
        var base = rm
        if rm == 4 {
            let sib = try cursor.read(UInt8.self)
            base = sib & 7
            let index = (sib >> 3) & 7 | (rex & 2) << 2
            if index != 4 || vectorIndex {
                memory.index = index
                memory.shift = sib >> 6
            }
        } else if vectorIndex {
            throw .undefined
        }
        if mod == 0 && base == 5 {
            memory.displacement = Int64(try cursor.read(Int32.self))
            if rm == 5 && isLong { memory.base = MemoryReference.instructionPointer }
        } else {
            // RSP and RBP address the stack; R12 and R13 do not.
            memory.base = base | extendRM
            if memory.base == 4 || memory.base == 5 { memory.segment = 2 }
            if mod == 1 {
                memory.displacement = try cursor.signedByte()
            } else if mod == 2 {
                memory.displacement = Int64(try cursor.read(Int32.self))
            }
        }
        if segment != Self.noSegment { memory.segment = segment }
        instruction.memory = memory
    }

    /// The 16-bit forms (SDM volume 2, table 2-1).
    @inline(never)
    private mutating func readAddress16() throws(DecodeError) {
        let mod = modrm >> 6
        var memory = MemoryReference()
        switch modrm & 7 {
        case 0: (memory.base, memory.index) = (3, 6)
        case 1: (memory.base, memory.index) = (3, 7)
        case 2: (memory.base, memory.index, memory.segment) = (5, 6, 2)
        case 3: (memory.base, memory.index, memory.segment) = (5, 7, 2)
        case 4: memory.base = 6
        case 5: memory.base = 7
        case 6:
            if mod != 0 { (memory.base, memory.segment) = (5, 2) }
        default: memory.base = 3
        }
        if mod == 1 {
            memory.displacement = try cursor.signedByte()
        } else if mod == 2 || memory.base == MemoryReference.noRegister {
            memory.displacement = Int64(try cursor.read(Int16.self))
        }
        if segment != Self.noSegment { memory.segment = segment }
        instruction.memory = memory
    }

    /// Reads the address of the forms without ModRM (A0 to A3), which is as long as the address size.
    @inline(never)
    mutating func readOffset() throws(DecodeError) {
        switch instruction.addressSize {
        case 2: instruction.memory.displacement = Int64(try cursor.read(UInt16.self))
        case 4: instruction.memory.displacement = Int64(try cursor.read(UInt32.self))
        default: instruction.memory.displacement = try cursor.read(Int64.self)
        }
    }
}
