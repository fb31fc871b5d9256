/// A date and time of day of the proleptic Gregorian calendar.
struct CivilTime: Equatable, Sendable {
    var year: Int64
    var month: Int64
    var day: Int64
    var hour: Int64
    var minute: Int64
    var second: Int64

    /// The moment `seconds` after the start of 1970.
    init(seconds: Int64) {
        var days = seconds / 86_400
        var rest = seconds % 86_400
        if rest < 0 {
            rest += 86_400
            days -= 1
        }
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        // Years that begin in March have the odd day last; 400 of them are a whole number of days.
        let shifted = days + 719_468
        let cycle = shifted >= 0 ? shifted / 146_097 : (shifted - 146_096) / 146_097
        let dayOfCycle = shifted - cycle * 146_097
        let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0)
    }

    init(year: Int64, month: Int64, day: Int64, hour: Int64 = 0, minute: Int64 = 0, second: Int64 = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// Seconds since the start of 1970. Fields out of range run over into the next; a month is held to 1 to 12.
    var seconds: Int64 {
        let month = min(max(self.month, 1), 12)
        let marchYear = month <= 2 ? year - 1 : year
        let cycle = marchYear >= 0 ? marchYear / 400 : (marchYear - 399) / 400
        let yearOfCycle = marchYear - cycle * 400
        let marchMonth = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
        let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
        let days = cycle * 146_097 + dayOfCycle - 719_468
        return days * 86_400 + hour * 3600 + minute * 60 + second
    }

    /// 1 for Sunday to 7 for Saturday, as the clock chip counts.
    static func weekday(seconds: Int64) -> Int64 {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let weekday = (days + 4) % 7
        return (weekday < 0 ? weekday + 7 : weekday) + 1
    }
}

/// What the guest's clock shows when the machine starts: `-rtc base=`.
public enum RTCBase: Equatable, Sendable {
    /// Coordinated universal time.
    case utc
    /// The host's local time.
    case localtime
    /// A fixed moment, in seconds since the start of 1970 as the guest's clock shows it.
    case date(Int64)

    /// Reads `utc`, `localtime`, `2006-06-17T16:01:21` or `2006-06-17`.
    public init?(_ text: String) {
        switch text {
        case "utc": self = .utc
        case "localtime": self = .localtime
        default:
            guard let seconds = RTCBase.seconds(Array(text.utf8)) else { return nil }
            self = .date(seconds)
        }
    }

    private static func seconds(_ text: [UInt8]) -> Int64? {
        guard text.count == 10 || text.count == 19 else { return nil }
        let pattern = Array("0000-00-00T00:00:00".utf8.prefix(text.count))
        for (character, model) in zip(text, pattern) {
            guard model == 0x30 ? 0x30...0x39 ~= character : character == model else { return nil }
        }
        func number(_ start: Int, _ count: Int) -> Int64 {
            text[start..<start + count].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        let hasTime = text.count == 19
        let time = CivilTime(
            year: number(0, 4), month: number(5, 2), day: number(8, 2), hour: hasTime ? number(11, 2) : 0,
            minute: hasTime ? number(14, 2) : 0, second: hasTime ? number(17, 2) : 0)
        // Refuses the 31st of June and the like: they do not come back as they went in.
        return CivilTime(seconds: time.seconds) == time ? time.seconds : nil
    }

    /// Seconds to add to the wall clock `wallClock` (nanoseconds since 1970) for the guest's clock, where the host's
    /// local time is `localOffset` seconds ahead of UTC.
    func offset(wallClock: UInt64, localOffset: Int64) -> Int64 {
        switch self {
        case .utc: 0
        case .localtime: min(max(localOffset, -86_400), 86_400)
        case .date(let seconds): seconds - Int64(wallClock / 1_000_000_000)
        }
    }
}
