internal import LibvirtClient
internal import RPCWire

/// Events of domains in words.
enum DomainEventText {
    /// By their number (`virDomainEventID`).
    static let names = [
        "lifecycle", "reboot", "rtc-change", "watchdog", "io-error", "graphics", "io-error-reason", "control-error",
        "block-job", "disk-change", "tray-change", "pm-wakeup", "pm-suspend", "balloon-change", "pm-suspend-disk",
        "device-removed", "block-job-2", "tunable", "agent-lifecycle", "device-added", "migration-iteration",
        "job-completed", "device-removal-failed", "metadata-change", "block-threshold", "memory-failure",
        "memory-device-size-change",
    ]

    private static let changes = [
        "Defined", "Undefined", "Started", "Suspended", "Resumed", "Stopped", "Shutdown", "PMSuspended", "Crashed",
    ]
    private static let details: [[String]] = [
        ["Added", "Updated", "Renamed", "Snapshot"],
        ["Removed", "Renamed"],
        ["Booted", "Migrated", "Restored", "Snapshot", "Event wakeup"],
        [
            "Paused", "Migrated", "I/O Error", "Watchdog", "Restored", "Snapshot", "API error", "Post-copy",
            "Post-copy Error",
        ],
        ["Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error"],
        ["Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed", "Snapshot"],
        ["Finished", "Finished after guest request", "Finished after host request"],
        ["Memory", "Disk"],
        ["Panicked", "Crashloaded"],
    ]
    private static let actions = ["none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"]
    private static let errorActions = ["none", "pause", "report"]
    private static let jobs = [
        "Unknown job", "Block Pull", "Block Copy", "Block Commit", "Active Block Commit", "Backup",
    ]
    private static let ends = ["completed", "failed", "canceled", "ready"]

    private static func line(_ kind: Int, _ domain: RemoteDomain, _ rest: String = "") -> String {
        "event '\(names[kind])' for domain '\(domain.name)'\(rest)\n"
    }

    /// What to print of an event; nil for one of another kind.
    static func line(_ event: LibvirtConnection.Event) -> String? {
        guard event.program == RPCProgram.remote.rawValue else { return nil }
        return plain(event) ?? devices(event) ?? rest(event)
    }

    private static func plain(_ event: LibvirtConnection.Event) -> String? {
        if let body = event.body(Remote.DomainEventCallbackLifecycle.self) {
            let known = body.event >= 0 && body.event < details.count
            let detail = known ? DomainText.name(details[Int(body.event)], body.detail) : "unknown"
            return line(0, body.dom, ": \(DomainText.name(changes, body.event)) \(detail)")
        }
        if let body = event.body(Remote.DomainEventCallbackReboot.self) { return line(1, body.dom) }
        if let body = event.body(Remote.DomainEventCallbackRTCChange.self) {
            return line(2, body.dom, ": \(body.offset)")
        }
        if let body = event.body(Remote.DomainEventCallbackWatchdog.self) {
            return line(3, body.dom, ": \(DomainText.name(actions, body.action))")
        }
        if let body = event.body(Remote.DomainEventCallbackIOError.self) {
            return line(
                4, body.dom, ": \(body.srcPath) (\(body.devAlias)) \(DomainText.name(errorActions, body.action))")
        }
        if let body = event.body(Remote.DomainEventCallbackGraphics.self) { return graphics(body) }
        if let body = event.body(Remote.DomainEventCallbackIOErrorReason.self) {
            let action = DomainText.name(errorActions, body.action)
            return line(6, body.dom, ": \(body.srcPath) (\(body.devAlias)) \(action) due to \(body.reason)")
        }
        if let body = event.body(Remote.DomainEventCallbackControlError.self) { return line(7, body.dom) }
        if let body = event.body(Remote.DomainEventCallbackPMWakeup.self) { return line(11, body.dom) }
        if let body = event.body(Remote.DomainEventCallbackPMSuspend.self) { return line(12, body.dom) }
        if let body = event.body(Remote.DomainEventCallbackPMSuspendDisk.self) { return line(14, body.dom) }
        return nil
    }

    private static func graphics(_ body: Remote.DomainEventCallbackGraphics.Body) -> String {
        func place(_ address: RemoteDomainEventGraphicsAddress) -> String {
            let family = DomainText.name(["IPv4", "IPv6", "unix"], address.family)
            return "[\(family) \(address.node) \(address.service)]"
        }
        let phase = DomainText.name(["connect", "initialize", "disconnect"], body.phase)
        let head = line(
            5, body.dom, ": \(phase) local\(place(body.local)) remote\(place(body.remote)) \(body.authScheme)")
        return head + body.subject.map { "\t\($0.type)=\($0.name)\n" }.joined()
    }

    private static func devices(_ event: LibvirtConnection.Event) -> String? {
        if let body = event.body(Remote.DomainEventCallbackBlockJob.self) {
            return line(
                8, body.dom,
                ": \(DomainText.name(jobs, body.type)) for \(body.path) \(DomainText.name(ends, body.status))")
        }
        if let body = event.body(Remote.DomainEventBlockJob2.self) {
            return line(
                16, body.dom,
                ": \(DomainText.name(jobs, body.type)) for \(body.dst) \(DomainText.name(ends, body.status))")
        }
        if let body = event.body(Remote.DomainEventCallbackDiskChange.self) {
            let reason = DomainText.name(["changed", "dropped"], body.reason)
            return line(
                9, body.dom, " disk \(body.devAlias): \(body.oldSrcPath ?? "") -> \(body.newSrcPath ?? ""): \(reason)")
        }
        if let body = event.body(Remote.DomainEventCallbackTrayChange.self) {
            return line(10, body.dom, " disk \(body.devAlias): \(DomainText.name(["opened", "closed"], body.reason))")
        }
        if let body = event.body(Remote.DomainEventCallbackBalloonChange.self) {
            return line(13, body.dom, ": \(body.actual)KiB")
        }
        if let body = event.body(Remote.DomainEventCallbackDeviceRemoved.self) {
            return line(15, body.dom, ": \(body.devAlias)")
        }
        if let body = event.body(Remote.DomainEventCallbackDeviceAdded.self) {
            return line(19, body.dom, ": \(body.devAlias)")
        }
        if let body = event.body(Remote.DomainEventCallbackDeviceRemovalFailed.self) {
            return line(22, body.dom, ": \(body.devAlias)")
        }
        if let body = event.body(Remote.DomainEventBlockThreshold.self) {
            return line(24, body.dom, ": dev: \(body.dev)(\(body.path ?? "")) \(body.threshold) \(body.excess)")
        }
        return nil
    }

    private static func rest(_ event: LibvirtConnection.Event) -> String? {
        func params(_ list: [RemoteTypedParam]) -> String {
            ":\n" + list.map { "\t\($0.field): \(ParameterText.value($0.value))" }.joined(separator: "\n")
        }
        if let body = event.body(Remote.DomainEventCallbackTunable.self) {
            return line(17, body.dom, params(body.params))
        }
        if let body = event.body(Remote.DomainEventCallbackJobCompleted.self) {
            return line(21, body.dom, params(body.params))
        }
        if let body = event.body(Remote.DomainEventCallbackAgentLifecycle.self) {
            let state = DomainText.name(["unknown", "connected", "disconnected"], body.state)
            let reason = DomainText.name(["unknown", "domain started", "channel event"], body.reason)
            return line(18, body.dom, ": state: '\(state)' reason: '\(reason)'")
        }
        if let body = event.body(Remote.DomainEventCallbackMigrationIteration.self) {
            return line(20, body.dom, ": iteration: '\(body.iteration)'")
        }
        if let body = event.body(Remote.DomainEventCallbackMetadataChange.self) {
            let type = DomainText.name(["description", "title", "element"], body.type)
            return line(23, body.dom, ": type \(type), uri \(body.nsuri ?? "N/A")")
        }
        if let body = event.body(Remote.DomainEventMemoryFailure.self) {
            let recipient = DomainText.name(["hypervisor", "guest"], body.recipient)
            let action = DomainText.name(["ignore", "inject", "fatal", "reset"], body.action)
            return line(
                25, body.dom,
                ":\nrecipient: \(recipient)\naction: \(action)\nflags:\n\taction required: \(body.flags & 1)\n\trecursive: \(body.flags >> 1 & 1)"
            )
        }
        if let body = event.body(Remote.DomainEventMemoryDeviceSizeChange.self) {
            return line(26, body.dom, ":\nalias: \(body.alias)\nsize: \(body.size)")
        }
        return nil
    }
}
