internal import X86

/// Arithmetic flags, in the two groups that instructions write apart from each other.
struct FlagSet: OptionSet {
    let rawValue: UInt8
    static let carry = FlagSet(rawValue: 1)
    /// OF, SF, ZF, AF and PF.
    static let others = FlagSet(rawValue: 2)
    static let all: FlagSet = [carry, others]
}

/// What an instruction does with the arithmetic flags, as far as translation needs to know.
struct FlagUse {
    /// Its result depends on them.
    var reads: FlagSet = []
    /// They have new values, or ones that the manual leaves undefined, whatever they were before.
    var writes: FlagSet = []
    /// Writes some of them, for some operands.
    var touches: FlagSet = []

    static let none = FlagUse()
    static func writing(_ flags: FlagSet) -> FlagUse { FlagUse(writes: flags, touches: flags) }
    static func reading(_ flags: FlagSet) -> FlagUse { FlagUse(reads: flags) }
    /// Writes all, or for some counts none.
    static let partial = FlagUse(touches: .all)
    /// Anything may happen.
    static let unknown = FlagUse(reads: .all, touches: .all)

    /// The flags before the instruction that matter, where `live` do after it.
    func liveBefore(_ live: FlagSet) -> FlagSet { reads.union(live.subtracting(writes)) }
    /// Whether the instruction must find the guest's flags in place: it reads some, or writes some and leaves others
    /// that matter after it.
    func needsFlags(_ liveAfter: FlagSet) -> Bool {
        !reads.isEmpty || !touches.isEmpty && !liveAfter.subtracting(writes).isEmpty
    }

    /// The use of an instruction. What is not known is taken to need all.
    static func of(_ i: Instruction) -> FlagUse {
        switch i.mnemonic {
        case .add, .sub, .cmp, .and, .or, .xor, .test, .neg, .mul, .imul, .xadd, .cmpxchg, .popcnt, .tzcnt, .lzcnt:
            return .writing(.all)
        case .shl, .shr, .sar:
            return i.operands.1.kind == .one || hasCount(i, size: i.operands.0.size) ? .writing(.all) : .partial
        case .shld, .shrd: return hasCount(i, size: i.operands.0.size) ? .writing(.all) : .partial
        case .rol, .ror:
            let isSure = i.operands.1.kind == .one || hasCount(i, size: i.operands.0.size)
            return FlagUse(writes: isSure ? .carry : [], touches: .all)
        case .mov, .movzx, .movsx, .movsxd, .lea, .push, .pop, .nop, .not, .bswap, .xchg, .cbw, .cwd, .movbe, .leave,
            .endbr32, .endbr64, .prefetch, .prefetchw, .rdtsc, .rdtscp, .pause, .cld, .std, .movs, .stos, .lods,
            .cli, .sti, .clac, .stac, .swapgs, .lfence, .mfence, .sfence, .movnti, .rdmsr, .wrmsr, .cpuid, .invlpg,
            .crc32, .jmp, .call, .ret:
            return .none
        case .bsf, .bsr: return FlagUse(writes: .others, touches: .all)
        case .cmps, .scas: return .unknown
        case .cmpxchg8b, .cmpxchg16b: return FlagUse(touches: .others)
        case .cmov, .set, .jcc: return .reading(condition(i.encoding.opcode))
        case .adc, .sbb: return FlagUse(reads: .carry, writes: .all, touches: .all)
        case .inc, .dec: return .writing(.others)
        case .bt, .bts, .btr, .btc, .clc, .stc: return .writing(.carry)
        case .cmc: return FlagUse(reads: .carry, writes: .carry, touches: .carry)
        case .rcl, .rcr: return FlagUse(reads: .carry, touches: .all)
        case .andn, .bextr, .blsi, .blsmsk, .blsr, .bzhi: return .writing(.all)
        case .mulx, .pdep, .pext, .rorx, .sarx, .shlx, .shrx: return .none
        default:
            switch i.category {
            case .sse, .mmx, .x87, .avx:
                switch i.mnemonic {
                case .ucomiss, .ucomisd, .comiss, .comisd, .ptest, .vucomiss, .vucomisd, .vcomiss, .vcomisd, .vptest,
                    .vtestps, .vtestpd:
                    return .writing(.all)
                case .fcomi, .fucomi, .fcomip, .fucomip, .fcmovb, .fcmove, .fcmovbe, .fcmovu, .fcmovnb, .fcmovne,
                    .fcmovnbe, .fcmovnu, .pcmpestri, .pcmpistri, .pcmpestrm, .pcmpistrm, .vpcmpestri, .vpcmpistri,
                    .vpcmpestrm, .vpcmpistrm:
                    return .unknown
                default: return .none
                }
            default: return .unknown
            }
        }
    }
    /// Whether a shift's count is a number other than 0.
    private static func hasCount(_ i: Instruction, size: UInt16) -> Bool {
        let count = i.operands.2.kind == .none ? i.operands.1 : i.operands.2
        return count.kind == .immediate && i.immediate & (size == 8 ? 63 : 31) != 0
    }

    /// What a condition looks at, by the low four bits of its opcode (SDM volume 1, appendix B.1).
    private static func condition(_ opcode: UInt8) -> FlagSet {
        switch opcode & 15 {
        case 2, 3: .carry
        case 6, 7: .all
        default: .others
        }
    }
}
