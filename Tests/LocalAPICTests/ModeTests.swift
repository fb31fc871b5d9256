import LocalAPIC
import Testing

@Suite struct ModeTests {
    private let off: UInt64 = 0xFEE0_0000
    private let xapic: UInt64 = 0xFEE0_0800
    private let invalid: UInt64 = 0xFEE0_0400
    private let x2apic: UInt64 = 0xFEE0_0C00

    /// The path to a mode that is allowed from power-on.
    private func apic(in value: UInt64) -> TestAPIC {
        let t = TestAPIC(id: 2, bootProcessor: false)
        if value == off || value == x2apic {
            _ = t.apic.writeBase(value, physicalBits: 40, offersX2APIC: true)
        }
        return t
    }

    @Test func transitions() {
        let allowed: [UInt64: [UInt64]] = [
            off: [off, xapic], xapic: [off, xapic, x2apic], x2apic: [off, x2apic],
        ]
        for (from, targets) in allowed {
            for to in [off, xapic, invalid, x2apic] {
                let t = apic(in: from)
                #expect(t.apic.base == from)
                let taken = t.apic.writeBase(to, physicalBits: 40, offersX2APIC: true)
                #expect(taken == targets.contains(to), "\(from) to \(to)")
                #expect(t.apic.base == (taken ? to : from))
            }
        }
    }

    @Test func reservedBitsOfTheBase() {
        for bit in [0, 1, 7, 9, 40, 51, 52, 63] as [UInt64] {
            let t = TestAPIC()
            #expect(!t.apic.writeBase(t.apic.base | 1 << bit, physicalBits: 40, offersX2APIC: true))
        }
        let t = TestAPIC()
        #expect(!t.apic.writeBase(t.apic.base | APICBase.extended, physicalBits: 40, offersX2APIC: false))
        #expect(t.apic.writeBase(0xFE_DCBA_9900, physicalBits: 40, offersX2APIC: false))
    }

    @Test func enteringX2KeepsRegisters() {
        let t = TestAPIC(id: 0x21)
        _ = t.write(APICRegister.logicalDestination, 0xFF00_0000)
        _ = t.write(APICRegister.interruptCommandHigh, 0xFF00_0000)
        t.apic.post(vector: 0x44)
        t.apic.taskPriority = 0x30
        #expect(t.apic.writeBase(t.apic.base | APICBase.extended, physicalBits: 40, offersX2APIC: true))
        #expect(t.apic.readMSR(0x802, now: 0) == 0x21)
        #expect(t.apic.readMSR(0x808, now: 0) == 0x30)
        #expect(t.apic.readMSR(0x80D, now: 0) == 0x2_0002)
        #expect(t.apic.readMSR(0x830, now: 0) == 0)
        #expect(t.apic.pendingVector == 0x44)
    }

    @Test func disablingResets() {
        let t = TestAPIC(bootProcessor: false)
        t.apic.post(vector: 0x44)
        #expect(t.apic.writeBase(off, physicalBits: 40, offersX2APIC: true))
        #expect(t.apic.pendingVector == nil)
        #expect(t.apic.writeBase(xapic, physicalBits: 40, offersX2APIC: true))
        #expect(t.read(APICRegister.spurious) == 0xFF)
    }

    /// Which of the 64 MSRs are read and written: the manual's table 11-6.
    @Test func msrsThatThereAre() {
        let readable: Set<UInt32> = Set(
            [0x802, 0x803, 0x808, 0x80A, 0x80D, 0x80F, 0x828, 0x82F, 0x830, 0x838, 0x839, 0x83E]
                + Array(0x810...0x827) + Array(0x832...0x837))
        let writable: Set<UInt32> = Set(
            [0x808, 0x80B, 0x80F, 0x828, 0x82F, 0x830, 0x838, 0x83E] + Array(0x832...0x837))
        for number in UInt32(0x7F0)...0x850 {
            let t = TestAPIC(x2: true)
            #expect((t.apic.readMSR(number, now: 0) != nil) == readable.contains(number), "read \(number)")
            let written = t.apic.writeMSR(number, value: 0, now: 0, tsc: 0) != nil
            #expect(written == (writable.contains(number) || number == 0x83F), "write \(number)")
            #expect(TestAPIC().apic.readMSR(number, now: 0) == nil)
            #expect(TestAPIC().apic.writeMSR(number, value: 0, now: 0, tsc: 0) == nil)
        }
    }

    @Test(
        arguments: [
            (0x808, 0xFF), (0x80B, 0), (0x80F, 0x3FF), (0x828, 0), (0x82F, 0x117FF), (0x832, 0x710FF), (0x835, 0x1F7FF),
            (0x836, 0x1F7FF), (0x837, 0x110FF), (0x838, 0xFFFF_FFFF), (0x83E, 0xB), (0x83F, 0xFF),
            (0x830, 0xFFFF_FFFF_000C_DFFF),
        ] as [(UInt32, UInt64)])
    func reservedBitsFault(_ number: UInt32, _ accepted: UInt64) {
        for bit in UInt64(0)..<64 {
            let t = TestAPIC(x2: true)
            let taken = t.apic.writeMSR(number, value: 1 << bit, now: 0, tsc: 0) != nil
            #expect(taken == (accepted & 1 << bit != 0), "bit \(bit) of \(number)")
        }
    }

    @Test func commandOf64Bits() {
        let t = TestAPIC(x2: true)
        #expect(
            t.apic.writeMSR(0x830, value: 0x1234_5678_0000_4041, now: 0, tsc: 0)
                == .interprocessorInterrupt(
                    InterruptMessage(
                        destination: 0x1234_5678, isWide: true, deliveryMode: .fixed, vector: 0x41)))
        #expect(t.apic.readMSR(0x830, now: 0) == 0x1234_5678_0000_4041)
    }

    @Test func selfIPI() {
        let t = TestAPIC(x2: true)
        #expect(t.apic.writeMSR(0x83F, value: 0x99, now: 0, tsc: 0) == .nothing)
        #expect(t.apic.acknowledge() == 0x99)
        #expect(t.apic.writeMSR(0x80B, value: 0, now: 0, tsc: 0) == .nothing)
        #expect(t.apic.writeMSR(0x83F, value: 5, now: 0, tsc: 0) == .nothing)
        #expect(t.apic.pendingVector == nil)
        _ = t.apic.writeMSR(0x828, value: 0, now: 0, tsc: 0)
        #expect(t.apic.readMSR(0x828, now: 0) == UInt64(APICError.sendIllegalVector))
    }
}
