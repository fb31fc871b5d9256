import LocalAPIC
import TestSupport
import Testing

@Suite struct RegisterTests {
    @Test func powerOnValues() {
        let t = TestAPIC(id: 5, bootProcessor: false, enabled: false)
        #expect(t.read(APICRegister.id) == 5 << 24)
        #expect(t.read(APICRegister.version) == 0x60014)
        #expect(t.read(APICRegister.spurious) == 0xFF)
        #expect(t.read(APICRegister.destinationFormat) == 0xFFFF_FFFF)
        #expect(t.read(APICRegister.logicalDestination) == 0)
        for offset in stride(from: APICRegister.lvtTimer, through: APICRegister.lvtError, by: 16) {
            #expect(t.read(offset) == 0x10000)
        }
        #expect(t.read(APICRegister.lvtCMCI) == 0x10000)
        #expect(t.apic.base == 0xFEE0_0800)
        #expect(TestAPIC().apic.base == 0xFEE0_0900)
    }

    @Test func bootProcessorPassesThe8259A() {
        #expect(TestAPIC(enabled: false).apic.acceptsExternalInterrupt)
        #expect(!TestAPIC(bootProcessor: false).apic.acceptsExternalInterrupt)
    }

    /// Written with all ones and with zero, each register shows the bits that it has.
    @Test(
        arguments: [
            (APICRegister.id, 0xFF00_0000, 0), (APICRegister.version, 0x60014, 0x60014), (APICRegister.taskPriority, 0xFF, 0),
            (APICRegister.processorPriority, 0, 0), (APICRegister.logicalDestination, 0xFF00_0000, 0),
            (APICRegister.destinationFormat, 0xFFFF_FFFF, 0x0FFF_FFFF), (APICRegister.lvtCMCI, 0x107FF, 0),
            (APICRegister.interruptCommandHigh, 0xFF00_0000, 0), (APICRegister.lvtTimer, 0x700FF, 0),
            (0x330, 0x107FF, 0), (0x340, 0x107FF, 0), (0x350, 0x1A7FF, 0), (0x360, 0x1A7FF, 0),
            (APICRegister.lvtError, 0x100FF, 0), (APICRegister.timerInitial, 0xFFFF_FFFF, 0),
            (APICRegister.timerDivide, 0xB, 0), (APICRegister.endOfInterrupt, 0, 0), (0x100, 0, 0), (0x1F0, 0, 0),
            (0x270, 0, 0), (APICRegister.interruptCommandLow, 0xCCFFF, 0),
        ] as [(UInt32, UInt32, UInt32)])
    func writableBits(_ offset: UInt32, _ ones: UInt32, _ zeros: UInt32) {
        let t = TestAPIC()
        _ = t.write(offset, 0xFFFF_FFFF)
        #expect(t.read(offset) == ones)
        _ = t.write(offset, 0)
        #expect(t.read(offset) == zeros)
    }

    @Test func disabledBySoftwareMasksEntries() {
        let t = TestAPIC()
        _ = t.write(APICRegister.lvtTimer, 0x40)
        #expect(t.read(APICRegister.lvtTimer) == 0x40)
        _ = t.write(APICRegister.spurious, 0xFF)
        #expect(t.read(APICRegister.lvtTimer) == 0x10040)
        _ = t.write(APICRegister.lvtTimer, 0x41)
        #expect(t.read(APICRegister.lvtTimer) == 0x10041)
    }

    @Test func absentRegistersAreErrors() {
        for offset in [0x000, 0x010, 0x040, 0x290, 0x2E0, 0x3A0, 0x3F0, 0x400, 0xFF0, 0x081] as [UInt32] {
            let t = TestAPIC()
            #expect(t.read(offset) == 0)
            #expect(t.errors == APICError.illegalRegister, "read of \(offset)")
            #expect(t.write(offset, 1) == .nothing)
            #expect(t.errors == APICError.illegalRegister, "write of \(offset)")
        }
    }

    @Test func errorRegisterShowsWhatWasCollectedBeforeTheWrite() {
        let t = TestAPIC()
        _ = t.read(0x290)
        #expect(t.read(APICRegister.errorStatus) == 0)
        _ = t.write(APICRegister.errorStatus, 0)
        #expect(t.read(APICRegister.errorStatus) == APICError.illegalRegister)
        _ = t.write(APICRegister.errorStatus, 0)
        #expect(t.read(APICRegister.errorStatus) == 0)
    }

    @Test func errorInterruptOncePerError() {
        let t = TestAPIC()
        _ = t.write(APICRegister.lvtError, 0xFE)
        _ = t.read(0x290)
        #expect(t.apic.acknowledge() == 0xFE)
        _ = t.write(APICRegister.endOfInterrupt, 0)
        _ = t.read(0x290)
        #expect(t.apic.pendingVector == nil)
        _ = t.write(APICRegister.errorStatus, 0)
        _ = t.read(0x290)
        #expect(t.apic.pendingVector == 0xFE)
    }

    @Test func errorInterruptWithIllegalVectorIsOneMoreError() {
        let t = TestAPIC()
        _ = t.write(APICRegister.lvtError, 3)
        _ = t.read(0x290)
        #expect(t.apic.pendingVector == nil)
        #expect(t.errors == APICError.illegalRegister | APICError.receiveIllegalVector)
    }

    @Test func initKeepsIdentityAndMode() {
        let t = TestAPIC(id: 3, bootProcessor: false, x2: true)
        t.apic.post(vector: 0x40)
        t.apic.taskPriority = 0x20
        t.apic.initReset()
        #expect(t.apic.mode == .x2APIC)
        #expect(t.apic.id == 3)
        #expect(t.apic.taskPriority == 0)
        #expect(t.apic.readMSR(0x80F, now: 0) == 0xFF)
        #expect(t.apic.readMSR(0x822, now: 0) == 0)
    }

    @Test func cr8IsTheClassOfTheTaskPriority() {
        let t = TestAPIC()
        _ = t.write(APICRegister.taskPriority, 0x5A)
        #expect(t.apic.cr8 == 5)
        t.apic.cr8 = 9
        #expect(t.read(APICRegister.taskPriority) == 0x90)
    }

    @Test func randomPokesNeverTrap() {
        var random = SplitMix64(state: 1)
        let t = TestAPIC()
        var effects = 0
        for step in 0..<FuzzRounds.times(200_000) {
            let value = UInt32(truncatingIfNeeded: random.next())
            let now = random.next() >> UInt64(step % 64)
            let tsc = random.next() >> UInt64(step % 64)
            switch random.next() % 12 {
            case 0: t.apic.post(vector: UInt8(truncatingIfNeeded: value), levelTriggered: value & 256 != 0)
            case 1: _ = t.apic.advanceTimer(nowNanoseconds: now, guestTSC: tsc)
            case 2: _ = t.apic.acknowledge()
            case 3: _ = t.read(value & 0xFFF, now: now)
            case 4: _ = t.apic.readMSR(0x800 &+ value & 0x7F, now: now)
            case 5: _ = t.apic.writeMSR(0x800 &+ value & 0x7F, value: now & tsc, now: now, tsc: tsc)
            case 6: _ = t.apic.writeTSCDeadline(tsc)
            case 7 where step % 64 == 0:
                _ = t.apic.writeBase(now & tsc, physicalBits: 40, offersX2APIC: true)
            case 8 where step % 512 == 0:
                t.scramble(&random)
                t.apic.sanitize()
            case 9: _ = t.apic.nextDeadline
            case 10: _ = t.write(APICRegister.spurious, value | 0x100)
            default: if t.write(value & 0xFF0, value, now: now, tsc: tsc) != .nothing { effects += 1 }
            }
            #expect(t.apic.pendingVector.map { $0 >= 16 } ?? true)
        }
        #expect(effects > 0)
    }

    @Test func sanitizedStateHasNoReservedBits() {
        var random = SplitMix64(state: 7)
        for _ in 0..<1000 {
            let t = TestAPIC()
            t.scramble(&random)
            t.apic.sanitize()
            #expect(t.apic.base & 0x2FF == 0 && t.apic.base >> 52 == 0)
            #expect(t.apic.base & APICBase.extended == 0 || t.apic.base & APICBase.enable != 0)
            for offset in [0x100, 0x180, 0x200] as [UInt32] {
                guard t.apic.mode != .x2APIC else { break }
                #expect(t.read(offset) & 0xFFFF == 0)
            }
            _ = t.apic.advanceTimer(nowNanoseconds: random.next(), guestTSC: random.next())
            #expect(t.apic.taskPriority == UInt8(truncatingIfNeeded: t.apic.cr8 << 4) | t.apic.taskPriority & 15)
        }
    }
}
