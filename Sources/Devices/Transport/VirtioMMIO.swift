public import DeviceModel
public import GuestMemory
import Synchronization

/// The MMIO transport, version 2. virtio 1.2, 4.2.
///
/// 512 bytes of device memory: registers of 4 bytes, then the device's configuration.
public final class VirtioMMIO: BusDevice, Device {
    /// Bytes that it answers.
    public static let size: UInt64 = 0x200
    /// Where in its bytes a driver rings: the queue's number is the value.
    public static let doorbellOffset: UInt64 = Register.queueNotify

    private enum Register {
        static let magic: UInt64 = 0x000
        static let version: UInt64 = 0x004
        static let deviceID: UInt64 = 0x008
        static let vendorID: UInt64 = 0x00C
        static let deviceFeatures: UInt64 = 0x010
        static let deviceFeaturesSelect: UInt64 = 0x014
        static let driverFeatures: UInt64 = 0x020
        static let driverFeaturesSelect: UInt64 = 0x024
        static let queueSelect: UInt64 = 0x030
        static let queueSizeMax: UInt64 = 0x034
        static let queueSize: UInt64 = 0x038
        static let queueReady: UInt64 = 0x044
        static let queueNotify: UInt64 = 0x050
        static let interruptStatus: UInt64 = 0x060
        static let interruptAcknowledge: UInt64 = 0x064
        static let status: UInt64 = 0x070
        static let queueDescriptorsLow: UInt64 = 0x080
        static let queueDescriptorsHigh: UInt64 = 0x084
        static let queueDriverLow: UInt64 = 0x090
        static let queueDriverHigh: UInt64 = 0x094
        static let queueDeviceLow: UInt64 = 0x0A0
        static let queueDeviceHigh: UInt64 = 0x0A4
        static let sharedMemoryFirst: UInt64 = 0x0B0
        static let sharedMemoryLast: UInt64 = 0x0BC
        static let generation: UInt64 = 0x0FC
        static let configuration: UInt64 = 0x100
    }

    public let stateName: String
    /// The device behind it.
    public let device: any VirtioDevice
    private let core: VirtioCore
    private let doorbells: VirtioDoorbells?

    /// Where an engine may turn writes into events: itself, where the registers lie, and the device's own thread.
    public struct Doorbells: Sendable {
        let host: any DoorbellHost
        let address: UInt64
        let thread: WorkerThread

        /// Doorbells of registers at an address.
        public init(host: any DoorbellHost, address: UInt64, thread: WorkerThread) {
            self.host = host
            self.address = address
            self.thread = thread
        }
    }

    /// A transport whose interrupt is `line`.
    public init(
        _ device: any VirtioDevice, memory: AddressSpace, line: InterruptLine, stateName: String,
        rings: VirtioRingOptions = VirtioRingOptions(), doorbells: Doorbells? = nil
    ) {
        self.device = device
        self.stateName = stateName
        core = VirtioCore(
            device: device, memory: memory,
            interrupt: VirtioInterrupt(.line(line), queueCount: device.queueSizes.count), rings: rings,
            allowsLegacy: false, allowsModern: true)
        var bells: VirtioDoorbells?
        if let doorbells {
            let hanging = Mutex<[Doorbell]>([])
            let place = doorbells.address + Self.doorbellOffset
            bells = VirtioDoorbells(core: core, thread: doorbells.thread) { [host = doorbells.host] events in
                hanging.withLock { hanging in
                    for bell in hanging { host.detach(bell) }
                    hanging = events.map { queue, descriptor in
                        Doorbell(space: .memory, address: place, size: 4, value: UInt64(queue), descriptor: descriptor)
                    }.filter(host.attach)
                }
            }
        }
        self.doorbells = bells
        bells?.connect()
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        if offset >= Register.configuration {
            let place = Int(truncatingIfNeeded: offset - Register.configuration)
            let low = UInt64(device.readConfiguration(offset: place, size: min(size, 4)))
            guard size == 8 else { return low }
            return low | UInt64(device.readConfiguration(offset: place &+ 4, size: 4)) << 32
        }
        // 4.2.2.2: registers are read and written by aligned words only.
        guard size == 4, offset & 3 == 0 else { return 0 }
        return UInt64(readRegister(offset))
    }

    private func readRegister(_ offset: UInt64) -> UInt32 {
        switch offset {
        case Register.magic: return 0x7472_6976
        case Register.version: return 2
        case Register.deviceID: return UInt32(device.kind.id)
        case Register.vendorID: return 0x5355_5041
        case Register.status: return UInt32(core.status)
        case Register.interruptStatus: return UInt32(core.interrupt.isr)
        case Register.generation: return core.interrupt.generation
        case Register.sharedMemoryFirst...Register.sharedMemoryLast: return UInt32.max
        default: break
        }
        return core.state.withLock { state in
            switch offset {
            case Register.deviceFeatures: core.deviceFeatures(state.deviceFeatureSelect)
            case Register.queueSizeMax:
                state.queueSelect < UInt32(core.queueSizes.count)
                    ? UInt32(core.queueSizes[Int(state.queueSelect)]) : 0
            case Register.queueReady: core.selected(state)?.isEnabled == true ? 1 : 0
            default: 0
            }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        if offset >= Register.configuration {
            let place = Int(truncatingIfNeeded: offset - Register.configuration)
            device.writeConfiguration(offset: place, size: min(size, 4), value: UInt32(truncatingIfNeeded: value))
            if size == 8 {
                device.writeConfiguration(
                    offset: place &+ 4, size: 4, value: UInt32(truncatingIfNeeded: value >> 32))
            }
            return
        }
        guard size == 4, offset & 3 == 0 else { return }
        let word = UInt32(truncatingIfNeeded: value)
        switch offset {
        case Register.queueNotify: core.notify(UInt64(word))
        case Register.interruptAcknowledge: core.interrupt.acknowledge(UInt8(truncatingIfNeeded: word))
        case Register.status: core.writeStatus(UInt8(truncatingIfNeeded: word))
        default: core.state.withLock { writeRegister(offset, word, &$0) }
        }
    }

    private func writeRegister(_ offset: UInt64, _ word: UInt32, _ state: inout VirtioCore.State) {
        switch offset {
        case Register.deviceFeaturesSelect: state.deviceFeatureSelect = word
        case Register.driverFeaturesSelect: state.driverFeatureSelect = word
        case Register.driverFeatures: core.setDriverFeatures(state.driverFeatureSelect, word, &state)
        case Register.queueSelect: state.queueSelect = word
        case Register.queueSize: core.setSize(word, &state)
        case Register.queueReady: core.changeQueue(&state) { $0.isEnabled = word & 1 != 0 }
        case Register.queueDescriptorsLow: core.changeQueue(&state) { $0.descriptors.setLow(word) }
        case Register.queueDescriptorsHigh: core.changeQueue(&state) { $0.descriptors.setHigh(word) }
        case Register.queueDriverLow: core.changeQueue(&state) { $0.driver.setLow(word) }
        case Register.queueDriverHigh: core.changeQueue(&state) { $0.driver.setHigh(word) }
        case Register.queueDeviceLow: core.changeQueue(&state) { $0.device.setLow(word) }
        case Register.queueDeviceHigh: core.changeQueue(&state) { $0.device.setHigh(word) }
        default: break
        }
    }

    public func reset() { core.reset() }
    public func pause() { core.pause() }
    public func resume() { core.resume() }
    public func halt() {
        doorbells?.close()
        core.halt()
    }
    public func exportState() -> DeviceState { core.exportState() }
    public func importState(_ state: DeviceState) throws(DeviceStateError) { try core.importState(state) }
}

extension UInt64 {
    /// Replaces the low half.
    mutating func setLow(_ word: UInt32) { self = self & 0xFFFF_FFFF_0000_0000 | UInt64(word) }
    /// Replaces the high half.
    mutating func setHigh(_ word: UInt32) { self = self & 0xFFFF_FFFF | UInt64(word) << 32 }
}
