internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Waiting for events, and printing them as they come.
enum EventWait {
    /// - Parameter text: what to print of an event; nil: not one of ours.
    static func run(
        _ c: Call, register: () throws -> [Int32], deregister: (Int32) -> Void,
        text: (LibvirtConnection.Event) -> String?
    ) throws {
        let client = try c.client
        let timeout = try c.number("timeout", Int64.self) ?? 0
        if c.has("timeout"), timeout < 1 {
            throw CommandFailure(
                "Numeric value '\(c["timeout"] ?? "")' for <timeout> option is malformed or out of range")
        }
        let interrupts = Interrupts()
        let callbacks = try register()
        defer { for id in callbacks { deregister(id) } }
        let deadline = timeout > 0 ? HostClock.monotonic + UInt64(min(timeout, 1 << 30)) * 1_000_000_000 : UInt64.max
        var count = 0
        loop: while true {
            c.shell.flush()
            while let event = try client.nextEvent(within: 0) {
                guard let line = text(event) else { continue }
                count += 1
                c.out((c.has("timestamp") ? TimeText.stamp(HostClock.realtime) + ": " : "") + line)
                if !c.has("loop") { break loop }
            }
            let now = HostClock.monotonic
            if now >= deadline {
                c.out("event loop timed out\n")
                break
            }
            let rest = deadline == UInt64.max ? Int32(-1) : Int32(clamping: (deadline - now) / 1_000_000 + 1)
            let descriptors = [client.descriptor] + (interrupts.descriptor.map { [$0] } ?? [])
            let ready = Waiting.forAny(descriptors, milliseconds: rest)
            if ready.count > 1, ready[1], interrupts.came {
                c.out("event loop interrupted\n")
                break
            }
        }
        c.out("events received: \(count)\n")
        if count == 0 { throw CommandFailure() }
    }

    /// The numbers of the kinds that were asked for, among their names.
    static func kinds(_ c: Call, _ names: [String], hasAll: Bool = false) throws -> [Int] {
        if c.has("list") {
            for name in names { c.out("\(name)\n") }
            return []
        }
        guard let wanted = c["event"] else {
            if hasAll, c.has("all") { return Array(names.indices) }
            throw CommandFailure(
                hasAll
                    ? "one of --list, --all, or --event <type> is required"
                    : "either --list or --event <type> is required")
        }
        guard let place = names.firstIndex(of: wanted) else { throw CommandFailure("unknown event type \(wanted)") }
        return [place]
    }
}

extension Run {
    static func event(_ c: Call) throws {
        let kinds = try EventWait.kinds(c, DomainEventText.names, hasAll: true)
        if kinds.isEmpty { return }
        let domain = try c.has("domain") ? c.domain() : nil
        let client = try c.client
        try EventWait.run(
            c,
            register: {
                var ids: [Int32] = []
                for kind in kinds {
                    do {
                        ids.append(
                            try client.call(
                                Remote.ConnectDomainEventCallbackRegisterAny.self,
                                .init(eventID: Int32(kind), dom: domain)
                            ).callbackID)
                    } catch {
                        // Of all kinds an older daemon has some less.
                        if kinds.count == 1 { throw error }
                    }
                }
                return ids
            },
            deregister: { id in
                _ = try? client.call(Remote.ConnectDomainEventCallbackDeregisterAny.self, .init(callbackID: id))
            }, text: DomainEventText.line)
    }

    static func netEvent(_ c: Call) throws {
        guard try !EventWait.kinds(c, ["lifecycle"]).isEmpty else { return }
        let network = try c.has("network") ? c.network() : nil
        let client = try c.client
        try EventWait.run(
            c,
            register: {
                [
                    try client.call(Remote.ConnectNetworkEventRegisterAny.self, .init(eventID: 0, net: network))
                        .callbackID
                ]
            },
            deregister: { _ = try? client.call(Remote.ConnectNetworkEventDeregisterAny.self, .init(callbackID: $0)) },
            text: { event in
                guard let body = event.body(Remote.NetworkEventLifecycle.self) else { return nil }
                let words = DomainText.name(["Defined", "Undefined", "Started", "Stopped"], body.event)
                return "event 'lifecycle' for network \(body.net.name): \(words)\n"
            })
    }

    static func poolEvent(_ c: Call) throws {
        guard let kind = try EventWait.kinds(c, ["lifecycle", "refresh"]).first else { return }
        let pool = try c.has("pool") ? c.pool() : nil
        let client = try c.client
        try EventWait.run(
            c,
            register: {
                [
                    try client.call(
                        Remote.ConnectStoragePoolEventRegisterAny.self, .init(eventID: Int32(kind), pool: pool)
                    ).callbackID
                ]
            },
            deregister: {
                _ = try? client.call(Remote.ConnectStoragePoolEventDeregisterAny.self, .init(callbackID: $0))
            },
            text: { event in
                if let body = event.body(Remote.StoragePoolEventLifecycle.self) {
                    let names = ["Defined", "Undefined", "Started", "Stopped", "Created", "Deleted"]
                    return
                        "event 'lifecycle' for storage pool \(body.pool.name): \(DomainText.name(names, body.event))\n"
                }
                return event.body(Remote.StoragePoolEventRefresh.self).map {
                    "event 'refresh' for storage pool \($0.pool.name)\n"
                }
            })
    }

    static func nodedevEvent(_ c: Call) throws {
        guard let kind = try EventWait.kinds(c, ["lifecycle", "update"]).first else { return }
        let device = try c.has("device") ? c.nodeDevice() : nil
        let client = try c.client
        try EventWait.run(
            c,
            register: {
                [
                    try client.call(
                        Remote.ConnectNodeDeviceEventRegisterAny.self, .init(eventID: Int32(kind), dev: device)
                    ).callbackID
                ]
            },
            deregister: {
                _ = try? client.call(Remote.ConnectNodeDeviceEventDeregisterAny.self, .init(callbackID: $0))
            },
            text: { event in
                if let body = event.body(Remote.NodeDeviceEventLifecycle.self) {
                    let names = ["Created", "Deleted", "Defined", "Undefined"]
                    return "event 'lifecycle' for node device \(body.dev.name): \(DomainText.name(names, body.event))\n"
                }
                return event.body(Remote.NodeDeviceEventUpdate.self).map {
                    "event 'update' for node device \($0.dev.name)\n"
                }
            })
    }

    static func secretEvent(_ c: Call) throws {
        guard let kind = try EventWait.kinds(c, ["lifecycle", "value-changed"]).first else { return }
        let secret = try c.has("secret") ? c.secret() : nil
        let client = try c.client
        try EventWait.run(
            c,
            register: {
                [
                    try client.call(
                        Remote.ConnectSecretEventRegisterAny.self, .init(eventID: Int32(kind), secret: secret)
                    ).callbackID
                ]
            },
            deregister: { _ = try? client.call(Remote.ConnectSecretEventDeregisterAny.self, .init(callbackID: $0)) },
            text: { event in
                if let body = event.body(Remote.SecretEventLifecycle.self) {
                    return
                        "event 'lifecycle' for secret \(body.secret.uuid): \(DomainText.name(["Defined", "Undefined"], body.event))\n"
                }
                return event.body(Remote.SecretEventValueChanged.self).map {
                    "event 'value-changed' for secret \($0.secret.uuid)\n"
                }
            })
    }

    static func qemuMonitorEvent(_ c: Call) throws {
        let flags = c.bits(
            ("regex", VirConnectDomainQemuMonitorEventRegisterFlags.regex),
            ("no-case", VirConnectDomainQemuMonitorEventRegisterFlags.nocase))
        let domain = try c.has("domain") ? c.domain() : nil
        let client = try c.client
        let pretty = c.has("pretty")
        try EventWait.run(
            c,
            register: {
                [
                    try client.call(
                        RemoteQEMU.ConnectDomainMonitorEventRegister.self,
                        .init(dom: domain, event: c["event"], flags: flags)
                    ).callbackID
                ]
            },
            deregister: {
                _ = try? client.call(RemoteQEMU.ConnectDomainMonitorEventDeregister.self, .init(callbackID: $0))
            },
            text: { event in
                guard let body = event.body(RemoteQEMU.DomainMonitorEvent.self) else { return nil }
                let micros = String(body.micros)
                let padded = String(repeating: "0", count: max(0, 6 - micros.utf8.count)) + micros
                var details = body.details ?? ""
                if pretty, !details.isEmpty { details = (try? prettyJSON(details)) ?? details }
                return "event \(body.event) for domain '\(body.dom.name)' at \(body.seconds).\(padded): \(details)\n"
            })
    }
}
