internal import CEngine
internal import GuestMemory
internal import LocalAPIC
internal import X86

// State after power-on, INIT and start-up (SDM volume 3, 9.1.1 and 8.4).
extension CPU {
    /// The state after power-on, and what the model decides.
    func powerOn(model: ResolvedCPU) {
        unsafe p.pointee.s = apus_x86_state()
        unsafe p.pointee.physical_mask = ((1 << UInt64(model.physicalBits)) - 1) & ~0xfff
        unsafe p.pointee.intel_vendor = model.isAMD ? 0 : 1
        unsafe p.pointee.xcr0_allowed = model.xcr0Supported
        unsafe p.pointee.cr4_allowed = Self.allowedCR4(model)
        unsafe p.pointee.efer_allowed = Self.allowedEFER(model)
        resetRegisters(signature: model.signature)
        unsafe p.pointee.s.xcr0 = 1
        unsafe p.pointee.s.pat = 0x0007_0406_0007_0406
        unsafe p.pointee.s.misc_enable = 1
        unsafe p.pointee.s.mtrr_def_type = 0
        unsafe p.pointee.s.smbase = Self.initialSMBASE
        let fx = unsafe fxState
        unsafe fx.storeBytes(of: 0x037f, toByteOffset: Int(APUS_FX_FCW), as: UInt16.self)
        unsafe fx.storeBytes(of: 0x1f80, toByteOffset: Int(APUS_FX_MXCSR), as: UInt32.self)
        flushTLB()
        updateMode()
    }

    /// The x87, MMX and MXCSR part of the state.
    var fxState: UnsafeMutableRawPointer {
        // SAFETY: the field lies within the structure.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.s.fx)!)
    }

    private func resetRegisters(signature: UInt32) {
        for number in 0..<16 { setGPR(number, 0) }
        rdx = UInt64(signature)
        rip = 0xfff0
        rflags = 2
        for index in APUS_SEG_ES...APUS_SEG_GS {
            setSegment(index, apus_x86_segment(base: 0, limit: 0xffff, selector: 0, attributes: 0x93))
        }
        setSegment(
            APUS_SEG_CS, apus_x86_segment(base: 0xffff_0000, limit: 0xffff, selector: 0xf000, attributes: 0x9b))
        setSegment(APUS_SEG_LDTR, apus_x86_segment(base: 0, limit: 0xffff, selector: 0, attributes: 0x82))
        setSegment(APUS_SEG_TR, apus_x86_segment(base: 0, limit: 0xffff, selector: 0, attributes: 0x8b))
        unsafe p.pointee.s.gdtr = apus_x86_table(base: 0, limit: 0xffff, reserved: 0)
        unsafe p.pointee.s.idtr = apus_x86_table(base: 0, limit: 0xffff, reserved: 0)
        unsafe p.pointee.s.cr0 = 0x6000_0010
        unsafe p.pointee.s.cr2 = 0
        unsafe p.pointee.s.cr3 = 0
        unsafe p.pointee.s.cr4 = 0
        unsafe p.pointee.s.efer = 0
        for number in 0..<6 { unsafe debugSlot(number).pointee = 0 }
        unsafe debugSlot(6).pointee = 0xffff_0ff0
        unsafe debugSlot(7).pointee = 0x400
        unsafe p.pointee.s.halted = 0
        unsafe p.pointee.s.nmi_blocked = 0
        unsafe p.pointee.s.interrupt_shadow = 0
        unsafe p.pointee.nmi_pending = 0
        unsafe p.pointee.smi_pending = 0
        unsafe p.pointee.shutdown_pending = 0
    }

    /// INIT: registers as after power-on, but x87, SSE, MSRs, and the time-stamp counter stay.
    func initialize(_ owner: SoftwareProcessor) {
        resetRegisters(signature: owner.model.signature)
        unsafe p.pointee.s.cr0 = 0x6000_0010
        owner.apic.initReset()
        flushTLB()
        updateMode()
        maskedEvents = true
        unsafe p.pointee.s.waiting_for_sipi = owner.index == 0 ? 0 : 1
    }

    /// A start-up message for a processor that waits for it.
    func startUp(page: UInt8) {
        unsafe p.pointee.s.waiting_for_sipi = 0
        setSegment(
            APUS_SEG_CS,
            apus_x86_segment(
                base: UInt64(page) << 12, limit: 0xffff, selector: UInt16(page) << 8, attributes: 0x9b))
        rip = 0
        updateMode()
    }

    private static func allowedCR4(_ model: ResolvedCPU) -> UInt64 {
        var allowed: UInt64 = CR4.de | CR4.pse | CR4.mce | CR4.pce | CR4.tsd
        let bits: [(String, UInt64)] = [
            ("pae", CR4.pae), ("pge", CR4.pge), ("fxsr", CR4.osfxsr), ("sse", CR4.osxmmexcpt), ("umip", CR4.umip),
            ("fsgsbase", CR4.fsgsbase), ("pcid", CR4.pcide), ("xsave", CR4.osxsave), ("smep", CR4.smep),
            ("smap", CR4.smap), ("pku", CR4.pke), ("pks", CR4.pks),
        ]
        for (name, bit) in bits where model.has(name) { allowed |= bit }
        return allowed
    }

    private static func allowedEFER(_ model: ResolvedCPU) -> UInt64 {
        var allowed: UInt64 = 0
        if model.has("syscall") { allowed |= EFER.sce }
        if model.has("lm") { allowed |= EFER.lme | EFER.lma }
        if model.has("nx") { allowed |= EFER.nxe }
        return allowed
    }
}
