internal import CLinux
internal import Synchronization

/// Puts a terminal into raw mode until `restore`, the process's exit or a fatal signal. One at a time in a process.
///
/// The terminal outlives the process and is somebody's shell, so its modes must come back whatever happens. For signals
/// of crashes a handler lies over what was there before, such as one that prints a backtrace, which then has its turn;
/// for those that ask for the end it goes only where the default action is in force. Whoever installs a handler later
/// passes on what is not its own, or calls `RawTerminal.restoreAny` before the process ends.
public final class RawTerminal: Sendable {
    /// What the handlers need, at an address that never changes.
    @safe private struct Saved {
        var active: Int32 = 0
        var descriptor: Int32 = -1
        var modes = termios()
        /// What the terminal is told in the end; lives for ever.
        var farewell: UnsafeMutablePointer<UInt8>?
        var farewellCount = 0
        var output: Int32 = -1
    }
    /// How long a terminal that takes nothing is waited for, in milliseconds.
    private static let lastWait: Int32 = 500

    private nonisolated(unsafe) static let saved: UnsafeMutablePointer<Saved> = {
        let slot = UnsafeMutablePointer<Saved>.allocate(capacity: 1)
        unsafe slot.initialize(to: Saved())
        return unsafe slot
    }()
    /// The actions that the handlers lie over, by signal.
    private nonisolated(unsafe) static let previous: UnsafeMutablePointer<sigaction> = {
        let actions = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
        unsafe actions.initialize(repeating: sigaction(), count: 65)
        return unsafe actions
    }()
    /// Signals of a crash, and Ctrl-\'s.
    private static let crashes = [SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS]
    private static let owned = Mutex(false)
    private static let installed = Mutex(false)
    private let descriptor: Descriptor
    private let output: Descriptor?
    private let restored = Mutex(false)

    /// Raw mode for the terminal behind `descriptor`; nil if it is no terminal. With `signals`, Ctrl-C and its like
    /// make signals; without, they are bytes. In the end the farewell is written to `output`.
    public init?(
        _ descriptor: Descriptor, signals: Bool, farewell: [UInt8] = [], to output: Descriptor? = nil
    ) throws(HostError) {
        self.descriptor = descriptor
        self.output = output
        guard descriptor.kind == Descriptor.Kind.terminal else { return nil }
        var modes = termios()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_terminal_get(descriptor.rawValue, &modes) == 0 else {
            throw HostError(reason: apus_errno(), "read the modes of the terminal")
        }
        let taken = RawTerminal.owned.withLock { owned in
            defer { owned = true }
            return owned
        }
        guard !taken else { throw HostError(reason: EBUSY, "take the terminal") }
        // SAFETY: `owned` makes this the only writer; `active` is set last.
        unsafe RawTerminal.saved.pointee.modes = modes
        unsafe RawTerminal.saved.pointee.descriptor = descriptor.rawValue
        unsafe RawTerminal.saved.pointee.farewellCount = 0
        if let output, !farewell.isEmpty {
            // Never freed, as a handler may be reading it; few terminals are taken for a display in a process's life.
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: farewell.count)
            for (index, byte) in farewell.enumerated() { unsafe (bytes + index).initialize(to: byte) }
            unsafe RawTerminal.saved.pointee.farewell = bytes
            unsafe RawTerminal.saved.pointee.output = output.rawValue
            unsafe RawTerminal.saved.pointee.farewellCount = farewell.count
        }
        unsafe RawTerminal.saved.pointee.active = 1
        RawTerminal.installHandlers()
        unsafe apus_terminal_raw(&modes, signals ? 1 : 0)
        guard unsafe apus_terminal_set(descriptor.rawValue, &modes) == 0 else {
            let reason = apus_errno()
            restore()
            throw HostError(reason: reason, "change the modes of the terminal")
        }
    }

    deinit { restore() }

    /// Gives the terminal its old modes back. May be called again.
    public func restore() {
        let done = restored.withLock { restored in
            defer { restored = true }
            return restored
        }
        if done { return }
        RawTerminal.restoreAny()
        RawTerminal.owned.withLock { $0 = false }
    }

    /// Gives the process's raw terminal, if there is one, its old modes back. Async-signal-safe.
    public static func restoreAny() {
        // SAFETY: the slot and the farewell live for ever; tcsetattr, poll and write are async-signal-safe
        // (signal-safety(7)).
        guard unsafe saved.pointee.active != 0 else { return }
        unsafe saved.pointee.active = 0
        if unsafe saved.pointee.farewellCount > 0 {
            var request = pollfd(fd: unsafe saved.pointee.output, events: Int16(POLLOUT), revents: 0)
            if unsafe apus_poll(&request, 1, lastWait) > 0 {
                _ = unsafe apus_write(request.fd, saved.pointee.farewell, saved.pointee.farewellCount)
            }
        }
        _ = unsafe apus_terminal_set(saved.pointee.descriptor, &saved.pointee.modes)
    }

    /// Installs the handlers, which do nothing of their own while no terminal is raw. A program whose other parts install
    /// handlers of faults calls it before those.
    public static func installHandlers() {
        let first = installed.withLock { installed in
            defer { installed = true }
            return !installed
        }
        guard first else { return }
        // Made before a handler may need them: what makes a global is not async-signal-safe.
        _ = unsafe (saved, previous)
        atexit { RawTerminal.restoreAny() }
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // The handler is one-shot: the second, raised signal takes the default action when the handler returns.
            _ = apus_signal_once(signal) { number in
                RawTerminal.restoreAny()
                _ = raise(number)
            }
        }
        for signal in crashes {
            // SAFETY: the actions live for ever, and there are as many as signals.
            _ = unsafe apus_signal_over(
                signal,
                { number, information, context in
                    RawTerminal.restoreAny()
                    unsafe apus_signal_pass(number, information, context, RawTerminal.previous + Int(number))
                }, previous + Int(signal))
        }
    }
}
