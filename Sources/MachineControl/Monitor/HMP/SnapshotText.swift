internal import HostOS
internal import Machine

/// The table of snapshots, in the columns that QEMU's tools print.
enum SnapshotText {
    static func row(_ cells: [String]) -> String {
        func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
            let space = String(repeating: " ", count: max(0, width - text.count))
            return left ? text + space : space + text
        }
        return pad(cells[0], 9, left: true) + " " + pad(cells[1], 16, left: true) + " " + pad(cells[2], 8)
            + pad(cells[3], 20) + pad(cells[4], 13) + pad(cells[5], 11) + "\n"
    }

    /// Size, date and the guest's clock.
    static func columns(_ snapshot: SnapshotInformation) -> [String] {
        [size(snapshot.stateSize), date(snapshot.seconds), clock(snapshot.guestClock)]
    }

    private static func two(_ value: UInt64) -> String { (value < 10 ? "0" : "") + String(value) }

    /// Three digits that count, with a binary unit.
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var unit = 0
        var value = Double(bytes)
        while value >= 1000, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let scale = digits == 0 ? 1.0 : digits == 1 ? 10.0 : 100.0
        let scaled = UInt64((value * scale).rounded())
        let whole = scaled / UInt64(scale)
        var fraction = digits == 0 ? "" : String(scaled % UInt64(scale))
        while fraction.count < digits { fraction = "0" + fraction }
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole)\(fraction.isEmpty ? "" : "." + fraction) \(units[unit])"
    }

    private static func date(_ seconds: UInt32) -> String {
        let local = Int64(seconds) + HostFacts.localTimeOffset(at: Int64(seconds))
        let (days, rest) = (local / 86400, UInt64(local % 86400))
        // Days to a date of the Gregorian calendar, by eras of 400 years.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
        return "\(year)-\(two(UInt64(calendarMonth)))-\(two(UInt64(day))) "
            + "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
    }

    private static func clock(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        var fraction = String(nanoseconds / 1_000_000 % 1000)
        while fraction.count < 3 { fraction = "0" + fraction }
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fraction)"
    }
}
