public import GuestMemory

/// What a BIOS leaves behind for those who count on having been started by one: multiboot kernels, which find vectors,
/// data area, interrupt controllers and timer as after its self test (IBM PC AT Technical Reference, "ROM BIOS").
///
/// Linux and ELF entries do not look, and a timer that ticks would only wake them.
public enum BIOSRemains {
    /// The segment of the handlers.
    private static let segment: UInt32 = 0xF000
    /// A handler that returns, at its traditional place.
    static let dummyHandler: UInt32 = 0xFF53
    /// Ends an interrupt of the first controller.
    static let firstHandler: UInt32 = 0xFE00
    /// Ends an interrupt of the second controller.
    static let secondHandler: UInt32 = 0xFE10
    /// Nothing else may lie in the segment from here on.
    public static let handlersStart: UInt64 = 0xFFE00

    /// Writes vectors, data area and handlers. Throws where there is no memory for them.
    public static func put(in memory: AddressSpace) throws(GuestMemoryError) {
        var vectors: [UInt8] = []
        for vector in 0..<256 {
            let handler =
                switch vector {
                case 0x08...0x0F: firstHandler
                case 0x70...0x77: secondHandler
                default: dummyHandler
                }
            vectors.append(little: segment << 16 | handler)
        }
        try memory.write(GuestPhysical(0), bytes: vectors)
        var data = [UInt8](repeating: 0, count: 256)
        data.store(little: 0x3F8 as UInt16, at: 0x00)  // the first serial port
        data.store(little: UInt16(PCMemory.ebdaStart >> 4), at: 0x0E)
        data.store(little: UInt16(PCMemory.ebdaStart >> 10), at: 0x13)  // conventional memory in KiB
        try memory.write(GuestPhysical(0x400), bytes: data)
        try memory.write(GuestPhysical(PCMemory.ebdaStart), bytes: [1])  // its length in KiB
        let base = UInt64(segment) << 4
        // push ax; mov al, 20h; out 20h, al; pop ax; iret, and with out A0h, al for the second controller.
        try memory.write(GuestPhysical(base + UInt64(firstHandler)), bytes: [0x50, 0xB0, 0x20, 0xE6, 0x20, 0x58, 0xCF])
        try memory.write(
            GuestPhysical(base + UInt64(secondHandler)), bytes: [0x50, 0xB0, 0x20, 0xE6, 0xA0, 0xE6, 0x20, 0x58, 0xCF])
        try memory.write(GuestPhysical(base + UInt64(dummyHandler)), bytes: [0xCF])
    }

    /// The writes to ports of the self test: both interrupt controllers at vectors 08h and 70h with the timer and the
    /// cascade let through, and the timer at 18.2 Hz.
    public static let portWrites: [(port: UInt16, value: UInt8)] = [
        (0x20, 0x11), (0x21, 0x08), (0x21, 0x04), (0x21, 0x01), (0x21, 0xFA),
        (0xA0, 0x11), (0xA1, 0x70), (0xA1, 0x02), (0xA1, 0x01), (0xA1, 0xFF),
        (0x43, 0x36), (0x40, 0x00), (0x40, 0x00),
    ]
}
