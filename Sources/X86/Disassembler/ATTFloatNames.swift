extension ATTMnemonic {
    /// x87 names: memory operands take a suffix, and the reversed operations with a destination other than ST are
    /// swapped with the plain ones, as AT&T's assembler had them.
    static func x87Name(_ instruction: Instruction, _ code: CodeSize) -> String {
        let name = base(instruction)
        if instruction.operands.0.kind == .memory { return name + x87Suffix(instruction, code) }
        let opcode = instruction.encoding.opcode
        guard instruction.operands.0.kind == .x87, opcode == 0xdc || opcode == 0xde else { return name }
        return switch instruction.mnemonic {
        case .fsub: "fsubr"
        case .fsubr: "fsub"
        case .fdiv: "fdivr"
        case .fdivr: "fdiv"
        case .fsubp: "fsubrp"
        case .fsubrp: "fsubp"
        case .fdivp: "fdivrp"
        case .fdivrp: "fdivp"
        default: name
        }
    }

    private static func x87Suffix(_ instruction: Instruction, _ code: CodeSize) -> String {
        let size = instruction.operands.0.size
        switch instruction.mnemonic {
        case .fild, .fist, .fistp, .fisttp, .fiadd, .fimul, .ficom, .ficomp, .fisub, .fisubr, .fidiv, .fidivr:
            return size == 2 ? "s" : size == 4 ? "l" : "ll"
        case .fld, .fst, .fstp, .fadd, .fmul, .fcom, .fcomp, .fsub, .fsubr, .fdiv, .fdivr:
            return size == 4 ? "s" : size == 8 ? "l" : "t"
        case .fldenv, .fnstenv, .frstor, .fnsave:
            return instruction.operandSize == 2 && code != .bits16 ? "s" : ""
        default: return ""
        }
    }

    private static let comparisons = [
        "eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord",
        "eq_uq", "nge", "ngt", "false", "neq_oq", "ge", "gt", "true",
        "eq_os", "lt_oq", "le_oq", "unord_s", "neq_us", "nlt_uq", "nle_uq", "ord_s",
        "eq_us", "nge_uq", "ngt_uq", "false_os", "neq_os", "ge_oq", "gt_oq", "true_us",
    ]

    /// The name of a comparison or carry-less product that has its immediate in it, or nil.
    static func predicate(of instruction: Instruction) -> String? {
        let value = instruction.immediate
        switch instruction.mnemonic {
        case .cmpps, .cmppd, .cmpss, .cmpsd:
            guard value < 8 else { return nil }
            return "cmp" + comparisons[Int(value)] + base(instruction).suffix(2)
        case .vcmpps, .vcmppd, .vcmpss, .vcmpsd:
            guard value < 32 else { return nil }
            return "vcmp" + comparisons[Int(value)] + base(instruction).suffix(2)
        case .pclmulqdq, .vpclmulqdq:
            guard value & ~0x11 == 0 else { return nil }
            let stem = instruction.mnemonic == .pclmulqdq ? "pclmul" : "vpclmul"
            return stem + (value & 1 != 0 ? "hq" : "lq") + (value & 0x10 != 0 ? "hq" : "lq") + "dq"
        default: return nil
        }
    }
}
