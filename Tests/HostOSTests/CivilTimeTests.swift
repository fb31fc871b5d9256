import HostOS
import Testing

@Suite struct CivilTimeTests {
    @Test(arguments: [
        (0, "1970-01-01", "00:00:00"), (951_782_400, "2000-02-29", "00:00:00"), (1_150_560_081, "2006-06-17", "16:01:21"),
        (-1, "1969-12-31", "23:59:59"), (4_107_542_399, "2100-02-28", "23:59:59"), (4_107_542_400, "2100-03-01", "00:00:00"),
    ] as [(Int64, String, String)])
    func momentsAreDates(seconds: Int64, date: String, clock: String) {
        let time = CivilTime(seconds: seconds)
        #expect(time.date == date && time.clock == clock)
        #expect(time.seconds == seconds)
    }

    @Test func everyDayOfEightHundredYearsComesBack() {
        var before = CivilTime(seconds: -86_400 * 366 * 400)
        for day in Int64(-366 * 400 + 1)...366 * 400 {
            let time = CivilTime(seconds: day * 86_400)
            #expect(time.seconds == day * 86_400)
            let follows =
                time.day == before.day + 1 && time.month == before.month
                || time.day == 1 && (time.month == before.month + 1 || time.month == 1 && time.year == before.year + 1)
            #expect(follows, "\(before.date), then \(time.date)")
            before = time
        }
    }

    @Test func textsAreRead() {
        #expect(CivilTime("1970-01-02")?.seconds == 86_400)
        #expect(CivilTime("2006-06-17T16:01:21")?.seconds == 1_150_560_081)
        #expect(CivilTime("2006-6-7T1:2:3")?.seconds == CivilTime("2006-06-07T01:02:03")?.seconds)
        #expect(CivilTime("2006-06-31")?.seconds == CivilTime("2006-07-01")?.seconds)
        for bad in [
            "", "T", "2006-13-01", "2006-00-01", "2006-06-17 16:01:21", "2006-06-17T24:00:00", "x006-06-17", "1969-12-31",
            "2006-06", "2006-06-17T", "2006-06-17T1:2", "+2006-06-17", "2006-06--7", "99999999999999999999-01-01",
        ] { #expect(CivilTime(bad) == nil, "\(bad)") }
    }
}
