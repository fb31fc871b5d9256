internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Long work on disks.
extension Run {
    /// Bandwidth in MiB/s, or in bytes/s with `--bytes`.
    private static func bandwidth(_ c: Call) throws -> UInt64 {
        guard let text = c["bandwidth"] else { return 0 }
        if c.has("bytes") { return try c.scaled("bandwidth", scale: 1) ?? 0 }
        guard let value = NumberText.integer(text).flatMap({ UInt64(exactly: $0) }) else {
            // A size with a unit is in bytes, of which MiB are made.
            guard let bytes = NumberText.scaled(text, 1 << 20) else {
                throw CommandFailure(
                    "Scaled numeric value '\(text)' for <bandwidth> option is malformed or out of range")
            }
            return bytes >> 20
        }
        return value
    }

    static func blockpull(_ c: Call) throws {
        let wait = try waits(c)
        let domain = try c.domain()
        let path = try c.text("path")
        let speed = try bandwidth(c)
        let base = c["base"]
        var flags: UInt32 = c.has("keep-relative") ? VirDomainBlockRebaseFlags.relative : 0
        let begin = {
            if base != nil || flags != 0 {
                if c.has("bytes") { flags |= VirDomainBlockRebaseFlags.bandwidthBytes }
                try c.ask(
                    Remote.DomainBlockRebase.self,
                    .init(dom: domain, path: path, base: base, bandwidth: speed, flags: flags))
            } else {
                if c.has("bytes") { flags |= VirDomainBlockPullFlags.bandwidthBytes }
                try c.ask(
                    Remote.DomainBlockPull.self, .init(dom: domain, path: path, bandwidth: speed, flags: flags))
            }
        }
        guard wait else {
            try begin()
            return c.say("Block Pull started")
        }
        switch try BlockJobWait.run(c, domain, path, "Block Pull", begin) {
        case .canceled: c.say("\nPull aborted")
        case .failed(let text): throw CommandFailure(text.map { "\nPull failed: \($0)" } ?? "\nPull failed")
        case .ready, .completed: c.say("\nPull complete")
        }
    }

    private static func waits(_ c: Call) throws -> Bool {
        for pair in [("pivot", "keep-overlay"), ("pivot", "finish")] { try c.exclusive(pair.0, pair.1) }
        if c.has("async") || c.has("timeout") || c.has("verbose"), !c.has("wait"), !c.has("pivot"), !c.has("finish"),
            !c.has("keep-overlay")
        {
            let option = c.has("async") ? "async" : c.has("timeout") ? "timeout" : "verbose"
            throw CommandFailure("Option --wait is required by option --\(option)")
        }
        return c.has("wait") || c.has("pivot") || c.has("finish") || c.has("keep-overlay")
    }

    static func blockcommit(_ c: Call) throws {
        try c.exclusive("base", "shallow")
        let wait = try waits(c)
        let active = c.has("active") || c.has("pivot") || c.has("keep-overlay")
        let domain = try c.domain()
        let path = try c.text("path")
        let speed = try bandwidth(c)
        typealias Flags = VirDomainBlockCommitFlags
        var flags = c.bits(
            ("shallow", Flags.shallow), ("delete", Flags.delete), ("keep-relative", Flags.relative),
            ("bytes", Flags.bandwidthBytes))
        if active { flags |= Flags.active }
        let begin = {
            _ = try c.ask(
                Remote.DomainBlockCommit.self,
                .init(dom: domain, disk: path, base: c["base"], top: c["top"], bandwidth: speed, flags: flags))
        }
        guard wait else {
            try begin()
            return c.say(active ? "Active Block Commit started" : "Block Commit started")
        }
        switch try BlockJobWait.run(c, domain, path, "Block commit", begin) {
        case .canceled: c.say("\nCommit aborted")
        case .failed(let text): throw CommandFailure(text.map { "\nCommit failed: \($0)" } ?? "\nCommit failed")
        case .completed: c.say("\nCommit complete, overlay image kept")
        case .ready:
            try endReady(c, domain, path, pivots: c.has("pivot"), keeps: c.has("keep-overlay"))
            c.say(
                c.has("pivot")
                    ? "\nSuccessfully pivoted"
                    : c.has("keep-overlay") ? "\nCommit complete, overlay image kept" : "\nNow in synchronized phase")
        }
    }

    private static func endReady(
        _ c: Call, _ domain: RemoteDomain, _ path: String, pivots: Bool, keeps: Bool
    ) throws {
        guard pivots || keeps else { return }
        let flags: UInt32 =
            pivots ? VirDomainBlockJobAbortFlags.pivot : c.has("async") ? VirDomainBlockJobAbortFlags.async : 0
        try failing(pivots ? "failed to pivot job for disk \(path)" : "failed to finish job for disk \(path)") {
            try c.ask(Remote.DomainBlockJobAbort.self, .init(dom: domain, path: path, flags: flags))
        }
    }

    static func blockcopy(_ c: Call) throws {
        for pair in [("dest", "xml"), ("format", "xml"), ("blockdev", "xml")] { try c.exclusive(pair.0, pair.1) }
        let wait = try waits(c)
        let domain = try c.domain()
        let path = try c.text("path")
        guard c.has("dest") || c.has("xml") else { throw CommandFailure("need either --dest or --xml") }
        var xml: String
        if let file = c["xml"] {
            xml = try c.file(file)
        } else {
            var disk = XMLText("disk", [("type", c.has("blockdev") ? "block" : "file")])
            disk.add("source", [(c.has("blockdev") ? "dev" : "file", absolute(c["dest"] ?? ""))])
            if let format = c["format"] { disk.add("driver", [("type", format)]) }
            xml = disk.written()
        }
        if c.has("print-xml") { return c.out(xml) }
        var params: [RemoteTypedParam] = []
        let speed = try bandwidth(c)
        if speed > 0 {
            params.append(RemoteTypedParam(field: "bandwidth", value: .ulong(c.has("bytes") ? speed : speed << 20)))
        }
        if let value = try c.number("granularity", UInt32.self) {
            params.append(RemoteTypedParam(field: "granularity", value: .uint(value)))
        }
        if let value = try c.scaled("buf-size", scale: 1) {
            params.append(RemoteTypedParam(field: "buf-size", value: .ulong(value)))
        }
        typealias Flags = VirDomainBlockCopyFlags
        let flags = c.bits(
            ("shallow", Flags.shallow), ("reuse-external", Flags.reuseExt), ("transient-job", Flags.transientJob),
            ("synchronous-writes", Flags.synchronousWrites))
        let begin = {
            _ = try c.ask(
                Remote.DomainBlockCopy.self, .init(dom: domain, path: path, destxml: xml, params: params, flags: flags))
        }
        guard wait else {
            try begin()
            return c.say("Block Copy started")
        }
        switch try BlockJobWait.run(c, domain, path, "Block Copy", begin) {
        case .canceled: c.say("\nCopy aborted")
        case .failed(let text): throw CommandFailure(text.map { "\nCopy failed: \($0)" } ?? "\nCopy failed")
        case .completed: throw CommandFailure("\nCopy failed")
        case .ready:
            try endReady(c, domain, path, pivots: c.has("pivot"), keeps: c.has("finish"))
            c.say(
                c.has("pivot")
                    ? "\nSuccessfully pivoted" : c.has("finish") ? "\nSuccessfully copied" : "\nNow in mirroring phase")
        }
    }

    static func blockjob(_ c: Call) throws {
        for pair in [
            ("abort", "info"), ("abort", "bandwidth"), ("pivot", "info"), ("async", "info"), ("info", "bandwidth"),
            ("raw", "bandwidth"),
        ] {
            try c.exclusive(pair.0, pair.1)
        }
        let domain = try c.domain()
        let path = try c.text("path")
        if c.has("abort") || c.has("pivot") || c.has("async") {
            let flags = c.bits(
                ("pivot", VirDomainBlockJobAbortFlags.pivot), ("async", VirDomainBlockJobAbortFlags.async))
            try c.ask(Remote.DomainBlockJobAbort.self, .init(dom: domain, path: path, flags: flags))
            return
        }
        if c.has("bandwidth") {
            let flags: UInt32 = c.has("bytes") ? VirDomainBlockJobSetSpeedFlags.bandwidthBytes : 0
            try c.ask(
                Remote.DomainBlockJobSetSpeed.self,
                .init(dom: domain, path: path, bandwidth: try bandwidth(c), flags: flags))
            return
        }
        let flags: UInt32 = c.has("bytes") || !c.has("raw") ? VirDomainBlockJobInfoFlags.bandwidthBytes : 0
        let info = try c.ask(Remote.DomainGetBlockJobInfo.self, .init(dom: domain, path: path, flags: flags))
        guard info.found > 0 else {
            if c.has("raw") { return }
            return c.say("No current block job for \(path)")
        }
        if c.has("raw") {
            c.out(
                " type=\(["Unknown job", "Block Pull", "Block Copy", "Block Commit", "Active Block Commit", "Backup"][Int(max(0, min(info.type, 5)))])\n"
            )
            c.out(" bandwidth=\(info.bandwidth)\n cur=\(info.cur)\n end=\(info.end)\n")
            return
        }
        let names = ["Unknown job", "Block Pull", "Block Copy", "Block Commit", "Active Block Commit", "Backup"]
        c.out(
            "\(DomainText.name(names, info.type, "Unknown job")): [\(NumberText.right("\(BlockJobWait.percent(info))", 3)) %]"
        )
        if info.bandwidth != 0 {
            if c.has("bytes") {
                c.out("    Bandwidth limit: \(info.bandwidth) bytes/s")
            } else {
                let pretty = NumberText.pretty(info.bandwidth)
                c.out(
                    "    Bandwidth limit: \(info.bandwidth) bytes/s (\(NumberText.fixed(pretty.value, 3)) \(pretty.unit)/s)"
                )
            }
        }
        c.out("\n")
    }
}

/// Waiting for the end of a job on a disk, by its events and by asking.
enum BlockJobWait {
    enum End {
        case completed, canceled, ready
        case failed(String?)
    }

    static func percent(_ info: Remote.DomainGetBlockJobInfo.Result) -> Int {
        if info.end == 0 { return 0 }
        if info.cur >= info.end { return 100 }
        return min(99, Int(Double(info.cur) * 100 / Double(info.end)))
    }

    /// Begins a job and waits until it has ended or is ready to be ended.
    static func run(
        _ c: Call, _ domain: RemoteDomain, _ path: String, _ label: String, _ begin: () throws -> Void
    ) throws -> End {
        let client = try c.client
        // Of the disk's path and of its target: which of them the daemon names is its choice.
        let callbacks = [VirDomainEventID.blockJob, VirDomainEventID.blockJob2].compactMap { id in
            try? client.call(Remote.ConnectDomainEventCallbackRegisterAny.self, .init(eventID: id, dom: domain))
                .callbackID
        }
        defer {
            for id in callbacks {
                _ = try? client.call(Remote.ConnectDomainEventCallbackDeregisterAny.self, .init(callbackID: id))
            }
        }
        let interrupts = Interrupts()
        let timeout = try c.number("timeout", UInt64.self) ?? 0
        let deadline = timeout > 0 ? HostClock.monotonic + timeout * 1_000_000_000 : UInt64.max
        try begin()
        while true {
            if let event = try client.nextEvent(within: 500) {
                if let status = status(event, path) { return end(c, label, status) }
                continue
            }
            let info = try client.call(Remote.DomainGetBlockJobInfo.self, .init(dom: domain, path: path, flags: 0))
            if info.found == 0 {
                // The event says how it ended; without one it ended well.
                let last = try client.nextEvent(within: 1000).flatMap { status($0, path) }
                return end(c, label, last ?? VirConnectDomainEventBlockJobStatus.completed)
            }
            if c.has("verbose") { JobProgress.show(c, label, info.end &- min(info.cur, info.end), max(1, info.end)) }
            if interrupts.came || HostClock.monotonic >= deadline {
                let flags: UInt32 = c.has("async") ? VirDomainBlockJobAbortFlags.async : 0
                try client.call(Remote.DomainBlockJobAbort.self, .init(dom: domain, path: path, flags: flags))
                return .canceled
            }
        }
    }

    private static func status(_ event: LibvirtConnection.Event, _ path: String) -> Int32? {
        if let body = event.body(Remote.DomainEventBlockJob2.self) { return body.dst == path ? body.status : nil }
        if let body = event.body(Remote.DomainEventCallbackBlockJob.self) {
            return body.path == path ? body.status : nil
        }
        return nil
    }

    private static func end(_ c: Call, _ label: String, _ status: Int32) -> End {
        switch status {
        case VirConnectDomainEventBlockJobStatus.completed:
            if c.has("verbose") { JobProgress.show(c, label, 0, 1) }
            return .completed
        case VirConnectDomainEventBlockJobStatus.ready:
            if c.has("verbose") { JobProgress.show(c, label, 0, 1) }
            return .ready
        case VirConnectDomainEventBlockJobStatus.canceled: return .canceled
        default: return .failed(nil)
        }
    }
}
