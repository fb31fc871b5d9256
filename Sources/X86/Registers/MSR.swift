/// Numbers of model-specific registers (Intel SDM volume 4, chapter 2; AMD64 APM volume 2, appendix A; Linux,
/// Documentation/virt/kvm/x86/msr.rst).
public enum MSR {
    /// IA32_TIME_STAMP_COUNTER.
    public static let tsc: UInt32 = 0x10
    /// IA32_PLATFORM_ID.
    public static let platformID: UInt32 = 0x17
    /// IA32_APIC_BASE.
    public static let apicBase: UInt32 = 0x1B
    /// IA32_FEATURE_CONTROL.
    public static let featureControl: UInt32 = 0x3A
    /// IA32_TSC_ADJUST.
    public static let tscAdjust: UInt32 = 0x3B
    /// MSR_SMI_COUNT.
    public static let smiCount: UInt32 = 0x34
    /// IA32_SMBASE.
    public static let smbase: UInt32 = 0x9E
    /// IA32_SPEC_CTRL.
    public static let specCtrl: UInt32 = 0x48
    /// IA32_PRED_CMD.
    public static let predCmd: UInt32 = 0x49
    /// IA32_BIOS_UPDT_TRIG.
    public static let microcodeUpdate: UInt32 = 0x79
    /// IA32_BIOS_SIGN_ID.
    public static let microcodeRevision: UInt32 = 0x8B
    /// IA32_MPERF.
    public static let mperf: UInt32 = 0xE7
    /// IA32_APERF.
    public static let aperf: UInt32 = 0xE8
    /// IA32_MTRRCAP.
    public static let mtrrCapability: UInt32 = 0xFE
    /// IA32_ARCH_CAPABILITIES.
    public static let archCapabilities: UInt32 = 0x10A
    /// IA32_SYSENTER_CS.
    public static let sysenterCS: UInt32 = 0x174
    /// IA32_SYSENTER_ESP.
    public static let sysenterESP: UInt32 = 0x175
    /// IA32_SYSENTER_EIP.
    public static let sysenterEIP: UInt32 = 0x176
    /// IA32_MCG_CAP.
    public static let mcgCapability: UInt32 = 0x179
    /// IA32_MCG_STATUS.
    public static let mcgStatus: UInt32 = 0x17A
    /// IA32_MCG_CTL.
    public static let mcgControl: UInt32 = 0x17B
    /// IA32_MISC_ENABLE.
    public static let miscEnable: UInt32 = 0x1A0
    /// IA32_DEBUGCTL.
    public static let debugControl: UInt32 = 0x1D9
    /// IA32_MTRR_PHYSBASE0; base and mask of the eight variable ranges alternate.
    public static let mtrrBase0: UInt32 = 0x200
    /// IA32_MTRR_FIX64K_00000.
    public static let mtrrFixed64K: UInt32 = 0x250
    /// IA32_MTRR_FIX16K_80000; the next is that of A0000H.
    public static let mtrrFixed16K: UInt32 = 0x258
    /// IA32_MTRR_FIX4K_C0000; seven more follow.
    public static let mtrrFixed4K: UInt32 = 0x268
    /// IA32_PAT.
    public static let pat: UInt32 = 0x277
    /// IA32_MTRR_DEF_TYPE.
    public static let mtrrDefaultType: UInt32 = 0x2FF
    /// IA32_MC0_CTL; control, status, address and miscellany of each bank follow each other.
    public static let mc0Control: UInt32 = 0x400
    /// K7_EVNTSEL0, the first of AMD's four event selectors; the four counters follow.
    public static let amdEventSelector0: UInt32 = 0xC001_0000
    /// The last of AMD's four counters.
    public static let amdCounter3: UInt32 = 0xC001_0007
    /// IA32_PKRS.
    public static let pkrs: UInt32 = 0x6E1
    /// IA32_TSC_DEADLINE.
    public static let tscDeadline: UInt32 = 0x6E0
    /// First register of the x2APIC.
    public static let x2APICFirst: UInt32 = 0x800
    /// Last number of the x2APIC's range.
    public static let x2APICLast: UInt32 = 0x83F
    /// IA32_XSS.
    public static let xss: UInt32 = 0xDA0

    /// IA32_EFER.
    public static let efer: UInt32 = 0xC000_0080
    /// IA32_STAR.
    public static let star: UInt32 = 0xC000_0081
    /// IA32_LSTAR.
    public static let lstar: UInt32 = 0xC000_0082
    /// CSTAR.
    public static let cstar: UInt32 = 0xC000_0083
    /// IA32_FMASK.
    public static let sfmask: UInt32 = 0xC000_0084
    /// IA32_FS_BASE.
    public static let fsBase: UInt32 = 0xC000_0100
    /// IA32_GS_BASE.
    public static let gsBase: UInt32 = 0xC000_0101
    /// IA32_KERNEL_GS_BASE.
    public static let kernelGSBase: UInt32 = 0xC000_0102
    /// IA32_TSC_AUX.
    public static let tscAux: UInt32 = 0xC000_0103

    /// AMD: SYSCFG.
    public static let amdSystemConfiguration: UInt32 = 0xC001_0010
    /// AMD: HWCR.
    public static let amdHardwareConfiguration: UInt32 = 0xC001_0015
    /// AMD: PATCH_LEVEL.
    public static let amdPatchLevel: UInt32 = 0x8B
    /// AMD: northbridge configuration.
    public static let amdNorthbridgeConfiguration: UInt32 = 0xC001_001F
    /// AMD: Interrupt Pending Message.
    public static let amdInterruptPending: UInt32 = 0xC001_0055
    /// AMD: VM_CR.
    public static let amdVirtualMachineControl: UInt32 = 0xC001_0114
    /// AMD: LS_CFG.
    public static let amdLoadStoreConfiguration: UInt32 = 0xC001_1020
    /// AMD: DE_CFG.
    public static let amdDecodeConfiguration: UInt32 = 0xC001_1029

    /// KVM: wall clock.
    public static let kvmWallClock: UInt32 = 0x4B56_4D00
    /// KVM: system time.
    public static let kvmSystemTime: UInt32 = 0x4B56_4D01
    /// KVM: asynchronous page faults.
    public static let kvmAsyncPF: UInt32 = 0x4B56_4D02
    /// KVM: steal time.
    public static let kvmStealTime: UInt32 = 0x4B56_4D03
    /// KVM: end of interrupt by memory.
    public static let kvmPVEOI: UInt32 = 0x4B56_4D04
    /// KVM: polling before HLT.
    public static let kvmPollControl: UInt32 = 0x4B56_4D05
    /// KVM: wall clock, the number of old guests.
    public static let kvmOldWallClock: UInt32 = 0x11
    /// KVM: system time, the number of old guests.
    public static let kvmOldSystemTime: UInt32 = 0x12
}
