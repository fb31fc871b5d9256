import X86

/// Decodes bytes that must be one whole instruction.
func decode(_ bytes: [UInt8], _ code: CodeSize = .bits64) -> Instruction? {
    try? Decoder.decode(bytes, code: code)
}

/// The error that bytes decode to.
func decodeError(_ bytes: [UInt8], _ code: CodeSize = .bits64) -> DecodeError? {
    do throws(DecodeError) {
        _ = try Decoder.decode(bytes, code: code)
        return nil
    } catch {
        return error
    }
}
