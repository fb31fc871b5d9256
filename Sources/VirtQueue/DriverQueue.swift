internal import CEngine
public import GuestMemory

/// The driver's side of a virtqueue, for tests, fuzzers and benchmarks: what a guest's virtio core does.
///
/// It writes guest memory as a guest would, through the same address space. It trusts its caller and traps on misuse.
/// One thread.
public final class DriverQueue {
    /// A buffer's piece.
    public struct Piece: Sendable {
        /// Where.
        public var address: GuestPhysical
        /// How long, in bytes.
        public var count: UInt32
        /// A piece.
        public init(_ address: UInt64, _ count: UInt32) {
            self.address = GuestPhysical(address)
            self.count = count
        }
    }

    /// A buffer that the device has returned.
    public struct Used: Equatable, Sendable {
        /// The id that `add` gave.
        public var id: UInt16
        /// Bytes that the device has written.
        public var length: UInt32
        /// A returned buffer.
        public init(id: UInt16, length: UInt32) {
            self.id = id
            self.length = length
        }
    }

    /// Where the rings are.
    public let configuration: QueueConfiguration
    private let memory: AddressSpace
    private var free: [UInt16]
    private var chains: [UInt16: [UInt16]] = [:]
    // Split: indexes. Packed: slots with their wrap counters.
    private var available: UInt16 = 0
    private var used: UInt16 = 0
    private var availableWrap = true
    private var usedWrap = true
    private var added: UInt16 = 0

    /// A layout of the three areas one after the other from `start` (a multiple of 16).
    public static func layout(
        at start: UInt64, size: UInt16, packed: Bool = false, eventIndex: Bool = false, indirect: Bool = false
    ) -> QueueConfiguration {
        let driver = start + UInt64(size) * 16
        let device = (driver + UInt64(size) * 2 + 6 + 3) & ~3
        return QueueConfiguration(
            size: size, descriptors: GuestPhysical(start), driver: GuestPhysical(packed ? (driver + 3) & ~3 : driver),
            device: GuestPhysical(device), isPacked: packed, hasEventIndex: eventIndex, hasIndirect: indirect)
    }

    /// Clears the rings of the given layout.
    public init(memory: AddressSpace, configuration: QueueConfiguration) throws(GuestMemoryError) {
        self.memory = memory
        self.configuration = configuration
        free = (0..<configuration.size).reversed()
        for (address, count) in [
            (configuration.descriptors, configuration.descriptorBytes),
            (configuration.driver, configuration.driverBytes),
            (configuration.device, configuration.deviceBytes),
        ] { try memory.write(address, bytes: [UInt8](repeating: 0, count: count)) }
    }

    /// Free descriptors.
    public var freeCount: Int { free.count }

    /// Makes a buffer available and returns its id, or nil where there is no room. With `table` the pieces go into an
    /// indirect table there.
    public func add(readable: [Piece], writable: [Piece], table: GuestPhysical? = nil) -> UInt16? {
        let pieces =
            readable.map { ($0, UInt16(0)) } + writable.map { ($0, Descriptor.write) }
        guard !pieces.isEmpty, free.count >= (table == nil ? pieces.count : 1) else { return nil }
        if let table {
            for (index, (piece, flags)) in pieces.enumerated() {
                let more = index + 1 < pieces.count
                let place = table + UInt64(index * Descriptor.size)
                write(
                    piece, at: place,
                    third: configuration.isPacked ? 0 : flags | (more ? Descriptor.next : 0),
                    fourth: configuration.isPacked ? flags : UInt16(more ? index + 1 : 0))
            }
            return enter([
                (Piece(table.rawValue, UInt32(pieces.count * Descriptor.size)), Descriptor.indirect)
            ])
        }
        return enter(pieces)
    }

    private func enter(_ pieces: [(Piece, UInt16)]) -> UInt16 {
        configuration.isPacked ? enterPacked(pieces) : enterSplit(pieces)
    }

    private func write(_ piece: Piece, at place: GuestPhysical, third: UInt16, fourth: UInt16) {
        store(place, piece.address.rawValue)
        store(place + 8, piece.count)
        store(place + 12, third)
        store(place + 14, fourth)
    }

    private func enterSplit(_ pieces: [(Piece, UInt16)]) -> UInt16 {
        let slots = pieces.map { _ in free.removeLast() }
        for (index, (piece, flags)) in pieces.enumerated() {
            let more = index + 1 < pieces.count
            write(
                piece, at: configuration.descriptors + UInt64(slots[index]) * 16,
                third: flags | (more ? Descriptor.next : 0), fourth: more ? slots[index + 1] : 0)
        }
        chains[slots[0]] = slots
        store(configuration.driver + 4 + UInt64(available % configuration.size) * 2, slots[0])
        apus_fence()
        available &+= 1
        added &+= 1
        store(configuration.driver + 2, available)
        return slots[0]
    }

    private func enterPacked(_ pieces: [(Piece, UInt16)]) -> UInt16 {
        let slots = pieces.map { _ in free.removeLast() }
        let id = slots[0]
        chains[id] = slots
        var first: (GuestPhysical, UInt16)?
        for (index, (piece, flags)) in pieces.enumerated() {
            let more = index + 1 < pieces.count
            let bits =
                flags | (more ? Descriptor.next : 0)
                | (availableWrap ? Descriptor.packedAvailable : Descriptor.packedUsed)
            let place = configuration.descriptors + UInt64(available) * 16
            if first == nil {
                // The first flags are written last: the device sees all or nothing.
                first = (place + 14, bits)
                store(place, piece.address.rawValue)
                store(place + 8, piece.count)
                store(place + 12, id)
            } else {
                write(piece, at: place, third: id, fourth: bits)
            }
            available += 1
            if available == configuration.size {
                available = 0
                availableWrap.toggle()
            }
        }
        apus_fence()
        added &+= UInt16(slots.count)
        if let (place, bits) = first { store(place, bits) }
        return id
    }

    /// A returned buffer, if there is one; its descriptors are free again.
    public func poll() -> Used? {
        let result: Used
        if configuration.isPacked {
            let place = configuration.descriptors + UInt64(used) * 16
            let flags = load(place + 14, as: UInt16.self)
            guard (flags & Descriptor.packedUsed != 0) == usedWrap,
                (flags & Descriptor.packedAvailable != 0) == usedWrap
            else { return nil }
            apus_fence()
            result = Used(id: load(place + 12, as: UInt16.self), length: load(place + 8, as: UInt32.self))
            let next = Int(used) + (chains[result.id]?.count ?? 1)
            used = UInt16(next % Int(configuration.size))
            if next >= Int(configuration.size) { usedWrap.toggle() }
        } else {
            guard load(configuration.device + 2, as: UInt16.self) != used else { return nil }
            apus_fence()
            let place = configuration.device + 4 + UInt64(used % configuration.size) * 8
            result = Used(
                id: UInt16(truncatingIfNeeded: load(place, as: UInt32.self)), length: load(place + 4, as: UInt32.self))
            used &+= 1
        }
        guard let slots = chains.removeValue(forKey: result.id) else {
            preconditionFailure("A device returns only what it was given")
        }
        free += slots.reversed()
        return result
    }

    /// True where the device wants to be notified of what was added since the last call.
    public func needsKick() -> Bool {
        apus_fence()
        let count = added
        added = 0
        if configuration.isPacked {
            let both = load(configuration.device, as: UInt32.self)
            let flags = both >> 16 & 3
            guard flags == 2 else { return flags == 0 && count > 0 }
            var event = UInt16(truncatingIfNeeded: both) & 0x7FFF
            if (both & 0x8000 != 0) != availableWrap { event &-= configuration.size }
            return VirtQueue.passes(event: event, new: available, old: available &- count)
        }
        if configuration.hasEventIndex {
            let event = load(configuration.device + 4 + 8 * UInt64(configuration.size), as: UInt16.self)
            return VirtQueue.passes(event: event, new: available, old: available &- count)
        }
        return load(configuration.device, as: UInt16.self) & 1 == 0 && count > 0
    }

    /// Asks for interrupts, or not to be interrupted. With event indexes: at the next buffer.
    public func setInterrupts(_ enabled: Bool) {
        if configuration.isPacked {
            if configuration.hasEventIndex && enabled {
                store(configuration.driver, used | (usedWrap ? 0x8000 : 0))
                store(configuration.driver + 2, UInt16(2))
            } else {
                store(configuration.driver + 2, UInt16(enabled ? 0 : 1))
            }
        } else if configuration.hasEventIndex {
            // Without event flags, an index just passed is the farthest.
            store(
                configuration.driver + 4 + 2 * UInt64(configuration.size), enabled ? used : used &- 1)
        } else {
            store(configuration.driver, UInt16(enabled ? 0 : 1))
        }
    }

    private func store<T: FixedWidthInteger>(_ address: GuestPhysical, _ value: T) {
        do { try memory.store(address, value) } catch { preconditionFailure("The driver's rings are in memory") }
    }
    private func load<T: FixedWidthInteger>(_ address: GuestPhysical, as type: T.Type) -> T {
        do { return try memory.load(address, as: type) } catch {
            preconditionFailure("The driver's rings are in memory")
        }
    }
}
