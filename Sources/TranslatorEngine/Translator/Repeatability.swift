internal import X86

extension Instruction {
    /// Whether it reads the time-stamp counter, which stands within a block where instructions are counted.
    var readsTime: Bool { mnemonic == .rdtsc || mnemonic == .rdtscp }

    /// Whether an instruction must run once and alone where executions are compared: its result is no function of
    /// registers and memory, or it changes what blocks depend on.
    var isNotRepeatable: Bool {
        switch mnemonic {
        case .nop, .endbr32, .endbr64, .lfence, .mfence, .sfence, .prefetch, .prefetchw: return false
        default: break
        }
        switch category {
        case .system, .x87, .mmx: return true
        default: break
        }
        switch mnemonic {
        case .in, .out, .ins, .outs, .int, .int3, .into, .icebp, .iret, .jmpFar, .callFar, .retFar, .syscall, .sysret,
            .sysenter, .sysexit, .cli, .sti, .pushf, .popf, .pause, .cpuid, .rdtsc, .rdtscp, .rdpmc, .rdpid, .rdrand, .rdseed,
            .fxsave, .fxrstor, .xsave, .xsavec, .xsaveopt, .xsaves, .xrstor, .xrstors, .ldmxcsr, .vldmxcsr, .emms,
            .lds, .les, .lss, .lfs, .lgs, .wrfsbase, .wrgsbase, .rdfsbase, .rdgsbase, .hlt, .maskmovq, .maskmovdqu:
            return true
        case .movs, .cmps, .scas, .lods, .stos: return prefixes.contains(.rep) || prefixes.contains(.repne)
        case .mov, .push, .pop:
            return [operands.0, operands.1].contains { operand in
                switch operand.kind {
                case .segment, .control, .debug: true
                default: false
                }
            }
        default: return false
        }
    }
}
