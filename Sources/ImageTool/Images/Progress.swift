/// `-p`: how far a long work is, on one line.
final class Progress {
    private let session: Session
    private let isOn: Bool
    private var shown = -1.0

    init(_ session: Session, isOn: Bool) {
        self.session = session
        self.isOn = isOn
        show(0)
    }

    /// Shows a fraction of 1, if it differs enough from the last.
    func show(_ fraction: Double) {
        guard isOn else { return }
        let percent = min(100, max(0, fraction * 100))
        guard shown < 0 || percent - shown >= 1 || (percent >= 100 && shown < 100) else { return }
        shown = percent
        session.put(Formatting.c("    (%3.2f/100%%)\r", percent))
        session.console.flush()
    }

    /// Ends the line.
    func end() {
        guard isOn else { return }
        show(1)
        session.put("\n")
    }
}
