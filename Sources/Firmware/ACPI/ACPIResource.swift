/// One resource descriptor of a `ResourceTemplate` (ACPI 6.5, 6.4).
public struct ACPIResource: Equatable, Sendable {
    /// The encoding.
    public let bytes: [UInt8]

    /// A range of I/O ports, `IO (Decode16, …)`. `count` is at most 255.
    public static func io(_ start: UInt16, count: UInt8) -> ACPIResource {
        var bytes: [UInt8] = [0x47, 1]
        bytes.append(little: start)
        bytes.append(little: start)
        return ACPIResource(bytes: bytes + [1, count])
    }

    /// ISA interrupts of which one is used: edge-triggered, active high, exclusive.
    public static func irq(_ lines: [UInt8]) -> ACPIResource {
        var bytes: [UInt8] = [0x22]
        bytes.append(little: lines.reduce(UInt16(0)) { $0 | 1 << UInt16($1 & 15) })
        return ACPIResource(bytes: bytes)
    }

    /// Channels of the ISA DMA controllers of which one is used: 8 bits, compatible timing, no bus master.
    public static func dma(_ channels: [UInt8]) -> ACPIResource {
        let mask = channels.reduce(UInt8(0)) { $0 | 1 << ($1 & 7) }
        return ACPIResource(bytes: [0x2A, mask, 0])
    }
    /// Global system interrupts of which one is used.
    public static func interrupt(_ gsis: [UInt32], edge: Bool = false, activeLow: Bool = false, shared: Bool)
        -> ACPIResource
    {
        let flags: UInt8 = 1 | (edge ? 2 : 0) | (activeLow ? 4 : 0) | (shared ? 8 : 0)
        var bytes: [UInt8] = [0x89]
        bytes.append(little: UInt16(2 + gsis.count * 4))
        bytes += [flags, UInt8(gsis.count)]
        for gsi in gsis { bytes.append(little: gsi) }
        return ACPIResource(bytes: bytes)
    }

    /// `Memory32Fixed (ReadWrite, …)`.
    public static func memory32(_ start: UInt32, count: UInt32) -> ACPIResource {
        var bytes: [UInt8] = [0x86, 9, 0, 1]
        bytes.append(little: start)
        bytes.append(little: count)
        return ACPIResource(bytes: bytes)
    }

    /// The PCI buses behind a bridge.
    public static func busNumbers(_ buses: ClosedRange<UInt8>) -> ACPIResource {
        space(2, flags: 0, first: UInt16(buses.lowerBound), last: UInt16(buses.upperBound))
    }
    /// I/O ports that a bridge passes on.
    public static func ioWindow(_ ports: ClosedRange<UInt16>) -> ACPIResource {
        space(1, flags: 3, first: ports.lowerBound, last: ports.upperBound)
    }
    /// Memory below 4 GiB that a bridge passes on; not prefetchable, or cacheable for a frame buffer.
    public static func memoryWindow32(_ range: ClosedRange<UInt32>, cacheable: Bool = false) -> ACPIResource {
        space(0, flags: cacheable ? 3 : 1, first: range.lowerBound, last: range.upperBound)
    }
    /// Memory anywhere that a bridge passes on.
    public static func memoryWindow64(_ range: ClosedRange<UInt64>, cacheable: Bool = true) -> ACPIResource {
        space(0, flags: cacheable ? 3 : 1, first: range.lowerBound, last: range.upperBound)
    }

    /// An address space descriptor of the integer's width (6.4.3.5), with fixed ends, produced and positively decoded.
    private static func space<T: FixedWidthInteger & UnsignedInteger>(
        _ type: UInt8, flags: UInt8, first: T, last: T
    ) -> ACPIResource {
        let size = T.bitWidth / 8
        var bytes: [UInt8] = [size == 2 ? 0x88 : size == 4 ? 0x87 : 0x8A]
        bytes.append(little: UInt16(3 + 5 * size))
        bytes += [type, 0x0C, flags]
        for value: T in [0, first, last, 0, (last - first) &+ 1] { bytes.append(little: value) }
        return ACPIResource(bytes: bytes)
    }
}
