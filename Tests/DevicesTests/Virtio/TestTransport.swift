import DeviceModel
import Devices
import GuestMemory
import Synchronization
import Testing
import VirtQueue

/// A transport as a driver uses it, by its registers.
protocol TestTransport {
    var status: UInt8 { get nonmutating set }
    func deviceFeatures() -> UInt64
    func setDriverFeatures(_ features: UInt64)
    func queueSize(_ queue: Int) -> UInt16
    func enable(_ queue: Int, _ configuration: QueueConfiguration)
    func notify(_ queue: Int)
    func configuration(_ offset: Int, _ size: Int) -> UInt32
    func setConfiguration(_ offset: Int, _ size: Int, _ value: UInt32)
    /// The pending causes, acknowledged.
    func takeInterrupt() -> UInt8
    var interruptLevel: Bool { get }
    var device: any Device { get }
}

/// Remembers the level of a line.
final class TestLine: InterruptSink {
    private let state = Mutex(false)
    var level: Bool { state.withLock { $0 } }
    func setLine(_ line: Int, level: Bool) { state.withLock { $0 = level } }
}

/// Remembers messages.
final class TestMessages: MSISink {
    private let state = Mutex<[UInt32]>([])
    func deliver(address: UInt64, data: UInt32) { state.withLock { $0.append(data) } }
    func take() -> [UInt32] {
        state.withLock { list in
            defer { list = [] }; return list
        }
    }
}

/// 16 MiB of memory at 0.
func makeMemory() throws -> AddressSpace {
    let memory = AddressSpace()
    let block = try RAMBlock(name: "ram", size: 16 << 20)
    memory.add(FlatView.Range(start: GuestPhysical(0), count: 16 << 20, block: block))
    return memory
}

/// The MMIO transport behind a bus.
struct MMIOTransport: TestTransport {
    let transport: VirtioMMIO
    let bus = Bus()
    let line = TestLine()
    static let base: UInt64 = 0xFEB0_0000

    init(_ virtio: any VirtioDevice, _ memory: AddressSpace, rings: VirtioRingOptions = VirtioRingOptions()) {
        transport = VirtioMMIO(
            virtio, memory: memory, line: InterruptLine(sink: line, number: 5), stateName: "virtio0", rings: rings)
        bus.add(transport, start: Self.base, count: VirtioMMIO.size, name: "virtio-mmio")
    }
    var device: any Device { transport }
    var interruptLevel: Bool { line.level }
    func read(_ offset: UInt64) -> UInt32 { UInt32(bus.read(Self.base + offset, size: 4)) }
    func write(_ offset: UInt64, _ value: UInt32) { bus.write(Self.base + offset, size: 4, value: UInt64(value)) }

    var status: UInt8 {
        get { UInt8(read(0x70)) }
        nonmutating set { write(0x70, UInt32(newValue)) }
    }
    func deviceFeatures() -> UInt64 {
        write(0x14, 0)
        let low = read(0x10)
        write(0x14, 1)
        return UInt64(read(0x10)) << 32 | UInt64(low)
    }
    func setDriverFeatures(_ features: UInt64) {
        for half in UInt32(0)..<2 {
            write(0x24, half)
            write(0x20, UInt32(truncatingIfNeeded: features >> UInt64(half * 32)))
        }
    }
    func queueSize(_ queue: Int) -> UInt16 {
        write(0x30, UInt32(queue))
        return UInt16(read(0x34))
    }
    func enable(_ queue: Int, _ configuration: QueueConfiguration) {
        write(0x30, UInt32(queue))
        write(0x38, UInt32(configuration.size))
        for (offset, address) in [
            (UInt64(0x80), configuration.descriptors), (0x90, configuration.driver), (0xA0, configuration.device),
        ] {
            write(offset, UInt32(truncatingIfNeeded: address.rawValue))
            write(offset + 4, UInt32(truncatingIfNeeded: address.rawValue >> 32))
        }
        write(0x44, 1)
    }
    func notify(_ queue: Int) { write(0x50, UInt32(queue)) }
    func configuration(_ offset: Int, _ size: Int) -> UInt32 {
        UInt32(bus.read(Self.base + 0x100 + UInt64(offset), size: size))
    }
    func setConfiguration(_ offset: Int, _ size: Int, _ value: UInt32) {
        bus.write(Self.base + 0x100 + UInt64(offset), size: size, value: UInt64(value))
    }
    func takeInterrupt() -> UInt8 {
        let causes = read(0x60)
        write(0x64, causes)
        return UInt8(causes)
    }
}

/// The PCI transport behind a bus, with its modern window at `base` and its legacy one at `port`.
struct PCITransport: TestTransport {
    let transport: VirtioPCI
    let memoryBus = Bus()
    let io = Bus()
    let line = TestLine()
    let messages = TestMessages()
    let bus: PCIBus
    static let base: UInt64 = 0xE000_0000
    static let msix: UInt64 = 0xE010_0000
    static let port: UInt64 = 0xC000

    init(_ virtio: any VirtioDevice, _ memory: AddressSpace, options: VirtioPCIOptions = VirtioPCIOptions()) throws {
        transport = VirtioPCI(virtio, memory: memory, stateName: "virtio0", options: options)
        bus = PCIBus(
            spaces: PCISpaces(io: io, memory: memoryBus, ram: memory, msi: messages),
            routing: .swizzled([InterruptLine(sink: line, number: 0)]))
        try bus.attach(transport.function, slot: 3)
        program()
    }
    func program() {
        let function = transport.function
        function.writeConfiguration(0x10, size: 4, value: UInt32(Self.port))
        function.writeConfiguration(0x14, size: 4, value: UInt32(Self.msix))
        function.writeConfiguration(0x20, size: 4, value: UInt32(Self.base))
        function.writeConfiguration(0x04, size: 2, value: 7)
    }
    var device: any Device { transport }
    var interruptLevel: Bool { line.level }
    func read(_ offset: UInt64, _ size: Int) -> UInt64 { memoryBus.read(Self.base + offset, size: size) }
    func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
        memoryBus.write(Self.base + offset, size: size, value: value)
    }

    /// Switches MSI-X on, with vector n's data 0x40 + n.
    func useMSIX(vectors: UInt64) {
        for vector in 0..<vectors {
            memoryBus.write(Self.msix + vector * 16, size: 8, value: 0xFEE0_0000)
            memoryBus.write(Self.msix + vector * 16 + 8, size: 8, value: 0x40 + vector)
        }
        transport.function.writeConfiguration(0x42, size: 2, value: 0x8000)
    }

    var status: UInt8 {
        get { UInt8(read(20, 1)) }
        nonmutating set { write(20, 1, UInt64(newValue)) }
    }
    func deviceFeatures() -> UInt64 {
        write(0, 4, 0)
        let low = read(4, 4)
        write(0, 4, 1)
        return read(4, 4) << 32 | low
    }
    func setDriverFeatures(_ features: UInt64) {
        for half in UInt64(0)..<2 {
            write(8, 4, half)
            write(12, 4, features >> (half * 32) & 0xFFFF_FFFF)
        }
    }
    func queueSize(_ queue: Int) -> UInt16 {
        write(22, 2, UInt64(queue))
        return UInt16(read(24, 2))
    }
    func enable(_ queue: Int, _ configuration: QueueConfiguration) {
        write(22, 2, UInt64(queue))
        write(24, 2, UInt64(configuration.size))
        write(32, 8, configuration.descriptors.rawValue)
        write(40, 4, configuration.driver.rawValue)
        write(44, 4, 0)
        write(48, 8, configuration.device.rawValue)
        write(28, 2, 1)
    }
    func notify(_ queue: Int) { write(0x3000 + UInt64(queue) * 4, 2, UInt64(queue)) }
    func configuration(_ offset: Int, _ size: Int) -> UInt32 { UInt32(read(0x2000 + UInt64(offset), size)) }
    func setConfiguration(_ offset: Int, _ size: Int, _ value: UInt32) {
        write(0x2000 + UInt64(offset), size, UInt64(value))
    }
    func takeInterrupt() -> UInt8 { UInt8(read(0x1000, 1)) }
}

extension TestTransport {
    /// Goes through 3.1.1 with the given features on top of VERSION_1, and returns the enabled queues; queue n's
    /// rings are at 0x10000 · (n + 1).
    func start(_ memory: AddressSpace, features wanted: UInt64 = 0, size: UInt16 = 16) throws -> [DriverQueue] {
        status = 0
        status = 1
        status = 3
        let features = deviceFeatures() & (wanted | VirtioFeature.version1)
        setDriverFeatures(features)
        status = 0xB
        try #require(status & 8 != 0)
        var queues: [DriverQueue] = []
        while case let most = queueSize(queues.count), most > 0, queues.count < 64 {
            let configuration = DriverQueue.layout(
                at: 0x10000 * UInt64(queues.count + 1), size: min(most, size),
                packed: features & VirtioFeature.packedRing != 0, eventIndex: features & VirtioFeature.eventIndex != 0,
                indirect: features & VirtioFeature.indirect != 0)
            queues.append(try DriverQueue(memory: memory, configuration: configuration))
            enable(queues.count - 1, configuration)
        }
        status = 0xF
        return queues
    }
}

/// A device that does nothing but count.
final class CountingDevice: VirtioDevice {
    struct Counts: Equatable {
        var activations = 0
        var resets = 0
        var notifications: [Int] = []
        var features: UInt64 = 0
        var queues = 0
    }
    private struct State {
        var counts = Counts()
        var interrupt: VirtioInterrupt?
        var bytes = [UInt8](repeating: 0x5A, count: 6)
    }
    private let state = Mutex(State())
    var counts: Counts { state.withLock { $0.counts } }
    var interrupt: VirtioInterrupt? { state.withLock { $0.interrupt } }

    let kind = VirtioDeviceKind.block
    let features: UInt64 = 0b101
    let queueSizes: [UInt16] = [64, 32]
    let configurationCount = 6
    func accepts(features: UInt64) -> Bool { features & 0b111 != 0b100 }
    func readConfiguration(offset: Int, size: Int) -> UInt32 {
        state.withLock { state in
            (0..<size).reduce(0) {
                $0 | (offset + $1 < 6 ? UInt32(state.bytes[offset + $1]) << UInt32($1 * 8) : 0)
            }
        }
    }
    func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        state.withLock { state in
            for index in 0..<size where offset + index < 6 {
                state.bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            }
        }
    }
    func activate(_ context: consuming VirtioActivation) {
        let (features, queues, interrupt) = (context.features, context.queues, context.interrupt)
        state.withLock { state in
            state.counts.activations += 1
            state.counts.features = features
            state.counts.queues = queues.count { $0 != nil }
            state.interrupt = interrupt
        }
    }
    func notify(queue: Int) { state.withLock { $0.counts.notifications.append(queue) } }
    func reset() {
        state.withLock { state in
            state.counts.resets += 1
            state.interrupt = nil
        }
    }
    func exportState() -> DeviceState { DeviceState(version: 1) }
    func importState(_ state: DeviceState) throws(DeviceStateError) {}
}
