import DeviceModel
import HostOS
import Machine
import Synchronization
import Testing

struct ClockTests {
    @Test func timeStandsStillWhileStopped() throws {
        let clock = MachineClock(loop: try EventLoop())

        #expect(clock.now == 0)
        clock.start()
        while clock.now < 2_000_000 {}
        clock.stop()
        let stopped = clock.now
        let wait = HostClock.monotonic + 3_000_000
        while HostClock.monotonic < wait {}

        #expect(clock.now == stopped)
        clock.start()
        #expect(clock.now < stopped + 2_000_000)
        #expect(clock.now >= stopped)
    }

    @Test func timersFireOnTheLoopAndOnlyWhileTimeGoes() throws {
        let loop = try EventLoop()
        let clock = MachineClock(loop: loop)
        let fired = Mutex<[String]>([])
        let early = clock.makeTimer { fired.withLock { $0.append("early") } }
        let late = clock.makeTimer {
            fired.withLock { $0.append("late") }
            loop.stop()
        }
        let never = clock.makeTimer { fired.withLock { $0.append("never") } }

        late.arm(at: 3_000_000)
        early.arm(at: 0)
        never.arm(at: 1_000_000)
        never.cancel()
        loop.turn(wait: false)
        #expect(fired.withLock { $0 } == [])
        clock.start()
        loop.run()

        #expect(fired.withLock { $0 } == ["early", "late"])
        #expect(clock.now >= 3_000_000)
    }

    @Test func deadlineBeyondTheEndOfTimeIsHarmless() throws {
        let loop = try EventLoop()
        let clock = MachineClock(loop: loop)
        let timer = clock.makeTimer { Issue.record("fired") }

        clock.start()
        timer.arm(at: UInt64.max)
        loop.turn(wait: false)
    }
}
