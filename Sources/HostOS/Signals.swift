internal import CLinux

/// The process's signals, taken as readable events instead of handlers.
public enum Signals {
    /// Asked to end: by a supervisor.
    public static let terminate = SIGTERM
    /// Asked to end: from the keyboard.
    public static let interrupt = SIGINT
    /// The terminal is gone, or: read the configuration again.
    public static let hangUp = SIGHUP
    /// A child has ended.
    public static let child = SIGCHLD
    /// Free for programs.
    public static let user1 = SIGUSR1

    static func mask(_ signals: [Int32]) -> UInt64 {
        signals.reduce(0) { $1 >= 1 && $1 <= 64 ? $0 | 1 << UInt64($1 - 1) : $0 }
    }

    /// Holds signals back from the calling thread and the threads that it starts from now on: call in `main`, before
    /// any thread.
    public static func block(_ signals: [Int32]) { _ = apus_signal_block(mask(signals), 1) }

    /// Undoes `block` for the calling thread.
    public static func unblock(_ signals: [Int32]) { _ = apus_signal_block(mask(signals), 0) }

    /// Makes writes to a pipe or socket without reader fail with an error instead of ending the process.
    public static func ignoreBrokenPipes() { apus_signal_ignore(SIGPIPE) }
}

/// Blocked signals as a descriptor (signalfd). Any thread.
public final class SignalDescriptor: Sendable {
    /// Readable while a signal is pending; in non-blocking mode.
    public let descriptor: Descriptor

    /// One signal that came.
    public struct Received: Sendable, Equatable {
        /// Its number.
        public let signal: Int32
        /// The process that sent it; 0: the kernel.
        public let processID: Int32
        /// The user of that process.
        public let userID: UInt32
    }

    /// Takes the given signals, and blocks them for the calling thread and those that it starts.
    public init(_ signals: [Int32]) throws(HostError) {
        Signals.block(signals)
        let raw = apus_signalfd(Signals.mask(signals))
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make a signal descriptor") }
        descriptor = Descriptor(owning: raw)
    }

    /// The next pending signal.
    public func next() -> Received? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        // SAFETY: the kernel writes whole structures, here one on this stack.
        guard unsafe apus_read(descriptor.rawValue, &info, size) == size else { return nil }
        return Received(
            signal: Int32(truncatingIfNeeded: info.ssi_signo), processID: Int32(truncatingIfNeeded: info.ssi_pid),
            userID: info.ssi_uid)
    }
}
