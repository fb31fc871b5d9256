/// An Ethernet address: the low 48 bits, its first byte the highest.
public struct HardwareAddress: Sendable, Hashable, CustomStringConvertible {
    /// The address as a number.
    public let rawValue: UInt64

    /// An address from its number.
    public init(rawValue: UInt64) { self.rawValue = rawValue & 0xFFFF_FFFF_FFFF }

    /// Six hexadecimal numbers with colons between.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { (1...2).contains($0.utf8.count) ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, bytes.count == 6 else { return nil }
        self.init(bytes)
    }

    /// An address from the first 6 bytes; missing ones are 0.
    public init(_ bytes: some Collection<UInt8>) {
        var value: UInt64 = 0
        var count = 0
        for byte in bytes.prefix(6) {
            value = value << 8 | UInt64(byte)
            count += 1
        }
        rawValue = value << UInt64((6 - count) * 8)
    }

    init(_ frame: UnsafeRawBufferPointer, at place: Int) {
        // SAFETY: the callers have checked that the frame has six bytes from the place on.
        var value: UInt64 = 0
        for index in place..<place + 6 { value = unsafe value << 8 | UInt64(frame[index]) }
        rawValue = value
    }

    /// To everybody.
    public static let broadcast = HardwareAddress(rawValue: 0xFFFF_FFFF_FFFF)
    /// Whether it names a group of cards; broadcast does.
    public var isGroup: Bool { rawValue >> 40 & 1 != 0 }
    /// The six bytes.
    public var bytes: [UInt8] { (0..<6).map { UInt8(rawValue >> UInt64(40 - $0 * 8) & 0xFF) } }
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
