/// What is known of an instruction while it is decoded.
struct DecoderState {
    var cursor: Cursor
    let code: CodeSize
    var instruction = Instruction()

    /// REX or VEX extension bits in REX's places: W 8, R 4, X 2, B 1.
    var rex: UInt8 = 0
    /// True where any REX prefix counts, so that SPL, BPL, SIL, DIL replace AH, CH, DH, BH.
    var hasREX = false
    var has66 = false
    var has67 = false
    var hasLock = false
    /// F2 or F3, whichever came last, or 0.
    var repeatPrefix: UInt8 = 0
    /// The segment override that counts, or `noSegment`.
    var segment: UInt8 = Self.noSegment
    var isVEX = false
    /// True once an operand is what VEX.vvvv names; otherwise it must name none.
    var usesVVVV = false
    var map = OpcodeMap.primary
    /// The mode and prefixes as `When` bits.
    var when: UInt16 = 0

    static let noSegment: UInt8 = 0xff

    @inline(__always)
    init(cursor: Cursor, code: CodeSize) {
        self.cursor = cursor
        self.code = code
    }

    @inline(__always)
    var isLong: Bool { code == .bits64 }
    @inline(__always)
    var isWide: Bool { rex & 8 != 0 }
    /// REX.R as a register number's bit 3.
    @inline(__always)
    var extendReg: UInt8 { (rex & 4) << 1 }
    @inline(__always)
    var extendRM: UInt8 { (rex & 1) << 3 }
    @inline(__always)
    var modrm: UInt8 { instruction.encoding.modrm }
    @inline(__always)
    var hasMemory: Bool { modrm < 0xc0 }

    /// The operand size that 66, REX.W and the mode give.
    @inline(__always)
    var sizeV: UInt8 {
        if isWide && isLong { return 8 }
        return (code == .bits16) == has66 ? 4 : 2
    }
}
