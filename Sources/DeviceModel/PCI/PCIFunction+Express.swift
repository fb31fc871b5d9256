extension PCIFunction {
    /// What an express function is. PCI Express Base 3.0, 7.8.2.
    public enum ExpressKind: UInt16, Sendable {
        /// A device behind a port.
        case endpoint = 0
        /// A port of the root complex.
        case rootPort = 4
        /// A bridge to conventional PCI.
        case bridge = 7
        /// A device on the root bus.
        case integratedEndpoint = 9
    }

    /// Adds the PCI Express capability, version 2, with a link of one lane at 2.5 GT/s that is always up. A root port
    /// names its `slot`. There is no hot-plug.
    public func addExpressCapability(_ kind: ExpressKind, slot: UInt16 = 0) {
        var body = [UInt8](repeating: 0, count: 58)
        var writable = body
        // Offsets are the specification's; the body starts at 2.
        func put(_ offset: Int, _ value: UInt32, writable mask: UInt32 = 0, size: Int) {
            for index in 0..<size {
                body[offset - 2 + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
                writable[offset - 2 + index] = UInt8(truncatingIfNeeded: mask >> UInt32(index * 8))
            }
        }
        let hasSlot = kind == .rootPort
        put(0x02, 2 | UInt32(kind.rawValue) << 4 | (hasSlot ? 0x100 : 0), size: 2)
        // Role-based error reporting; error enables, relaxed order, payload and read sizes are the driver's.
        put(0x04, 0x8000, size: 4)
        put(0x08, 0x2810, writable: 0x78FF, size: 2)
        if kind != .integratedEndpoint {
            put(0x0C, 0x0000_0011, size: 4)
            put(0x10, 0, writable: 0x0FDB, size: 2)
            put(0x12, 0x0011 | (hasSlot ? 0x2000 : 0), size: 2)
        }
        if hasSlot {
            put(0x14, UInt32(slot) << 19, size: 4)
            put(0x1A, 0x0040, size: 2)
            put(0x1C, 0, writable: 0x000F, size: 2)
        }
        addCapability(PCICapabilityID.express, body: body, writable: writable)
    }
}
