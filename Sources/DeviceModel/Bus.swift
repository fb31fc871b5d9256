import Synchronization

/// Something that answers accesses at offsets of a range: the adapter around a device's pure model.
///
/// Called by processor threads at the same time; an adapter guards its model with its own lock. Sizes are 1, 2, 4 or
/// 8 bytes. A value read is taken from the low `size` bytes; values written have the others clear.
public protocol BusDevice: AnyObject, Sendable {
    /// The value at `offset` from the start of the range.
    func read(offset: UInt64, size: Int) -> UInt64
    /// Stores a value at `offset` from the start of the range.
    func write(offset: UInt64, size: Int, value: UInt64)
}

/// An address space of devices: I/O ports, or device memory.
///
/// Look-ups take no lock but the snapshot's; ranges may come and go while the machine runs. Accesses to addresses of
/// no device read all ones and write nothing.
public final class Bus: Sendable {
    /// A device's place.
    public struct Range: Sendable {
        /// First address.
        public let start: UInt64
        /// Length in addresses, at least 1.
        public let count: UInt64
        /// Name for `info mtree`.
        public let name: String
        /// Who answers.
        public let device: any BusDevice
        /// Among overlapping ranges the higher priority answers; among equals the later.
        public let priority: Int
        let id: Int
    }

    /// Names a range for `remove`.
    public struct RangeID: Hashable, Sendable { let value: Int }

    private struct State: Sendable {
        var ranges: [Range] = []
        var nextID = 0
    }
    private let state = Mutex(State())

    /// A bus without devices.
    public init() {}

    /// Attaches a device at `count` addresses from `start`.
    @discardableResult
    public func add(
        _ device: any BusDevice, start: UInt64, count: UInt64, name: String, priority: Int = 0
    ) -> RangeID {
        precondition(count > 0, "A range of a bus has at least one address")
        return state.withLock { state in
            state.nextID += 1
            let range = Range(
                start: start, count: count, name: name, device: device, priority: priority, id: state.nextID)
            // Sorted so that the first match is the right one: priority, then age, both descending.
            let place = state.ranges.firstIndex { $0.priority <= priority } ?? state.ranges.count
            state.ranges.insert(range, at: place)
            return RangeID(value: state.nextID)
        }
    }

    /// Detaches a device. An access in progress may still reach it.
    public func remove(_ id: RangeID) { state.withLock { $0.ranges.removeAll { $0.id == id.value } } }

    /// What is attached, by start address, for `info mtree`.
    public var ranges: [Range] { state.withLock { $0.ranges }.sorted { $0.start < $1.start } }

    private func find(_ address: UInt64) -> (any BusDevice, UInt64)? {
        state.withLock { state in
            for range in state.ranges where address >= range.start && address - range.start < range.count {
                return (range.device, address - range.start)
            }
            return nil
        }
    }

    /// Whether somebody answers at `address`.
    public func covers(_ address: UInt64) -> Bool { find(address) != nil }

    /// Reads `size` bytes at `address`.
    public func read(_ address: UInt64, size: Int) -> UInt64 {
        let mask = size >= 8 ? UInt64.max : (1 << UInt64(size * 8)) - 1
        guard let (device, offset) = find(address) else { return mask }
        return device.read(offset: offset, size: size) & mask
    }

    /// Writes the low `size` bytes of `value` at `address`.
    public func write(_ address: UInt64, size: Int, value: UInt64) {
        let mask = size >= 8 ? UInt64.max : (1 << UInt64(size * 8)) - 1
        guard let (device, offset) = find(address) else { return }
        device.write(offset: offset, size: size, value: value & mask)
    }
}
