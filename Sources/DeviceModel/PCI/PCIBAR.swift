public import GuestMemory

/// A base address register: a window of the function onto a bus. PCI Local Bus 3.0, 6.2.5.
public struct PCIBAR: Sendable {
    /// Which decoder the register speaks to.
    public enum Kind: Equatable, Sendable {
        /// I/O ports.
        case io
        /// Memory below 4 GiB.
        case memory32(prefetchable: Bool)
        /// Memory anywhere; takes two registers.
        case memory64(prefetchable: Bool)
        /// The expansion ROM (6.2.5.2).
        case rom
    }

    /// A piece of the window and who answers there.
    public struct Region: Sendable {
        /// Offset in the window.
        public let offset: UInt64
        /// Length in bytes.
        public let count: UInt64
        /// Name for `info mtree`.
        public let name: String
        /// Who answers.
        public let content: Content

        /// A region that a device answers.
        public init(offset: UInt64 = 0, count: UInt64, name: String, device: any BusDevice) {
            self.offset = offset
            self.count = count
            self.name = name
            content = .device(device)
        }

        /// A region of memory that the processor reaches without leaving the guest. Multiples of 4096.
        public init(offset: UInt64 = 0, count: UInt64, name: String, block: RAMBlock, writable: Bool) {
            self.offset = offset
            self.count = count
            self.name = name
            content = .memory(block, writable: writable)
        }
    }

    /// What answers in a region.
    public enum Content: Sendable {
        /// A model of registers.
        case device(any BusDevice)
        /// RAM or ROM.
        case memory(RAMBlock, writable: Bool)
    }

    /// What the register decodes.
    public let kind: Kind
    /// Length of the window in bytes, a power of two.
    public let size: UInt64
    /// What is in the window; what no region covers reads all ones.
    public let regions: [Region]
    /// Offset of the register in configuration space.
    public let register: Int

    /// True for the kind that takes two registers.
    public var is64Bit: Bool { if case .memory64 = kind { true } else { false } }
    /// True for the kind on the I/O bus.
    public var isIO: Bool { kind == .io }

    /// The read-only low bits of the register.
    var typeBits: UInt32 {
        switch kind {
        case .io: 1
        case .memory32(let prefetchable): prefetchable ? 8 : 0
        case .memory64(let prefetchable): prefetchable ? 12 : 4
        case .rom: 0
        }
    }

    /// Where the window is, or nil where it is not decoded: its decoder is off, or the address is one of those that
    /// sizing writes (0 and the very top) or out of reach.
    func base(in space: PCIConfigurationSpace) -> UInt64? {
        let command = UInt16(truncatingIfNeeded: space.read(PCIRegister.command, size: 2))
        let low = space.read(register, size: 4)
        let decoder = isIO ? PCICommand.ioSpace : PCICommand.memorySpace
        guard command & decoder != 0 else { return nil }
        if kind == .rom && low & 1 == 0 { return nil }
        var address = UInt64(low)
        if is64Bit { address |= UInt64(space.read(register + 4, size: 4)) << 32 }
        address &= ~(size - 1)
        let limit: UInt64 =
            switch kind {
            case .io: 1 << 16
            case .memory64: 1 << 52
            default: (1 << 32) - 1
            }
        guard address != 0, address < limit, size <= limit - address else { return nil }
        return address
    }
}
