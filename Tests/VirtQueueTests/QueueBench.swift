import GuestMemory
import Testing
import VirtQueue

/// A format of ring, as an argument of tests.
struct Format: CustomTestStringConvertible, Sendable {
    var packed = false
    var eventIndex = false
    var size: UInt16 = 8
    var testDescription: String { "\(packed ? "packed" : "split") \(eventIndex ? "event index" : "flags") \(size)" }

    static let all = [
        Format(), Format(eventIndex: true), Format(packed: true), Format(packed: true, eventIndex: true),
        Format(packed: true, eventIndex: true, size: 5), Format(size: 1), Format(packed: true, size: 1),
    ]
}

/// One queue with both its sides in a megabyte of memory: rings at 0x1000, buffers from 0x10000.
struct QueueBench {
    let memory = AddressSpace()
    let configuration: QueueConfiguration
    let driver: DriverQueue
    let queue: VirtQueue
    let chain: DescriptorChain

    init(_ format: Format, indirect: Bool = true) throws {
        memory.add(
            FlatView.Range(start: GuestPhysical(0), count: 1 << 20, block: try RAMBlock(name: "ram", size: 1 << 20)))
        configuration = DriverQueue.layout(
            at: 0x1000, size: format.size, packed: format.packed, eventIndex: format.eventIndex, indirect: indirect)
        driver = try DriverQueue(memory: memory, configuration: configuration)
        queue = try VirtQueue(memory: memory, configuration: configuration)
        chain = DescriptorChain(memory: memory)
    }

    /// Writes a raw descriptor; `third` and `fourth` are flags and next (split) or id and flags (packed).
    func descriptor(_ index: Int, _ address: UInt64, _ count: UInt32, _ third: UInt16, _ fourth: UInt16) throws {
        try Self.descriptor(memory, configuration.descriptors.rawValue, index, address, count, third, fourth)
    }
    static func descriptor(
        _ memory: AddressSpace, _ table: UInt64, _ index: Int, _ address: UInt64, _ count: UInt32, _ third: UInt16,
        _ fourth: UInt16
    ) throws {
        let place = GuestPhysical(table + UInt64(index) * 16)
        try memory.store(place, address)
        try memory.store(place + 8, count)
        try memory.store(place + 12, third)
        try memory.store(place + 14, fourth)
    }
    /// Makes descriptor `head` of a split ring available, with the index at `index`.
    func offer(_ head: UInt16, index: UInt16 = 1) throws {
        try memory.store(configuration.driver + 4, head)
        try memory.store(configuration.driver + 2, index)
    }
}
