import Display
import Testing

@Suite struct LookPaceTests {
    @Test func picturesThatStandStillAreLookedAtLessOften() {
        var pace = LookPace()
        var (now, waits): (UInt64, [UInt64]) = (1_000_000_000, [])
        for _ in 0..<15 {
            pace.looked(now: now, hasSent: false)
            waits.append((pace.next - now) / 1_000_000)
            now = pace.next
        }
        #expect(waits == [20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100, 100, 100, 100, 100])
        pace.looked(now: now, hasSent: true)
        #expect(pace.next == now + LookPace.shortest)
    }

    @Test func whoDoesSomethingIsLookedAtSoon() {
        var pace = LookPace()
        for _ in 0..<5 { pace.looked(now: 7, hasSent: false) }
        pace.hurry()
        #expect(pace.next == 7 + LookPace.shortest)
    }
}
