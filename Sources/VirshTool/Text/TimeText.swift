internal import HostOS

/// Times as people read them.
enum TimeText {
    struct Date {
        let year, month, day, hour, minute, second: Int
    }

    /// A time's parts, by the civil calendar.
    static func date(_ seconds: Int64) -> Date {
        var day = seconds / 86400
        var rest = seconds % 86400
        if rest < 0 {
            rest += 86400
            day -= 1
        }
        // Days since 0000-03-01, in eras of 400 years.
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return Date(
            year: Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), month: Int(month),
            day: Int(ofYear - (153 * shiftedMonth + 2) / 5 + 1), hour: Int(rest / 3600), minute: Int(rest / 60 % 60),
            second: Int(rest % 60))
    }

    static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `2026-01-02 03:04:05`, in the host's zone unless `utc`.
    static func dateTime(_ seconds: Int64, utc: Bool = false) -> String {
        let parts = date(utc ? seconds : local(seconds))
        return "\(parts.year)-\(two(parts.month))-\(two(parts.day)) "
            + "\(two(parts.hour)):\(two(parts.minute)):\(two(parts.second))"
    }

    /// `2026.01.02 03:04:05`.
    static func log(_ seconds: Int64) -> String {
        dateTime(seconds).split(separator: "-").joined(separator: ".")
    }

    private static func local(_ seconds: Int64) -> Int64 {
        seconds.addingReportingOverflow(HostFacts.localTimeOffset(at: seconds)).partialValue
    }

    /// `2026-01-02 03:04:05 +0100`.
    static func withZone(_ seconds: Int64) -> String {
        let offset = HostFacts.localTimeOffset(at: seconds) / 60
        let size = Int(abs(offset))
        return "\(dateTime(seconds)) \(offset < 0 ? "-" : "+")\(two(size / 60))\(two(size % 60))"
    }

    /// `2026-01-02 03:04:05.678+0000`, as events are stamped.
    static func stamp(_ nanoseconds: UInt64) -> String {
        let milliseconds = Int(nanoseconds / 1_000_000 % 1000)
        let padded =
            String(repeating: "0", count: milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0) + "\(milliseconds)"
        return "\(dateTime(Int64(nanoseconds / 1_000_000_000), utc: true)).\(padded)+0000"
    }
}
