internal import HostOS

/// `-p`: how far a long work is, on one line. Without it, each SIGUSR1 is answered by a line on the standard error at the
/// next step, as in QEMU's `qemu-progress.c`.
final class Progress {
    private let session: Session
    private let isOn: Bool
    /// Whoever asks meanwhile; nobody can where the host has no descriptors left.
    private let questions: SignalDescriptor?
    private let step: Double
    private var shown = -1.0
    private var hasEnded = false

    /// Every `step` hundredths something is shown; from the start on, or from the first step on.
    init(_ session: Session, isOn: Bool, step: Double = 1, showsStart: Bool = true) {
        self.session = session
        self.isOn = isOn
        self.step = step
        questions = isOn ? nil : try? SignalDescriptor([Signals.user1])
        if showsStart { show(0) }
    }

    deinit { end(isDone: false) }

    /// Shows a fraction of 1, if it differs enough from the last.
    func show(_ fraction: Double) {
        let percent = min(100, max(0, fraction * 100))
        guard shown < 0 || percent - shown > step || (percent >= 100 && shown < 100) else { return }
        shown = percent
        guard isOn else {
            if questions?.next() != nil { session.console.putError(Formatting.c("    (%3.2f/100%%)", percent)) }
            return
        }
        session.put(Formatting.c("    (%3.2f/100%%)\r", percent))
        session.console.flush()
    }

    /// Ends the line, at all of it unless the work has ended early.
    func end(isDone: Bool = true) {
        guard isOn, !hasEnded else { return }
        hasEnded = true
        if isDone { show(1) }
        session.put("\n")
    }
}
