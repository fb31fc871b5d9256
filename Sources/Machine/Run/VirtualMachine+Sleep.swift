internal import CEngine
internal import Devices
internal import Log
internal import Synchronization

// Suspend to RAM (ACPI 6.5, 16.1.5): the processors stand and lose their state, devices and time go on, and what wakes
// the machine resets it but for its memory.
extension VirtualMachine {
    /// The guest has suspended to RAM.
    func suspend() {
        let changed = control.withLock { _ -> Bool in
            guard state.withLock({ $0.runState == .running && !$0.hasEnded }), let power = board.power else { return false }
            group.park()
            power.isAsleep = true
            // Firmware that is asked to start finds here that it is to resume (CMOS, shutdown status).
            board.rtc?.setByte(0x0F, 0xFE)
            state.withLock { $0.runState = .suspended }
            return true
        }
        if changed { emit(.suspend) }
    }

    /// The guest has written itself to its disk: the machine ends.
    func suspendToDisk() {
        emit(.suspendDisk)
        shutDown(.guestShutdown)
    }

    /// The clock's alarm, of a machine that sleeps.
    func alarmRings() {
        if runState == .suspended && board.power?.wakesByClock == true {
            wake(byClock: true)
        } else {
            resumeAfterRequest()
        }
    }

    /// Wakes a machine that is suspended; false for another.
    @discardableResult
    func wake(byClock: Bool) -> Bool {
        let failure = control.withLock { _ -> (woken: Bool, failure: MachineBuildError?) in
            guard state.withLock({ $0.runState == .suspended && !$0.hasEnded }) else { return (false, nil) }
            do throws(MachineBuildError) { try board.wake(group.threads, byClock: byClock) } catch { return (true, error) }
            state.withLock { $0.runState = .running }
            group.release()
            return (true, nil)
        }
        guard failure.woken else { return false }
        if let error = failure.failure {
            log.error("The machine cannot be woken: \(error)")
            halt(as: .internalError)
        } else {
            emit(.wakeUp)
        }
        return true
    }
}

extension Board {
    /// Resets all but memory; the first processor goes to firmware, or where firmware would have it go.
    func wake(_ threads: [any ProcessorThread], byClock: Bool) throws(MachineBuildError) {
        let bridge = devices.lazy.compactMap { $0 as? I440FX }.first
        let attributes = bridge?.attributes ?? []
        let status = rtc?.byte(0x0F) ?? 0
        try reset(threads, loadsKernel: false)
        bridge?.attributes = attributes
        rtc?.setByte(0x0F, status)
        power?.wake(byClock: byClock)
        guard !configuration.hasFirmware, let first = threads.first else { return }
        guard let vector = image.wakingVector(in: memory), vector != 0 else {
            throw MachineBuildError("the guest has left no address to wake up at")
        }
        var state = first.state
        let segment = UInt16(truncatingIfNeeded: vector >> 4)
        state.segment.1 = apus_x86_segment(
            base: UInt64(segment) << 4, limit: 0xFFFF, selector: segment, attributes: 0x9B)
        state.rip = UInt64(vector & 15)
        first.state = state
    }
}
