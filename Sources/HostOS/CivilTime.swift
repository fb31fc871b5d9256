/// A date and time of day of the proleptic Gregorian calendar.
public struct CivilTime: Equatable, Sendable {
    public var year: Int64
    public var month: Int64
    public var day: Int64
    public var hour: Int64
    public var minute: Int64
    public var second: Int64

    /// The moment `seconds` after the start of 1970.
    public init(seconds: Int64) {
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

    /// A moment by its parts.
    public init(year: Int64, month: Int64, day: Int64, hour: Int64 = 0, minute: Int64 = 0, second: Int64 = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// Seconds since the start of 1970. Fields out of range run over into the next; a month is held to 1 to 12.
    public var seconds: Int64 {
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
    public static func weekday(seconds: Int64) -> Int64 {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let weekday = (days + 4) % 7
        return (weekday < 0 ? weekday + 7 : weekday) + 1
    }

    /// Reads `2006-06-17T16:01:21` or `2006-06-17`, from 1970 on; nil for what is neither. Parts need no leading zeros, as
    /// `sscanf` takes them; a 31st of June is the 1st of July.
    public init?(_ text: String) {
        func numbers(_ text: Substring, _ separator: Character, _ ranges: [ClosedRange<Int64>]) -> [Int64]? {
            let words = text.split(separator: separator, omittingEmptySubsequences: false)
            guard words.count == ranges.count else { return nil }
            let values = zip(words, ranges).compactMap { word, range in
                word.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    ? Int64(word).flatMap { range.contains($0) ? $0 : nil } : nil
            }
            return values.count == ranges.count ? values : nil
        }
        let parts = text.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        guard let date = numbers(parts[0], "-", [1970...9999, 1...12, 1...31]),
            let time = parts.count > 1 ? numbers(parts[1], ":", [0...23, 0...59, 0...60]) : [0, 0, 0]
        else { return nil }
        self.init(year: date[0], month: date[1], day: date[2], hour: time[0], minute: time[1], second: time[2])
    }

    /// `2006-06-17`; years of fewer than four digits as they are.
    public var date: String { "\(year)-\(Self.two(month))-\(Self.two(day))" }
    /// `16:01:21`.
    public var clock: String { "\(Self.two(hour)):\(Self.two(minute)):\(Self.two(second))" }

    private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
