package import DeviceModel

/// A card of Intel's family as its windows show it: registers in memory, and an address and a data port to them.
/// SDM 13.2.
package protocol E1000Windows: CardModel {
    /// The window of the ports; all others have the registers.
    static var ioWindow: Int { get }
    /// The address port.
    var ioAddress: UInt32 { get set }
    /// An access to the dword at an offset, a multiple of 4.
    mutating func readWord(_ offset: UInt32) -> UInt32
    mutating func writeWord(_ offset: UInt32, _ value: UInt32) -> CardEffects
}

extension E1000Windows {
    /// Bytes of the window of the registers.
    private static var size: UInt64 { 128 << 10 }
    /// What the address port keeps of an address.
    static var ioAddressMask: UInt32 { 0x1_FFFC }

    package mutating func read(_ window: Int, _ offset: UInt64, _ size: Int, _ now: UInt64) -> UInt64 {
        guard window == Self.ioWindow else { return readRegisters(offset, size) }
        return offset == 0 ? UInt64(ioAddress) : offset == 4 ? readRegisters(UInt64(ioAddress), min(size, 4)) : 0
    }

    package mutating func write(
        _ window: Int, _ offset: UInt64, _ size: Int, _ value: UInt64, _ now: UInt64
    ) -> CardEffects {
        guard window == Self.ioWindow else { return writeRegisters(offset, size, value) }
        guard size >= 4 else { return CardEffects() }
        if offset == 0 { ioAddress = UInt32(truncatingIfNeeded: value) & Self.ioAddressMask }
        return offset == 4 ? writeRegisters(UInt64(ioAddress), 4, value) : CardEffects()
    }

    private mutating func readRegisters(_ offset: UInt64, _ size: Int) -> UInt64 {
        guard offset < Self.size else { return UInt64.max }
        // A narrow read takes its bytes of the dword, a wide one two dwords.
        var value = UInt64(readWord(UInt32(offset & ~3))) >> (offset & 3 * 8)
        if size == 8 { value |= UInt64(readWord(UInt32(offset & ~3) + 4)) << 32 }
        return value
    }

    private mutating func writeRegisters(_ offset: UInt64, _ size: Int, _ value: UInt64) -> CardEffects {
        // Registers are written as a whole. SDM 13.2.1.
        guard offset < Self.size, offset & 3 == 0, size >= 4 else { return CardEffects() }
        var effects = writeWord(UInt32(offset), UInt32(truncatingIfNeeded: value))
        if size == 8 {
            let more = writeWord(UInt32(offset) + 4, UInt32(truncatingIfNeeded: value >> 32))
            effects = CardEffects(
                transmits: effects.transmits || more.transmits, receives: effects.receives || more.receives)
        }
        return effects
    }
}

// The 82540EM: memory in window 0 (128 KiB), ports in window 1 (64 bytes).
extension E1000Model {
    package static var ioWindow: Int { 1 }
    package mutating func readWord(_ offset: UInt32) -> UInt32 { read(offset) }
    package mutating func writeWord(_ offset: UInt32, _ value: UInt32) -> CardEffects { write(offset, value) }
    package mutating func update(_ now: UInt64, _ mode: CardInterruptMode) -> CardSignals {
        let (level, deadline) = update(now)
        return CardSignals(level: level, deadline: deadline)
    }
    package func exportBeside(_ state: inout DeviceState) { state.set("io-address", ioAddress) }
    package mutating func importBeside(_ state: DeviceState) throws(DeviceStateError) {
        ioAddress = try state.integer("io-address", as: UInt32.self) & Self.ioAddressMask
    }
}
