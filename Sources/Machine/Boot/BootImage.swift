internal import Firmware
internal import GuestMemory
internal import HostOS

/// What a machine starts, read once, so that a reset starts the same: kernel, RAM disk, command line and tables.
struct BootImage: Sendable {
    private let kernel: ByteImage?
    private let modules: [BootModule]
    private let commandLine: String
    private let tables: ACPITables?
    private let smbios: SMBIOSTables
    private let layout: PCMemory
    private let random: GuestRandom

    /// Where the tables' roots are: in the segment that kernels search.
    static let rsdp: UInt64 = 0xF0000
    static let smbiosEntry: UInt64 = 0xF0040
    static let smbiosStructures: UInt64 = 0xF0100

    /// Reads the files of a configuration.
    init(
        _ configuration: MachineConfiguration, layout: PCMemory, acpi: ACPIConfiguration?, kernelWords: [String],
        smbios: SMBIOSTables
    ) throws(MachineBuildError) {
        let boot = configuration.boot
        random = GuestRandom(seed: configuration.process.seed, .boot)
        self.layout = layout
        self.smbios = smbios
        tables = acpi.map { ACPITables($0) }
        commandLine = ([boot.append].compactMap { $0 } + kernelWords).joined(separator: " ")
        guard let path = boot.kernel, !configuration.hasFirmware else {
            kernel = nil
            modules = []
            return
        }
        let image = ByteImage(name: path, bytes: try Self.read(path, "kernel", configuration))
        var modules: [BootModule] = []
        if let initrd = boot.initrd {
            let format = try MachineBuildError.wrapping { () throws(LoadError) in
                try KernelLoader.format(of: image)
            }
            if format == .multiboot {
                for module in KernelLoader.parseModules(initrd) {
                    let bytes = try Self.read(module.file, "module", configuration)
                    modules.append(
                        BootModule(source: ByteImage(name: module.file, bytes: bytes), commandLine: module.commandLine))
                }
            } else {
                let bytes = try Self.read(initrd, "initrd", configuration)
                if let flaw = InitialRAMDisk.flaw(bytes) {
                    throw MachineBuildError("could not load initrd '\(initrd)': \(flaw)")
                }
                modules = [BootModule(source: ByteImage(name: initrd, bytes: bytes))]
            }
        }
        kernel = image
        self.modules = modules
    }

    /// A file as a whole, which guest memory must have room for.
    static func read(
        _ path: String, _ what: String, _ configuration: MachineConfiguration
    ) throws(MachineBuildError) -> [UInt8] {
        let failure = "could not load \(what) '\(path)': "
        let isRegular: Bool
        let size: Int64
        do throws(HostError) {
            // Opening a FIFO waits for no writer, and a device may have no end.
            let file = try HostFile.open(path, HostFile.Mode.read, nonBlocking: true)
            isRegular = file.isRegularFile
            // Of a folder the host says what it is.
            if !isRegular { _ = try file.readAvailable(limit: 1) }
            size = try HostFile.size(path)
        } catch { throw MachineBuildError(failure + "\(error.errno)") }
        guard isRegular else { throw MachineBuildError(failure + "it is not a regular file") }
        guard size <= Int64(clamping: configuration.memory.size) else {
            throw MachineBuildError(
                failure + "it needs more than the machine's memory of \(configuration.memory.size >> 20) MiB")
        }
        do throws(HostError) { return try HostFile.contents(path, limit: 1 << 32) } catch {
            throw MachineBuildError(failure + "\(error.errno)")
        }
    }

    /// Writes everything to guest memory. The entry of the first processor, or nil without a kernel.
    func load(into memory: AddressSpace, hasLongMode: Bool) throws(MachineBuildError) -> EntryState? {
        guard let kernel else { return nil }
        var map = layout.map
        let rsdp = try placeTables(&map, memory)
        var request = BootRequest(kernel: kernel, memory: map)
        request.commandLine = commandLine
        request.modules = modules
        request.hasLongMode = hasLongMode
        request.rsdp = rsdp
        var seed = [UInt8](repeating: 0, count: 32)
        request.seed = random.fill(&seed) ? seed : []
        let entry: EntryState
        do throws(LoadError) { entry = try KernelLoader.load(request, into: memory) } catch {
            throw MachineBuildError("\(error)")
        }
        if entry.format == .multiboot {
            do throws(GuestMemoryError) { try BIOSRemains.put(in: memory) } catch {
                throw MachineBuildError("Cannot place interrupt vectors in guest memory: \(error)")
            }
        }
        return entry
    }

    /// Places ACPI and SMBIOS tables; the root of the former, or nil without it.
    private func placeTables(
        _ map: inout MemoryMap, _ memory: AddressSpace
    ) throws(MachineBuildError) -> GuestPhysical? {
        let (structures, base) = try takePlaces(&map)
        do throws(GuestMemoryError) {
            try smbios.place(
                structures: GuestPhysical(structures), entryPoint: GuestPhysical(Self.smbiosEntry), in: memory)
            guard let tables, let base else { return nil }
            try tables.place(tables: GuestPhysical(base), rsdp: GuestPhysical(Self.rsdp), in: memory)
            return GuestPhysical(Self.rsdp)
        } catch {
            throw MachineBuildError("Cannot place tables in guest memory: \(error)")
        }
    }

    /// The address at which a guest that has suspended wants to be woken, in real mode; nil without tables. The FACS,
    /// which has it, is the first of the tables (ACPI 6.5, 5.2.10).
    func wakingVector(in memory: AddressSpace) -> UInt32? {
        var map = layout.map
        guard let places = try? takePlaces(&map), let base = places.tables else { return nil }
        return try? memory.load(GuestPhysical(base + 12), as: UInt32.self)
    }

    /// Takes room for the tables of SMBIOS and ACPI.
    private func takePlaces(_ map: inout MemoryMap) throws(MachineBuildError) -> (structures: UInt64, tables: UInt64?) {
        var structures = Self.smbiosStructures
        if UInt64(smbios.structures.count) > BIOSRemains.handlersStart - Self.smbiosStructures {
            guard
                let place = map.takeTop(count: UInt64(smbios.structures.count), below: 1 << 32, kind: .reserved)
            else { throw MachineBuildError("There is no room for SMBIOS tables in guest memory") }
            structures = place
        }
        var base: UInt64?
        if let tables {
            base = map.takeTop(count: UInt64(tables.blob.count), below: 1 << 32, kind: .acpi)
            if base == nil { throw MachineBuildError("There is no room for ACPI tables in guest memory") }
        }
        return (structures, base)
    }
}
