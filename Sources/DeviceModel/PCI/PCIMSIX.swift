/// The MSI-X table and pending bits, and the capability that points to them. PCI Local Bus 3.0, 6.8.2: a pure model.
struct PCIMSIX: Sendable {
    /// Offset of the capability.
    let offset: Int
    /// Entries, 1 to 2048.
    let vectors: Int
    private(set) var table: [UInt8]
    private(set) var pending: [UInt64]

    /// Bytes of one entry: address (8), data (4), vector control (4).
    static let entrySize = 16

    init(offset: Int, vectors: Int) {
        self.offset = offset
        self.vectors = vectors
        table = []
        pending = []
        reset()
    }

    /// Every vector masked, nothing pending.
    mutating func reset() {
        table = [UInt8](repeating: 0, count: vectors * Self.entrySize)
        for vector in 0..<vectors { table[vector * Self.entrySize + 12] = 1 }
        pending = [UInt64](repeating: 0, count: (vectors + 63) / 64)
    }

    private func control(_ space: PCIConfigurationSpace) -> UInt32 { space.read(offset + 2, size: 2) }
    func isEnabled(_ space: PCIConfigurationSpace) -> Bool { control(space) & 0x8000 != 0 }
    private func isMasked(_ space: PCIConfigurationSpace) -> Bool { control(space) & 0x4000 != 0 }

    private func word(_ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(table[offset + $1]) << UInt32($1 * 8) }
    }
    private func message(_ vector: Int) -> PCIMessage {
        let entry = vector * Self.entrySize
        return PCIMessage(address: UInt64(word(entry + 4)) << 32 | UInt64(word(entry)), data: word(entry + 8))
    }

    /// What to send when the device raises `vector`; a masked one becomes pending.
    mutating func raise(_ vector: Int, _ space: PCIConfigurationSpace) -> PCIMessage? {
        guard isEnabled(space), vector >= 0, vector < vectors else { return nil }
        if isMasked(space) || table[vector * Self.entrySize + 12] & 1 != 0 {
            pending[vector / 64] |= 1 << UInt64(vector % 64)
            return nil
        }
        return message(vector)
    }

    /// Pending messages that are no longer masked.
    mutating func release(_ space: PCIConfigurationSpace) -> [PCIMessage] {
        guard isEnabled(space), !isMasked(space), pending.contains(where: { $0 != 0 }) else { return [] }
        var messages: [PCIMessage] = []
        for vector in 0..<vectors where pending[vector / 64] >> UInt64(vector % 64) & 1 != 0 {
            guard table[vector * Self.entrySize + 12] & 1 == 0 else { continue }
            pending[vector / 64] &= ~(1 << UInt64(vector % 64))
            messages.append(message(vector))
        }
        return messages
    }

    func readTable(_ offset: UInt64, size: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(size) where offset + index < UInt64(table.count) {
            value |= UInt64(table[Int(offset + index)]) << (index * 8)
        }
        return value
    }

    mutating func writeTable(_ offset: UInt64, size: Int, value: UInt64) {
        for index in 0..<UInt64(size) where offset + index < UInt64(table.count) {
            let place = Int(offset + index)
            var byte = UInt8(truncatingIfNeeded: value >> (index * 8))
            // Of the vector control only the mask bit exists; messages go to dwords.
            switch place % Self.entrySize {
            case 0: byte &= 0xFC
            case 12: byte &= 1
            case 13...15: byte = 0
            default: break
            }
            table[place] = byte
        }
    }

    func readPending(_ offset: UInt64, size: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(size) where offset + index < UInt64(pending.count * 8) {
            let place = offset + index
            value |= (pending[Int(place / 8)] >> (place % 8 * 8) & 0xFF) << (index * 8)
        }
        return value
    }

    /// Takes a saved table and pending bits, of the lengths of this one.
    mutating func restore(table saved: [UInt8], pending bits: [UInt8]) {
        guard saved.count == table.count, bits.count == pending.count * 8 else { return }
        writeTableBytes(saved)
        for index in pending.indices {
            pending[index] = (0..<8).reduce(0) { $0 | UInt64(bits[index * 8 + $1]) << UInt64($1 * 8) }
        }
    }
    private mutating func writeTableBytes(_ saved: [UInt8]) {
        for (index, byte) in saved.enumerated() { writeTable(UInt64(index), size: 1, value: UInt64(byte)) }
    }
    /// The pending bits as bytes.
    var pendingBytes: [UInt8] {
        pending.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
    }
}
