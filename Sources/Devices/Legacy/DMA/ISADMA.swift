public import DeviceModel
public import GuestMemory
internal import Synchronization

/// The two DMA controllers of a PC at their ports, with the latches of upper address bits. Channels 0 to 3 move bytes;
/// 5 to 7 are there for drivers that look, and no device of these boards uses them.
public final class ISADMA: Device, BusDevice {
    private struct State: Sendable {
        var controllers = [DMA8237(), DMA8237()]
        /// Latches that belong to no channel, and are only kept.
        var spare = [UInt8](repeating: 0, count: 16)
    }
    /// Ports of the latches, by channel.
    private static let pages: [UInt64: Int] = [0x87: 0, 0x83: 1, 0x81: 2, 0x82: 3, 0x8B: 5, 0x89: 6, 0x8A: 7]

    public let stateName: String
    private let memory: AddressSpace
    private let state = Mutex(State())

    /// Controllers after power-on.
    public init(memory: AddressSpace, stateName: String = "dma") {
        self.memory = memory
        self.stateName = stateName
    }

    /// Puts all ports on the bus but 80, which tells of firmware's progress.
    public func attach(to io: Bus) {
        for (start, count) in [(0x00, 16), (0x81, 15), (0xC0, 32)] as [(UInt64, UInt64)] {
            io.add(PortWindow(self, base: start), start: start, count: count, name: "dma")
        }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            ByteLanes.read(offset, size) { port in
                switch port {
                case 0x00...0x0F: return state.controllers[0].read(Int(port))
                case 0xC0...0xDF: return state.controllers[1].read(Int(port - 0xC0) / 2)
                case 0x80...0x8F:
                    guard let channel = Self.pages[port] else { return state.spare[Int(port & 15)] }
                    return state.controllers[channel / 4].channels[channel & 3].page
                default: return 0xFF
                }
            }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        state.withLock { state in
            ByteLanes.write(offset, size, value) { port, byte in
                switch port {
                case 0x00...0x0F: state.controllers[0].write(Int(port), byte)
                case 0xC0...0xDF: state.controllers[1].write(Int(port - 0xC0) / 2, byte)
                case 0x80...0x8F:
                    if let channel = Self.pages[port] {
                        state.controllers[channel / 4].channels[channel & 3].page = byte
                    } else {
                        state.spare[Int(port & 15)] = byte
                    }
                default: break
                }
            }
        }
    }

    /// Moves bytes of a device to memory. Returns how many the channel took and whether its count ended.
    func write(channel: Int, _ bytes: [UInt8]) -> (count: Int, isDone: Bool) {
        let (places, isDone, stores) = advance(channel, bytes.count)
        var done = 0
        for place in places {
            if stores { try? memory.write(GuestPhysical(place.address), bytes: Array(bytes[done..<done + place.count])) }
            done += place.count
        }
        return (done, isDone)
    }

    /// Moves up to `most` bytes of memory to a device, and whether the channel's count ended.
    func read(channel: Int, most: Int) -> (bytes: [UInt8], isDone: Bool) {
        let (places, isDone, _) = advance(channel, most)
        var bytes: [UInt8] = []
        for place in places {
            bytes +=
                (try? memory.bytes(GuestPhysical(place.address), count: place.count))
                ?? [UInt8](repeating: 0xFF, count: place.count)
        }
        return (bytes, isDone)
    }

    /// A channel of the first controller moves on. Memory is touched after the lock is let go of.
    private func advance(
        _ channel: Int, _ most: Int
    ) -> (places: [(address: UInt64, count: Int)], isDone: Bool, stores: Bool) {
        state.withLock { state in
            let stores = state.controllers[0].channels[channel & 3].direction == 1
            let (places, isDone) = state.controllers[0].advance(channel & 3, most: most)
            return (places, isDone, stores)
        }
    }

    /// Whether a channel is switched on.
    func isReady(channel: Int) -> Bool { state.withLock { $0.controllers[0].isReady(channel & 3) } }

    public func reset() { state.withLock { $0 = State() } }
    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("controllers", state.controllers.map { $0.exportState() })
            saved.set("spare", state.spare)
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let parts = try saved.list("controllers", count: 2)
        let controllers = [try DMA8237(parts[0]), try DMA8237(parts[1])]
        let spare = try saved.bytes("spare", count: 16)
        state.withLock { state in
            state.controllers = controllers
            state.spare = spare
        }
    }
}
