internal import CEngine
internal import LocalAPIC
internal import X86

// RDMSR and WRMSR. What is not here is #GP(0), as on the processor.
extension SoftwareProcessor {
    /// Nil is #GP(0).
    func readMSR(_ number: UInt32) -> UInt64? {
        let p = unsafe cpu.p
        switch number {
        case MSR.tsc: return cpu.timeStampCounter
        case MSR.apicBase: return apic.base
        case MSR.tscAdjust: return unsafe p.pointee.s.tsc_adjust
        case MSR.smiCount: return model.isAMD ? nil : unsafe p.pointee.s.smi_count & 0xffff_ffff
        case MSR.smbase: return cpu.isInManagement ? unsafe p.pointee.s.smbase : nil
        case MSR.sysenterCS: return unsafe p.pointee.s.sysenter_cs
        case MSR.sysenterESP: return unsafe p.pointee.s.sysenter_esp
        case MSR.sysenterEIP: return unsafe p.pointee.s.sysenter_eip
        case MSR.miscEnable: return unsafe p.pointee.s.misc_enable
        case MSR.pat: return unsafe p.pointee.s.pat
        case MSR.efer: return cpu.efer
        case MSR.star: return unsafe p.pointee.s.star
        case MSR.lstar: return unsafe p.pointee.s.lstar
        case MSR.cstar: return unsafe p.pointee.s.cstar
        case MSR.sfmask: return unsafe p.pointee.s.sfmask
        case MSR.fsBase: return cpu.segment(APUS_SEG_FS).base
        case MSR.gsBase: return cpu.segment(APUS_SEG_GS).base
        case MSR.kernelGSBase: return unsafe p.pointee.s.kernel_gs_base
        case MSR.tscAux: return unsafe p.pointee.s.tsc_aux
        case MSR.tscDeadline: return apic.readTSCDeadline(tsc: cpu.timeStampCounter)
        case MSR.debugControl: return unsafe p.pointee.s.debugctl
        case MSR.x2APICFirst...MSR.x2APICLast: return apic.readMSR(number, now: now())
        case MSR.mtrrCapability...MSR.mtrrCapability, 0x200...0x26f, MSR.mtrrDefaultType: return mtrr(number)
        case MSR.kvmSystemTime, MSR.kvmOldSystemTime: return unsafe p.pointee.s.kvm_system_time
        case MSR.kvmWallClock, MSR.kvmOldWallClock: return unsafe p.pointee.s.kvm_wall_clock
        case MSR.microcodeRevision: return model.isAMD ? 0x0100_0065 : 1 << 32
        case MSR.amdHardwareConfiguration: return model.isAMD ? 1 << 24 : nil
        case MSR.amdSystemConfiguration, MSR.amdNorthbridgeConfiguration, MSR.amdInterruptPending,
            MSR.amdVirtualMachineControl, MSR.amdLoadStoreConfiguration, MSR.amdDecodeConfiguration:
            return model.isAMD ? 0 : nil
        case MSR.amdEventSelector0...MSR.amdCounter3: return model.isAMD ? 0 : nil
        case MSR.pkrs: return unsafe model.has("pks") ? UInt64(p.pointee.s.pkrs) : nil
        case MSR.platformID, MSR.mcgCapability, MSR.mcgStatus, MSR.mcgControl: return 0
        case MSR.featureControl: return model.isAMD ? nil : 1
        default: return nil
        }
    }

    /// False is #GP(0).
    func writeMSR(_ number: UInt32, _ value: UInt64) throws(Leave) -> Bool {
        let p = unsafe cpu.p
        switch number {
        case MSR.tsc: setTimeStampCounter(value)
        case MSR.tscAdjust:
            unsafe p.pointee.s.tsc_offset &+= value &- p.pointee.s.tsc_adjust
            unsafe p.pointee.s.tsc_adjust = value
        case MSR.apicBase:
            guard
                apic.writeBase(
                    value, physicalBits: model.physicalBits, offersX2APIC: model.has("x2apic"), initialID: apicID)
            else { return false }
        case MSR.sysenterCS: unsafe p.pointee.s.sysenter_cs = value & 0xffff_ffff
        case MSR.sysenterESP:
            guard isCanonical(value) else { return false }
            unsafe p.pointee.s.sysenter_esp = value
        case MSR.sysenterEIP:
            guard isCanonical(value) else { return false }
            unsafe p.pointee.s.sysenter_eip = value
        case MSR.miscEnable: unsafe p.pointee.s.misc_enable = value
        case MSR.pat:
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                let type = value >> shift & 0xff
                guard type < 8, type != 2, type != 3 else { return false }
            }
            unsafe p.pointee.s.pat = value
        case MSR.efer: try cpu.setEFER(value)
        case MSR.star: unsafe p.pointee.s.star = value
        case MSR.lstar, MSR.cstar, MSR.kernelGSBase:
            guard isCanonical(value) else { return false }
            if number == MSR.lstar { unsafe p.pointee.s.lstar = value }
            if number == MSR.cstar { unsafe p.pointee.s.cstar = value }
            if number == MSR.kernelGSBase { unsafe p.pointee.s.kernel_gs_base = value }
        case MSR.sfmask: unsafe p.pointee.s.sfmask = value & 0xffff_ffff
        case MSR.fsBase, MSR.gsBase:
            guard isCanonical(value) else { return false }
            unsafe cpu.segmentSlot(number == MSR.fsBase ? APUS_SEG_FS : APUS_SEG_GS).pointee.base = value
        case MSR.tscAux: unsafe p.pointee.s.tsc_aux = value & 0xffff_ffff
        case MSR.tscDeadline:
            apply(apic.writeTSCDeadline(value))
        case MSR.debugControl: unsafe p.pointee.s.debugctl = value & 3
        case MSR.x2APICFirst...MSR.x2APICLast:
            guard let effect = apic.writeMSR(number, value: value, now: now(), tsc: cpu.timeStampCounter) else {
                return false
            }
            apply(effect)
        case 0x200...0x26f, MSR.mtrrDefaultType: return setMTRR(number, value)
        case MSR.kvmSystemTime, MSR.kvmOldSystemTime:
            unsafe p.pointee.s.kvm_system_time = value
            updatePVClock()
        case MSR.kvmWallClock, MSR.kvmOldWallClock:
            unsafe p.pointee.s.kvm_wall_clock = value
            writeWallClock(at: value)
        case MSR.microcodeRevision, MSR.microcodeUpdate: break
        case MSR.amdHardwareConfiguration, MSR.amdSystemConfiguration, MSR.amdNorthbridgeConfiguration,
            MSR.amdLoadStoreConfiguration, MSR.amdDecodeConfiguration:
            return model.isAMD
        // There is nothing that counts.
        case MSR.amdEventSelector0...MSR.amdCounter3: return model.isAMD
        case MSR.pkrs:
            guard model.has("pks"), value >> 32 == 0 else { return false }
            cpu.setKeyRights(user: unsafe p.pointee.s.pkru, supervisor: UInt32(value))
        case MSR.mcgStatus: return value == 0
        default: return false
        }
        return true
    }

    private func setTimeStampCounter(_ value: UInt64) {
        let delta = value &- cpu.timeStampCounter
        unsafe cpu.p.pointee.s.tsc_offset &+= delta
        // The adjustment follows (SDM volume 3, 17.17.3).
        unsafe cpu.p.pointee.s.tsc_adjust &+= delta
    }

    // MARK: Memory type ranges: stored and read back, without effect

    private func mtrrSlot(_ number: UInt32) -> UnsafeMutablePointer<UInt64>? {
        let state = unsafe UnsafeMutableRawPointer(cpu.p)
        func slot(_ offset: Int?, _ index: UInt32) -> UnsafeMutablePointer<UInt64>? {
            // SAFETY: the callers' cases bound the index by the arrays.
            unsafe (state + offset!).assumingMemoryBound(to: UInt64.self) + Int(index)
        }
        switch number {
        case 0x200...0x20f:
            let index = (number - 0x200) / 2
            return unsafe number & 1 == 0
                ? slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_base), index)
                : slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_mask), index)
        case MSR.mtrrFixed64K: return unsafe slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_fixed), 0)
        case MSR.mtrrFixed16K...MSR.mtrrFixed16K + 1:
            return unsafe slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_fixed), 1 + number - MSR.mtrrFixed16K)
        case MSR.mtrrFixed4K...MSR.mtrrFixed4K + 7:
            return unsafe slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_fixed), 3 + number - MSR.mtrrFixed4K)
        case MSR.mtrrDefaultType: return unsafe slot(MemoryLayout<apus_vcpu>.offset(of: \.s.mtrr_def_type), 0)
        default: return nil
        }
    }
    private func mtrr(_ number: UInt32) -> UInt64? {
        if number == MSR.mtrrCapability { return 0x508 }  // eight variable ranges, fixed ranges, write-combining
        guard let slot = unsafe mtrrSlot(number) else { return nil }
        return unsafe slot.pointee
    }
    private func setMTRR(_ number: UInt32, _ value: UInt64) -> Bool {
        guard let slot = unsafe mtrrSlot(number) else { return false }
        unsafe slot.pointee = value
        return true
    }
}
