internal import CEngine

/// What of the host's instructions translated code may be made of.
struct HostFeatures {
    /// RORX: BMI2, in leaf 7.
    let hasRotation: Bool
    /// AVX, which its kernel saves.
    let hasWideVectors: Bool

    static let this = HostFeatures(
        hasRotation: apus_host_cpuid(0, 0).eax >= 7 && apus_host_cpuid(7, 0).ebx & 1 << 8 != 0,
        hasWideVectors: HostCode.hostEnablesAVX)
}
