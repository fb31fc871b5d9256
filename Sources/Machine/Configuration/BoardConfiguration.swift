public import JSON

/// A board that a machine can be built on.
public enum BoardKind: String, CaseIterable, Sendable {
    /// i440FX and PIIX3.
    case pc
    /// Q35 and ICH9.
    case q35
    /// virtio-mmio only.
    case microvm
    /// Processors and memory only.
    case none

    /// The words of `-machine help`.
    public var summary: String {
        switch self {
        case .pc: "Standard PC (i440FX + PIIX, 1996)"
        case .q35: "Standard PC (Q35 + ICH9, 2009)"
        case .microvm: "Minimal machine with virtio-mmio"
        case .none: "Empty machine"
        }
    }
    /// The versioned name that QMP reports.
    public var versionedName: String {
        switch self {
        case .pc: "pc-i440fx-7.2"
        case .q35: "pc-q35-7.2"
        case .microvm: "microvm"
        case .none: "none"
        }
    }
    /// The most processors that the board takes.
    public var processorLimit: Int {
        switch self {
        case .pc: 255
        case .q35, .microvm: 288
        case .none: 1
        }
    }
    /// Whether this release builds it.
    public var isSupported: Bool { true }
    /// Whether it is a whole PC.
    public var isPC: Bool { self == .pc || self == .q35 }
    /// The network card of a PC where no model is named.
    public var usualCard: String { self == .q35 ? "e1000e" : "e1000" }
}

/// On, off, or as the board thinks best.
public enum OnOffAuto: String, CaseIterable, Sendable {
    /// Wanted.
    case on
    /// Not wanted.
    case off
    /// The board decides.
    case auto

    /// The flag with `auto` resolved.
    public func resolved(default value: Bool) -> Bool { self == .auto ? value : self == .on }
}

/// Who emulates the interrupt controllers under KVM.
public enum KernelIRQChip: String, CaseIterable, Sendable {
    /// The kernel, all of them.
    case on
    /// The machine.
    case off
    /// The kernel has the local APICs, the machine the rest.
    case split
}

/// The board and the properties of `-machine`. Those that are nil were not given.
public struct BoardConfiguration: Equatable, Sendable {
    /// Which board.
    public var kind = BoardKind.pc
    /// The name as given: `pc-i440fx-7.2`.
    public var name = "pc"
    /// Who emulates interrupt controllers.
    public var kernelIRQChip: KernelIRQChip?
    /// ACPI tables and power management.
    public var acpi = OnOffAuto.auto
    /// i8254.
    public var pit = OnOffAuto.auto
    /// i8259 pair.
    public var pic = OnOffAuto.auto
    /// MC146818, of `microvm`.
    public var rtc = OnOffAuto.auto
    /// VMware's port 0x5658.
    public var vmport = OnOffAuto.auto
    /// System management mode.
    public var systemManagement = OnOffAuto.auto
    /// HPET.
    public var hpet = true
    /// i8042.
    public var i8042 = true
    /// A 16550 at 0x3f8, of `microvm`.
    public var isaSerial = true
    /// A PCI Express host, of `microvm`.
    public var pcie = OnOffAuto.auto
    /// A second IOAPIC, of `microvm`.
    public var ioapic2 = OnOffAuto.auto
    /// Adds the `virtio_mmio.device=` words to the kernel's command line, of `microvm`.
    public var automaticKernelCommandLine = true
    /// Whether identical pages may be merged (MADV_MERGEABLE).
    public var mergesMemory = true
    /// Whether guest memory is part of a core dump.
    public var dumpsGuestMemory = true
    /// The object that is guest memory.
    public var memoryBackend: String?
    /// Whether a graphics adapter may be there.
    public var graphics = true
    /// Where memory below 4 GiB ends, in bytes.
    public var maximumMemoryBelow4G: UInt64?
    /// The block nodes of the two flash chips, `pflash0` and `pflash1`.
    public var flashNodes: [String?] = [nil, nil]
    /// Accepted properties that change nothing in this release, for `qom-get`.
    public var other = JSONObject()

    /// A `pc` with its defaults.
    public init() {}
}

/// An engine and its properties.
public struct AcceleratorConfiguration: Equatable, Sendable {
    /// Which engine.
    public enum Kind: String, CaseIterable, Sendable {
        /// The software engine, QEMU's `tcg`.
        case translator
        /// `/dev/kvm`.
        case kvm
        /// The fastest that works, by trial.
        case automatic = "auto"
    }
    /// Which engine.
    public var kind: Kind
    /// Whether every processor has a thread (nil: the engine decides).
    public var isMultiThreaded: Bool?
    /// The size of the translation cache in bytes.
    public var translationBufferSize: UInt64?
    /// Whether each translated block is compared with the interpreter.
    public var verifies = false
    /// Whether translated code is mapped twice rather than writable and executable.
    public var splitMapping: Bool?
    /// Who emulates interrupt controllers under KVM.
    public var kernelIRQChip: KernelIRQChip?
    /// Entries of each processor's dirty ring, 0 for none.
    public var dirtyRingSize: Int = 0
    /// Whether the user is told of the choice: of `auto` that stands on the command line.
    public var tellsChoice = false

    /// An engine with its defaults.
    public init(kind: Kind) { self.kind = kind }
}
