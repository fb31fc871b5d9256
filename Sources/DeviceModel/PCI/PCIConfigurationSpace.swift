/// The bytes of a function's configuration space with what a write may change: a pure value.
///
/// Each byte has a mask of writable bits and a mask of bits that clear when ones are written (RW1C). A write never
/// changes anything else, so a size or type encoded in read-only bits is safe from guests and from saved states.
public struct PCIConfigurationSpace: Sendable {
    /// The contents, 256 or 4096 bytes.
    public private(set) var bytes: [UInt8]
    private var writable: [UInt8]
    private var clearable: [UInt8]
    private var resetValues: [UInt8]
    private var nextCapability = 0x40
    private var lastCapabilityPointer = PCIRegister.capabilities

    /// An empty space; `isExpress` makes it 4096 bytes instead of 256.
    public init(isExpress: Bool) {
        let count = isExpress ? 4096 : 256
        bytes = [UInt8](repeating: 0, count: count)
        writable = bytes
        clearable = bytes
        resetValues = bytes
    }

    /// The little-endian value of `size` (1 to 4) bytes; bytes outside the space are all ones.
    public func read(_ offset: Int, size: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<min(max(size, 0), 4) {
            let place = offset &+ index
            let byte: UInt8 = bytes.indices.contains(place) ? bytes[place] : 0xFF
            value |= UInt32(byte) << UInt32(index * 8)
        }
        return value
    }

    /// A driver's write: obeys the masks.
    public mutating func write(_ offset: Int, size: Int, value: UInt32) {
        for index in 0..<min(max(size, 0), 4) {
            let place = offset &+ index
            guard bytes.indices.contains(place) else { return }
            let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            bytes[place] = (bytes[place] & ~writable[place] | byte & writable[place]) & ~(byte & clearable[place])
        }
    }

    /// The function's own write: any bit.
    public mutating func set(_ offset: Int, _ value: some FixedWidthInteger) {
        for index in 0..<MemoryLayout.size(ofValue: value) where bytes.indices.contains(offset + index) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (index * 8))
        }
    }

    /// Sets a value that `reset` returns to.
    public mutating func initialise(_ offset: Int, _ value: some FixedWidthInteger) {
        set(offset, value)
        for index in 0..<MemoryLayout.size(ofValue: value) where bytes.indices.contains(offset + index) {
            resetValues[offset + index] = bytes[offset + index]
        }
    }

    /// Lets drivers change the bits of `mask`.
    public mutating func allowWrites(_ offset: Int, mask: some FixedWidthInteger) {
        for index in 0..<MemoryLayout.size(ofValue: mask) where writable.indices.contains(offset + index) {
            writable[offset + index] |= UInt8(truncatingIfNeeded: mask >> (index * 8))
        }
    }

    /// Lets drivers clear the bits of `mask` by writing ones.
    public mutating func allowClearing(_ offset: Int, mask: some FixedWidthInteger) {
        for index in 0..<MemoryLayout.size(ofValue: mask) where clearable.indices.contains(offset + index) {
            clearable[offset + index] |= UInt8(truncatingIfNeeded: mask >> (index * 8))
        }
    }

    /// Back to the values of power-on.
    public mutating func reset() { bytes = resetValues }

    /// Appends a capability whose body (after id and next pointer) is `body`, and returns its offset; nil where the
    /// 192 bytes for capabilities are used up. Drivers meet capabilities in the order of their adding.
    public mutating func addCapability(_ id: UInt8, body: [UInt8]) -> Int? {
        let offset = nextCapability
        guard offset + 2 + body.count <= 256 else { return nil }
        nextCapability = (offset + 2 + body.count + 3) & ~3
        initialise(offset, id)
        for (index, byte) in body.enumerated() { initialise(offset + 2 + index, byte) }
        initialise(lastCapabilityPointer, UInt8(offset))
        lastCapabilityPointer = offset + 1
        initialise(
            PCIRegister.status, UInt16(truncatingIfNeeded: read(PCIRegister.status, size: 2)) | PCIStatus.capabilities)
        return offset
    }

    /// Takes the driver-visible state of saved bytes: only the bits that drivers can change.
    mutating func restore(_ saved: [UInt8]) {
        guard saved.count == bytes.count else { return }
        for index in bytes.indices {
            let mask = writable[index] | clearable[index]
            bytes[index] = bytes[index] & ~mask | saved[index] & mask
        }
    }
}
