/// Bits of CR0 (Intel SDM volume 3, 2.5).
public enum CR0 {
    /// Protected mode.
    public static let pe: UInt64 = 1 << 0
    /// Monitor coprocessor: WAIT obeys TS.
    public static let mp: UInt64 = 1 << 1
    /// Emulation: no x87.
    public static let em: UInt64 = 1 << 2
    /// Task switched: x87 and vector instructions give #NM.
    public static let ts: UInt64 = 1 << 3
    /// Extension type, always 1.
    public static let et: UInt64 = 1 << 4
    /// x87 errors by #MF.
    public static let ne: UInt64 = 1 << 5
    /// Write protection holds for supervisors.
    public static let wp: UInt64 = 1 << 16
    /// Alignment checks at CPL 3.
    public static let am: UInt64 = 1 << 18
    /// Not write-through.
    public static let nw: UInt64 = 1 << 29
    /// Cache disabled.
    public static let cd: UInt64 = 1 << 30
    /// Paging.
    public static let pg: UInt64 = 1 << 31
    /// All that there are; a MOV that sets one of the higher 32 bits is a #GP, the other reserved bits are ignored.
    public static let defined: UInt64 = 0xE005_003F
    /// After power-on.
    public static let reset: UInt64 = 0x6000_0010
}

/// Bits of CR3 (SDM volume 3, 4.5).
public enum CR3 {
    /// The process-context identifier, while CR4.PCIDE is set.
    public static let pcid: UInt64 = 0xFFF
    /// In a MOV with CR4.PCIDE: keep the translations of the new PCID.
    public static let noFlush: UInt64 = 1 << 63
}

/// Bits of CR4 (SDM volume 3, 2.5).
public enum CR4 {
    /// Virtual-8086 extensions.
    public static let vme: UInt64 = 1 << 0
    /// Protected-mode virtual interrupts.
    public static let pvi: UInt64 = 1 << 1
    /// RDTSC at CPL 0 only.
    public static let tsd: UInt64 = 1 << 2
    /// Debug registers 4 and 5 are gone, I/O breakpoints are there.
    public static let de: UInt64 = 1 << 3
    /// 4 MiB pages with 32-bit paging.
    public static let pse: UInt64 = 1 << 4
    /// Physical addresses of more than 32 bits.
    public static let pae: UInt64 = 1 << 5
    /// Machine checks.
    public static let mce: UInt64 = 1 << 6
    /// Global pages.
    public static let pge: UInt64 = 1 << 7
    /// RDPMC at every CPL.
    public static let pce: UInt64 = 1 << 8
    /// FXSAVE and SSE.
    public static let osfxsr: UInt64 = 1 << 9
    /// SIMD exceptions by #XM.
    public static let osxmmexcpt: UInt64 = 1 << 10
    /// SGDT, SIDT, SLDT, SMSW and STR at CPL 0 only.
    public static let umip: UInt64 = 1 << 11
    /// 5-level paging.
    public static let la57: UInt64 = 1 << 12
    /// VMX.
    public static let vmxe: UInt64 = 1 << 13
    /// SMX.
    public static let smxe: UInt64 = 1 << 14
    /// RDFSBASE and its kin.
    public static let fsgsbase: UInt64 = 1 << 16
    /// Process-context identifiers.
    public static let pcide: UInt64 = 1 << 17
    /// XSAVE and XCR0.
    public static let osxsave: UInt64 = 1 << 18
    /// Supervisors do not execute user pages.
    public static let smep: UInt64 = 1 << 20
    /// Supervisors do not touch user pages, unless AC is set.
    public static let smap: UInt64 = 1 << 21
    /// Protection keys of user pages.
    public static let pke: UInt64 = 1 << 22
    /// Control-flow enforcement.
    public static let cet: UInt64 = 1 << 23
    /// Protection keys of supervisor pages.
    public static let pks: UInt64 = 1 << 24
}

/// Bits of IA32_EFER (SDM volume 3, 2.2.1; AMD64 APM volume 2, 3.1.7).
public enum EFER {
    /// SYSCALL and SYSRET.
    public static let sce: UInt64 = 1 << 0
    /// Long mode enabled.
    public static let lme: UInt64 = 1 << 8
    /// Long mode active.
    public static let lma: UInt64 = 1 << 10
    /// No-execute pages.
    public static let nxe: UInt64 = 1 << 11
    /// AMD: virtual machines.
    public static let svme: UInt64 = 1 << 12
    /// AMD: long-mode segment limits.
    public static let lmsle: UInt64 = 1 << 13
    /// AMD: fast FXSAVE.
    public static let ffxsr: UInt64 = 1 << 14
}

/// Bits of XCR0, the state components of XSAVE (SDM volume 1, 13.1).
public enum XCR0 {
    /// x87, always 1.
    public static let x87: UInt64 = 1 << 0
    /// XMM registers and MXCSR.
    public static let sse: UInt64 = 1 << 1
    /// Upper halves of the YMM registers.
    public static let avx: UInt64 = 1 << 2
    /// AVX-512: opmask, upper halves of ZMM0-15, ZMM16-31.
    public static let avx512: UInt64 = 7 << 5
    /// PKRU.
    public static let pkru: UInt64 = 1 << 9
}

/// Bits of DR6 and DR7 (SDM volume 3, 18.2).
public enum DebugRegister {
    /// DR6: the bits that are always 1.
    public static let status1s: UInt64 = 0xFFFF_0FF0
    /// DR6: breakpoints 0 to 3 were met.
    public static let hit: UInt64 = 0xF
    /// DR6: a debug register was accessed while GD was set.
    public static let accessDetected: UInt64 = 1 << 13
    /// DR6: single step.
    public static let singleStep: UInt64 = 1 << 14
    /// DR6: task switch.
    public static let taskSwitch: UInt64 = 1 << 15
    /// DR7: the bit that is always 1.
    public static let control1s: UInt64 = 0x400
    /// DR7: accesses of debug registers give #DB.
    public static let generalDetect: UInt64 = 1 << 13
}
