/// The family an instruction belongs to: what an engine dispatches on before it looks at the mnemonic.
public enum Category: UInt8, Sendable {
    /// General-purpose instructions, control transfer and string instructions included.
    case integer
    /// Instructions for system software, I/O and processor state, privileged or not.
    case system
    /// x87 floating point.
    case x87
    /// Instructions with at least one MMX register or that end MMX mode.
    case mmx
    /// Legacy-encoded instructions on XMM registers.
    case sse
    /// VEX-encoded instructions on XMM and YMM registers.
    case avx
    /// VEX-encoded instructions on general registers.
    case bmi
}

/// The CPUID bit an instruction needs: where a guest's CPUID does not offer it, the instruction is #UD.
///
/// Instructions of the category `.avx` need AVX, enabled in XCR0, besides the feature named here.
///
/// Exceptions to the rule: TZCNT and LZCNT run as BSF and BSR, and PREFETCHW as a no-operation.
public enum Feature: UInt8, Sendable, CaseIterable {
    /// On every x86-64 processor.
    case base
    case cmov, cx8, cx16, syscall, sysenter, rdtscp, clflush, clflushopt, clwb, wbnoinvd, fxsr, monitor
    case x87, mmx, sse, sse2, sse3, ssse3, sse41, sse42
    case popcnt, lzcnt, movbe, adx, bmi1, bmi2, rdrand, rdseed, rdpid, fsgsbase, invpcid, smap, pku, serialize
    case prefetchw, lahf64
    case aes, pclmul, sha, gfni
    case xsave, xsaveopt, xsavec, xsaves
    case avx, avx2, fma, f16c, vaes, vpclmul
}
