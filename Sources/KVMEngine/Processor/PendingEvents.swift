public import CEngine
internal import CLinux
internal import HostOS

extension HardwareProcessor {
    /// What waits to be delivered, or was half delivered when the processor left the guest. Set after the registers.
    /// For the processor's thread, or others while it is outside `run`.
    public func pendingEvents() throws(KVMError) -> apus_x86_events {
        do throws(HostError) {
            var from = kvm_vcpu_events()
            try control.exchange(APUS_KVM_GET_VCPU_EVENTS, &from, "read pending events")
            var events = apus_x86_events()
            events.nmi_pending = from.nmi.pending != 0 || from.nmi.injected != 0 || waitsForNonMaskable ? 1 : 0
            if from.interrupt.injected != 0 {
                events.interrupt_injected = 1
                events.interrupt_vector = from.interrupt.nr
                events.interrupt_soft = from.interrupt.soft
            } else if let vector = acknowledgedVector {
                events.interrupt_injected = 1
                events.interrupt_vector = vector
            }
            events.exception_injected = from.exception.injected
            events.exception_pending = from.exception.pending
            events.exception_vector = from.exception.nr
            events.exception_has_error = from.exception.has_error_code
            events.exception_error = from.exception.error_code
            events.exception_has_payload = from.exception_has_payload
            events.exception_payload = from.exception_payload
            var mode = kvm_mp_state()
            try control.exchange(APUS_KVM_GET_MP_STATE, &mode, "read the running state")
            if Int32(truncatingIfNeeded: mode.mp_state) == KVM_MP_STATE_SIPI_RECEIVED {
                events.sipi_pending = 1
                events.sipi_vector = UInt8(truncatingIfNeeded: from.sipi_vector)
            }
            if let vector = local?.pendingStart {
                events.sipi_pending = 1
                events.sipi_vector = vector
            }
            return events
        } catch { throw .failed(error) }
    }

    /// Sets them.
    public func setPendingEvents(_ events: apus_x86_events) throws(KVMError) {
        do throws(HostError) {
            var to = kvm_vcpu_events()
            try control.exchange(APUS_KVM_GET_VCPU_EVENTS, &to, "read pending events")
            to.nmi.pending = events.nmi_pending
            to.nmi.injected = 0
            to.interrupt.injected = events.interrupt_injected
            to.interrupt.nr = events.interrupt_vector
            to.interrupt.soft = events.interrupt_soft
            // A pending exception is one to be injected for KVMs that do not tell the two apart.
            to.exception.injected = events.exception_injected | events.exception_pending
            to.exception.nr = events.exception_vector & 31
            to.exception.has_error_code = events.exception_has_error
            to.exception.error_code = events.exception_error
            to.flags = UInt32(KVM_VCPUEVENT_VALID_NMI_PENDING)
            if let local, events.sipi_pending != 0 {
                local.start(at: events.sipi_vector)
            } else if events.sipi_pending != 0 {
                to.sipi_vector = UInt32(events.sipi_vector)
                to.flags |= UInt32(KVM_VCPUEVENT_VALID_SIPI_VECTOR)
            }
            try control.exchange(APUS_KVM_SET_VCPU_EVENTS, &to, "set pending events")
            if local == nil, events.sipi_pending != 0 {
                var mode = kvm_mp_state()
                mode.mp_state = UInt32(KVM_MP_STATE_SIPI_RECEIVED)
                try control.exchange(APUS_KVM_SET_MP_STATE, &mode, "set the running state")
            }
        } catch { throw .failed(error) }
    }
}
