/// Bits of RFLAGS (Intel SDM volume 1, 3.4.3).
public enum RFLAGS {
    /// Carry.
    public static let cf: UInt64 = 1 << 0
    /// Always 1.
    public static let fixed1: UInt64 = 1 << 1
    /// Parity.
    public static let pf: UInt64 = 1 << 2
    /// Auxiliary carry.
    public static let af: UInt64 = 1 << 4
    /// Zero.
    public static let zf: UInt64 = 1 << 6
    /// Sign.
    public static let sf: UInt64 = 1 << 7
    /// Trap: single step.
    public static let tf: UInt64 = 1 << 8
    /// Interrupts enabled.
    public static let `if`: UInt64 = 1 << 9
    /// Direction.
    public static let df: UInt64 = 1 << 10
    /// Overflow.
    public static let of: UInt64 = 1 << 11
    /// I/O privilege level, two bits.
    public static let iopl: UInt64 = 3 << 12
    /// Where the I/O privilege level starts.
    public static let ioplShift: UInt64 = 12
    /// Nested task.
    public static let nt: UInt64 = 1 << 14
    /// Resume: no instruction breakpoint.
    public static let rf: UInt64 = 1 << 16
    /// Virtual-8086 mode.
    public static let vm: UInt64 = 1 << 17
    /// Alignment check; with SMAP, access to user pages.
    public static let ac: UInt64 = 1 << 18
    /// Virtual interrupt flag.
    public static let vif: UInt64 = 1 << 19
    /// Virtual interrupt pending.
    public static let vip: UInt64 = 1 << 20
    /// CPUID is there where it can be changed.
    public static let id: UInt64 = 1 << 21
    /// The six arithmetic flags.
    public static let arithmetic: UInt64 = 0x8D5
    /// All that there are, without the fixed bit.
    public static let defined: UInt64 = 0x3F_7FD5
}

/// Vectors of exceptions (SDM volume 3, table 6-1).
public enum ExceptionVector {
    /// #DE.
    public static let divideError: UInt8 = 0
    /// #DB.
    public static let debug: UInt8 = 1
    /// NMI.
    public static let nonMaskable: UInt8 = 2
    /// #BP.
    public static let breakpoint: UInt8 = 3
    /// #OF.
    public static let overflow: UInt8 = 4
    /// #BR.
    public static let boundRange: UInt8 = 5
    /// #UD.
    public static let invalidOpcode: UInt8 = 6
    /// #NM.
    public static let deviceNotAvailable: UInt8 = 7
    /// #DF, with error code 0.
    public static let doubleFault: UInt8 = 8
    /// #TS, with error code.
    public static let invalidTSS: UInt8 = 10
    /// #NP, with error code.
    public static let segmentNotPresent: UInt8 = 11
    /// #SS, with error code.
    public static let stackFault: UInt8 = 12
    /// #GP, with error code.
    public static let generalProtection: UInt8 = 13
    /// #PF, with error code.
    public static let pageFault: UInt8 = 14
    /// #MF.
    public static let floatingPoint: UInt8 = 16
    /// #AC, with error code 0.
    public static let alignmentCheck: UInt8 = 17
    /// #MC.
    public static let machineCheck: UInt8 = 18
    /// #XM.
    public static let simd: UInt8 = 19
    /// #CP, with error code.
    public static let controlProtection: UInt8 = 21

    /// The exceptions that push an error code, a bit for each vector.
    public static let withErrorCode: UInt32 = 0x0022_7D00
}

/// Error code of a page fault (SDM volume 3, 4.7).
public enum PageFaultCode {
    /// The page was present.
    public static let present: UInt32 = 1 << 0
    /// The access was a write.
    public static let write: UInt32 = 1 << 1
    /// The access was the user's.
    public static let user: UInt32 = 1 << 2
    /// A reserved bit was set in an entry.
    public static let reserved: UInt32 = 1 << 3
    /// The access was an instruction fetch.
    public static let fetch: UInt32 = 1 << 4
    /// A protection key forbade it.
    public static let protectionKey: UInt32 = 1 << 5
}

/// Bits of paging-structure entries (SDM volume 3, 4.3 to 4.5).
public enum PageEntry {
    /// Present.
    public static let present: UInt64 = 1 << 0
    /// Writable.
    public static let writable: UInt64 = 1 << 1
    /// For the user too.
    public static let user: UInt64 = 1 << 2
    /// Write-through.
    public static let pwt: UInt64 = 1 << 3
    /// Cache disabled.
    public static let pcd: UInt64 = 1 << 4
    /// Accessed.
    public static let accessed: UInt64 = 1 << 5
    /// Dirty.
    public static let dirty: UInt64 = 1 << 6
    /// Above the lowest level: a page, not a table.
    public static let large: UInt64 = 1 << 7
    /// At the lowest level: memory type.
    public static let pat: UInt64 = 1 << 7
    /// Global.
    public static let global: UInt64 = 1 << 8
    /// Of a large page: memory type.
    public static let patLarge: UInt64 = 1 << 12
    /// Where the protection key starts.
    public static let keyShift: UInt64 = 59
    /// No instruction fetch.
    public static let noExecute: UInt64 = 1 << 63
    /// The address in a 64-bit entry, at the widest.
    public static let address: UInt64 = 0x000F_FFFF_FFFF_F000
}
