/// Names of a domain's states and reasons.
enum DomainText {
    private static let states = [
        "no state", "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended",
    ]

    private static let reasons: [[String]] = [
        ["unknown"],
        [
            "unknown", "booted", "migrated", "restored", "from snapshot", "unpaused", "migration canceled",
            "save canceled", "event wakeup", "crashed", "post-copy", "post-copy failed",
        ],
        ["unknown"],
        [
            "unknown", "user", "migrating", "saving", "dumping", "I/O error", "watchdog", "from snapshot",
            "shutting down", "creating snapshot", "crashed", "starting up", "post-copy", "post-copy failed",
            "api error",
        ],
        ["unknown", "user"],
        [
            "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon",
        ],
        ["unknown", "panicked"],
        ["unknown"],
    ]

    static func name(_ names: [String], _ number: some BinaryInteger, _ other: String = "unknown") -> String {
        number >= 0 && number < names.count ? names[Int(number)] : other
    }

    static func state(_ state: Int32) -> String { name(states, state, "no state") }

    static func reason(_ state: Int32, _ reason: Int32) -> String {
        state >= 0 && state < reasons.count ? name(reasons[Int(state)], reason) : "unknown"
    }
}
