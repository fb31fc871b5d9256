/// The operations of the x86 instruction set, by the manual's names in lower case.
///
/// Conditional families (Jcc, SETcc, CMOVcc) are one case each; their condition is the low four bits of
/// `Encoding.opcode`.
public enum Mnemonic: UInt16, Sendable, CaseIterable {
    case invalid = 0

    // Arithmetic and logic
    case add, or, adc, sbb, and, sub, xor, cmp, test
    case inc, dec, neg, not
    case mul, imul, div, idiv
    case rol, ror, rcl, rcr, shl, shr, sar, shld, shrd
    case bt, bts, btr, btc, bsf, bsr, tzcnt, lzcnt, popcnt, bswap
    case daa, das, aaa, aas, aam, aad
    case crc32, adcx, adox

    // Moves
    case mov, movzx, movsx, movsxd, movbe, lea, xchg, cmpxchg, cmpxchg8b, cmpxchg16b, xadd
    case push, pop, pusha, popa, pushf, popf, enter, leave
    case cbw, cwd  // CBW/CWDE/CDQE and CWD/CDQ/CQO by operand size
    case lahf, sahf, salc, xlat, cmov, set
    case movnti

    // Strings
    case movs, cmps, scas, lods, stos, ins, outs

    // Control
    case jmp, jcc, call, ret, jcxz, loop, loope, loopne  // near; JCXZ by address size
    case jmpFar, callFar, retFar, iret
    case int3, int, into, icebp, ud0, ud1, ud2, bound
    case syscall, sysret, sysenter, sysexit

    // Flags
    case clc, stc, cmc, cld, std, cli, sti, clac, stac

    // System
    case nop, pause, hlt, wait, cpuid, rdtsc, rdtscp, rdpmc, rdmsr, wrmsr, rdpid
    case `in`, out
    case lgdt, sgdt, lidt, sidt, lldt, sldt, ltr, str, lmsw, smsw, lar, lsl, verr, verw, arpl
    case clts, invd, wbinvd, wbnoinvd, invlpg, invpcid, swapgs, rsm
    case xgetbv, xsetbv, rdpkru, wrpkru, monitor, mwait, vmcall, vmmcall
    case rdfsbase, rdgsbase, wrfsbase, wrgsbase
    case lds, les, lss, lfs, lgs
    case rdrand, rdseed, serialize, getsec
    case lfence, mfence, sfence, clflush, clflushopt, clwb, prefetch, prefetchw, endbr32, endbr64

    // Saved state
    case fxsave, fxrstor, xsave, xsavec, xsaveopt, xsaves, xrstor, xrstors, ldmxcsr, stmxcsr, vldmxcsr, vstmxcsr
    case emms
}
