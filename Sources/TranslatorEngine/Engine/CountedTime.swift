internal import CEngine
internal import Execution
internal import HostOS
internal import LocalAPIC
internal import Synchronization

// Virtual time that is counted in instructions: deadlines are virtual nanoseconds, and the processor's thread looks
// after all of them.
extension SoftwareProcessor {
    /// Instructions executed so far, those of the block at hand included. Any thread.
    var executedInstructions: UInt64 { unsafe apus_vcpu_executed(cpu.p) }

    /// A timer is due, or time is to be compared with the host's.
    func reachedLimit() {
        guard let time = instructionTime else { return }
        time.limitReached { bell.wait(nanoseconds: $0) }
        advanceCountedTimer(time)
    }

    /// Sets how many instructions may be executed before the next timer.
    func setLimit(_ time: any InstructionTime) {
        let due = deadline.load(ordering: .relaxed)
        let count = time.instructions(until: due == .max ? nil : due)
        unsafe cpu.p.pointee.execution_limit = cpu.p.pointee.executed &+ count
    }

    /// Requests the APIC timer's interrupt where it is due, and sets the next limit.
    func advanceCountedTimer(_ time: any InstructionTime) {
        let now = time.now
        let offset = unsafe cpu.p.pointee.s.tsc_offset
        if apic.advanceTimer(nowNanoseconds: now, guestTSC: now &+ offset) { post(UInt32(APUS_PENDING_INTERRUPT)) }
        switch apic.nextDeadline {
        case .nanoseconds(let at): deadline.store(at, ordering: .relaxed)
        case .guestTSC(let at):
            let counter = now &+ offset
            let (due, overflow) = now.addingReportingOverflow(at > counter ? at - counter : 0)
            deadline.store(overflow ? .max : due, ordering: .relaxed)
        case nil: deadline.store(.max, ordering: .relaxed)
        }
        setLimit(time)
    }

    /// Lets time go on while the processor halts, until an event is posted or a timer is due.
    func idle(_ time: any InstructionTime) {
        let due = deadline.load(ordering: .relaxed)
        time.idle(until: due == .max ? nil : due) { bell.wait(nanoseconds: $0) }
        reachedLimit()
    }
}
