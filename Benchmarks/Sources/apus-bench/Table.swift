import Foundation

/// The times of a row, a pair of each round in which both machines did the work.
struct Times {
    var peer: [Double] = []
    var apus: [Double] = []
    /// Why a round has no times.
    var trouble: String?

    var ratios: [Double] { zip(peer, apus).map { $0 / $1 } }
}

/// Numbers as the table shows them.
enum Table {
    static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    static func geometricMean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : exp(values.map { log($0) }.reduce(0, +) / Double(values.count))
    }

    static func head() {
        line("", "QEMU s", "Apus s", "ratio", "least", "most", "goal")
    }

    /// Prints a row and returns the median of its ratios.
    @discardableResult
    static func row(_ name: String, _ times: Times, goal: Double) -> Double? {
        let ratio = median(times.ratios)
        let short = ratio.map { $0 < goal ? "  below" : "" } ?? ""
        line(
            name, seconds(median(times.peer)), seconds(median(times.apus)), fixed(ratio), fixed(times.ratios.min()),
            fixed(times.ratios.max()), fixed(goal) + short + (times.trouble.map { "  (\($0))" } ?? ""))
        return ratio
    }

    /// A row of times of one exit, in microseconds.
    static func exit(_ name: String, _ times: Times, goal: Double) {
        let ratio = median(times.ratios)
        let short = ratio.map { $0 < goal ? "  below" : "" } ?? ""
        line(
            name, microseconds(median(times.peer)), microseconds(median(times.apus)), fixed(ratio),
            fixed(times.ratios.min()), fixed(times.ratios.max()), fixed(goal) + short)
    }

    static func mean(_ name: String, _ ratios: [Double], goal: Double) {
        guard ratios.count > 1, let mean = geometricMean(ratios) else { return }
        line("  \(name), geometric mean", "", "", fixed(mean), "", "", fixed(goal) + (mean < goal ? "  below" : ""))
    }

    static func memory(_ name: String, peer: Int?, apus: Int?) {
        let ratio = peer.flatMap { peer in apus.map { Double(peer) / Double($0) } }
        let short = (ratio ?? 1) < 1 ? "  below" : ""
        line(name, mebibytes(peer), mebibytes(apus), fixed(ratio), "", "", fixed(1) + short)
    }

    private static func mebibytes(_ value: Int?) -> String { value.map { "\($0 / 1024) MiB" } ?? "-" }
    private static func microseconds(_ value: Double?) -> String {
        value.map { String(format: "%.2f us", $0 * 1e6) } ?? "-"
    }
    private static func seconds(_ value: Double?) -> String { value.map { String(format: "%.3f", $0) } ?? "-" }
    private static func fixed(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "-" }

    private static func line(_ name: String, _ cells: String...) {
        func left(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let widths = [9, 9, 8, 8, 8]
        var text = name.padding(toLength: max(32, name.count), withPad: " ", startingAt: 0)
        for (cell, width) in zip(cells, widths) { text += left(cell, width) }
        print(text + "    " + (cells.last ?? ""))
        fflush(nil)
    }
}
