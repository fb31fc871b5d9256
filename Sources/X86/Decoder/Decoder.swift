/// Decodes x86 machine code of every mode.
///
/// The work goes in four steps: prefixes (`DecoderState.readPrefixes`), the opcode's row in the tables
/// (`DecoderState.findRow`), the address of a memory operand (`DecoderState.readAddress`), and the operands
/// (`DecoderState.operand`). The tables follow the opcode maps of the Intel SDM, volume 2, appendix A; where
/// processors of Intel and AMD differ, Intel's behaviour is decoded (near branches of 64-bit mode ignore 66).
///
/// Not decoded, so `.undefined`: EVEX, XOP, 3DNow!, TSX, MPX and CET but for their hints, which are no-operations, VMX
/// and SVM but for VMCALL and VMMCALL, and later extensions.
public enum Decoder {
    /// The greatest length of an instruction.
    public static let maximumLength = 15

    /// Decodes the instruction that starts with the first of `bytes`, of which at most 15 are looked at.
    ///
    /// Throws `.truncated` where the bytes end within the instruction, `.tooLong` where it has more than 15 bytes, and
    /// `.undefined` where it is invalid in code of size `code`. Faults that depend on privilege, on control registers
    /// or on CPUID (see `Instruction.featureRequired`) are the caller's. Callable from any thread.
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, code: CodeSize
    ) throws(DecodeError) -> Instruction {
        // SAFETY: the cursor lives no longer than this call.
        var state = DecoderState(cursor: unsafe try Cursor(bytes), code: code)
        let opcode = try state.readPrefixes()
        // SAFETY: rows live forever.
        let row = unsafe try state.findRow(opcode)
        return unsafe try state.finish(row.pointee)
    }

    /// Decodes the instruction that starts with the first of `bytes`.
    public static func decode(_ bytes: [UInt8], code: CodeSize) throws(DecodeError) -> Instruction {
        var result: Result<Instruction, DecodeError> = .failure(.truncated)
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(DecodeError) {
                result = .success(unsafe try decode(buffer, code: code))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }
}
