extension BlockJob {
    /// What a job can be told while it lives, in QMP's words.
    public enum Verb: String, Sendable, CaseIterable {
        case cancel, pause, resume, complete, finalize, dismiss
        case setSpeed = "set-speed"

        /// Where in its life a job takes it (QEMU's `qapi/job.json`, `JobVerb`).
        var states: Set<Status> {
            switch self {
            case .cancel: [.created, .running, .paused, .ready, .standby, .waiting, .pending]
            case .pause, .resume, .setSpeed: [.created, .running, .paused, .ready, .standby]
            case .complete: [.ready, .standby]
            case .finalize: [.pending]
            case .dismiss: [.concluded]
            }
        }
    }

    /// Why a job does not take a verb now; nil: it does. It may go on before it is told.
    public func refusal(of verb: Verb) -> String? {
        let status = progress.status
        guard !verb.states.contains(status) else { return nil }
        return "Job '\(id)' in state '\(status.rawValue)' cannot accept command verb '\(verb.rawValue)'"
    }
}
