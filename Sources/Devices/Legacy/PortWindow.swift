public import DeviceModel

/// One of several ranges of a device: passes accesses on with the address that the device knows, so that the offsets
/// a device sees are port numbers.
public final class PortWindow: BusDevice {
    private let device: any BusDevice
    private let base: UInt64

    /// A range whose offset 0 is `base` to `device`.
    public init(_ device: any BusDevice, base: UInt64) {
        self.device = device
        self.base = base
    }

    public func read(offset: UInt64, size: Int) -> UInt64 { device.read(offset: base &+ offset, size: size) }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        device.write(offset: base &+ offset, size: size, value: value)
    }
}

/// The ISA bus's treatment of wide accesses to devices with 8 data lines: one cycle for each byte, lowest first.
enum ByteLanes {
    @inline(__always)
    static func read(_ offset: UInt64, _ size: Int, _ byte: (UInt64) -> UInt8) -> UInt64 {
        var value: UInt64 = 0
        for lane in 0..<UInt64(truncatingIfNeeded: max(1, min(size, 8))) {
            value |= UInt64(byte(offset &+ lane)) << (8 &* lane)
        }
        return value
    }

    @inline(__always)
    static func write(_ offset: UInt64, _ size: Int, _ value: UInt64, _ byte: (UInt64, UInt8) -> Void) {
        for lane in 0..<UInt64(truncatingIfNeeded: max(1, min(size, 8))) {
            byte(offset &+ lane, UInt8(truncatingIfNeeded: value >> (8 &* lane)))
        }
    }
}

/// Exact conversion between virtual nanoseconds and periods of a clock.
enum Ticks {
    /// Periods of a clock of `hertz` that are over at `nanoseconds`.
    @inline(__always)
    static func at(_ nanoseconds: UInt64, hertz: UInt64) -> UInt64 {
        let product = nanoseconds.multipliedFullWidth(by: hertz)
        return divided(product, by: 1_000_000_000)
    }

    /// The first nanosecond at which `ticks` periods are over; the largest number where there is none.
    @inline(__always)
    static func nanoseconds(of ticks: UInt64, hertz: UInt64) -> UInt64 {
        let product = ticks.multipliedFullWidth(by: 1_000_000_000)
        guard product.high < hertz else { return .max }
        let (quotient, remainder) = hertz.dividingFullWidth(product)
        return remainder == 0 || quotient == .max ? quotient : quotient + 1
    }

    private static func divided(_ product: (high: UInt64, low: UInt64), by divisor: UInt64) -> UInt64 {
        guard product.high < divisor else { return .max }
        return divisor.dividingFullWidth(product).quotient
    }
}
