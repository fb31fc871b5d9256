internal import BlockImage
internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import Log

/// Firmware images, the firmware's configuration device, and the check of what is left over.
extension BoardBuilder {
    /// Where a guest's kernel says where its own note for debuggers is (QEMU, docs/specs/vmcoreinfo).
    static let guestNoteFile = "etc/vmcoreinfo"

    /// The fw_cfg device and the ROM at the processors' reset vector.
    func addFirmware(smbios: SMBIOSTables, hasACPI: Bool) throws(MachineBuildError) {
        var items = FwCfgItems()
        var machine = FwCfgItems.Machine(
            memory: layout, processors: UInt16(clamping: topology.processors),
            maximumProcessors: UInt16(clamping: topology.maximum))
        if let uuid = configuration.uuid { machine.uuid = uuid }
        machine.isHeadless = configuration.process.isNoGraphic
        let sleep = configuration.sleepStates
        (machine.sleepTypeMemory, machine.sleepTypeDisk) = (sleep.memory, sleep.disk)
        machine.showsBootMenu = configuration.boot.menu ?? false
        machine.bootMenuWait = configuration.boot.splashTime.flatMap { UInt16(exactly: $0) }
        machine.rebootTimeout = configuration.boot.rebootTimeout.map { UInt32(truncatingIfNeeded: $0) }
        machine.bootOrder = bootOrder.sorted { $0.key < $1.key }.map(\.value)
        if configuration.hasFirmware, configuration.boot.kernel != nil {
            machine.bootOrder.insert("/rom@genroms/linuxboot_dma.bin", at: 0)
        }
        // Where only those may be tried, the list says so at its end.
        if configuration.boot.strict == true { machine.bootOrder.append("HALT") }
        do throws(FwCfgError) {
            try items.add(machine)
            acpi.fwCfg = UInt16(FwCfgDevice.port)
            if hasACPI {
                let tables = ACPITables(acpi)
                try items.add(tables)
                let (host, base) = (currentPCIHost, currentPowerBase)
                let lpc = lpc
                if host != nil || base != nil {
                    // Firmware moves configuration space and registers before it reads the tables that tell of them.
                    let board = acpi
                    let files = FwCfgItems.Refreshed(tables.firmwareFiles.map(\.name)) { [weak lpc] _ in
                        var board = board
                        if let features = lpc?.features {
                            let told = (SMIRegisters.Feature.processors, SMIRegisters.Feature.removal)
                            board.processorHotplug?.tellsManagement = features & told.0 != 0
                            board.processorHotplug?.managementEjects = features & told.1 != 0
                        }
                        if let host { board.pci = host() }
                        if let base { board.power = .fixed(Self.powerRegisters(at: base())) }
                        return ACPITables(board).firmwareFiles
                    }
                    items.refreshed.append(files)
                }
            }
            try items.add(smbios)
            // Where firmware may begin to place windows of devices above 4 GiB.
            if let end = modules.region?.end {
                try items.add(
                    file: "etc/reserved-memory-end",
                    bytes: (0..<8).map { UInt8(truncatingIfNeeded: end >> ($0 * 8)) })
            }
            if configuration.devices.contains(where: { $0.driver == "vmcoreinfo" }) {
                // Two formats of 16 bits, the host's (ELF) first, a size and an address, which the guest writes.
                try items.add(
                    file: Self.guestNoteFile, bytes: [1, 0] + [UInt8](repeating: 0, count: 14), isWritable: true)
                note("vmcoreinfo", bus: "main-system-bus")
            }
        } catch { throw MachineBuildError("\(error)") }
        try addRAMFramebufferFiles(&items)
        try addManagementFiles(&items)
        if configuration.hasFirmware, let kernel = configuration.boot.kernel { try addKernel(kernel, &items) }
        for entry in configuration.firmwareEntries {
            let bytes: [UInt8]
            switch entry.content {
            case .string(let text): bytes = Array(text.utf8)
            case .file(let path):
                do throws(HostError) { bytes = try HostFile.contents(path, limit: 1 << 28) } catch {
                    throw MachineBuildError("-fw_cfg \(entry.name): can't load \(path): \(error.errno)")
                }
            }
            do throws(FwCfgError) { try items.add(userFile: entry.name, bytes: bytes) } catch {
                throw MachineBuildError("-fw_cfg: \(error)")
            }
        }
        for path in configuration.boot.optionROMs {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let bytes: [UInt8]
            do throws(HostError) { bytes = try HostFile.contents(path, limit: 1 << 24) } catch {
                throw MachineBuildError("-option-rom: could not load '\(path)': \(error.errno)")
            }
            do throws(FwCfgError) { try items.add(userFile: "genroms/\(name)", bytes: bytes) } catch {
                throw MachineBuildError("-option-rom \(path): \(error)")
            }
        }
        let device = FwCfgDevice(items, memory: memory)
        io.add(device, start: FwCfgDevice.port, count: FwCfgDevice.Layout.ports.count, name: "fwcfg")
        devices.append(device)
        fwCfg = device
        ramfb?.connect(device)
        note("fw_cfg_io", bus: "main-system-bus")
        try addROM()
    }

    private func addROM() throws(MachineBuildError) {
        if try addFlash() { return }
        var image: [UInt8]
        if let bios = configuration.boot.bios {
            image = try readFirmware(bios)
            guard !image.isEmpty, image.count <= 16 << 20, image.count % 65536 == 0 else {
                throw MachineBuildError(
                    "could not load PC BIOS '\(bios)': \(image.count) bytes are no multiple of 64 KiB")
            }
        } else {
            // HLT and a jump back to it, at the reset vector: a machine with nothing to start stands still.
            image = [UInt8](repeating: 0xF4, count: 4096)
            image.replaceSubrange(4080..<4083, with: [0xF4, 0xEB, 0xFD])
            if configuration.boot.kernel == nil, configuration.board.kind != .none {
                log.warning("There is neither a kernel nor a firmware to start")
            }
        }
        do throws(HostError) {
            let rom = try RAMBlock(name: "pc.bios", size: image.count)
            // Written through a space of its own: in the machine's it is read-only.
            let writer = AddressSpace()
            writer.add(FlatView.Range(start: GuestPhysical(0), count: UInt64(image.count), block: rom))
            try? writer.write(GuestPhysical(0), bytes: image)
            let count = UInt64(image.count)
            memory.add(
                FlatView.Range(start: GuestPhysical((1 << 32) - count), count: count, block: rom, writable: false))
            if configuration.boot.bios != nil { mapBelowOneMiB(rom) }
        } catch {
            throw MachineBuildError("cannot set up guest memory 'pc.bios': \(error)")
        }
    }

    /// The last 128 KiB of a firmware, where processors in real mode look for it.
    private func mapBelowOneMiB(_ rom: RAMBlock) {
        let count = UInt64(rom.size)
        let low = min(count, 0x20000)
        memory.add(
            FlatView.Range(
                start: GuestPhysical(0x10_0000 - low), count: low, block: rom, offset: count - low, writable: false))
    }

    /// The flash chips of `-drive if=pflash` and `-machine pflash0=`: the first ends at 4 GiB, the next lies below it.
    /// False where there is none.
    private func addFlash() throws(MachineBuildError) -> Bool {
        var names = configuration.board.flashNodes
        for drive in configuration.drives where drive.interface == .pflash && drive.file != nil {
            guard names.indices.contains(drive.unit) else {
                throw MachineBuildError("\(drive.origin): there are only \(names.count) flash chips")
            }
            names[drive.unit] = drive.id
        }
        guard names.contains(where: { $0 != nil }) else { return false }
        guard names[0] != nil else { throw MachineBuildError("pflash1 requires pflash0") }
        let limit: UInt64 = 8 << 20
        var top: UInt64 = 1 << 32
        for case (let unit, .some(let name)) in names.enumerated() {
            let label = "system.flash\(unit)"
            let backend = try storage.attach(name, to: "/machine/\(label)")
            let size = backend.sizeInBytes
            guard size > 0, size % 4096 == 0, size <= limit - ((1 << 32) - top) else {
                throw MachineBuildError(
                    "pflash\(unit): \(size) bytes are no multiple of 4 KiB, or too many: all chips have \(limit) at most"
                )
            }
            top -= size
            let scheduler = try worker(label)
            let chip: CFIFlash
            do throws(CFIFlashError) {
                chip = try CFIFlash(
                    name: label, start: GuestPhysical(top), memory: memory, backend: backend,
                    scheduler: scheduler)
            } catch { throw MachineBuildError("pflash\(unit): \(error)") }
            if hasSecureFlash {
                managementMMIO.add(chip, start: top, count: size, name: label)
                mmio.add(LockedFlash(chip), start: top, count: size, name: label)
            } else {
                mmio.add(chip, start: top, count: size, name: label)
            }
            devices.append(chip)
            note("cfi.pflash01", bus: "main-system-bus")
            if unit == 0 { mapBelowOneMiB(chip.block) }
        }
        return true
    }

    private func readFirmware(_ name: String) throws(MachineBuildError) -> [UInt8] {
        if let bytes = findFirmware(name) { return bytes }
        let package = name.hasPrefix("bios") ? "seabios" : name.uppercased().contains("OVMF") ? "ovmf" : nil
        let hint = package.map { "; Debian's package '\($0)' has it" } ?? ""
        throw MachineBuildError("could not load PC BIOS '\(name)'\(hint)")
    }

    /// A file by its path, or by its name in the directories of firmware.
    private func findFirmware(_ name: String) -> [UInt8]? {
        let directories = configuration.boot.firmwareDirectories + BootConfiguration.systemDirectories
        for path in [name] + directories.map({ "\($0)/\(name)" }) {
            if let bytes = try? HostFile.contents(path, limit: 16 << 20) { return bytes }
        }
        return nil
    }

    /// Hands the kernel of `-kernel` to the firmware, which starts it: UEFI by itself, SeaBIOS by an option ROM.
    private func addKernel(_ path: String, _ items: inout FwCfgItems) throws(MachineBuildError) {
        let boot = configuration.boot
        let kernel = ByteImage(name: path, bytes: try BootImage.read(path, "kernel", configuration))
        let initrd = try boot.initrd.map { path throws(MachineBuildError) in
            try BootImage.read(path, "initrd", configuration)
        } ?? []
        do throws(LoadError) {
            try items.add(
                linux: kernel, commandLine: boot.append ?? "", initrd: initrd, lowMemory: layout.low - 0x28000)
        } catch { throw MachineBuildError("\(error)") }
        let name = "linuxboot_dma.bin"
        guard let rom = findFirmware(name) else { return }
        do throws(FwCfgError) { try items.add(userFile: "genroms/\(name)", bytes: rom) } catch {
            throw MachineBuildError("\(error)")
        }
    }

    /// Refuses devices that no part of the board has taken, rather than to start without them.
    func checkDevices() throws(MachineBuildError) {
        let known = [
            "isa-serial", "isa-debug-exit", "isa-debugcon", "pvpanic", "vmgenid", "vmcoreinfo", "pc-testdev", "testdev",
            "pci-testdev", "e1000", "ide-hd", "ide-cd", "pcie-root-port", "nvme", "scsi-hd", "scsi-cd", "VGA", "isa-vga",
            "secondary-vga", "pc-dimm", "ich9-ahci", "floppy", "pcie-pci-bridge", "pci-bridge",
        ]
        var hasConsole = false
        for device in configuration.devices {
            if known.contains(device.driver) || Self.cardsAndChips.contains(device.driver) || Self.isUSB(device.driver) {
                continue
            }
            if let kind = Self.kind(of: device.driver) {
                hasConsole = hasConsole || kind == "serial"
                continue
            }
            if device.driver == "virtconsole" || device.driver == "virtserialport" {
                guard hasConsole else {
                    throw MachineBuildError(
                        "\(device.origin): No 'virtio-serial-bus' bus found for device '\(device.driver)'")
                }
                continue
            }
            throw MachineBuildError("\(device.origin): device '\(device.driver)' is not supported on this board")
        }
    }
}
