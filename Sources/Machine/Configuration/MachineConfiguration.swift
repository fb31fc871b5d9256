public import SPICE
public import VNC

/// Everything that a command line says about a machine: plain values that the machine builder reads.
///
/// Made by `MachineControl`'s option parser, or by hand in tests and embedders. Default devices are already in it, so
/// a builder looks at no other defaults: what is not here is not wanted.
public struct MachineConfiguration: Equatable, Sendable {
    /// The name that the program was started under: `qemu-system-x86_64`.
    public var program: String = "apus-vmm"
    /// The board and its properties.
    public var board = BoardConfiguration()
    /// Engines in the order of trial; the first that works is taken. Never empty.
    public var accelerators: [AcceleratorConfiguration] = [AcceleratorConfiguration(kind: .automatic)]
    /// The CPU model and features as `-cpu` has them, for `X86`'s parser: `qemu64`, `max,+avx2`. Nil is the board's
    /// default.
    public var processorModel: String?
    /// The numbers of `-smp`.
    public var topology = TopologyRequest()
    /// Guest memory.
    public var memory = MemoryConfiguration()
    /// NUMA nodes.
    public var numa = NUMAConfiguration()
    /// Kernel, firmware and boot order.
    public var boot = BootConfiguration()

    /// Block nodes of `-blockdev`, in order.
    public var blockNodes: [BlockNodeConfiguration] = []
    /// Drives of `-drive`, `-hda`…, `-cdrom`, `-fda` and the positional image, in order.
    public var drives: [DriveConfiguration] = []
    /// Images that are made before any is opened: a forked machine's own.
    public var overlays: [OverlayConfiguration] = []
    /// Devices of `-device`, in order.
    public var devices: [DeviceConfiguration] = []
    /// Property defaults of `-global`, in order.
    public var globals: [GlobalProperty] = []
    /// Objects of `-object`, in order; a name is used once.
    public var objects: [ObjectConfiguration] = []

    /// Network back-ends of `-netdev`, in order.
    public var networks: [NetworkConfiguration] = []
    /// On-board or default network cards of `-nic` and `-net`, the default card included.
    public var nics: [NICConfiguration] = []

    /// Character back-ends: those of `-chardev`, then the ones made for `-serial` and its like.
    public var characterDevices: [CharacterDeviceConfiguration] = []
    /// Serial ports by number: the character back-end's id, or nil for a port that is not there.
    public var serialPorts: [String?] = []
    /// Parallel ports by number, in the same way.
    public var parallelPorts: [String?] = []
    /// Monitors, in order.
    public var monitors: [MonitorConfiguration] = []
    /// The character back-end of the debug port at 0xe9 (`-debugcon`).
    public var debugConsole: String?
    /// The character back-end that speaks GDB's remote protocol.
    public var gdbServer: String?

    /// The graphics adapter.
    public var graphics = GraphicsAdapter.none
    /// Whether the slot stays free in which QEMU would have an adapter that this machine does without.
    public var reservesGraphicsSlot = false
    /// Where its picture goes.
    public var display = DisplayConfiguration.none
    /// Whether a display shows text consoles.
    public var showsConsoles: Bool { !vncServers.isEmpty || display == .curses }
    /// VNC servers of `-vnc` and `-display vnc=`, or the one of a machine that has a picture and no other display.
    public var vncServers: [VNCConfiguration] = []
    /// The SPICE server of `-spice`; nil for none.
    public var spice: SPICEConfiguration?
    /// Audio back-ends of `-audiodev` and `-audio`, in order.
    public var audioBackends: [AudioConfiguration] = []
    /// TPM back-ends of `-tpmdev`.
    public var tpmBackends: [TPMConfiguration] = []
    /// Folders of `-fsdev` and `-virtfs`.
    public var sharedFolders: [SharedFolderConfiguration] = []
    /// Whether there is a USB controller.
    public var usb = false
    /// Keyboard layout of `-k`.
    public var keyboardLayout: String?
    /// Which default devices the board adds besides what stands in the lists above.
    public var defaultDevices = DefaultDevices()

    /// The real-time clock.
    public var clock = ClockConfiguration()
    /// SMBIOS structures, in order.
    public var smbios: [SMBIOSConfiguration] = []
    /// Entries of `-fw_cfg`, in order.
    public var firmwareEntries: [FirmwareEntry] = []

    /// The machine's name, empty where none was given.
    public var name = ""
    /// What to do at reset, shutdown, panic and watchdog.
    public var lifecycle = LifecycleConfiguration()
    /// The machine's UUID as 16 bytes in the order of its text form, or nil.
    public var uuid: [UInt8]?
    /// Where the machine comes from instead of being started (`-incoming`): an address, or `defer`.
    public var incoming: String?
    /// The snapshot that it starts from (`-loadvm`).
    public var snapshot: String?
    /// The process: its name, files, confinement.
    public var process = ProcessConfiguration()

    /// Whether the machine starts a firmware, which then sets up what the board would else set up itself.
    public var hasFirmware: Bool { boot.bios != nil || drives.contains { $0.interface == .pflash } || hasFlashNodes }
    /// Whether `-machine` names block nodes as flash chips.
    public var hasFlashNodes: Bool { board.flashNodes.contains { $0 != nil } }

    /// A `pc` with no devices but the board's.
    public init() {}
}
