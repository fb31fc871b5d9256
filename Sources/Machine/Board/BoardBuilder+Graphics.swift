internal import DeviceModel
internal import Devices
internal import Display
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Log

/// Graphics adapters: those of `-vga` and of `-device`.
extension BoardBuilder {
    /// Where Debian's packages put option ROMs, beside the directories of `-L`.
    private static let romDirectories = [
        "/usr/share/seabios", "/usr/share/qemu", "/usr/share/vgabios", "/usr/lib/ipxe/qemu",
    ]

    /// The adapter of `-vga`, before other devices take its slot.
    func addDefaultGraphics() throws(MachineBuildError) {
        if configuration.graphics != .none {
            let word = configuration.graphics.rawValue
            guard pci != nil else {
                throw MachineBuildError("-vga \(word): the board '\(configuration.board.name)' has no PCI bus")
            }
            let drivers: [GraphicsAdapter: String] = [.virtio: "virtio-vga", .cirrus: "cirrus-vga"]
            var device = DeviceConfiguration(driver: drivers[configuration.graphics] ?? "VGA")
            device.origin = "-vga \(word)"
            device.properties["addr"] = configuration.board.kind == .q35 ? "01.0" : "02.0"
            switch configuration.graphics {
            case .virtio: try addVirtio(device)
            case .cirrus: try addCirrus(device)
            default: try addVGA(device)
            }
        }
    }

    /// A virtio GPU; as `virtio-vga` it is a VGA until its driver takes over.
    func addVirtioGPU(
        _ device: DeviceConfiguration, _ name: String, _ properties: JSONObject
    ) throws(MachineBuildError) {
        var options = VirtioGPUProperties()
        options.outputs = properties.number("max_outputs") ?? 1
        guard 1...16 ~= options.outputs else {
            throw MachineBuildError("\(device.origin): max_outputs \(options.outputs) is not one of 1 to 16")
        }
        options.memoryLimit = UInt64(max(properties.number("max_hostmem") ?? 256 << 20, 0))
        options.width = min(max(properties.number("xres") ?? 1280, 64), 8192)
        options.height = min(max(properties.number("yres") ?? 800, 64), 8192)
        options.hasEDID = properties.bool("edid") ?? true
        options.isVGA = device.driver == "virtio-vga"
        var vga: VGA?
        if options.isVGA {
            var rom: [UInt8] = []
            if properties.number("rombar") != 0 {
                rom = try optionROM(properties.string("romfile"), usual: "vgabios-virtio.bin", device)
            }
            let made = try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
                try VGA(
                    memory: Self.videoMemory(properties, usual: 8), rom: rom, isPCI: false, space: memory, clock: clock,
                    stateName: stateName("\(name).vga"))
            }
            attachLegacy(made)
            vga = made
        }
        let gpu = VirtioGPU(options, before: vga, scheduler: try worker(name))
        try attachPCI(gpu, name, device, properties) { vga?.addWindows(to: $0) }
        if let vga { devices.append(vga) }
        for index in 0..<options.outputs {
            let own = device.id ?? name
            screens.append(
                Screen(
                    name: index == 0 ? own : "\(own).\(index)", source: gpu.output(index), width: options.width,
                    height: options.height))
        }
    }

    /// Bytes of memory that an adapter is to have: a power of two, as that is what a window can have.
    private static func videoMemory(_ properties: JSONObject, usual: Int) -> Int {
        let mebibytes = min(max(properties.number("vgamem_mb") ?? usual, 1), 512)
        return (mebibytes > 1 ? 1 << (Int.bitWidth - (mebibytes - 1).leadingZeroBitCount) : 1) << 20
    }

    /// Gives an adapter the ports and the window of a VGA, unless another has them.
    private func attachLegacy(_ adapter: VGA) {
        guard !acpi.hasVGA else { return }
        adapter.attach(io: io, memory: mmio)
        acpi.hasVGA = true
    }

    /// An adapter on the PCI or the ISA bus. The first has the ports and the window of a VGA; further ones, and
    /// `secondary-vga`, are registers and memory of a PCI function.
    func addVGA(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let properties = withGlobals(device)
        let isPCI = device.driver != "isa-vga"
        let isSecondary = device.driver == "secondary-vga"
        try checkPorts(device, isPCI: isPCI)
        var rom: [UInt8] = []
        if isPCI, !isSecondary, properties.number("rombar") != 0 {
            rom = try optionROM(properties.string("romfile"), usual: "vgabios-stdvga.bin", device)
        }
        let adapter = try MachineBuildError.wrapping("\(device.origin): ") { () throws(HostError) in
            try VGA(
                memory: Self.videoMemory(properties, usual: isPCI ? 16 : 8), rom: rom, isPCI: isPCI,
                isSecondary: isSecondary, space: memory, clock: clock, stateName: stateName(device.id ?? "vga"))
        }
        if !isSecondary { attachLegacy(adapter) }
        try addAdapter(adapter, adapter.function, device, properties)
    }

    /// Puts an adapter at its place on the PCI or the ISA bus, and its picture among the screens.
    func addAdapter(
        _ adapter: some Device & PictureSource, _ function: PCIFunction?, _ device: DeviceConfiguration,
        _ properties: JSONObject
    ) throws(MachineBuildError) {
        if let function {
            try attach(function, device, properties)
        } else {
            try checkBus(device, "isa.0")
            note(device.driver, id: device.id, bus: "isa.0", properties: device.properties)
        }
        devices.append(adapter)
        screens.append(Screen(name: device.id ?? adapter.stateName, source: adapter))
    }

    /// An adapter of the ISA bus is nothing without the ports of a VGA.
    func checkPorts(_ device: DeviceConfiguration, isPCI: Bool) throws(MachineBuildError) {
        guard isPCI || !acpi.hasVGA else {
            throw MachineBuildError("\(device.origin): there is a VGA already, and only one can have its ports")
        }
    }

    /// The font of text consoles: that of the VGA BIOS, where the host has its image.
    static func consoleFont(_ configuration: MachineConfiguration) -> ConsoleFont {
        for folder in configuration.boot.firmwareDirectories + romDirectories {
            if let image = try? HostFile.contents("\(folder)/vgabios-stdvga.bin", limit: 1 << 20),
                let font = ConsoleFont(image: image)
            {
                return font
            }
        }
        return ConsoleFont()
    }

    /// The image that `romfile` names, or the usual one where it is found; empty where there is none.
    func optionROM(
        _ file: String?, usual: String, _ device: DeviceConfiguration
    ) throws(MachineBuildError) -> [UInt8] {
        if file == "" { return [] }
        let name = file ?? usual
        let places = [name] + (configuration.boot.firmwareDirectories + Self.romDirectories).map { "\($0)/\(name)" }
        for place in places {
            guard let bytes = try? HostFile.contents(place, limit: 16 << 20), bytes.count >= 512 else { continue }
            return bytes
        }
        guard file == nil else { throw MachineBuildError("\(device.origin): failed to find romfile \"\(name)\"") }
        let isScreen = DeviceCatalogue.find(device.driver)?.category == .display
        if configuration.hasFirmware, isScreen {
            log.warning("There is no option ROM '\(name)' (package seabios): the screen stays dark in firmware")
        }
        return []
    }
}
