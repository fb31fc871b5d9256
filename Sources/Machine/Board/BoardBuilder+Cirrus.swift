internal import DeviceModel
internal import Devices
internal import Display
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Synchronization

/// Cirrus's adapters, and the framebuffer in guest memory.
extension BoardBuilder {
    func addCirrus(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let isPCI = device.driver == "cirrus-vga"
        try checkPorts(device, isPCI: isPCI)
        let mebibytes = properties.number("vgamem_mb") ?? 4
        guard [2, 4, 8, 16].contains(mebibytes) else {
            throw MachineBuildError("\(device.origin): vgamem_mb \(mebibytes) is not 2, 4, 8 or 16")
        }
        let name = stateName(device.id ?? "cirrus")
        var image: [UInt8] = []
        if isPCI, properties.number("rombar") != 0 {
            image = try optionROM(properties.string("romfile"), usual: "vgabios-cirrus.bin", device)
        }
        let adapter = try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
            let rom = image.isEmpty ? nil : try OptionROM.block(image, name: name)
            // The chip can reach no more than 4 MiB.
            return try CirrusVGA(
                memory: min(mebibytes, 4) << 20, rom: rom, isPCI: isPCI, space: memory, clock: clock, stateName: name)
        }
        if !acpi.hasVGA {
            adapter.attach(io: io, memory: mmio)
            acpi.hasVGA = true
            // What a VGA BIOS would do: registers are where colour adapters have them, and the memory answers.
            let ports = io
            if !configuration.hasFirmware { afterReset.append { ports.write(0x3C2, size: 1, value: 0xE3) } }
        }
        try addAdapter(adapter, adapter.function, device, properties)
    }

    // MARK: ramfb

    /// The picture of `-device ramfb`; its file is made with the firmware's others.
    func addRAMFramebuffer(_ device: DeviceConfiguration) throws(MachineBuildError) {
        guard ramfb == nil else { throw MachineBuildError("\(device.origin): there is a ramfb already") }
        guard configuration.board.kind.isPC else {
            throw MachineBuildError("\(device.origin): the board '\(configuration.board.name)' takes no ramfb")
        }
        let files = FirmwareFiles()
        ramfb = files
        let source = RAMFramebuffer(memory: memory) { files.bytes(RAMFramebuffer.file) }
        screens.append(Screen(name: device.id ?? "ramfb", source: source))
        note(device.driver, id: device.id, bus: "main-system-bus", properties: device.properties)
    }

    /// The file of a ramfb, and the option ROM with which a BIOS uses it.
    func addRAMFramebufferFiles(_ items: inout FwCfgItems) throws(MachineBuildError) {
        guard ramfb != nil else { return }
        let device = DeviceConfiguration(driver: "ramfb")
        let image = try optionROM(nil, usual: "vgabios-ramfb.bin", device)
        do throws(FwCfgError) {
            try items.add(
                file: RAMFramebuffer.file, bytes: [UInt8](repeating: 0, count: RAMFramebuffer.fileSize),
                isWritable: true)
            if !image.isEmpty { try items.add(file: "vgaroms/vgabios-ramfb.bin", bytes: image) }
        } catch { throw MachineBuildError("\(error)") }
    }
}

/// The firmware's files as they are now, for who is made before their device. Any thread.
final class FirmwareFiles: Sendable {
    private let device = Mutex<FwCfgDevice?>(nil)
    func connect(_ new: FwCfgDevice) { device.withLock { $0 = new } }
    func bytes(_ name: String) -> [UInt8]? { device.withLock { $0 }?.bytes(ofFile: name) }
}
