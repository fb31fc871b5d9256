internal import CEngine

// Writes of control registers, EFER and XCR0 with the checks of the manual (SDM volume 3, 2.5, 2.6 and 4.1).
extension CPU {
    func setCR0(_ value: UInt64) throws(Leave) {
        let old = cr0
        guard value >> 32 == 0, value & CR0.pg == 0 || value & CR0.pe != 0, value & CR0.nw == 0 || value & CR0.cd != 0
        else { throw raise(Vector.general, error: 0) }
        let new = value & 0xe005_002f | CR0.et
        let turnsOn = new & CR0.pg != 0 && old & CR0.pg == 0
        let turnsOff = new & CR0.pg == 0 && old & CR0.pg != 0
        if turnsOn && efer & EFER.lme != 0 {
            guard cr4 & CR4.pae != 0, segment(APUS_SEG_CS).attributes & SegmentBits.long == 0 else {
                throw raise(Vector.general, error: 0)
            }
        }
        if turnsOff {
            guard cr4 & CR4.pcide == 0, !code64 else { throw raise(Vector.general, error: 0) }
        }
        if turnsOn && efer & EFER.lme == 0 && cr4 & CR4.pae != 0 { try loadPDPTEs(unsafe p.pointee.s.cr3) }
        if tracesMemory { trace("CR0 update: CR0=0x\(hexadecimal(new, 8))\n") }
        unsafe p.pointee.s.cr0 = new
        if turnsOn && efer & EFER.lme != 0 { unsafe p.pointee.s.efer |= EFER.lma }
        if turnsOff { unsafe p.pointee.s.efer &= ~EFER.lma }
        if old & CR0.pe != 0 && new & CR0.pe == 0 {
            // Back to real mode: the hidden parts stay, CS keeps its base.
            var cs = segment(APUS_SEG_CS)
            cs.attributes = cs.attributes & SegmentBits.big | 0x9b
            setSegment(APUS_SEG_CS, cs)
        }
        if (old ^ new) & (CR0.pg | CR0.wp | CR0.pe) != 0 { flushTLB() }
        updateMode()
    }

    func setCR3(_ value: UInt64) throws(Leave) {
        var value = value
        if longMode {
            // Bit 63 asks to keep the translations of the PCID; keeping none is always right.
            if cr4 & CR4.pcide != 0 { value &= ~(1 << 63) }
            guard unsafe value & ~(p.pointee.physical_mask | 0xfff) == 0 else { throw raise(Vector.general, error: 0) }
        } else {
            value &= 0xffff_ffff
        }
        if unsafe p.pointee.paging == 3 { try loadPDPTEs(value) }
        if tracesMemory { trace("CR3 update: CR3=\(hexadecimal(value, 16))\n") }
        unsafe p.pointee.s.cr3 = value
        flushLocalTranslations()
    }

    func setCR4(_ value: UInt64) throws(Leave) {
        let old = cr4
        guard unsafe value & ~p.pointee.cr4_allowed == 0 else { throw raise(Vector.general, error: 0) }
        if longMode && value & CR4.pae == 0 { throw raise(Vector.general, error: 0) }
        if value & CR4.pcide != 0 && old & CR4.pcide == 0 {
            guard longMode, unsafe p.pointee.s.cr3 & 0xfff == 0 else { throw raise(Vector.general, error: 0) }
        }
        let pagingBits = CR4.pae | CR4.pse | CR4.pge | CR4.smep | CR4.smap | CR4.pcide | CR4.pke | CR4.pks
        if cr0 & CR0.pg != 0 && !longMode && value & CR4.pae != 0 && (old ^ value) & pagingBits != 0 {
            try loadPDPTEs(unsafe p.pointee.s.cr3)
        }
        if tracesMemory { trace("CR4 update: CR4=\(hexadecimal(value, 8))\n") }
        unsafe p.pointee.s.cr4 = value
        if (old ^ value) & pagingBits != 0 { flushTLB() }
        updateMode()
    }

    func setEFER(_ value: UInt64) throws(Leave) {
        let old = efer
        guard unsafe value & ~p.pointee.efer_allowed == 0 else { throw raise(Vector.general, error: 0) }
        if cr0 & CR0.pg != 0 && (old ^ value) & EFER.lme != 0 { throw raise(Vector.general, error: 0) }
        unsafe p.pointee.s.efer = value & ~EFER.lma | old & EFER.lma
        if (old ^ value) & EFER.nxe != 0 { flushTLB() }
        updateMode()
    }

    /// Loads PAE's four page-directory pointers (SDM volume 3, 4.4.1).
    func loadPDPTEs(_ cr3: UInt64) throws(Leave) {
        let base = cr3 & 0xffff_ffe0
        var entries: [UInt64] = []
        for index in 0..<4 {
            let address = base + UInt64(index) * 8
            guard let range = unsafe range(at: address) else {
                entries.append(0)
                continue
            }
            let entry = unsafe apus_atomic_load64(range.pointee.host + Int(address - range.pointee.start))
            if entry & 1 != 0, unsafe entry & (~p.pointee.physical_mask & ~0xfff | 0x1e6) != 0 {
                throw raise(Vector.general, error: 0)
            }
            entries.append(entry)
        }
        for index in 0..<4 { unsafe pdpteSlot(index).pointee = entries[index] }
    }

    func setXCR0(_ value: UInt64) throws(Leave) {
        guard value & 1 != 0, value & 6 != 4, unsafe value & ~p.pointee.xcr0_allowed == 0 else {
            throw raise(Vector.general, error: 0)
        }
        unsafe p.pointee.s.xcr0 = value
        updateMode()
    }

    func readControl(_ number: Int) throws(Leave) -> UInt64 {
        switch number {
        case 0: return cr0
        case 2: return unsafe p.pointee.s.cr2
        case 3: return unsafe p.pointee.s.cr3
        case 4: return cr4
        case 8: return UInt64(unsafe p.pointee.apic.tpr >> 4)
        default: throw raise(Vector.undefined)
        }
    }

    func writeControl(_ number: Int, _ value: UInt64) throws(Leave) {
        switch number {
        case 0: try setCR0(value)
        case 2: unsafe p.pointee.s.cr2 = value
        case 3: try setCR3(value)
        case 4: try setCR4(value)
        case 8:
            guard value & ~15 == 0 else { throw raise(Vector.general, error: 0) }
            unsafe p.pointee.apic.tpr = UInt32(truncatingIfNeeded: value << 4)
            unsafe p.pointee.masked_events = 1
        default: throw raise(Vector.undefined)
        }
    }

    /// MOV from DR (SDM volume 3, 17.2).
    func readDebug(_ number: Int) throws(Leave) -> UInt64 {
        if (number == 4 || number == 5) && cr4 & CR4.de != 0 { throw raise(Vector.undefined) }
        if unsafe p.pointee.s.dr.7 & 0x2000 != 0 { throw debugAccess() }
        return unsafe debugSlot(number == 4 ? 6 : number == 5 ? 7 : number).pointee
    }

    func writeDebug(_ number: Int, _ value: UInt64) throws(Leave) {
        if (number == 4 || number == 5) && cr4 & CR4.de != 0 { throw raise(Vector.undefined) }
        if unsafe p.pointee.s.dr.7 & 0x2000 != 0 { throw debugAccess() }
        let number = number == 4 ? 6 : number == 5 ? 7 : number
        if number >= 6 && value >> 32 != 0 { throw raise(Vector.general, error: 0) }
        switch number {
        case 6: unsafe debugSlot(6).pointee = value & 0xe00f | 0xffff_0ff0
        case 7:
            // RF lasts for one instruction, and where nothing is enabled nobody takes it back: it was for this one.
            if !hasBreakpoints { systemFlags &= ~Flag.rf }
            unsafe debugSlot(7).pointee = value & 0xffff_2bff | 0x400
        default: unsafe debugSlot(number).pointee = value
        }
        // Watched pages stay out of the tables.
        flushTLB()
    }

    private func debugAccess() -> Leave {
        unsafe p.pointee.s.dr.6 |= 0x2000
        unsafe p.pointee.s.dr.7 &= ~0x2000
        return raise(Vector.debug)
    }

    func debugSlot(_ number: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: `number` is masked to the array's eight entries.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.s.dr)!)
            .assumingMemoryBound(to: UInt64.self) + (number & 7)
    }
}
