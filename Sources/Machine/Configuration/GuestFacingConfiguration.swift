public import JSON

/// A graphics adapter.
public enum GraphicsAdapter: String, CaseIterable, Sendable {
    /// None.
    case none
    /// A VGA with Bochs's extensions.
    case std
    /// A Cirrus Logic GD5446.
    case cirrus
    /// A virtio GPU that is a VGA until its driver takes over.
    case virtio
}

/// Where the guest's picture goes.
public enum DisplayConfiguration: String, CaseIterable, Sendable {
    /// Nowhere.
    case none
    /// To viewers over VNC: the configuration's servers.
    case vnc
    /// To the terminal, as far as it is text.
    case curses
}

/// The guest's real-time clock (`-rtc`).
public struct ClockConfiguration: Equatable, Sendable {
    /// What the clock shows at start.
    public enum Base: Equatable, Sendable {
        /// The host's time in UTC.
        case utc
        /// The host's local time.
        case localTime
        /// A date, in seconds since 1970 UTC.
        case date(Int64)
    }
    /// What drives it.
    public enum Source: String, CaseIterable, Sendable {
        /// The host's wall clock.
        case host
        /// The host's monotonic clock.
        case monotonic = "rt"
        /// The machine's virtual clock, which stops with it.
        case virtual = "vm"
    }
    /// What the clock shows at start.
    public var base = Base.utc
    /// What drives it.
    public var source = Source.host
    /// Whether lost ticks are made up for.
    public var slewsLostTicks = false
    /// Virtual time goes with executed instructions, as `-icount` has it.
    public var counting: InstructionCounting?

    /// UTC by the host's clock.
    public init() {}
}

/// How virtual time goes with executed instructions.
public struct InstructionCounting: Equatable, Sendable {
    /// The greatest shift: about 1 µs an instruction.
    public static let greatestShift: UInt8 = 10
    /// An instruction takes 2^shift nanoseconds; nil: as many as keep virtual time near the host's.
    public var shift: UInt8?
    /// While processors halt time goes as the host's; else it jumps to the next timer.
    public var sleeps = true
    /// The guest waits where its time is ahead of the host's.
    public var aligns = false

    /// A clock of that shift.
    public init(shift: UInt8?) { self.shift = shift }
}

/// One `-smbios`: a table from a file, or fields of a type.
public enum SMBIOSConfiguration: Equatable, Sendable {
    /// A structure in binary.
    case file(String)
    /// Fields of a type (0, 1, 2, 3, 4, 8, 11, 17, 41) by their option names; repeated ones are arrays.
    case fields(type: Int, JSONObject)
}

/// One `-fw_cfg`: a named item of the firmware's configuration device.
public struct FirmwareEntry: Equatable, Sendable {
    /// Its content.
    public enum Content: Equatable, Sendable {
        /// A file's bytes.
        case file(String)
        /// These bytes, without a terminator.
        case string(String)
    }
    /// The item's name, 1 to 55 bytes: `opt/org.example/x`.
    public var name: String
    /// Its content.
    public var content: Content

    /// An item.
    public init(name: String, content: Content) {
        self.name = name
        self.content = content
    }
}
