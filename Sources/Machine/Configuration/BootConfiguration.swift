/// What the machine starts.
public struct BootConfiguration: Equatable, Sendable {
    /// A kernel image: bzImage, ELF, multiboot.
    public var kernel: String?
    /// The initial RAM disk, or the modules of a multiboot kernel.
    public var initrd: String?
    /// The kernel's command line.
    public var append: String?
    /// The firmware image.
    public var bios: String?
    /// Directories to look for firmware in, first to last (`-L`).
    public var firmwareDirectories: [String] = []
    /// Option ROMs to load.
    public var optionROMs: [String] = []
    /// Boot devices as letters: `a` floppy, `c` disk, `d` CD-ROM, `n` network. Nil is the board's own order.
    public var order: String?
    /// The order of the first boot only.
    public var once: String?
    /// Whether firmware offers a menu.
    public var menu: Bool?
    /// A picture for firmware to show.
    public var splash: String?
    /// How long it is shown, in milliseconds.
    public var splashTime: Int?
    /// Milliseconds until a reboot after a failed boot; -1 never.
    public var rebootTimeout: Int?
    /// Whether only devices with a boot index are tried.
    public var strict: Bool?

    /// What a PC starts where nothing is named, and where Debian has firmware.
    public static let defaultFirmware = "bios-256k.bin"
    /// Directories of Debian's packages that hold firmware, looked at after those of `-L`.
    public static let systemDirectories = [
        "/usr/share/seabios", "/usr/share/qemu", "/usr/share/OVMF", "/usr/share/ovmf", "/usr/lib/ipxe/qemu",
        "/usr/share/vgabios",
    ]

    /// Nothing to start.
    public init() {}
}
