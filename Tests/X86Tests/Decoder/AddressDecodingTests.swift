import Testing
import X86

@Suite struct AddressDecodingTests {
    private func memory(_ bytes: [UInt8], _ code: CodeSize) throws -> MemoryReference {
        try #require(decode(bytes, code)).memory
    }

    @Test func sixteenBitForms() throws {
        let none = MemoryReference.noRegister
        let expected: [(base: UInt8, index: UInt8, segment: UInt8)] = [
            (3, 6, 3), (3, 7, 3), (5, 6, 2), (5, 7, 2), (6, none, 3), (7, none, 3), (5, none, 2), (3, none, 3),
        ]
        for (rm, form) in expected.enumerated() {
            let reference = try memory([0x8b, 0x40 | UInt8(rm), 0xfe], .bits16)
            #expect(reference.base == form.base && reference.index == form.index)
            #expect(reference.segment == form.segment && reference.displacement == -2)
        }
        let absolute = try memory([0x8b, 0x06, 0x34, 0x12], .bits16)
        #expect(absolute.base == none && absolute.displacement == 0x1234 && absolute.segment == 3)
        #expect(decode([0x67, 0x8b, 0x06, 0x34, 0x12], .bits32)?.addressSize == 2)
        #expect(decode([0x67, 0x8b, 0x04, 0x8b], .bits16)?.memory.shift == 2)
    }

    @Test func scaleIndexBase() throws {
        let reference = try memory([0x4f, 0x8b, 0x84, 0xd8, 0xf0, 0xff, 0xff, 0xff], .bits64)
        #expect(reference.base == 8 && reference.index == 11 && reference.shift == 3)
        #expect(reference.displacement == -16 && reference.segment == 3)
        // Index 4 is none, but R12 is an index.
        #expect(try memory([0x8b, 0x04, 0x24], .bits64).index == MemoryReference.noRegister)
        #expect(try memory([0x42, 0x8b, 0x04, 0x24], .bits64).index == 12)
        #expect(try memory([0x8b, 0x04, 0x24], .bits64).segment == 2)
        #expect(try memory([0x41, 0x8b, 0x04, 0x24], .bits64).segment == 3)
        #expect(try memory([0x8b, 0x45, 0x00], .bits64).segment == 2)
        #expect(try memory([0x41, 0x8b, 0x45, 0x00], .bits64).segment == 3)
        // Base 5 with mod 0 is none, for R13 too.
        let absolute = try memory([0x41, 0x8b, 0x04, 0x25, 1, 0, 0, 0x80], .bits64)
        #expect(absolute.base == MemoryReference.noRegister && absolute.displacement == -0x7fff_ffff)
        // An index of EBP does not select SS.
        #expect(try memory([0x8b, 0x04, 0x28], .bits32).segment == 3)
    }

    @Test func instructionPointerRelative() throws {
        let reference = try memory([0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff], .bits64)
        #expect(reference.base == MemoryReference.instructionPointer && reference.displacement == -4)
        #expect(decode([0x67, 0x8b, 0x05, 0, 0, 0, 0])?.addressSize == 4)
        #expect(try memory([0x8b, 0x05, 4, 0, 0, 0], .bits32).base == MemoryReference.noRegister)
    }

    @Test func segmentOverrides() {
        #expect(decode([0x65, 0x8b, 0x00])?.memory.segment == 5)
        #expect(decode([0x2e, 0x8b, 0x00], .bits32)?.memory.segment == 1)
        // In 64-bit mode the others are ignored, and do not undo FS and GS.
        #expect(decode([0x64, 0x3e, 0x8b, 0x00])?.memory.segment == 4)
        #expect(decode([0x2e, 0x8b, 0x00])?.prefixes.contains(.segment) == false)
        #expect(decode([0x36, 0x8b, 0x00])?.memory.segment == 3)
    }
}
