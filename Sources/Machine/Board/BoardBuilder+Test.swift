internal import DeviceModel
internal import Devices
internal import GuestMemory
internal import HostOS
internal import JSON

/// The devices that test kernels poke.
extension BoardBuilder {
    func addPCITestDevice(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let made = PCITestDevice(stateName: stateName(device.id ?? "pci-testdev"))
        try attach(made.function, device, withGlobals(device))
        devices.append(made)
    }

    /// `pc-testdev`, or `testdev` with its character back-end.
    func addPCTestDevice(_ device: DeviceConfiguration) throws(MachineBuildError) {
        let (interrupts, memory, lifecycle) = (interrupts, memory, lifecycle)
        let effects = PCTestDevice.Effects(
            interrupt: { interrupts.setLine($0, level: $1) },
            flush: { address in
                let size = HostFacts.pageSize
                let start = GuestPhysical(address & ~UInt64(size - 1))
                guard let pointer = unsafe memory.hostPointer(start, count: size, direction: .write) else { return }
                // SAFETY: the page is guest RAM, mapped for reading and writing.
                unsafe HostPages.forgetTranslations(pointer, count: size)
            })
        var log: PCTestDevice.Log?
        if device.driver == "testdev" {
            guard let id = device.properties.string("chardev"), let port = characters.port(id) else {
                throw MachineBuildError("\(device.origin): Can't create testdev device, empty char device")
            }
            log = PCTestDevice.Log(port: port, memorySize: configuration.memory.size) { status in
                lifecycle.send(.exit(Int32(status)))
            }
        }
        let made = PCTestDevice(name: stateName(device.id ?? device.driver), effects: effects, log: log)
        made.attach(io: io, memory: mmio)
        devices.append(made)
    }
}
