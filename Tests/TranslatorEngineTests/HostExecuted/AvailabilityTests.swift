import CEngine
import Testing
import TranslatorEngine

/// When instructions must not run: CR0.EM, CR0.TS, CR0.MP, CR4.OSFXSR, CR4.OSXSAVE, pending exceptions, alignment.
struct AvailabilityTests {
    private static let undefined = TestProcessor.Outcome.fault(6, error: nil)
    private static let notAvailable = TestProcessor.Outcome.fault(7, error: nil)
    private static let general = TestProcessor.Outcome.fault(13, error: 0)
    private static let x87 = TestProcessor.Outcome.fault(16, error: nil)

    private static let fadd: [UInt8] = [0xd8, 0xc1]
    private static let paddMMX: [UInt8] = [0x0f, 0xfe, 0xc1]
    private static let paddSSE: [UInt8] = [0x66, 0x0f, 0xfe, 0xc1]
    private static let movups: [UInt8] = [0x0f, 0x10, 0xc1]
    private static let addps: [UInt8] = [0x0f, 0x58, 0xc1]
    private static let vpaddd: [UInt8] = [0xc5, 0xf5, 0xfe, 0xc2]
    private static let vmovups: [UInt8] = [0xc5, 0xfc, 0x10, 0xc1]
    private static let andn: [UInt8] = [0xc4, 0xe2, 0x70, 0xf2, 0xc2]
    private static let fwait: [UInt8] = [0x9b]

    private func outcome(_ bytes: [UInt8], blocked: Int32, cr0: UInt64 = 0x31, cr4: UInt64 = 0x40600) throws
        -> TestProcessor.Outcome?
    {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        unsafe guest.vcpu.pointee.fpu_blocked = UInt8(blocked)
        unsafe guest.vcpu.pointee.s.cr0 = cr0
        unsafe guest.vcpu.pointee.s.cr4 = cr4
        return guest.execute(bytes)
    }

    @Test func emulationBitBlocksX87AndMMX() throws {
        let blocked = APUS_FPU_X87 | APUS_FPU_EM | APUS_FPU_SSE_UD
        #expect(try outcome(Self.fadd, blocked: blocked) == Self.notAvailable)
        #expect(try outcome(Self.paddMMX, blocked: blocked) == Self.undefined)
        #expect(try outcome(Self.paddSSE, blocked: blocked) == Self.undefined)
        #expect(try outcome(Self.movups, blocked: blocked) == Self.undefined)
        #expect(try outcome(Self.vpaddd, blocked: blocked) == .done)
        #expect(try outcome(Self.andn, blocked: blocked) == .done)
    }

    @Test func taskSwitchBitMakesAllUnavailable() throws {
        let blocked = APUS_FPU_X87 | APUS_FPU_TS
        for bytes in [Self.fadd, Self.paddMMX, Self.paddSSE, Self.movups, Self.addps, Self.vpaddd, Self.vmovups] {
            #expect(try outcome(bytes, blocked: blocked) == Self.notAvailable)
        }
        #expect(try outcome([0x0f, 0xae, 0x06], blocked: blocked) == Self.notAvailable)  // fxsave
        #expect(try outcome(Self.andn, blocked: blocked) == .done)
        #expect(try outcome([0x0f, 0x18, 0x06], blocked: blocked) == .done)  // prefetch
    }

    @Test func waitLooksAtMonitorCoprocessor() throws {
        let ts = APUS_FPU_X87 | APUS_FPU_TS
        #expect(try outcome(Self.fwait, blocked: ts, cr0: 0x39) == .done)
        #expect(try outcome(Self.fwait, blocked: ts, cr0: 0x3b) == Self.notAvailable)
        #expect(try outcome(Self.fwait, blocked: 0, cr0: 0x33) == .done)
    }

    @Test func withoutOSSupport() throws {
        #expect(try outcome(Self.paddSSE, blocked: APUS_FPU_SSE_UD) == Self.undefined)
        #expect(try outcome(Self.paddMMX, blocked: APUS_FPU_SSE_UD) == .done)
        #expect(try outcome(Self.vpaddd, blocked: APUS_FPU_AVX_UD | APUS_FPU_TS) == Self.undefined)
        #expect(try outcome([0x0f, 0xae, 0x26], blocked: 0, cr4: 0x600) == Self.undefined)  // xsave
        #expect(try outcome([0x0f, 0xae, 0x26], blocked: 0, cr0: 0x39) == Self.notAvailable)
    }

    @Test func misalignedOperands() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest[gpr: 6] = 0x2108
        #expect(guest.execute([0x66, 0x0f, 0xfe, 0x06]) == Self.general)  // paddd xmm0, [rsi]
        #expect(guest.execute([0x0f, 0x28, 0x06]) == Self.general)  // movaps
        #expect(guest.execute([0x0f, 0x29, 0x06]) == Self.general)
        #expect(guest.execute([0x0f, 0x10, 0x06]) == .done)  // movups
        #expect(guest.execute([0xc5, 0xfc, 0x28, 0x06]) == Self.general)  // vmovaps ymm0, [rsi]
        #expect(guest.execute([0xc5, 0xfd, 0xfe, 0x06]) == .done)  // vpaddd ymm0, ymm0, [rsi]
        #expect(guest.execute([0x0f, 0xae, 0x06]) == Self.general)  // fxsave
        guest[gpr: 6] = 0x2110
        #expect(guest.execute([0x66, 0x0f, 0xfe, 0x06]) == .done)
        #expect(guest.execute([0xc5, 0xfc, 0x28, 0x06]) == Self.general)
        #expect(guest.execute([0x0f, 0xae, 0x26]) == Self.general)  // xsave
    }

    @Test func pendingX87ExceptionWaitsForTheNextInstruction() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest.setFX(UInt16(0x37b), at: 0)  // division by zero not masked
        for bytes: [UInt8] in [[0xd9, 0xee], [0xd9, 0xe8]] { #expect(guest.execute(bytes) == .done) }  // fldz, fld1
        #expect(guest.execute([0xd8, 0xf1]) == .done)  // fdiv st, st1
        #expect(guest.fx(UInt16.self, at: 2) & 0x8084 == 0x8084)
        for bytes: [UInt8] in [
            [0xd9, 0xe8], Self.paddMMX, [0x0f, 0x77], Self.fwait, [0xd9, 0x2e], [0xdd, 0x26], [0xd9, 0x26],
        ] {
            #expect(guest.execute(bytes) == Self.x87)
        }
        #expect(guest.execute([0xdf, 0xe0]) == .done)  // fnstsw ax
        #expect(guest[gpr: 0] & 0x84 == 0x84)
        guest[gpr: 6] = 0x2100
        #expect(guest.execute([0xd9, 0x36]) == .done)  // fnstenv masks
        #expect(guest.execute([0xd9, 0xe8]) == .done)
        #expect(guest.execute([0xdb, 0xe2]) == .done)  // fnclex
        #expect(guest.fx(UInt16.self, at: 2) & 0x80ff == 0)
    }

    @Test func unmaskedSIMDExceptionLeavesTheDestination() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest.setFX(UInt32(0x1d80), at: 24)  // division by zero not masked
        guest.setLane(0, 0, 0x3f80_0000_3f80_0000)
        guest.setLane(1, 0, 0)
        #expect(guest.execute([0x0f, 0x5e, 0xc1]) == .fault(19, error: nil))  // divps xmm0, xmm1
        #expect(guest.lane(0, 0) == 0x3f80_0000_3f80_0000)
        #expect(guest.fx(UInt32.self, at: 24) & 0x3f == 5)
        unsafe guest.vcpu.pointee.s.cr4 &= ~0x400
        #expect(guest.execute([0x0f, 0x5e, 0xc1]) == Self.undefined)
    }

    @Test func reservedBitsOfMXCSR() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest[gpr: 6] = 0x2100
        guest.poke(0x2102, 1)
        #expect(guest.execute([0x0f, 0xae, 0x16]) == Self.general)
        #expect(guest.fx(UInt32.self, at: 24) == 0x1f80)
        guest.poke(0x2102, 0)
        guest.poke(0x2101, 0x5f)
        #expect(guest.execute([0x0f, 0xae, 0x16]) == .done)
        #expect(guest.fx(UInt32.self, at: 24) == 0x5f00)
    }

    @Test func layoutIsTheStructures() {
        #expect(unsafe MemoryLayout<apus_vcpu>.offset(of: \.s.fx) == VectorLayout.fx)
        #expect(unsafe MemoryLayout<apus_vcpu>.offset(of: \.s.ymm) == VectorLayout.registers)
        #expect(unsafe MemoryLayout<apus_vcpu>.offset(of: \.arith) == VectorLayout.arith)
        #expect(unsafe MemoryLayout<apus_vcpu>.offset(of: \.scratch) == VectorLayout.scratch)
    }

    @Test func fullArenaAsksForItsBlockAgain() throws {
        let code = try HostCode(capacity: 4096)
        let guest = TestProcessor(code: code)
        var last: TestProcessor.Outcome? = .done
        for form in 0..<256 where last == .done {
            last = guest.execute([0x66, 0x0f, 0xf8 + UInt8(form >> 6), 0xc0 | UInt8(form & 63)])
        }
        #expect(last == .left(UInt8(APUS_STATUS_LOOKUP)))
        #expect(code.isFull)
        #expect(unsafe guest.vcpu.pointee.s.rip == 0x1020)
        code.reset()
        #expect(!code.isFull)
        #expect(guest.execute(Self.paddSSE) == .done)
    }

    @Test func deviceMemoryLeavesAndAnswers() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 1 << 16))
        guest[gpr: 6] = 0xf000_0000
        let load: [UInt8] = [0x66, 0x0f, 0xfe, 0x06]  // paddd xmm0, [rsi]
        guest.setLane(0, 0, 1)
        #expect(guest.execute(load) == .exit(1))
        unsafe guest.vcpu.pointee.replies.0 = 0x10
        unsafe guest.vcpu.pointee.reply_count = 1
        #expect(guest.run() == .exit(1))
        #expect(unsafe guest.vcpu.pointee.exit_address == 0xf000_0008)
        unsafe guest.vcpu.pointee.replies.1 = 0x20
        unsafe guest.vcpu.pointee.reply_count = 2
        unsafe guest.vcpu.pointee.reply_next = 0
        #expect(guest.run() == .done)
        #expect(guest.lane(0, 0) == 0x11 && guest.lane(0, 1) == 0x20)
        // A store from the x87 stack pops only when the device has it all.
        unsafe guest.vcpu.pointee.reply_count = 0
        unsafe guest.vcpu.pointee.reply_next = 0
        #expect(guest.execute([0xd9, 0xe8]) == .done)  // fld1
        let status = guest.fx(UInt16.self, at: 2)
        #expect(guest.execute([0xdb, 0x3e]) == .exit(2))  // fstp tbyte
        #expect(guest.fx(UInt16.self, at: 2) == status)
        #expect(unsafe guest.vcpu.pointee.exit_value == 1 << 63)
    }
}
