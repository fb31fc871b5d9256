internal import CEngine
internal import CLinux
internal import HostOS

// The neutral state, read from and written to KVM.
extension HardwareProcessor {
    func readState() throws(HostError) -> apus_x86_state {
        var state = apus_x86_state()
        var general = kvm_regs()
        try control.exchange(APUS_KVM_GET_REGS, &general, "read registers")
        general.copy(to: &state)
        var special = kvm_sregs()
        try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
        special.copy(to: &state)
        var debug = kvm_debugregs()
        try control.exchange(APUS_KVM_GET_DEBUGREGS, &debug, "read debug registers")
        debug.copy(to: &state)
        try readXSave().copy(to: &state)
        state.xcr0 = try readXCR0()
        RegisterExchange.read(into: &state, control)
        state.tsc_offset = readTSCOffset()
        var events = kvm_vcpu_events()
        try control.exchange(APUS_KVM_GET_VCPU_EVENTS, &events, "read pending events")
        state.interrupt_shadow = events.interrupt.shadow != 0 ? 1 : 0
        state.nmi_blocked = events.nmi.masked != 0 ? 1 : 0
        state.smm = events.smi.smm != 0 ? 1 : 0
        var mode = kvm_mp_state()
        try control.exchange(APUS_KVM_GET_MP_STATE, &mode, "read the running state")
        switch Int32(truncatingIfNeeded: mode.mp_state) {
        case KVM_MP_STATE_HALTED: state.halted = 1
        case KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED: state.waiting_for_sipi = 1
        default: break
        }
        return state
    }

    /// Writes a whole state. What KVM keeps beside it (the local APIC) stays; pending exceptions go.
    func writeState(_ state: apus_x86_state) throws(HostError) {
        // Extended registers before control registers: CR4.OSXSAVE may only be on where they can be.
        var image = try readXSave()
        image.set(state)
        try writeXSave(image)
        if machine.device.capability(KVM_CAP_XCRS) != 0 {
            var registers = kvm_xcrs()
            registers.nr_xcrs = 1
            registers.xcrs.0.xcr = 0
            registers.xcrs.0.value = state.xcr0 & (initial.components | 1) | 1
            try control.exchange(APUS_KVM_SET_XCRS, &registers, "set XCR0")
        }
        var special = kvm_sregs()
        try control.exchange(APUS_KVM_GET_SREGS, &special, "read special registers")
        special.set(state)
        try control.exchange(APUS_KVM_SET_SREGS, &special, "set special registers")
        try control.send(APUS_KVM_SET_REGS, kvm_regs(state), "set registers")
        writeModelSpecific(state)
        writeTSCOffset(state.tsc_offset)
        var events = kvm_vcpu_events()
        try control.exchange(APUS_KVM_GET_VCPU_EVENTS, &events, "read pending events")
        events.exception = .init()
        events.interrupt = .init()
        events.interrupt.shadow = state.interrupt_shadow != 0 ? 3 : 0
        events.nmi = .init()
        events.nmi.masked = state.nmi_blocked
        events.exception_has_payload = 0
        events.flags = UInt32(KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING)
        try control.exchange(APUS_KVM_SET_VCPU_EVENTS, &events, "set pending events")
        try control.send(APUS_KVM_SET_DEBUGREGS, kvm_debugregs(state), "set debug registers")
        // Without a local APIC there is nothing in KVM that waits.
        guard local == nil else { return }
        var mode = kvm_mp_state()
        mode.mp_state = UInt32(
            state.waiting_for_sipi != 0
                ? KVM_MP_STATE_INIT_RECEIVED : state.halted != 0 ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE)
        try control.exchange(APUS_KVM_SET_MP_STATE, &mode, "set the running state")
    }

    private func readXSave() throws(HostError) -> XSaveArea {
        var bytes = [UInt8](repeating: 0, count: initial.xsaveSize)
        let number = initial.xsaveSize > 4096 ? APUS_KVM_GET_XSAVE2 : APUS_KVM_GET_XSAVE
        try control.exchange(number, bytes: &bytes, "read extended registers")
        return XSaveArea(bytes: bytes, pkruOffset: initial.pkruOffset, components: initial.components)
    }

    private func writeXSave(_ image: XSaveArea) throws(HostError) {
        var bytes = image.bytes
        try control.exchange(APUS_KVM_SET_XSAVE, bytes: &bytes, "set extended registers")
    }

    private func readXCR0() throws(HostError) -> UInt64 {
        var registers = kvm_xcrs()
        try control.exchange(APUS_KVM_GET_XCRS, &registers, "read XCR0")
        return registers.nr_xcrs > 0 ? registers.xcrs.0.value : 1
    }

    private func writeModelSpecific(_ state: apus_x86_state) {
        let entries = unsafe withUnsafeBytes(of: state) { bytes in
            // SAFETY: the offsets are those of fields of 8 bytes.
            StateRegister.all.map { register in
                (number: register.number, value: unsafe bytes.load(fromByteOffset: register.offset, as: UInt64.self))
            }
        }
        // What this KVM does not have, guests do not see either; a refusal of the rest shows in the guest's own use.
        RegisterExchange.write(entries, control)
    }

    /// Exactly, where KVM has the attribute; else from two counters read one after the other.
    private func readTSCOffset() -> UInt64 {
        var value: UInt64 = 0
        if (try? exchangeTSCOffset(&value, APUS_KVM_GET_DEVICE_ATTR)) != nil { return value }
        guard let guest = RegisterExchange.read([0x10], control).first ?? nil else { return 0 }
        return guest &- apus_rdtsc()
    }

    private func writeTSCOffset(_ offset: UInt64) {
        var value = offset
        if (try? exchangeTSCOffset(&value, APUS_KVM_SET_DEVICE_ATTR)) != nil { return }
        RegisterExchange.write([(number: 0x10, value: apus_rdtsc() &+ offset)], control)
    }

    private func exchangeTSCOffset(_ value: inout UInt64, _ number: UInt) throws(HostError) {
        var failure: HostError?
        unsafe withUnsafeMutablePointer(to: &value) { pointer in
            var attribute = kvm_device_attr()
            attribute.group = UInt32(KVM_VCPU_TSC_CTRL)
            attribute.attr = UInt64(KVM_VCPU_TSC_OFFSET)
            // SAFETY: the attribute is one word, which outlives the call.
            attribute.addr = UInt64(UInt(bitPattern: pointer))
            do throws(HostError) { try control.exchange(number, &attribute, "use the offset of the TSC") } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
