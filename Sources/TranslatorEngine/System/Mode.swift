internal import CEngine

/// Control-register and EFER bits (SDM volume 3, 2.5).
enum CR0 {
    static let pe: UInt64 = 1
    static let mp: UInt64 = 2
    static let em: UInt64 = 4
    static let ts: UInt64 = 8
    static let et: UInt64 = 0x10
    static let ne: UInt64 = 0x20
    static let wp: UInt64 = 0x10000
    static let am: UInt64 = 0x40000
    static let nw: UInt64 = 0x2000_0000
    static let cd: UInt64 = 0x4000_0000
    static let pg: UInt64 = 0x8000_0000
}
enum CR4 {
    static let vme: UInt64 = 1
    static let pvi: UInt64 = 2
    static let tsd: UInt64 = 4
    static let de: UInt64 = 8
    static let pse: UInt64 = 0x10
    static let pae: UInt64 = 0x20
    static let mce: UInt64 = 0x40
    static let pge: UInt64 = 0x80
    static let pce: UInt64 = 0x100
    static let osfxsr: UInt64 = 0x200
    static let osxmmexcpt: UInt64 = 0x400
    static let umip: UInt64 = 0x800
    static let fsgsbase: UInt64 = 0x10000
    static let pcide: UInt64 = 0x20000
    static let osxsave: UInt64 = 0x40000
    static let smep: UInt64 = 0x100000
    static let smap: UInt64 = 0x200000
    static let pke: UInt64 = 0x400000
    static let pks: UInt64 = 0x1000000
}
enum EFER {
    static let sce: UInt64 = 1
    static let lme: UInt64 = 0x100
    static let lma: UInt64 = 0x400
    static let nxe: UInt64 = 0x800
}

/// Bits of the jump key that say what decoded code depends on.
enum ModeBits {
    /// Vector instructions are checked one by one.
    static let vectorsChecked: UInt64 = 0x400
    /// Those of AVX are: it is not enabled.
    static let wideChecked: UInt64 = 0x800
    /// 32-bit code whose code, stack and data segments are all of the 4 GiB, with a 32-bit stack.
    static let flat: UInt64 = 0x1000
    /// The code size in bytes.
    static let codeSize: UInt64 = 15
    static let user: UInt16 = 0x100
    /// Level 1 or 2: not as privileged as supervisor code is taken to be.
    static let middle: UInt16 = 0x2000
}

/// MXCSR (SDM volume 1, 10.2.3).
enum MXCSR {
    static let flags: UInt32 = 0x3f
    static let control: UInt32 = 0xffc0
    /// All exceptions masked, rounding to nearest.
    static let plain: UInt32 = 0x1f80
}

extension CPU {
    var cr0: UInt64 { unsafe p.pointee.s.cr0 }
    var cr4: UInt64 { unsafe p.pointee.s.cr4 }
    var efer: UInt64 { unsafe p.pointee.s.efer }
    var xcr0: UInt64 { unsafe p.pointee.s.xcr0 }
    var isIntel: Bool { unsafe p.pointee.intel_vendor != 0 }
    /// Interrupts wait for IF, NMI blocking or priority to change.
    @inline(__always) var maskedEvents: Bool {
        get { unsafe p.pointee.masked_events != 0 }
        nonmutating set { unsafe p.pointee.masked_events = newValue ? 1 : 0 }
    }
    var protected: Bool { cr0 & CR0.pe != 0 }
    var longMode: Bool { efer & EFER.lma != 0 }
    var virtual8086: Bool { systemFlags & Flag.vm != 0 && protected }
    /// Real mode or virtual-8086 mode: selectors are paragraphs.
    var paragraphs: Bool { !protected || virtual8086 }
    /// 64-bit mode, not compatibility mode.
    var code64: Bool { unsafe p.pointee.code_size == 8 }

    /// Recomputes everything that derives from control registers, EFER, CS and SS. Called after any of them changed.
    func updateMode() {
        let cs = segment(APUS_SEG_CS)
        let ss = segment(APUS_SEG_SS)
        let long = longMode && cs.attributes & SegmentBits.long != 0
        unsafe p.pointee.code_size = long ? 8 : cs.attributes & SegmentBits.big != 0 && !virtual8086 ? 4 : 2
        // The upper halves of registers are not preserved when 64-bit mode is left (SDM volume 1, 3.4.1.1), and translated
        // 32-bit code takes them for 0.
        if !long { for register in 0..<8 { setGPR(register, gpr(register) & 0xffff_ffff) } }
        unsafe p.pointee.stack_size = long ? 8 : ss.attributes & SegmentBits.big != 0 ? 4 : 2
        unsafe p.pointee.rip_mask = long ? .max : 0xffff_ffff
        // The privilege level is that of SS (SDM volume 3, 5.5), 3 in virtual-8086 mode, 0 in real mode.
        let level: UInt8 = !protected ? 0 : virtual8086 ? 3 : UInt8(ss.attributes >> 5 & 3)
        unsafe p.pointee.cpl = level
        let paging: UInt8 = cr0 & CR0.pg == 0 ? 0 : longMode ? 4 : cr4 & CR4.pae != 0 ? 3 : 2
        if unsafe p.pointee.paging != paging {
            unsafe p.pointee.paging = paging
            flushTLB()
        }
        var blocked: UInt8 = 0
        if cr0 & (CR0.em | CR0.ts) != 0 { blocked |= UInt8(APUS_FPU_X87) }
        if cr0 & CR0.ts != 0 { blocked |= UInt8(APUS_FPU_TS) }
        if cr0 & CR0.em != 0 { blocked |= UInt8(APUS_FPU_EM) }
        if cr0 & CR0.em != 0 || cr4 & CR4.osfxsr == 0 { blocked |= UInt8(APUS_FPU_SSE_UD) }
        if cr4 & CR4.osxsave == 0 || xcr0 & 6 != 6 { blocked |= UInt8(APUS_FPU_AVX_UD) }
        unsafe p.pointee.fpu_blocked = blocked
        updateMemoryMode()
    }

    /// Whether translated code may execute vector instructions as they are: nothing forbids them, and MXCSR has the
    /// control bits of the host's.
    private var vectorsArePlain: Bool {
        let forbidden = UInt8(APUS_FPU_SSE_UD | APUS_FPU_TS | APUS_FPU_EM)
        return unsafe p.pointee.fpu_blocked & forbidden == 0 && mxcsr & MXCSR.control == MXCSR.plain
    }

    /// Whether 32-bit code can address memory without a look at its segments (SDM volume 3, 3.2.1).
    private var segmentsAreFlat: Bool {
        guard unsafe p.pointee.code_size == 4 && p.pointee.stack_size == 4, !paragraphs else { return false }
        let needed = SegmentBits.present | SegmentBits.nonSystem
        let data = needed | SegmentBits.writable
        func isWhole(_ s: apus_x86_segment) -> Bool { s.base == 0 && s.limit == 0xffff_ffff }
        func isData(_ s: apus_x86_segment) -> Bool {
            isWhole(s) && s.attributes & (data | SegmentBits.code | SegmentBits.expandDown) == data
        }
        return isWhole(segment(APUS_SEG_CS)) && isData(segment(APUS_SEG_SS)) && isData(segment(APUS_SEG_DS))
    }

    /// Called where a data segment of code other than 64-bit has changed.
    func dataSegmentChanged() {
        let key = unsafe p.pointee.jump_key
        updateMemoryMode()
        if unsafe p.pointee.jump_key != key { unsafe p.pointee.mode_changed = 1 }
    }

    /// Called where MXCSR's control bits have changed: decoded code depends on them.
    @inline(never) func vectorControlChanged() {
        updateMemoryMode()
        unsafe p.pointee.mode_changed = 1
    }

    /// Chooses the TLB and the key of the jump cache: after a change of CPL or AC, or of the TLBs' generation.
    func updateMemoryMode() {
        let index = cpl == 3 ? 1 : systemFlags & Flag.ac != 0 ? 2 : 0
        unsafe p.pointee.mode_index = UInt8(index)
        unsafe p.pointee.tlb = tlbSlot(index).pointee
        unsafe p.pointee.flat_base = apus_flat_base(p, Int32(index))
        // Everything that decoded code depends on: code size, stack size, user or supervisor, paragraphs.
        var mode = unsafe UInt64(p.pointee.code_size) | UInt64(p.pointee.stack_size) << 4
        if cpl == 3 { mode |= UInt64(ModeBits.user) } else if cpl != 0 { mode |= UInt64(ModeBits.middle) }
        if paragraphs { mode |= 0x200 }
        if !vectorsArePlain { mode |= ModeBits.vectorsChecked }
        if unsafe p.pointee.fpu_blocked & UInt8(APUS_FPU_AVX_UD) != 0 { mode |= ModeBits.wideChecked }
        if segmentsAreFlat { mode |= ModeBits.flat }
        let generation = unsafe cpl == 3 ? p.pointee.user_generation : p.pointee.code_generation
        // The jump cache knows code by RIP: outside of 64-bit mode that names a place only together with CS's base.
        let base = code64 ? 0 : segment(APUS_SEG_CS).base
        unsafe p.pointee.jump_key = (generation << 16 | mode) ^ base << 32
    }

    private func tlbSlot(_ index: Int) -> UnsafeMutablePointer<UnsafeMutablePointer<apus_tlb_entry>> {
        // SAFETY: the array has three entries, and `index` is 0, 1 or 2.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.tlbs)!)
            .assumingMemoryBound(to: UnsafeMutablePointer<apus_tlb_entry>.self) + index
    }
    /// The TLB of a memory mode: 0 kernel, 1 user, 2 kernel with user pages reachable.
    func tlb(_ index: Int) -> UnsafeMutablePointer<apus_tlb_entry> { unsafe tlbSlot(index).pointee }
}
