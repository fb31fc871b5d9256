internal import Synchronization

extension VirtualMachine {
    /// The longest time, in nanoseconds, that kvm-clock makes good by itself.
    private static var longestClockStep: UInt64 { 60_000_000_000 }

    /// Notes the wall clock at which kvm-clock stood.
    func clockStands(since moment: UInt64) { state.withLock { $0.stoodSince = moment } }

    /// Has kvm-clock make good what passed while the machine was saved, moved or copied: its guest did not ask to stand.
    /// Just before time goes on.
    ///
    /// A long time is for the guest's own services, which know that it passed by the generation and the RTC: its
    /// monotonic clock moves with this one, and watchdogs of its programs would find hours gone.
    func makeGoodClock() {
        let since = state.withLock { state in
            defer { state.stoodSince = nil }
            return state.stoodSince
        }
        guard let since, let engine = board.engine.movable else { return }
        let passed = board.clock.wallClock &- since
        guard passed <= Self.longestClockStep else { return }
        engine.setGuestClock(engine.guestClock &+ passed)
        engine.tellClockStep()
    }
}
