internal import CEngine
internal import Execution
internal import LocalAPIC
internal import Synchronization

// Events between blocks: kicks, messages, INIT and start-up, NMI, interrupts, single steps. Interrupts that cannot be
// taken now leave `maskedEvents` behind, which whatever unmasks them looks at.
extension CPU {
    /// Handles what is pending. An exit, or nil: execute.
    func handleEvents(_ owner: SoftwareProcessor) -> Exit? {
        while true {
            let bits = pending
            if isDebugging(APUS_DEBUG_WATCH), let stop = owner.takeWatchStop() { return .debug(stop) }
            if bits & UInt32(APUS_PENDING_KICK) != 0 {
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_KICK))
                return .interrupted
            }
            if bits & UInt32(APUS_PENDING_MEMORY) != 0 {
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_MEMORY))
                owner.loadRanges()
            }
            if bits & UInt32(APUS_PENDING_CODE) != 0 {
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_CODE))
                owner.takeMessages()
            }
            if bits & UInt32(APUS_PENDING_TIMER) != 0 {
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_TIMER))
                owner.advanceTimer()
            }
            if bits & UInt32(APUS_PENDING_EOI) != 0 {
                if let vector = owner.endedInterrupts.popLast() { return .endOfInterrupt(vector: vector) }
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_EOI))
            }
            if bits & UInt32(APUS_PENDING_INIT) != 0, !isInManagement {
                // A start-up message that is pending came after it.
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_INIT))
                initialize(owner)
            }
            if unsafe p.pointee.s.waiting_for_sipi != 0 {
                if bits & UInt32(APUS_PENDING_SIPI) == 0 {
                    owner.sleep()
                    continue
                }
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_SIPI))
                startUp(page: owner.startVector.load(ordering: .acquiring))
            }
            // Start-up messages that nothing waits for, but not one that follows an INIT of just now.
            unsafe apus_vcpu_clear(p, bits & UInt32(APUS_PENDING_SIPI) | UInt32(APUS_PENDING_STEP))
            if bits & UInt32(APUS_PENDING_SMI) != 0 {
                unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_SMI))
                unsafe p.pointee.smi_pending = 1
            }
            if isDebugging(APUS_DEBUG_STEP) {
                if let exit = debugStep(owner) { return exit }
                continue
            }
            if unsafe p.pointee.s.interrupt_shadow != 0 && p.pointee.s.halted == 0 {
                if let stop = breakpointStop(owner) { return stop }
                if let exit = stepWithTrap(owner) { return exit }
                continue
            }
            if let exit = takeManagementInterrupt(owner) ?? takeInterrupt(owner) { return exit }
            if unsafe p.pointee.s.halted != 0 {
                if pending == 0 { owner.sleep() }
                continue
            }
            if systemFlags & Flag.tf != 0 || hasBreakpoints {
                if let stop = breakpointStop(owner) { return stop }
                if let exit = stepWithTrap(owner) { return exit }
                continue
            }
            return nil
        }
    }

    /// Takes the NMI or interrupt of the highest priority, where one can be taken.
    func takeInterrupt(_ owner: SoftwareProcessor) -> Exit? {
        maskedEvents = false
        let bits = pending
        if bits & UInt32(APUS_PENDING_NMI) != 0 {
            unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_NMI))
            let limit: UInt32 = unsafe p.pointee.s.nmi_blocked == 0 ? 2 : 1
            let came = owner.messagesNMI.exchange(0, ordering: .sequentiallyConsistent)
            let held = unsafe UInt32(p.pointee.nmi_pending)
            unsafe p.pointee.nmi_pending = UInt8(max(held, min(came &+ held, limit)))
        }
        if unsafe p.pointee.nmi_pending != 0 {
            if unsafe p.pointee.s.nmi_blocked == 0 {
                unsafe p.pointee.nmi_pending -= 1
                unsafe p.pointee.s.nmi_blocked = 1
                if unsafe p.pointee.nmi_pending != 0 { maskedEvents = true }
                unsafe p.pointee.s.halted = 0
                return deliverEvent(Vector.nmi)
            }
            maskedEvents = true
        }
        // Cleared before the look, so that what is posted after it is seen the next time.
        unsafe apus_vcpu_clear(p, UInt32(APUS_PENDING_INTERRUPT | APUS_PENDING_EXTINT))
        let vector = owner.apic.pendingVector
        let external = owner.externalInterruptIsUp && owner.apic.acceptsExternalInterrupt
        guard vector != nil || external else { return nil }
        guard systemFlags & Flag.if != 0 else {
            maskedEvents = true
            return nil
        }
        if external {
            // The controller is asked; `acknowledge` delivers.
            unsafe p.pointee.s.halted = 0
            maskedEvents = true
            return .interruptAcknowledge
        }
        unsafe p.pointee.s.halted = 0
        let acknowledged = owner.apic.acknowledge()
        // Another one may wait behind it.
        maskedEvents = true
        return deliverEvent(acknowledged)
    }

    private func deliverEvent(_ vector: UInt8) -> Exit? {
        unsafe p.pointee.interrupts &+= 1
        do throws(Leave) {
            try deliver(vector, error: nil, .external)
            return nil
        } catch { return deliverFault() }
    }

    /// Delivers the vector that the PIC answered.
    func deliverInterrupt(_ vector: UInt8) {
        if let exit = deliverEvent(vector), exit == .shutdown { unsafe p.pointee.shutdown_pending = 1 }
    }

    // MARK: Exceptions

    /// Delivers the recorded exception.
    func deliverFault() -> Exit? {
        let vector = unsafe p.pointee.fault_vector
        let error = unsafe p.pointee.fault_has_error != 0 ? p.pointee.fault_error : nil
        return deliverException(vector, error: error)
    }

    /// 0 benign, 1 contributory, 2 page fault (SDM volume 3, table 6-4).
    private static func severity(_ vector: UInt8) -> Int {
        switch vector {
        case Vector.divide, Vector.invalidTSS, Vector.notPresent, Vector.stack, Vector.general: 1
        case Vector.page: 2
        default: 0
        }
    }

    /// Delivers an exception, and the double fault that its delivery may become. `.shutdown` after a triple fault.
    func deliverException(_ vector: UInt8, error: UInt32?) -> Exit? {
        var vector = vector
        var error = error
        unsafe p.pointee.exceptions &+= 1
        unsafe p.pointee.s.halted = 0
        while true {
            if vector == Vector.page { unsafe p.pointee.s.cr2 = p.pointee.fault_address }
            let flags = systemFlags
            // Faults, not traps, push RF, so that the instruction's own breakpoint does not hit again.
            let isTrap = vector == Vector.debug || vector == Vector.breakpoint || vector == Vector.overflow
            if !isTrap { systemFlags |= Flag.rf }
            do throws(Leave) {
                try deliver(vector, error: protected ? error : nil, .exception)
                return nil
            } catch {}
            systemFlags = flags
            if unsafe p.pointee.status == UInt8(APUS_STATUS_EXIT) {
                // A descriptor table or stack in device memory: nothing that a guest means.
                return .error("An exception's delivery reached device memory")
            }
            let second = unsafe p.pointee.fault_vector
            if vector == Vector.doubleFault {
                traceGuestError("triple fault, the last by vector", UInt64(second))
                return .shutdown
            }
            let first = Self.severity(vector)
            let next = Self.severity(second)
            if first == 1 && next == 1 || first == 2 && next != 0 {
                vector = Vector.doubleFault
                error = 0
            } else {
                vector = second
                error = unsafe p.pointee.fault_has_error != 0 ? p.pointee.fault_error : nil
            }
        }
    }
}
