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
        let time = CivilTime(seconds: local)
        return "\(time.date) \(time.clock)"
    }

    private static func clock(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        var fraction = String(nanoseconds / 1_000_000 % 1000)
        while fraction.count < 3 { fraction = "0" + fraction }
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fraction)"
    }
}
