internal import CEngine
internal import GuestMemory
internal import Synchronization

/// The rate of the time-stamp counter as kvm-clock tells it: nanoseconds = (ticks << shift) * multiplier >> 32 (Linux,
/// Documentation/virt/kvm/x86/msr.rst).
struct PVClockRate: Equatable {
    var multiplier: UInt32
    var shift: Int8

    init(kHz: UInt64) {
        var ticks = kHz &* 1000
        let base: UInt64 = 1_000_000_000
        var shift: Int8 = 0
        while ticks > base * 2 {
            ticks >>= 1
            shift -= 1
        }
        while ticks <= base && ticks > 0 {
            ticks <<= 1
            shift += 1
        }
        multiplier = ticks == 0 ? 0 : UInt32(clamping: (base << 32) / ticks)
        self.shift = shift
    }
}

/// One moment by both clocks. All processors are told the same one: were each told its own, the error of reading two
/// clocks one after the other would differ, and time would go back for a thread that changes processors.
struct PVClockBase: Equatable {
    /// The host's time-stamp counter without the pauses of the machine.
    var counter: UInt64 = 0
    /// Virtual time in nanoseconds.
    var time: UInt64 = 0

    /// How many nanoseconds the clocks have come apart since, at a moment of the same two clocks.
    func drift(counter: UInt64, time: UInt64, frequency: UInt64) -> Double {
        let elapsed = Double(Int64(bitPattern: counter &- self.counter)) * 1_000_000 / Double(frequency)
        return abs(elapsed - Double(Int64(bitPattern: time &- self.time)))
    }
}

extension SoftwareEngine {
    /// The moment from which kvm-clock counts: another where counter and virtual time have come more than a millisecond
    /// apart since.
    func pvClockBase(frequency: UInt64, now: () -> UInt64) -> PVClockBase {
        clockBase.withLock { base in
            let counter = hostCounter &- pausedTicks.load(ordering: .relaxed)
            let time = now()
            if base == PVClockBase() || base.drift(counter: counter, time: time, frequency: frequency) > 1_000_000 {
                base = PVClockBase(counter: counter, time: time)
            }
            return base
        }
    }
}

// kvm-clock: the guest computes time from its time-stamp counter and a page that the host writes, so that it
// calibrates nothing and reads no device.
extension SoftwareProcessor {
    /// Flags of the page: the counters of all processors agree; the guest stood still.
    private static let countersAgree: UInt8 = 1
    private static let guestStopped: UInt8 = 2

    /// Writes this processor's time page, where the guest has asked for one.
    func updatePVClock() {
        let request = unsafe cpu.p.pointee.s.kvm_system_time
        guard request & 1 != 0 else { return }
        let address = GuestPhysical(request & ~1)
        guard let engine else { return }
        let base = engine.pvClockBase(frequency: frequency, now: now)
        let offset = unsafe cpu.p.pointee.s.tsc_offset &+ engine.pausedTicks.load(ordering: .relaxed)
        pvClockBase = base
        let rate = PVClockRate(kHz: frequency)
        do throws(GuestMemoryError) {
            // An odd version: being written.
            let version = (try memory.load(address, as: UInt32.self) | 1) &+ 2
            try memory.store(address, version)
            try memory.store(address + 8, base.counter &+ offset)
            try memory.store(address + 16, base.time &+ pvClockOffset.load(ordering: .relaxed))
            try memory.store(address + 24, rate.multiplier)
            try memory.store(address + 28, UInt8(bitPattern: rate.shift))
            // That the machine stood stays until the guest has seen it.
            let told = try memory.load(address + 29, as: UInt8.self) & Self.guestStopped
            let stepped = pvClockStepped.exchange(false, ordering: .relaxed) ? Self.guestStopped : 0
            try memory.store(address + 29, Self.countersAgree | told | stepped)
            try memory.store(address, version &+ 1)
        } catch {
            // The guest named a page that it does not have.
        }
    }

    /// Writes the time page anew where the machine stood still meanwhile: virtual time did not go on, the counter did.
    func checkPVClock() {
        guard unsafe cpu.p.pointee.s.kvm_system_time & 1 != 0, let engine else { return }
        let counter = engine.hostCounter &- engine.pausedTicks.load(ordering: .relaxed)
        if pvClockBase.drift(counter: counter, time: now(), frequency: frequency) > 1_000_000 { updatePVClock() }
    }

    /// Wall-clock time at virtual time 0.
    func writeWallClock(at address: UInt64) {
        let boot = wallClock() &- now() &- pvClockOffset.load(ordering: .relaxed)
        let page = GuestPhysical(address & ~3)
        do throws(GuestMemoryError) {
            let version = (try memory.load(page, as: UInt32.self) | 1) &+ 2
            try memory.store(page, version)
            try memory.store(page + 4, UInt32(truncatingIfNeeded: boot / 1_000_000_000))
            try memory.store(page + 8, UInt32(truncatingIfNeeded: boot % 1_000_000_000))
            try memory.store(page, version &+ 1)
        } catch {
            // As above.
        }
    }
}
