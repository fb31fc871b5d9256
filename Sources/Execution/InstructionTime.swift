/// Virtual time as a number of executed instructions (QEMU's `-icount`). The engine counts, and asks how far it may go
/// before a timer is due; the machine's clock answers, and fires its timers on the processor's thread.
public protocol InstructionTime: AnyObject, Sendable {
    /// Tells where the number of executed instructions is read, and what makes the processor ask for its limit again.
    /// Once, before anything runs. Both are called from any thread.
    func connect(executed: @escaping @Sendable () -> UInt64, deadlineMoved: @escaping @Sendable () -> Void)
    /// Virtual nanoseconds. Any thread.
    var now: UInt64 { get }
    /// How many instructions may be executed before virtual time reaches `deadline` (nil: none but the clock's own) or a
    /// timer of the clock is due; at least 1. The processor's thread.
    func instructions(until deadline: UInt64?) -> UInt64
    /// Fires timers that are due, and keeps time with the host's as far as asked for: `wait` sleeps for so many
    /// nanoseconds or until something comes. The processor's thread.
    func limitReached(wait: (UInt64) -> Void)
    /// The processor has nothing to execute until `deadline` (nil: no deadline of its own) or a timer of the clock: time
    /// goes on by itself. `wait` sleeps for so many nanoseconds (nil: without end) or until something comes. The
    /// processor's thread.
    func idle(until deadline: UInt64?, wait: (UInt64?) -> Void)
}
