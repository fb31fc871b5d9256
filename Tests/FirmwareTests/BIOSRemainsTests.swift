import Firmware
import Testing

@Test func vectorsLeadToHandlersThatReturn() throws {
    let guest = try TestGuest(ram: 2 << 20)
    try BIOSRemains.put(in: guest.memory)

    for vector in UInt64(0)..<256 {
        let pointer = UInt64(try guest.load32(vector * 4))
        let handler = ((pointer >> 16) << 4) + (pointer & 0xFFFF)
        let code = try guest.bytes(handler, 10)
        let end = try #require(code.firstIndex(of: 0xCF), "vector \(vector)")
        // Interrupts of a controller are ended there: out 20h, al, and out A0h, al before it.
        #expect(code[..<end].contains(0x20) == (8...15 ~= vector || 0x70...0x77 ~= vector))
        #expect(code[..<end].contains(0xA0) == (0x70...0x77 ~= vector))
    }
    #expect(try guest.load32(0x413) & 0xFFFF == 639)
}

@Test func noMemoryForVectorsIsAnError() throws {
    let guest = try TestGuest(ram: 1 << 16)
    #expect(throws: (any Error).self) { try BIOSRemains.put(in: guest.memory) }
}
