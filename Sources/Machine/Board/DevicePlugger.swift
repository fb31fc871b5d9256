internal import DeviceModel
internal import Devices
internal import Display
internal import HostOS
internal import JSON
internal import Synchronization

/// A device that was made by name, and how to take it out.
struct PluggedDevice {
    /// Where it sits.
    enum Place {
        /// A function of a PCI bus.
        case slot(PCIBus, bus: String, slot: Int, function: Int)
        /// A unit of a SCSI host.
        case unit(VirtioSCSI, target: UInt8, lun: UInt16)
        /// A port of a USB controller or hub.
        case port(any USBHost, port: Int)
        /// A slot of memory modules.
        case module(Int)
        /// For ever where it is.
        case fixed
    }
    let configuration: DeviceConfiguration
    let place: Place
    let devices: [any Device]
    let workers: [WorkerThread]
    var path: String { configuration.id.map { "/machine/peripheral/\($0)" } ?? "/machine/peripheral-anon" }
}

/// Puts devices into a machine that is there and takes them out. Any thread, one at a time.
final class DevicePlugger: Sendable {
    // The builder is used under the lock alone, by whoever has it.
    private struct Box: @unchecked Sendable { let builder: BoardBuilder }
    private let box: Mutex<Box>
    private let contents: BoardContents
    private let onRemoved = Mutex<(@Sendable (_ id: String?, _ path: String) -> Void)?>(nil)

    init(_ builder: BoardBuilder, _ contents: BoardContents) {
        box = Mutex(Box(builder: builder))
        self.contents = contents
        builder.isThere = true
        let loop = builder.loop
        for (name, port) in builder.rootPorts {
            port.observePowerOff { [weak self] in
                guard let self else { return }
                loop.post { self.finishRemoval(bus: name, slot: 0) }
            }
        }
        builder.ejectObserver.set { [weak self] slot in
            guard let self else { return }
            loop.post { self.finishRemoval(bus: "pci.0", slot: slot) }
        }
        builder.moduleEjectObserver.set { [weak self] slot in
            guard let self else { return }
            loop.post {
                self.finishRemoval { device in
                    if case .module(slot) = device.place { return true }
                    return false
                }
            }
        }
    }

    /// The id and path of the device in a slot of memory modules; nil where it is empty.
    func module(in slot: Int) -> (id: String?, path: String)? {
        box.withLock { box in
            let found = box.builder.plugged.first { device in
                if case .module(slot) = device.place { return true }
                return false
            }
            return found.map { ($0.configuration.id, $0.path) }
        }
    }

    /// Who hears that a device is gone.
    func observeRemovals(_ observer: @escaping @Sendable (_ id: String?, _ path: String) -> Void) {
        onRemoved.withLock { $0 = observer }
    }

    /// Makes a device and lets the guest know. A machine that stands starts it later.
    func add(_ device: DeviceConfiguration, isRunning: Bool) throws(MachineBuildError) {
        try box.withLock { box throws(MachineBuildError) in
            let builder = box.builder
            let made = try builder.plug(device)
            for part in made.devices {
                part.reset()
                if !isRunning { part.pause() }
            }
            contents.update(builder)
            builder.announce(made)
        }
    }

    /// Starts the thread of an `iothread` object, for devices that come later.
    func addThread(_ id: String) throws(MachineBuildError) {
        try box.withLock { box throws(MachineBuildError) in
            try box.builder.addIOThread(id)
            // Who asks for its number next is to have it.
            while box.builder.lastWorker?.threadID == 0 { Bell().wait(nanoseconds: 100_000) }
            contents.update(box.builder)
        }
    }

    /// Ends the thread of an `iothread` object. False: a device works on it.
    func removeThread(_ id: String) -> Bool {
        let (isUsed, thread) = box.withLock { box -> (Bool, WorkerThread?) in
            let builder = box.builder
            if builder.plugged.contains(where: { $0.configuration.properties.string("iothread") == id }) {
                return (true, nil)
            }
            guard let place = builder.ioThreads.firstIndex(where: { $0.id == id }) else { return (false, nil) }
            let thread = builder.ioThreads.remove(at: place).thread
            builder.workers.removeAll { $0 === thread }
            contents.update(builder)
            return (false, thread)
        }
        thread?.stop()
        return !isUsed
    }

    /// Asks the guest to let go of a device; takes out at once what it need not be asked for.
    func requestRemoval(_ id: String) throws(MachineError) {
        let isDone = try box.withLock { box throws(MachineError) -> Bool in
            let builder = box.builder
            guard let found = builder.plugged.first(where: { $0.configuration.id == id }) else {
                throw .deviceNotFound(id)
            }
            switch found.place {
            case .fixed: throw .failed("Bus of device '\(id)' does not support hotplugging")
            case .unit, .port: return true
            case .module(let slot):
                builder.modules.requestEject(slot)
                builder.power?.raiseEvent(MemoryHotplugControl.event)
                return false
            case .slot(_, let bus, let slot, _):
                if let port = builder.rootPorts[bus] {
                    port.pressButton()
                } else if let hotplug = builder.slotHotplug, bus == builder.pciBuses.first?.name {
                    hotplug.requestEject(slot)
                    builder.power?.raiseEvent(SlotHotplug.event)
                } else {
                    throw .failed("Bus '\(bus)' does not support hotplugging")
                }
                return false
            }
        }
        if isDone { finishRemoval { $0.configuration.id == id } }
    }

    private func finishRemoval(bus: String, slot: Int) {
        finishRemoval { device in
            if case .slot(_, bus, slot, _) = device.place { return true }
            return false
        }
    }

    /// The guest has let go: takes devices out and ends them.
    private func finishRemoval(_ isMeant: (PluggedDevice) -> Bool) {
        let removed = box.withLock { box -> [PluggedDevice] in
            let builder = box.builder
            let removed = builder.plugged.filter(isMeant)
            for device in removed { builder.unplug(device) }
            contents.update(builder)
            return removed
        }
        for device in removed {
            for part in device.devices { part.halt() }
            for worker in device.workers { worker.stop() }
        }
        box.withLock { box in
            for device in removed { box.builder.releaseBackends(device) }
        }
        let observer = onRemoved.withLock { $0 }
        for device in removed { observer?(device.configuration.id, device.path) }
    }
}

extension BoardBuilder {
    /// Makes the device of a configuration, and notes what belongs to it.
    @discardableResult
    func plug(_ device: DeviceConfiguration) throws(MachineBuildError) -> PluggedDevice {
        if let id = device.id, plugged.contains(where: { $0.configuration.id == id }) {
            throw MachineBuildError("Duplicate device ID '\(id)'")
        }
        if isThere {
            let kind = DeviceCatalogue.find(device.driver)?.bus
            guard kind == "PCI" || kind == "SCSI" || kind == "memory" || kind == "usb-bus" else {
                throw MachineBuildError("Device '\(device.driver)' does not support hotplugging")
            }
        }
        if let words = DeviceCatalogue.find(device.driver)?.objection(to: withGlobals(device)) {
            throw MachineBuildError(device.origin.isEmpty ? words : "\(device.origin): \(words)")
        }
        let (deviceCount, workerCount) = (devices.count, workers.count)
        lastPlace = .fixed
        do throws(MachineBuildError) { try make(device) } catch {
            if isThere {
                let half = PluggedDevice(
                    configuration: device, place: lastPlace, devices: Array(devices[deviceCount...]),
                    workers: Array(workers[workerCount...]))
                unplug(half)
                for worker in half.workers { worker.stop() }
                releaseBackends(half)
            }
            throw error
        }
        let made = PluggedDevice(
            configuration: device, place: lastPlace, devices: Array(devices[deviceCount...]),
            workers: Array(workers[workerCount...]))
        plugged.append(made)
        return made
    }

    private func make(_ device: DeviceConfiguration) throws(MachineBuildError) {
        switch device.driver {
        case "e1000", "e1000e", "pcnet", "rtl8139": try addPCICard(device)
        case "nvme": try addNVMe(device)
        case "AC97": try addAC97(device)
        case "i6300esb", "ib700": try addWatchdog(device)
        case "scsi-hd", "scsi-cd": try addSCSIUnit(device)
        case "pci-testdev": try addPCITestDevice(device)
        case "pc-dimm":
            do throws(MachineBuildError) {
                lastPlace = .module(try modules.add(device, isHotplugged: isThere))
            } catch { throw MachineBuildError("\(device.origin): \(error)") }
        case "intel-hda", "ich9-intel-hda":
            // Codecs are soldered on: they come with their controller or not at all.
            guard !isThere else { throw MachineBuildError("Device '\(device.driver)' does not support hotplugging") }
            try addHDA(device)
        case "hda-output", "hda-duplex", "hda-micro": break
        case "tpm-tis", "tpm-crb": try addTPM(device)
        case "intel-iommu": try makeFixed(device, addRemappingUnit)
        case "ich9-ahci": try makeFixed(device, addController(ahci:))
        // They are there already.
        case "isa-parallel", "floppy": break
        case let driver where Self.usbDevices.contains(driver): try addUSBDevice(device)
        case let driver where Self.usbControllers.contains(driver): try addUSBController(device)
        case "pcie-root-port": try makeFixed(device, addRootPort)
        case "pcie-pci-bridge", "pci-bridge": try makeFixed(device, addPCIBridge)
        case "VGA", "secondary-vga", "isa-vga": try makeFixed(device, addVGA)
        case "virtio-gpu-pci", "virtio-vga": try makeFixed(device, addVirtio)
        case "cirrus-vga", "isa-cirrus-vga": try makeFixed(device, addCirrus)
        case "ramfb": try makeFixed(device, addRAMFramebuffer)
        default:
            if isThere, Self.kind(of: device.driver) == nil {
                throw MachineBuildError("Device '\(device.driver)' does not support hotplugging")
            }
            try addVirtio(device)
        }
    }

    /// Makes a device that neither comes later nor goes.
    private func makeFixed(
        _ device: DeviceConfiguration, _ add: (DeviceConfiguration) throws(MachineBuildError) -> Void
    ) throws(MachineBuildError) {
        guard !isThere else { throw MachineBuildError("Device '\(device.driver)' does not support hotplugging") }
        try add(device)
        lastPlace = .fixed
    }

    /// Lets the guest know of a device that came.
    func announce(_ device: PluggedDevice) {
        if case .module = device.place { power?.raiseEvent(MemoryHotplugControl.event) }
        guard case .slot(_, let bus, let slot, _) = device.place else { return }
        if let port = rootPorts[bus] {
            port.setPresence(true, announces: true)
        } else if let hotplug = slotHotplug {
            hotplug.insert(slot)
            power?.raiseEvent(SlotHotplug.event)
        }
    }

    /// Takes a device off its bus and out of all lists.
    func unplug(_ device: PluggedDevice) {
        switch device.place {
        case .slot(let bus, let name, let slot, let function):
            bus.detach(slot: slot, function: function)
            rootPorts[name]?.setPresence(false, announces: true)
        case .unit(let host, let target, let lun): host.remove(target: target, lun: lun)
        case .port(let host, let port): disconnectUSB(device.devices, host, port)
        case .module(let slot): modules.remove(slot)
        case .fixed: break
        }
        let names = Set(device.devices.map(\.stateName))
        for name in names {
            guard let gone = inputs.removeValue(forKey: name) else { continue }
            input.remove(gone as any KeyboardInput)
            input.remove(gone as any PointerInput)
        }
        devices.removeAll { one in device.devices.contains { $0 === one } }
        workers.removeAll { one in device.workers.contains { $0 === one } }
        cards.removeAll { names.contains($0.name) }
        disks.removeAll { names.contains($0.name) }
        networkStatus.removeAll { names.contains($0.name) }
        scsiBuses.removeAll { bus in device.configuration.id.map { bus.name == "\($0).0" } ?? false }
        if let id = device.configuration.id { tree.removeAll { $0.node.id == id } }
        plugged.removeAll { $0.configuration.id == device.configuration.id && $0.configuration == device.configuration }
        usbBuses.removeAll { bus in device.devices.contains { $0 === bus.host } }
        usedNames.subtract(names)
        if let index = device.configuration.properties.number("bootindex") { bootOrder[index] = nil }
    }

    /// Gives back the image and the network that a device had.
    func releaseBackends(_ device: PluggedDevice) {
        if let drive = device.configuration.properties.string("drive") { storage.release(drive) }
        if let network = device.configuration.properties.string("netdev") { networks.giveBack(network) }
    }
}
