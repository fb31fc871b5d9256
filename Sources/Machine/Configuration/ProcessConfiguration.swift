public import JSON

/// What the machine does at the turns of its life.
public struct LifecycleConfiguration: Equatable, Sendable {
    /// At a reset that the guest asks for.
    public enum Reboot: String, CaseIterable, Sendable {
        /// It resets.
        case reset
        /// It ends as if shut down.
        case shutdown
    }
    /// When the guest powers off.
    public enum Shutdown: String, CaseIterable, Sendable {
        /// The process ends.
        case poweroff
        /// It stops, and a monitor may look.
        case pause
    }
    /// When the guest panics.
    public enum Panic: String, CaseIterable, Sendable {
        /// It stops.
        case pause
        /// The process ends.
        case shutdown
        /// The process ends with status 1.
        case exitFailure = "exit-failure"
        /// Nothing.
        case none
    }
    /// When a watchdog fires.
    public enum Watchdog: String, CaseIterable, Sendable {
        /// It resets.
        case reset
        /// The guest is asked to power off.
        case shutdown
        /// The process ends.
        case poweroff
        /// It stops.
        case pause
        /// A line on the error output.
        case debug
        /// Nothing.
        case none
        /// A non-maskable interrupt.
        case injectNMI = "inject-nmi"
    }
    /// At a reset that the guest asks for.
    public var reboot = Reboot.reset
    /// When the guest powers off.
    public var shutdown = Shutdown.poweroff
    /// When the guest panics.
    public var panic = Panic.shutdown
    /// When a watchdog fires.
    public var watchdog = Watchdog.reset
    /// Whether processors wait for `cont` (`-S`).
    public var startsPaused = false
    /// Whether a machine that comes from a file may run before all of its memory is there. Where memory turns out to be
    /// damaged then, the process ends.
    public var restoresOnDemand = false

    /// What a machine does when nothing is said.
    public init() {}
}

/// The process around the machine.
public struct ProcessConfiguration: Equatable, Sendable {
    /// The name that `ps` shows (`-name process=`).
    public var name: String?
    /// Whether threads carry names that say what they do (`-name debug-threads=on`).
    public var namesThreads = false
    /// The file that takes the process's number.
    public var pidFile: String?
    /// Whether the process goes to the background when the machine is ready.
    public var daemonizes = false
    /// Whether standard input and output are the guest's (`-nographic`).
    public var isNoGraphic = false
    /// Confinement by seccomp: nil for the program's own default.
    public var sandbox: SandboxConfiguration?
    /// What is logged (`-d`), by QEMU's item names.
    public var logItems: [String] = []
    /// Where it goes (`-D`), nil for standard error.
    public var logFile: String?
    /// Whether the names of translated blocks go to `/tmp/perf-PID.map` (`-perfmap`).
    public var writesPerfMap = false
    /// Trace patterns, events and file (`-trace`), as given.
    public var traces: [JSONObject] = []
    /// Whether messages carry the time.
    public var timestampsMessages = false
    /// Whether messages carry the guest's name.
    public var namesGuestInMessages = false
    /// Descriptors handed over (`-add-fd`).
    public var descriptors: [PassedDescriptor] = []
    /// The byte that leads commands of the terminal, Ctrl-A unless `-echr` says another.
    public var escapeCharacter: UInt8 = 1
    /// The seed of random numbers (`-seed`), for repeatable runs.
    public var seed: UInt64?

    /// A plain process in the foreground.
    public init() {}
}

/// What a confined process may not do (`-sandbox on`).
public struct SandboxConfiguration: Equatable, Sendable {
    /// Whether there is any confinement.
    public var enabled: Bool
    /// Whether obsolete system calls are refused.
    public var deniesObsolete = true
    /// Whether privileges may not rise.
    public var deniesElevation = false
    /// Whether no process may be started.
    public var deniesSpawn = false
    /// Whether affinity and priority may not be changed.
    public var deniesResourceControl = false

    /// Confinement on or off.
    public init(enabled: Bool) { self.enabled = enabled }
}

/// A descriptor handed over by the parent.
public struct PassedDescriptor: Equatable, Sendable {
    /// The descriptor, 3 or more.
    public var descriptor: Int32
    /// The set it joins.
    public var set: Int
    /// Words for whoever asks.
    public var opaque: String?

    /// A descriptor of a set.
    public init(descriptor: Int32, set: Int, opaque: String?) {
        self.descriptor = descriptor
        self.set = set
        self.opaque = opaque
    }
}
