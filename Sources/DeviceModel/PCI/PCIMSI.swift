/// A message for an interrupt controller.
struct PCIMessage: Equatable, Sendable {
    var address: UInt64
    var data: UInt32
}

/// The MSI capability: up to 32 messages from registers in configuration space. PCI Local Bus 3.0, 6.8.1.
///
/// With a 64-bit address and masks, the largest of its four layouts: control at 2, address at 4 and 8, data at 12,
/// mask at 16, pending at 20.
struct PCIMSI: Sendable {
    let offset: Int
    let vectors: Int

    static let bodySize = 22
    private static let enable: UInt32 = 1

    /// The registers' masks; `count` is a power of two up to 32.
    static func make(in space: inout PCIConfigurationSpace, vectors count: Int) -> PCIMSI? {
        var body = [UInt8](repeating: 0, count: bodySize)
        // Multiple Message Capable in bits 1 to 3, 64-bit address in 7, per-vector masking in 8.
        let control = UInt16(count.trailingZeroBitCount) << 1 | 0x0180
        body[0] = UInt8(control & 0xFF)
        body[1] = UInt8(control >> 8)
        guard let offset = space.addCapability(PCICapabilityID.msi, body: body) else { return nil }
        space.allowWrites(offset + 2, mask: UInt16(0x0071))
        space.allowWrites(offset + 4, mask: UInt64(0xFFFF_FFFF_FFFF_FFFC))
        space.allowWrites(offset + 12, mask: UInt16(0xFFFF))
        space.allowWrites(offset + 16, mask: UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(count)) - 1))
        return PCIMSI(offset: offset, vectors: count)
    }

    func isEnabled(_ space: PCIConfigurationSpace) -> Bool { space.read(offset + 2, size: 2) & Self.enable != 0 }

    /// The message of a vector; the low bits of its data tell vectors apart (6.8.1.6).
    private func message(_ vector: Int, _ space: PCIConfigurationSpace) -> PCIMessage {
        let granted = min(Int(space.read(offset + 2, size: 2) >> 4 & 7), vectors.trailingZeroBitCount)
        let low = UInt32(1) << UInt32(granted) - 1
        let address = UInt64(space.read(offset + 8, size: 4)) << 32 | UInt64(space.read(offset + 4, size: 4))
        let data = space.read(offset + 12, size: 2)
        return PCIMessage(address: address, data: data & ~low | UInt32(vector) & low)
    }

    /// What to send when the device raises `vector`; a masked one becomes pending.
    func raise(_ vector: Int, _ space: inout PCIConfigurationSpace) -> PCIMessage? {
        guard isEnabled(space), vector >= 0, vector < vectors else { return nil }
        let bit = UInt32(1) << UInt32(vector)
        if space.read(offset + 16, size: 4) & bit != 0 {
            space.set(offset + 20, space.read(offset + 20, size: 4) | bit)
            return nil
        }
        return message(vector, space)
    }

    /// Pending messages that are no longer masked.
    func release(_ space: inout PCIConfigurationSpace) -> [PCIMessage] {
        let pending = space.read(offset + 20, size: 4)
        guard pending != 0, isEnabled(space) else { return [] }
        let free = pending & ~space.read(offset + 16, size: 4)
        guard free != 0 else { return [] }
        space.set(offset + 20, pending & ~free)
        return (0..<vectors).filter { free >> UInt32($0) & 1 != 0 }.map { message($0, space) }
    }
}
