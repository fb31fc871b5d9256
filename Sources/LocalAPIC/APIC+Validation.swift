internal import CEngine

extension APIC {
    /// Makes a state that came from outside (a saved machine) one that software could have brought about: reserved
    /// bits and illegal vectors go, impossible combinations become the nearest possible. The APIC ID stays.
    public func sanitize() {
        base &= 0x000F_FFFF_FFFF_F000 | APICBase.enable | APICBase.extended | APICBase.bootProcessor
        if base & APICBase.enable == 0 { base &= ~APICBase.extended }
        // SAFETY: `state` is valid by the initialiser's contract; word 0 of the arrays holds vectors 0...31, of which
        // the first 16 are illegal.
        unsafe apus_atomic_and32(apus_apic_irr(state), 0xFFFF_0000)
        unsafe apus_atomic_and32(apus_apic_isr(state), 0xFFFF_0000)
        unsafe apus_atomic_and32(apus_apic_tmr(state), 0xFFFF_0000)
        unsafe apus_atomic_and32(apus_apic_esr_shadow(state), APICError.all)
        unsafe state.pointee.esr &= APICError.all
        unsafe apus_apic_set_tpr(state, apus_apic_tpr(state) & 0xFF)
        logicalDestination &= 0xFF00_0000
        destinationFormat |= 0x0FFF_FFFF
        spurious &= SpuriousVector.writable
        icrLow &= APIC.icrWritable
        if mode != Mode.x2APIC { icrHigh &= 0xFF00_0000 }
        for entry in 0..<APIC.lvtCount { setLVT(entry, lvt(entry) & LVT.writable(entry)) }
        timerDivide &= 0xB
        if lvt(Int(APUS_LVT_TIMER)) & LVT.timerMode == LVT.tscDeadline {
            timerDeadline = 0
            timerInitial = 0
        } else {
            tscDeadline = 0
        }
    }
}
