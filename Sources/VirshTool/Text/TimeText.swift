internal import HostOS

/// Times as people read them.
enum TimeText {
    static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `2026-01-02 03:04:05`, in the host's zone unless `utc`.
    static func dateTime(_ seconds: Int64, utc: Bool = false) -> String {
        let time = CivilTime(seconds: utc ? seconds : local(seconds))
        return "\(time.date) \(time.clock)"
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
