internal import GuestMemory

/// What a host controller reaches of guest memory: whole words of its schedules and rings, and buffers.
protocol USBMemory {
    func word(_ address: UInt64) -> UInt32?
    func store(_ address: UInt64, _ value: UInt32)
    func bytes(_ address: UInt64, count: Int) -> [UInt8]?
    func store(_ address: UInt64, _ bytes: [UInt8])
}

extension USBMemory {
    func word(_ address: UInt32) -> UInt32? { word(UInt64(address)) }
    func store(_ address: UInt32, _ value: UInt32) { store(UInt64(address), value) }
    func bytes(_ address: UInt32, count: Int) -> [UInt8]? { bytes(UInt64(address), count: count) }
    func store(_ address: UInt32, _ bytes: [UInt8]) { store(UInt64(address), bytes) }
    func words(_ address: UInt64, count: Int) -> [UInt32]? {
        guard let bytes = bytes(address, count: count * 4) else { return nil }
        return (0..<count).map { index -> UInt32 in
            let place = index * 4
            let low = UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8
            return low | UInt32(bytes[place + 2]) << 16 | UInt32(bytes[place + 3]) << 24
        }
    }
    func store(_ address: UInt64, words: [UInt32]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.count * 4)
        for word in words {
            for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        store(address, bytes)
    }
}

/// Guest memory as it is.
struct GuestUSBMemory: USBMemory {
    let memory: AddressSpace
    func word(_ address: UInt64) -> UInt32? { try? memory.load(GuestPhysical(address), as: UInt32.self) }
    func store(_ address: UInt64, _ value: UInt32) { try? memory.store(GuestPhysical(address), value) }
    func bytes(_ address: UInt64, count: Int) -> [UInt8]? {
        count == 0 ? [] : try? memory.bytes(GuestPhysical(address), count: count)
    }
    func store(_ address: UInt64, _ bytes: [UInt8]) {
        if !bytes.isEmpty { try? memory.write(GuestPhysical(address), bytes: bytes) }
    }
}
