extension DecoderState {
    /// Finds the first row of an opcode that matches, and reads the ModRM byte where the row has one.
    @inline(__always)
    mutating func findRow(_ opcode: UInt8) throws(DecodeError) -> UnsafePointer<Row> {
        instruction.encoding.map = map
        instruction.encoding.opcode = opcode
        let rows = unsafe OpcodeTables.shared.find(map, isVEX: isVEX, opcode)
        let byte = cursor.peek
        // The form that `Form` describes.
        let compared = UInt16(byte < 0xc0 ? byte & 0x3f : byte & 0xbf)
        guard var row = rows.baseAddress else { throw .undefined }
        // SAFETY: one past the last row of the opcode is at most the end of the block.
        let end = unsafe row + rows.count
        while unsafe row < end {
            // SAFETY: `row` is within the opcode's rows.
            let form = unsafe row.pointee.form
            if unsafe when & ~row.pointee.when == 0 && compared & (form >> 8) == form & 0xff {
                if form & Form.noModRM == 0 {
                    instruction.encoding.modrm = try cursor.read(UInt8.self)
                    instruction.encoding.hasModRM = true
                }
                return unsafe row
            }
            unsafe row += 1
        }
        throw unsafe mismatch(rows)
    }

    /// Why no row matches: one may have failed only because the ModRM byte is missing.
    @inline(never)
    private func mismatch(_ rows: UnsafeBufferPointer<Row>) -> DecodeError {
        guard cursor.position >= cursor.limit else { return .undefined }
        // SAFETY: the rows are static.
        let needsModRM = unsafe rows.contains { when & ~$0.when == 0 && $0.form & Form.noModRM == 0 }
        return needsModRM ? cursor.exhausted : .undefined
    }
}
