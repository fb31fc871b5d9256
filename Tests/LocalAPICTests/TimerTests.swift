import LocalAPIC
import Testing

@Suite struct TimerTests {
    private let oneShot: UInt32 = 0x40
    private let periodic: UInt32 = 0x20040
    private let deadline: UInt32 = 0x40040

    private func timer(_ entry: UInt32, divide: UInt32 = 0xB) -> TestAPIC {
        let t = TestAPIC()
        _ = t.write(APICRegister.timerDivide, divide)
        _ = t.write(APICRegister.lvtTimer, entry)
        return t
    }

    @Test func oneShotFiresOnce() {
        let t = timer(oneShot)
        #expect(t.apic.nextDeadline == nil)
        #expect(t.write(APICRegister.timerInitial, 1000, now: 500) == .timerChanged)
        #expect(t.apic.nextDeadline == .nanoseconds(1500))
        #expect(t.read(APICRegister.timerCurrent, now: 500) == 1000)
        #expect(t.read(APICRegister.timerCurrent, now: 1499) == 1)
        #expect(t.read(APICRegister.timerCurrent, now: 1500) == 0)
        #expect(!t.apic.advanceTimer(nowNanoseconds: 1499, guestTSC: 0))
        #expect(t.apic.advanceTimer(nowNanoseconds: 1500, guestTSC: 0))
        #expect(t.apic.acknowledge() == 0x40)
        #expect(t.apic.nextDeadline == nil)
        #expect(!t.apic.advanceTimer(nowNanoseconds: 9999, guestTSC: 0))
    }

    @Test(arguments: zip([0, 1, 2, 3, 8, 9, 10, 11] as [UInt32], [2, 4, 8, 16, 32, 64, 128, 1] as [UInt64]))
    func dividers(_ code: UInt32, _ divider: UInt64) {
        let t = timer(oneShot, divide: code)
        _ = t.write(APICRegister.timerInitial, 100, now: 0)
        #expect(t.apic.nextDeadline == .nanoseconds(100 * divider))
        #expect(t.read(APICRegister.timerCurrent, now: 30 * divider) == 70)
    }

    @Test func largestCount() {
        let t = timer(oneShot, divide: 10)
        _ = t.write(APICRegister.timerInitial, 0xFFFF_FFFF, now: UInt64.max - 5)
        #expect(t.apic.nextDeadline == .nanoseconds(UInt64.max))
        _ = t.write(APICRegister.timerInitial, 0xFFFF_FFFF, now: 0)
        #expect(t.read(APICRegister.timerCurrent, now: 0) == 0xFFFF_FFFF)
    }

    @Test func newDividerKeepsTheCount() {
        let t = timer(oneShot)
        _ = t.write(APICRegister.timerInitial, 1000, now: 0)
        _ = t.write(APICRegister.timerDivide, 0, now: 400)
        #expect(t.read(APICRegister.timerCurrent, now: 400) == 600)
        #expect(t.apic.nextDeadline == .nanoseconds(1600))
        _ = t.write(APICRegister.timerDivide, 0xB, now: 1700)
        #expect(t.apic.advanceTimer(nowNanoseconds: 1700, guestTSC: 0))
    }

    @Test func periodicKeepsItsGridAndDoesNotFlood() {
        let t = timer(periodic)
        _ = t.write(APICRegister.timerInitial, 100, now: 0)
        #expect(t.apic.advanceTimer(nowNanoseconds: 105, guestTSC: 0))
        #expect(t.apic.nextDeadline == .nanoseconds(200))
        _ = t.apic.acknowledge()
        _ = t.write(APICRegister.endOfInterrupt, 0)
        #expect(t.read(APICRegister.timerCurrent, now: 1_000_030) == 70)
        #expect(t.apic.advanceTimer(nowNanoseconds: 1_000_030, guestTSC: 0))
        #expect(t.apic.nextDeadline == .nanoseconds(1_000_100))
        #expect(!t.apic.advanceTimer(nowNanoseconds: 1_000_030, guestTSC: 0))
        #expect(t.read(APICRegister.timerCurrent, now: 1_000_030) == 70)
        #expect(t.read(APICRegister.timerCurrent, now: 1_000_100) == 100)
    }

    @Test func zeroStops() {
        let t = timer(periodic)
        _ = t.write(APICRegister.timerInitial, 100, now: 0)
        _ = t.write(APICRegister.timerInitial, 0, now: 50)
        #expect(t.apic.nextDeadline == nil)
        #expect(!t.apic.advanceTimer(nowNanoseconds: 1000, guestTSC: 0))
    }

    @Test func maskedTimerCountsInSilence() {
        let t = timer(oneShot | 0x10000)
        _ = t.write(APICRegister.timerInitial, 100, now: 0)
        #expect(t.apic.nextDeadline == nil)
        #expect(t.read(APICRegister.timerCurrent, now: 40) == 60)
        _ = t.write(APICRegister.lvtTimer, oneShot, now: 150)
        #expect(!t.apic.advanceTimer(nowNanoseconds: 200, guestTSC: 0))
        _ = t.write(APICRegister.timerInitial, 100, now: 200)
        _ = t.write(APICRegister.lvtTimer, oneShot | 0x10000, now: 210)
        _ = t.write(APICRegister.lvtTimer, oneShot, now: 220)
        #expect(t.apic.advanceTimer(nowNanoseconds: 300, guestTSC: 0))
    }

    @Test func illegalVectorIsAnError() {
        let t = timer(0x0F)
        _ = t.write(APICRegister.timerInitial, 100, now: 0)
        #expect(!t.apic.advanceTimer(nowNanoseconds: 100, guestTSC: 0))
        #expect(t.errors == APICError.receiveIllegalVector)
    }

    @Test func tscDeadline() {
        let t = timer(deadline)
        #expect(t.apic.writeTSCDeadline(5000) == .timerChanged)
        #expect(t.apic.nextDeadline == .guestTSC(5000))
        #expect(t.apic.readTSCDeadline(tsc: 4999) == 5000)
        #expect(!t.apic.advanceTimer(nowNanoseconds: UInt64.max, guestTSC: 4999))
        #expect(t.apic.advanceTimer(nowNanoseconds: 0, guestTSC: 5000))
        #expect(t.apic.readTSCDeadline(tsc: 0) == 0)
        #expect(t.apic.nextDeadline == nil)
        #expect(t.apic.acknowledge() == 0x40)
    }

    @Test func tscDeadlineDisarmsAndIgnores() {
        let t = timer(deadline)
        _ = t.apic.writeTSCDeadline(5000)
        _ = t.apic.writeTSCDeadline(0)
        #expect(t.apic.nextDeadline == nil)
        _ = t.write(APICRegister.timerInitial, 100)
        #expect(t.read(APICRegister.timerInitial) == 0)
        #expect(t.read(APICRegister.timerCurrent) == 0)
        _ = t.apic.writeTSCDeadline(5000)
        _ = t.write(APICRegister.lvtTimer, oneShot)
        #expect(t.apic.readTSCDeadline(tsc: 0) == 0)
        #expect(t.apic.writeTSCDeadline(5000) == .nothing)
        #expect(t.apic.nextDeadline == nil)
    }
}
