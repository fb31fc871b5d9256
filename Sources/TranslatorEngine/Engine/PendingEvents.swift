public import CEngine
internal import Execution
internal import Synchronization

// What a saved processor has beside its registers and its local APIC. For the processor's thread, or others while it is
// outside `run`.
extension SoftwareProcessor {
    /// What waits to be delivered. What is set comes after the registers and guest memory are there: an interrupt that
    /// another engine has begun to deliver is delivered at once.
    public var events: apus_x86_events {
        get {
            var events = apus_x86_events()
            let bits = cpu.pending
            events.nmi_pending = bits & UInt32(APUS_PENDING_NMI) != 0 || (unsafe cpu.p.pointee.nmi_pending) != 0 ? 1 : 0
            events.smi_pending = bits & UInt32(APUS_PENDING_SMI) != 0 || (unsafe cpu.p.pointee.smi_pending) != 0 ? 1 : 0
            events.init_pending = bits & UInt32(APUS_PENDING_INIT) != 0 ? 1 : 0
            events.sipi_pending = bits & UInt32(APUS_PENDING_SIPI) != 0 ? 1 : 0
            events.sipi_vector = startVector.load(ordering: .acquiring)
            return events
        }
        set {
            unsafe apus_vcpu_clear(
                cpu.p, UInt32(APUS_PENDING_NMI | APUS_PENDING_INIT | APUS_PENDING_SIPI | APUS_PENDING_SMI))
            unsafe cpu.p.pointee.nmi_pending = 0
            unsafe cpu.p.pointee.smi_pending = 0
            startVector.store(newValue.sipi_vector, ordering: .releasing)
            var bits: UInt32 = 0
            messagesNMI.store(newValue.nmi_pending == 0 ? 0 : 1, ordering: .sequentiallyConsistent)
            if newValue.nmi_pending != 0 { bits |= UInt32(APUS_PENDING_NMI) }
            if newValue.smi_pending != 0 { bits |= UInt32(APUS_PENDING_SMI) }
            if newValue.init_pending != 0 { bits |= UInt32(APUS_PENDING_INIT) }
            if newValue.sipi_pending != 0 { bits |= UInt32(APUS_PENDING_SIPI) }
            if bits != 0 { post(bits) }
            if newValue.exception_pending != 0 || newValue.exception_injected != 0 {
                deliverMoved(newValue)
            } else if newValue.interrupt_injected != 0 {
                unsafe cpu.p.pointee.s.halted = 0
                cpu.deliverInterrupt(newValue.interrupt_vector)
            }
        }
    }

    private func deliverMoved(_ events: apus_x86_events) {
        let vector = events.exception_vector & 31
        if vector == Vector.page {
            unsafe cpu.p.pointee.fault_address =
                events.exception_has_payload != 0 ? events.exception_payload : cpu.p.pointee.s.cr2
        }
        if vector == Vector.debug && events.exception_has_payload != 0 {
            cpu.noteDebug(events.exception_payload)
        }
        let error = events.exception_has_error != 0 ? events.exception_error : nil
        if cpu.deliverException(vector, error: error) == .shutdown { unsafe cpu.p.pointee.shutdown_pending = 1 }
    }

    /// Takes the level-triggered vectors whose end the IOAPIC has yet to hear of.
    public func takeEndedInterrupts() -> [UInt8] {
        defer { endedInterrupts = [] }
        return endedInterrupts
    }
}

extension SoftwareEngine {
    /// The time-stamp counters stand with the machine's time, so that guests who compare clocks find them agree.
    public func timeStopped() {
        if instructionTime == nil { stoppedCounter.store(apus_rdtsc(), ordering: .relaxed) }
    }
    /// What the processors' counters are offset from: the host's, or virtual time that is counted in instructions, which
    /// stands by itself.
    var hostCounter: UInt64 { instructionTime?.now ?? apus_rdtsc() }
    public func timeStarted() {
        let stopped = stoppedCounter.exchange(0, ordering: .relaxed)
        guard stopped != 0 else { return }
        let pause = apus_rdtsc() &- stopped
        pausedTicks.wrappingAdd(pause, ordering: .relaxed)
        for processor in processors { unsafe processor.cpu.p.pointee.s.tsc_offset &-= pause }
    }
    /// The host's counter that the processors' offsets are to be taken with while time stands.
    public var standingCounter: UInt64 {
        let stopped = stoppedCounter.load(ordering: .relaxed)
        return stopped != 0 ? stopped : hostCounter
    }
    /// The processors were restored: their offsets are those of this moment.
    public func restoredCounters(at counter: UInt64) {
        if instructionTime == nil { stoppedCounter.store(counter, ordering: .relaxed) }
    }

    /// The pages' dirty flags were taken and cleared: the next write to each page sets them again. While all
    /// processors are outside `run`.
    public func dirtyPagesTaken() {
        // Flags are set when a look-up of an address for writing is filled: all are forgotten.
        for processor in processors { processor.post(UInt32(APUS_PENDING_MEMORY)) }
    }

    /// Makes kvm-clock tell a time other than the virtual one: guests that another engine had go on with its clock.
    public func setGuestClock(_ time: UInt64) {
        for processor in processors {
            processor.pvClockOffset.store(time &- processor.now(), ordering: .relaxed)
            processor.pvClockBase = PVClockBase()
        }
    }
    /// Has the guest's watchdogs know that kvm-clock goes on from a later time than it stood at.
    public func tellClockStep() {
        for processor in processors { processor.pvClockStepped.store(true, ordering: .relaxed) }
    }
    /// What kvm-clock tells.
    public var guestClock: UInt64 {
        processors[0].now() &+ processors[0].pvClockOffset.load(ordering: .relaxed)
    }
}
