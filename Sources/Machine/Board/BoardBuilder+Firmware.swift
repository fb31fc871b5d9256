internal import DeviceModel
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import Log

/// Firmware images, the firmware's configuration device, and the check of what is left over.
extension BoardBuilder {
    /// The fw_cfg device and the ROM at the processors' reset vector.
    func addFirmware(smbios: SMBIOSTables, hasACPI: Bool) throws(MachineBuildError) {
        var items = FwCfgItems()
        var machine = FwCfgItems.Machine(
            memory: layout, processors: UInt16(clamping: topology.processors),
            maximumProcessors: UInt16(clamping: topology.maximum))
        if let uuid = configuration.uuid { machine.uuid = uuid }
        machine.isHeadless = configuration.process.isNoGraphic
        machine.showsBootMenu = configuration.boot.menu ?? false
        machine.bootMenuWait = configuration.boot.splashTime.flatMap { UInt16(exactly: $0) }
        machine.rebootTimeout = configuration.boot.rebootTimeout.map { UInt32(truncatingIfNeeded: $0) }
        machine.bootOrder = bootOrder.sorted { $0.key < $1.key }.map(\.value)
        // Where only those may be tried, the list says so at its end.
        if configuration.boot.strict == true { machine.bootOrder.append("HALT") }
        do throws(FwCfgError) {
            try items.add(machine)
            if hasACPI { try items.add(ACPITables(acpi)) }
            try items.add(smbios)
        } catch { throw MachineBuildError("\(error)") }
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
        note("fw_cfg_io", bus: "main-system-bus")
        try addROM()
    }

    private func addROM() throws(MachineBuildError) {
        var image: [UInt8]
        if let bios = configuration.boot.bios {
            image = try readFirmware(bios)
            guard !image.isEmpty, image.count <= 16 << 20, image.count % 4096 == 0 else {
                throw MachineBuildError("could not load PC BIOS '\(bios)': \(image.count) bytes are no firmware image")
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
            guard configuration.boot.bios != nil else { return }
            let low = min(count, 0x20000)
            memory.add(
                FlatView.Range(
                    start: GuestPhysical(0x10_0000 - low), count: low, block: rom, offset: count - low,
                    writable: false))
        } catch {
            throw MachineBuildError("cannot set up guest memory 'pc.bios': \(error)")
        }
    }

    private func readFirmware(_ name: String) throws(MachineBuildError) -> [UInt8] {
        for path in [name] + configuration.boot.firmwareDirectories.map({ "\($0)/\(name)" }) {
            if let bytes = try? HostFile.contents(path, limit: 16 << 20) { return bytes }
        }
        throw MachineBuildError("could not load PC BIOS '\(name)'")
    }

    /// Refuses devices that no part of the board has taken, rather than to start without them.
    func checkDevices() throws(MachineBuildError) {
        let known = [
            "isa-serial", "isa-debug-exit", "isa-debugcon", "pvpanic", "pc-testdev", "testdev", "pci-testdev", "e1000",
            "ide-hd", "ide-cd", "VGA", "isa-vga", "usb-kbd", "usb-mouse", "usb-tablet",
        ]
        var hasConsole = false
        for device in configuration.devices {
            if known.contains(device.driver) { continue }
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
