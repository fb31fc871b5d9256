public import DeviceModel
import Synchronization

/// A DMA-remapping unit that can translate nothing (Intel, Virtualization Technology for Directed I/O, chapter 11): its
/// capabilities have no depth of page tables, no queued invalidation and no interrupt remapping, so drivers find it and
/// leave it alone. Devices reach memory as without it.
public final class RemappingUnit: Device, BusDevice {
    /// Where its registers are, one page of them.
    public static let base: UInt64 = 0xFED9_0000
    public static let count: UInt64 = 0x1000

    /// Registers by their offsets.
    private enum Register {
        static let version = 0x00
        static let capability = 0x08
        static let extendedCapability = 0x10
        static let command = 0x18
        static let status = 0x1C
        static let rootTable = 0x20
        static let contextCommand = 0x28
        static let faultControl = 0x38
        static let faultData = 0x3C
        static let faultAddress = 0x40
        static let invalidateAddress = 0xF0
        static let invalidate = 0xF8
        static let end = 0x230
    }
    /// Bit 31 of a register's upper half asks for an invalidation, and goes when that is done: at once.
    private static let pending: UInt32 = 1 << 31
    /// "Set root table pointer", the one command that needs no translation.
    private static let setRoot: UInt32 = 1 << 30

    public let stateName: String
    private let widthCode: UInt32
    private let registers: Mutex<[UInt32]>

    /// A unit after power-on, of a host whose addresses have 39 or 48 bits.
    public init(addressBits: Int, stateName: String = "intel-iommu") {
        self.stateName = stateName
        widthCode = UInt32(addressBits - 1)
        registers = Mutex(Self.initial(widthCode))
    }

    private static func initial(_ widthCode: UInt32) -> [UInt32] {
        var words = [UInt32](repeating: 0, count: Register.end / 4)
        words[Register.version / 4] = 0x10
        // The width of guest addresses, and one fault record at 0x220; no page table's depth is supported.
        words[Register.capability / 4] = widthCode << 16 | 0x22 << 24
        // Where invalidation registers are, in units of 16 bytes.
        words[Register.extendedCapability / 4] = UInt32(Register.invalidateAddress / 16) << 8
        // Fault events are masked.
        words[Register.faultControl / 4] = 1 << 31
        return words
    }

    /// Bits of a register that software may set.
    private static func writable(_ offset: Int) -> UInt32 {
        switch offset {
        case Register.rootTable: 0xFFFF_FC00
        case Register.rootTable + 4, Register.invalidateAddress + 4: .max
        case Register.contextCommand: .max
        case Register.contextCommand + 4: 0xE000_0003
        case Register.faultControl: 1 << 31
        case Register.faultData: 0xFFFF
        case Register.faultAddress: 0xFFFF_FFFC
        case Register.faultAddress + 4: .max
        case Register.invalidateAddress: 0xFFFF_F07F
        case Register.invalidate: 0xFFFF
        case Register.invalidate + 4: 0xB003_0000 | 0xFFFF
        default: 0
        }
    }

    /// Bits that tell what was done.
    private static func told(_ offset: Int) -> UInt32 {
        switch offset {
        case Register.status: setRoot
        case Register.contextCommand + 4: 3 << 27
        case Register.invalidate + 4: 3 << 25
        default: 0
        }
    }
    private static func pending(_ offset: Int) -> UInt32 {
        offset == Register.contextCommand + 4 || offset == Register.invalidate + 4 ? pending : 0
    }

    /// Reads of 4 or 8 bytes; what is no register is 0.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        registers.withLock { words in
            func word(_ offset: UInt64) -> UInt64 {
                offset < UInt64(Register.end) ? UInt64(words[Int(offset) / 4]) : 0
            }
            let aligned = offset & ~3
            let value = word(aligned) | (size > 4 || offset & 3 != 0 ? word(aligned &+ 4) << 32 : 0)
            return value >> ((offset & 3) * 8)
        }
    }

    /// Writes of 4 or 8 bytes at their alignment; others change nothing.
    public func write(offset: UInt64, size: Int, value: UInt64) {
        guard offset & 3 == 0, size == 4 || size == 8, offset < UInt64(Register.end) else { return }
        registers.withLock { words in
            Self.set(Int(offset), UInt32(truncatingIfNeeded: value), &words)
            if size == 8 { Self.set(Int(offset) + 4, UInt32(truncatingIfNeeded: value >> 32), &words) }
        }
    }

    private static func set(_ offset: Int, _ value: UInt32, _ words: inout [UInt32]) {
        guard offset < Register.end else { return }
        if offset == Register.command {
            if value & setRoot != 0 { words[Register.status / 4] |= setRoot }
            return
        }
        let mask = writable(offset)
        words[offset / 4] = words[offset / 4] & ~mask | value & mask
        guard value & pending != 0 else { return }
        switch offset {
        case Register.contextCommand + 4:
            // Done as it was asked for: bits 62 and 61 say how, 60 and 59 say how it was done.
            let asked = value >> 29 & 3
            words[offset / 4] = words[offset / 4] & ~(pending | 3 << 27) | asked << 27
        case Register.invalidate + 4:
            // Bits 61 and 60, and 58 and 57.
            let asked = value >> 28 & 3
            words[offset / 4] = words[offset / 4] & ~(pending | 3 << 25) | asked << 25
        default: break
        }
    }

    // MARK: Device

    public func reset() { registers.withLock { $0 = Self.initial(widthCode) } }

    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set(
            "registers",
            registers.withLock { words in
                words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
            })
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let bytes = try saved.bytes("registers", count: Register.end)
        var words = Self.initial(widthCode)
        // What is fixed stays as this unit has it.
        for offset in stride(from: 0, to: Register.end, by: 4) {
            let number = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << UInt32($1 * 8) }
            let mask = Self.writable(offset) & ~Self.pending(offset) | Self.told(offset)
            words[offset / 4] = words[offset / 4] & ~mask | number & mask
        }
        registers.withLock { $0 = words }
    }
}
