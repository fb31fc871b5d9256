import CEngine
import Glibc
import TestSupport
import Testing
import TranslatorEngine

/// Gathers and masked moves: elements left out are not accessed, and what faults can go on.
struct MaskedAccessTests {
    private static func machine() throws -> (TestProcessor, NativeProcessor) {
        (TestProcessor(code: try HostCode(capacity: 1 << 16)), try NativeProcessor())
    }

    @Test func gathersAreTheHosts() throws {
        let (guest, native) = try Self.machine()
        var random = SplitMix64(state: 9)
        for index in 0..<1024 {
            let byte = UInt8(truncatingIfNeeded: random.next())
            guest.poke(0x2e00 + UInt64(index), byte)
            native.setMemory(index, byte)
        }
        for _ in 0..<4000 {
            let opcode = 0x90 + UInt8(random.below(4))
            let isWide = random.chance(50)
            let scale = UInt8(random.below(3))
            // xmm1 or ymm1, [rsi + xmm2 * scale], mask xmm3
            let third: UInt8 = (isWide ? 0x80 : 0) | 0x60 | (random.chance(50) ? 4 : 0) | 1
            let bytes: [UInt8] = [0xc4, 0xe2, third, opcode, 0x0c, scale << 6 | 0x16]
            for lane in 0..<4 {
                let index: UInt64
                if opcode & 1 != 0 {
                    index = random.below(60)
                } else {
                    index = random.below(60) | random.below(60) << 32
                }
                for (register, value) in [(1, random.next()), (2, index), (3, random.next())] {
                    guest.setLane(register, lane, value)
                    native.setLane(register, lane, value)
                }
            }
            guest[gpr: 6] = 0x2e00 + 100
            native.setGPR(6, native.memoryAddress + 100)
            #expect(guest.execute(bytes) == .done)
            #expect(native.run(bytes) == 0)
            for register in 1...3 {
                for lane in 0..<4 { #expect(guest.lane(register, lane) == native.lane(register, lane), "\(bytes)") }
            }
        }
    }

    @Test func gatherKeepsWhatItHasReadWhenItLeaves() throws {
        let (guest, _) = try Self.machine()
        guest[gpr: 6] = 0x2000
        guest.poke(0x2000, 0x77)
        guest.setLane(1, 0, .max)
        guest.setLane(2, 0, 0x7000_0000_0000_0000)  // the second index leads out of RAM
        guest.setLane(3, 0, .max)
        guest.setLane(3, 1, 0)
        #expect(guest.execute([0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x16]) == .exit(1))  // vpgatherdd xmm1, [rsi+xmm2], xmm3
        #expect(guest.lane(1, 0) == 0xffff_ffff_0000_0077)
        #expect(guest.lane(3, 0) == 0xffff_ffff_0000_0000)
        unsafe guest.vcpu.pointee.replies.0 = 0x55
        unsafe guest.vcpu.pointee.reply_count = 1
        #expect(guest.run() == .done)
        #expect(guest.lane(1, 0) == 0x0000_0055_0000_0077)
        #expect(guest.lane(3, 0) == 0)
    }

    @Test func maskedMovesLeaveOutWhatTheMaskLeavesOut() throws {
        let (guest, _) = try Self.machine()
        // The upper half of the operand lies outside of RAM.
        guest[gpr: 6] = UInt64(TestProcessor.ramCount) - 16
        guest[gpr: 7] = guest[gpr: 6] + 8
        for index in 0..<16 { guest.poke(guest[gpr: 6] + UInt64(index), UInt8(index + 1)) }
        for lane in 0..<4 { guest.setLane(2, lane, lane < 2 ? .max : 0) }
        #expect(guest.execute([0xc4, 0xe2, 0x6d, 0x2c, 0x0e]) == .done)  // vmaskmovps ymm1, ymm2, [rsi]
        #expect(guest.lane(1, 0) == 0x0807_0605_0403_0201 && guest.lane(1, 2) == 0)
        guest.setLane(2, 1, 0x8000_0000_0000_0000)
        guest.setLane(1, 1, 0x1111_1111_2222_2222)
        #expect(guest.execute([0xc4, 0xe2, 0x6d, 0x2e, 0x0e]) == .done)  // vmaskmovps [rsi], ymm2, ymm1
        #expect(guest.peek(guest[gpr: 6] + 8) == 9 && guest.peek(guest[gpr: 6] + 12) == 0x11)
        guest.setLane(2, 3, .max)
        #expect(guest.execute([0xc4, 0xe2, 0x6d, 0x2e, 0x0e]) == .exit(2))
        // maskmovdqu xmm1, xmm2: eight bytes in RAM, eight outside and masked.
        guest.setLane(2, 0, 0x80ff_0000_0000_0080)
        guest.setLane(2, 1, 0)
        guest.setLane(1, 0, 0x4142_4344_4546_4748)
        #expect(guest.execute([0x66, 0x0f, 0xf7, 0xca]) == .done)
        #expect(guest.peek(guest[gpr: 7]) == 0x48 && guest.peek(guest[gpr: 7] + 7) == 0x41)
        #expect(guest.peek(guest[gpr: 7] + 1) == 10)
    }
}
