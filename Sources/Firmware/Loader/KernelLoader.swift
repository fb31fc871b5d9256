public import GuestMemory

/// The kinds of kernel that boot without firmware.
public enum KernelFormat: String, Sendable, CaseIterable {
    /// A Linux bzImage.
    case linux
    /// An ELF file with Xen's PVH entry note: a Linux vmlinux, and other kernels.
    case pvh
    /// An ELF file without a note or header of another kind.
    case elf
    /// A kernel with a multiboot 1 header.
    case multiboot
}

/// A file that a kernel is given: the initial RAM disk, or a module with its arguments.
public struct BootModule: Sendable {
    /// The file.
    public var source: any ImageSource
    /// The text that multiboot and PVH pass with it.
    public var commandLine: String

    /// A file with its text.
    public init(source: any ImageSource, commandLine: String = "") {
        self.source = source
        self.commandLine = commandLine
    }
}

/// What to boot, and the machine that it finds.
public struct BootRequest: Sendable {
    /// The kernel.
    public var kernel: any ImageSource
    /// `-append`.
    public var commandLine = ""
    /// The initial RAM disk: one for Linux, any number for multiboot and PVH.
    public var modules: [BootModule] = []
    /// RAM and what of it is taken; the loader uses only entries of kind `ram`.
    public var memory: MemoryMap
    /// The ACPI tables' root, if there are any.
    public var rsdp: GuestPhysical?
    /// Enter a Linux kernel by its 32-bit entry even where it has a 64-bit one.
    public var prefers32BitEntry = false
    /// Whether the processors have long mode.
    public var hasLongMode = true
    /// Bytes for the kernel's random pool; none by default.
    public var seed: [UInt8] = []
    /// A VGA in text mode is there, as a BIOS would leave it.
    public var hasTextScreen = false

    /// A request without command line and modules.
    public init(kernel: any ImageSource, memory: MemoryMap) {
        self.kernel = kernel
        self.memory = memory
    }
}

/// Loads kernels into guest memory as a boot loader does. Uses no state of its own; any thread, processors stopped.
public enum KernelLoader {
    /// How much of a file decides its kind: a multiboot header lies in the first 8 KiB.
    static let probeCount = 8192

    /// The kind of a file: Linux before multiboot before ELF.
    public static func format(of kernel: any ImageSource) throws(LoadError) -> KernelFormat {
        try format(of: kernel, prefix: kernel.prefix(probeCount))
    }

    private static func format(of kernel: any ImageSource, prefix: [UInt8]) throws(LoadError) -> KernelFormat {
        if LinuxHeader.isPresent(prefix) { return .linux }
        if MultibootHeader.offset(in: prefix) != nil { return .multiboot }
        if ELFFile.isPresent(prefix) {
            return try ELFFile(file: kernel).physicalEntry() == nil ? .elf : .pvh
        }
        throw .notAKernel(file: kernel.name)
    }

    /// Splits QEMU's `-initrd` for multiboot, `"file args,file args"` with `,,` for a comma, into modules: the file's
    /// name, and the whole text that the kernel is given with it. Empty parts are dropped.
    public static func parseModules(_ text: String) -> [(file: String, commandLine: String)] {
        MultibootInformation.parseModules(text)
    }

    /// Loads a kernel and what it is given, and says how to enter it. On an error guest memory is unspecified.
    public static func load(
        _ request: BootRequest, into memory: AddressSpace
    ) throws(LoadError) -> EntryState {
        let prefix = try request.kernel.prefix(probeCount)
        switch try format(of: request.kernel, prefix: prefix) {
        case .linux: return try LinuxBoot.load(request, prefix: prefix, into: memory)
        case .multiboot: return try MultibootBoot.load(request, prefix: prefix, into: memory)
        case .pvh: return try PVHBoot.load(request, into: memory)
        case .elf: return try ELFBoot.load(request, into: memory)
        }
    }
}
