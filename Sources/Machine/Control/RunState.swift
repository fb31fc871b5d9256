/// What a machine is doing, in QMP's words.
public enum RunState: String, CaseIterable, Sendable {
    /// Stopped by a debugger.
    case debug
    /// Waits for an incoming migration.
    case inMigrate = "inmigrate"
    /// The engine cannot go on.
    case internalError = "internal-error"
    /// Stopped by an error of an image.
    case ioError = "io-error"
    /// Stopped by `stop`.
    case paused
    /// Migrated away.
    case postMigrate = "postmigrate"
    /// Not started yet (`-S`).
    case prelaunch
    /// Finishes a migration.
    case finishMigrate = "finish-migrate"
    /// Loads a saved state.
    case restoreVM = "restore-vm"
    /// Processors run.
    case running
    /// Saves its state.
    case saveVM = "save-vm"
    /// Powered off, kept by `-no-shutdown`.
    case shutdown
    /// Suspended to RAM.
    case suspended
    /// Stopped by the watchdog.
    case watchdog
    /// Stopped by a panic of the guest.
    case guestPanicked = "guest-panicked"

    /// Whether processors run.
    public var isRunning: Bool { self == .running }
    /// Whether the machine stands for work on its state, and did something else before that.
    var isForState: Bool {
        switch self {
        case .saveVM, .restoreVM, .finishMigrate, .postMigrate: true
        default: false
        }
    }
}

/// Why a machine resets or ends, in QMP's words.
public enum ShutdownCause: String, CaseIterable, Sendable {
    /// Nothing is asked for.
    case none
    /// An error of the host.
    case hostError = "host-error"
    /// `quit` of a monitor.
    case hostQuit = "host-qmp-quit"
    /// `system_reset` of a monitor.
    case hostReset = "host-qmp-system-reset"
    /// A signal to the process.
    case hostSignal = "host-signal"
    /// The window was closed.
    case hostUI = "host-ui"
    /// The guest powered off.
    case guestShutdown = "guest-shutdown"
    /// The guest reset.
    case guestReset = "guest-reset"
    /// The guest panicked.
    case guestPanic = "guest-panic"
    /// A part of the machine reset.
    case subsystemReset = "subsystem-reset"
    /// A snapshot was loaded.
    case snapshotLoad = "snapshot-load"

    /// Whether the guest is the one who asked.
    public var isGuest: Bool { self == .guestShutdown || self == .guestReset || self == .guestPanic }
}
