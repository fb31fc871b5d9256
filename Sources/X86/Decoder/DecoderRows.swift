extension DecoderState {
    /// Finds the row of an opcode, and reads the ModRM byte where there is one.
    @inline(__always)
    mutating func findRow(_ opcode: UInt8) throws(DecodeError) -> Row {
        instruction.encoding.map = map
        instruction.encoding.opcode = opcode
        switch map {
        case .primary:
            return try match(OpcodeIndex.primary[Int(opcode)], Tables.primary)
        case .secondary:
            return try match(OpcodeIndex.secondary[Int(opcode)], Tables.secondary)
        case .map38: return try match(OpcodeIndex.map38[Int(opcode)], Tables.map38)
        case .map3A: throw .undefined
        }
    }

    /// The first row of an opcode that matches, by the opcode's entry in `OpcodeIndex`.
    @inline(__always)
    private mutating func match(_ index: UInt16, _ table: [Row]) throws(DecodeError) -> Row {
        let byte = cursor.peek
        let compared = UInt16(byte < 0xc0 ? byte & 0x3f : byte & 0xbf)
        var position = Int(index >> 6)
        let end = position &+ Int(index & 63)
        while position < end {
            let form = table[position].form
            if when & ~table[position].when == 0 && compared & (form >> 8) == form & 0xff {
                let row = table[position]
                if form & Form.noModRM == 0 {
                    instruction.encoding.modrm = try cursor.read(UInt8.self)
                    instruction.encoding.hasModRM = true
                }
                return row
            }
            position &+= 1
        }
        // A row may have failed only because the ModRM byte is missing.
        if index != 0 && cursor.position >= cursor.limit { throw cursor.exhausted }
        throw .undefined
    }
}
