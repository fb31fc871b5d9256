/// An address in a guest's physical address space.
public struct GuestPhysical: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The address in bytes.
    public var rawValue: UInt64
    /// The address of the given byte.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The address of the given byte.
    @inlinable public init(_ value: UInt64) { rawValue = value }

    @inlinable public static func < (a: GuestPhysical, b: GuestPhysical) -> Bool { a.rawValue < b.rawValue }
    /// The address `offset` bytes on; wraps at 2^64.
    @inlinable public static func + (a: GuestPhysical, offset: UInt64) -> GuestPhysical {
        GuestPhysical(a.rawValue &+ offset)
    }
    /// The distance in bytes; wraps at 2^64.
    @inlinable public static func - (a: GuestPhysical, b: GuestPhysical) -> UInt64 { a.rawValue &- b.rawValue }

    public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// Why an access to guest memory by a device, a loader or a monitor cannot be done.
public enum GuestMemoryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No RAM at that address, or less than the access needs.
    case noMemory(at: GuestPhysical, count: Int)
    /// RAM that devices must not write.
    case readOnly(at: GuestPhysical)

    public var description: String {
        switch self {
        case .noMemory(let address, let count): "No guest memory for \(count) bytes at \(address)"
        case .readOnly(let address): "Guest memory at \(address) is read-only"
        }
    }
}
