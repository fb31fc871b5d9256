internal import X86

/// What an instruction does with the arithmetic flags, as far as translation needs to know.
struct FlagUse {
    /// Its result depends on some.
    var needs = false
    /// Leaves some as they were while it writes others, always or for some counts.
    var keeps = false
    /// Writes some.
    var writes = false

    static let none = FlagUse()
    /// Writes all; what the manual leaves undefined counts as written.
    static let kill = FlagUse(writes: true)
    static let partial = FlagUse(keeps: true, writes: true)
    static let carry = FlagUse(needs: true, writes: true)
    static let read = FlagUse(needs: true)
    /// Anything may happen.
    static let unknown = FlagUse(needs: true, keeps: true, writes: true)

    /// Whether flags before the instruction matter, where those after it do (`liveAfter`) or do not.
    func liveBefore(_ liveAfter: Bool) -> Bool { needs || (keeps || !writes) && liveAfter }

    /// The use of an instruction. What is not known is taken to need them.
    static func of(_ i: Instruction) -> FlagUse {
        switch i.mnemonic {
        case .add, .sub, .cmp, .and, .or, .xor, .test, .neg, .mul, .imul, .xadd, .cmpxchg, .popcnt, .tzcnt, .lzcnt:
            return .kill
        case .shl, .shr, .sar:
            if i.operands.1.kind == .one { return .kill }
            let mask: Int64 = i.operands.0.size == 8 ? 63 : 31
            return i.operands.1.kind == .immediate && i.immediate & mask != 0 ? .kill : .partial
        case .mov, .movzx, .movsx, .movsxd, .lea, .push, .pop, .nop, .not, .bswap, .xchg, .cbw, .cwd, .movbe, .leave,
            .endbr32, .endbr64, .prefetch, .prefetchw, .rdtsc, .rdtscp, .pause, .cld, .std, .movs, .stos, .lods,
            .cli, .sti, .clac, .stac, .swapgs, .lfence, .mfence, .sfence, .movnti, .rdmsr, .wrmsr, .cpuid, .invlpg,
            .crc32:
            return .none
        case .bsf, .bsr: return .partial
        case .cmps, .scas: return .unknown
        case .cmov, .set, .jcc: return .read
        case .adc, .sbb: return .carry
        case .inc, .dec, .rol, .ror, .shld, .shrd, .bt, .bts, .btr, .btc, .clc, .stc: return .partial
        case .rcl, .rcr, .cmc: return FlagUse(needs: true, keeps: true, writes: true)
        default:
            switch i.category {
            case .sse, .mmx, .x87, .avx:
                switch i.mnemonic {
                case .ucomiss, .ucomisd, .comiss, .comisd, .ptest: return .kill
                case .fcomi, .fucomi, .fcomip, .fucomip, .fcmovb, .fcmove, .fcmovbe, .fcmovu, .fcmovnb, .fcmovne,
                    .fcmovnbe, .fcmovnu, .pcmpestri, .pcmpistri, .pcmpestrm, .pcmpistrm:
                    return .unknown
                default: return i.category == .avx ? .unknown : .none
                }
            default: return .unknown
            }
        }
    }
}
