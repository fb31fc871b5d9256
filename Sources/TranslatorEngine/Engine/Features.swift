internal import CEngine
public import X86

// What the software engine offers to guests.
extension SoftwareEngine {
    /// The features that the interpreter has.
    public static var offeredFeatures: FeatureSet {
        FeatureSet(
            names: """
                fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss \
                pni ssse3 cx16 sse4.1 sse4.2 popcnt movbe x2apic tsc-deadline hypervisor rdrand \
                fsgsbase tsc-adjust pcid invpcid smep smap erms umip pku pks rdseed arat \
                syscall nx pdpe1gb rdtscp lm lahf-lm abm invtsc \
                kvmclock kvmclock-stable-bit kvm-nopiodelay
                """
        ).union(HostCode.offeredFeatures)
    }

    /// kHz of the guest's time-stamp counter.
    public static var tscKHz: UInt32 { UInt32(clamping: TimeStampFrequency.host) }
    /// The same where instructions are counted.
    public static var countedTSCKHz: UInt32 { UInt32(clamping: TimeStampFrequency.counted) }
}

extension SoftwareProcessor {
    /// The decoder's features that the guest's CPUID shows, by `Feature.rawValue`.
    package static func decoderFeatures(_ model: ResolvedCPU) -> UInt64 {
        let names: [(Feature, String)] = [
            (.cmov, "cmov"), (.cx8, "cx8"), (.cx16, "cx16"), (.syscall, "syscall"), (.sysenter, "sep"),
            (.rdtscp, "rdtscp"), (.clflush, "clflush"), (.clflushopt, "clflushopt"), (.clwb, "clwb"),
            (.wbnoinvd, "wbnoinvd"), (.fxsr, "fxsr"), (.monitor, "monitor"), (.x87, "fpu"), (.mmx, "mmx"),
            (.sse, "sse"), (.sse2, "sse2"), (.sse3, "pni"), (.ssse3, "ssse3"), (.sse41, "sse4.1"),
            (.sse42, "sse4.2"), (.popcnt, "popcnt"), (.lzcnt, "abm"), (.movbe, "movbe"), (.adx, "adx"),
            (.bmi1, "bmi1"), (.bmi2, "bmi2"), (.rdrand, "rdrand"), (.rdseed, "rdseed"), (.rdpid, "rdpid"),
            (.fsgsbase, "fsgsbase"), (.invpcid, "invpcid"), (.smap, "smap"), (.pku, "pku"),
            (.serialize, "serialize"), (.prefetchw, "3dnowprefetch"), (.lahf64, "lahf-lm"), (.aes, "aes"),
            (.pclmul, "pclmulqdq"), (.sha, "sha-ni"), (.gfni, "gfni"), (.xsave, "xsave"),
            (.xsaveopt, "xsaveopt"), (.xsavec, "xsavec"), (.xsaves, "xsaves"), (.avx, "avx"), (.avx2, "avx2"),
            (.fma, "fma"), (.f16c, "f16c"), (.vaes, "vaes"), (.vpclmul, "vpclmulqdq"),
        ]
        var bits: UInt64 = 1 << UInt64(Feature.base.rawValue)
        for (feature, name) in names where model.has(name) { bits |= 1 << UInt64(feature.rawValue) }
        return bits
    }
}
