internal import CEngine
internal import Execution
internal import X86

// System management mode: a mode of its own for firmware, in memory that nobody else reaches (AMD64 manual volume 2,
// chapter 10; Intel SDM volume 3, chapter 32). An SMI puts the state into the save area at the end of that memory and
// starts the handler in a kind of real mode; RSM takes the state back from there.

extension CPU {
    /// Where the memory of system management begins after power-on.
    static let initialSMBASE: UInt64 = 0x3_0000

    var isInManagement: Bool { unsafe p.pointee.s.smm & UInt8(APUS_SMM_ACTIVE) != 0 }

    /// Takes an SMI that waits, where it can be taken.
    func takeManagementInterrupt(_ owner: SoftwareProcessor) -> Exit? {
        guard unsafe p.pointee.smi_pending != 0, !isInManagement else { return nil }
        unsafe p.pointee.smi_pending = 0
        return enterManagement(owner)
    }

    private func enterManagement(_ owner: SoftwareProcessor) -> Exit? {
        if traces([.interrupts]) { trace("SMM: enter\n" + registerText(floating: false)) }
        var area = ManagementSaveArea()
        area.take(unsafe p.pointee.s, flags: rflags)
        let base = unsafe p.pointee.s.smbase
        let wereBlocked = unsafe p.pointee.s.nmi_blocked != 0
        unsafe p.pointee.s.smm = UInt8(APUS_SMM_ACTIVE | (wereBlocked ? APUS_SMM_NMI_BLOCKED : 0))
        unsafe p.pointee.s.smi_count &+= 1
        unsafe p.pointee.s.nmi_blocked = 1
        unsafe p.pointee.s.halted = 0
        rip = 0x8000
        rflags = 2
        unsafe p.pointee.s.cr0 &= ~(CR0.pe | CR0.em | CR0.ts | CR0.pg)
        unsafe p.pointee.s.cr4 = 0
        unsafe p.pointee.s.efer = 0
        unsafe debugSlot(7).pointee = 0x400
        let flat = SegmentBits.granularity | SegmentBits.present | SegmentBits.nonSystem | SegmentBits.writable | SegmentBits.accessed
        for index in APUS_SEG_ES...APUS_SEG_GS {
            setSegment(index, apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: 0, attributes: flat))
        }
        setSegment(
            APUS_SEG_CS,
            apus_x86_segment(
                base: base, limit: 0xffff_ffff, selector: UInt16(truncatingIfNeeded: base >> 4), attributes: flat))
        managementChanged(owner)
        guard writePhysical(base &+ ManagementSaveArea.offset, area.bytes) else {
            traceGuestError("SMI without memory for its save area at", base &+ ManagementSaveArea.offset)
            return .shutdown
        }
        return nil
    }

    /// RSM's part. False where the save area holds what no processor can be in: it shuts down.
    fileprivate func leaveManagement(_ owner: SoftwareProcessor) -> Bool {
        let base = unsafe p.pointee.s.smbase
        guard let bytes = readPhysical(base &+ ManagementSaveArea.offset, count: ManagementSaveArea.count) else { return false }
        let area = ManagementSaveArea(bytes)
        var state = unsafe p.pointee.s
        area.put(&state)
        guard isPossible(state) else { return false }
        state.nmi_blocked = state.smm & UInt8(APUS_SMM_NMI_BLOCKED) != 0 ? 1 : 0
        state.smm = 0
        unsafe p.pointee.s = state
        rflags = state.rflags
        managementChanged(owner)
        rip &= ripMask
        if paging == 3 {
            do throws(Leave) { try loadPDPTEs(state.cr3) } catch { return false }
        }
        maskedEvents = true
        if traces([.interrupts]) { trace("SMM: after RSM\n" + registerText(floating: false)) }
        return true
    }

    /// What RSM refuses (AMD64 manual volume 2, 10.3.3).
    private func isPossible(_ s: apus_x86_state) -> Bool {
        let (protected, paged) = (s.cr0 & CR0.pe != 0, s.cr0 & CR0.pg != 0)
        let long = s.efer & EFER.lma != 0
        guard s.cr0 >> 32 == 0, protected || !paged, s.cr0 & (CR0.cd | CR0.nw) != CR0.nw,
            unsafe s.efer & ~p.pointee.efer_allowed == 0, unsafe s.cr4 & ~p.pointee.cr4_allowed == 0,
            long == (s.efer & EFER.lme != 0 && paged), !long || s.cr4 & CR4.pae != 0, long || s.cr4 & CR4.pcide == 0,
            !long || s.rflags & Flag.vm == 0, long ? unsafe s.cr3 & ~(p.pointee.physical_mask | 0xfff) == 0 : s.cr3 >> 32 == 0
        else { return false }
        let code = unsafe withUnsafeBytes(of: s.segment) {
            // SAFETY: the array has eight segments.
            unsafe $0.load(
                fromByteOffset: Int(APUS_SEG_CS) * MemoryLayout<apus_x86_segment>.stride, as: apus_x86_segment.self)
        }
        return !long || code.attributes & (SegmentBits.long | SegmentBits.big) != SegmentBits.long | SegmentBits.big
    }

    /// Another view of memory, another mode: nothing that was looked up holds any more.
    private func managementChanged(_ owner: SoftwareProcessor) {
        commitReplies()
        owner.loadRanges()
        updateMode()
    }

    // MARK: Physical memory

    private func readPhysical(_ address: UInt64, count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        for index in 0..<UInt64(count) {
            guard let range = unsafe range(at: address &+ index) else { return nil }
            bytes.append(unsafe apus_load8(range.pointee.host + Int(address &+ index &- range.pointee.start)))
        }
        return bytes
    }

    private func writePhysical(_ address: UInt64, _ bytes: [UInt8]) -> Bool {
        // A write of linear addresses: paging is off.
        do throws(Leave) {
            for (index, byte) in bytes.enumerated() {
                try writeMemory(address &+ UInt64(index), UInt64(byte), size: 1, .system)
            }
            return true
        } catch {
            commitReplies()
            return false
        }
    }
}

/// RSM: back to what an SMI interrupted.
let rsm: apus_handler = { cpu, op in
    guard cpu.isInManagement else { return cpu.fault(op, Vector.undefined) }
    if cpu.isVerifying {
        cpu.rip = cpu.ripOf(op)
        _ = cpu.leaveToRunAlone()
        return .leave
    }
    if !cpu.leaveManagement(cpu.owner) {
        cpu.traceGuestError("RSM with an impossible state in the save area of SMBASE", unsafe cpu.p.pointee.s.smbase)
        unsafe cpu.p.pointee.shutdown_pending = 1
    }
    unsafe cpu.p.pointee.status = UInt8(APUS_STATUS_STATE)
    return .leave
}
