internal import LibvirtClient
internal import RPCWire

/// Moving a domain to another host.
extension Run {
    private static func flags(_ c: Call) -> UInt32 {
        typealias Flags = VirDomainMigrateFlags
        return c.bits(
            ("live", Flags.live), ("p2p", Flags.peer2peer), ("tunnelled", Flags.tunnelled),
            ("persistent", Flags.persistDest), ("undefinesource", Flags.undefineSource), ("suspend", Flags.paused),
            ("copy-storage-all", Flags.nonSharedDisk), ("copy-storage-inc", Flags.nonSharedInc),
            ("copy-storage-synchronous-writes", Flags.nonSharedSynchronousWrites),
            ("change-protection", Flags.changeProtection), ("unsafe", Flags.unsafe), ("offline", Flags.offline),
            ("compressed", Flags.compressed), ("abort-on-error", Flags.abortOnError), ("postcopy", Flags.postcopy),
            ("postcopy-resume", Flags.postcopyResume), ("tls", Flags.tls), ("parallel", Flags.parallel))
            | c.bits(
                ("auto-converge", Flags.autoConverge), ("rdma-pin-all", Flags.rdmaPinAll), ("zerocopy", Flags.zerocopy))
    }

    private static func parameters(_ c: Call) throws -> [RemoteTypedParam] {
        var params: [RemoteTypedParam] = []
        for (option, field) in [
            ("migrateuri", "migrate_uri"), ("graphicsuri", "graphics_uri"), ("listen-address", "listen_address"),
            ("dname", "destination_name"), ("disks-uri", "disks_uri"), ("tls-destination", "tls.destination"),
        ] {
            if let value = c[option] { params.append(RemoteTypedParam(field: field, value: .string(value))) }
        }
        if let path = c["xml"] {
            params.append(RemoteTypedParam(field: "destination_xml", value: .string(try c.file(path))))
        }
        if let path = c["persistent-xml"] {
            params.append(RemoteTypedParam(field: "persistent_xml", value: .string(try c.file(path))))
        }
        for disk in (c["migrate-disks"] ?? "").split(separator: ",") {
            params.append(RemoteTypedParam(field: "migrate_disks", value: .string(String(disk))))
        }
        for method in (c["comp-methods"] ?? "").split(separator: ",") {
            params.append(RemoteTypedParam(field: "compression", value: .string(String(method))))
        }
        for (option, field) in [
            ("disks-port", "disks_port"), ("comp-mt-level", "compression.mt.level"),
            ("comp-mt-threads", "compression.mt.threads"), ("comp-mt-dthreads", "compression.mt.dthreads"),
            ("auto-converge-initial", "auto_converge.initial"), ("auto-converge-increment", "auto_converge.increment"),
            ("parallel-connections", "parallel.connections"),
        ] {
            if let value = try c.number(option, Int32.self) {
                params.append(RemoteTypedParam(field: field, value: .int(value)))
            }
        }
        for (option, field) in [
            ("comp-xbzrle-cache", "compression.xbzrle.cache"), ("bandwidth", "bandwidth"),
            ("postcopy-bandwidth", "bandwidth.postcopy"),
        ] {
            if let value = try c.number(option, UInt64.self) {
                params.append(RemoteTypedParam(field: field, value: .ulong(value)))
            }
        }
        return params
    }

    static func migrate(_ c: Call) throws {
        for pair in [("live", "offline"), ("timeout-suspend", "timeout-postcopy")] { try c.exclusive(pair.0, pair.1) }
        try c.requires("postcopy-after-precopy", "postcopy")
        try c.requires("timeout-postcopy", "postcopy")
        try c.requires("persistent-xml", "persistent")
        try c.requires("tls-destination", "tls")
        let domain = try c.domain()
        let destination = try c.text("desturi")
        let flags = flags(c)
        let params = try parameters(c)
        if flags & VirDomainMigrateFlags.peer2peer != 0 || c.has("direct") {
            let cookie: [UInt8] = []
            let hurry = try Hurry(c, domain)
            try JobProgress.run(
                c, domain, "Migration", Remote.DomainMigratePerform3Params.self,
                .init(
                    dom: domain, dconnuri: c.has("direct") ? nil : destination, params: params, cookieIn: cookie,
                    flags: flags), meanwhile: hurry.look)
            return
        }
        var options = LibvirtConnection.Options()
        options.keepaliveInterval = c.shell.settings.keepaliveInterval
        let other = try LibvirtConnection.open(destination, options, ask: c.shell.answer)
        defer { other.close() }
        try managed(c, domain, to: other, flags, params)
    }

    /// The five steps of version 3, of which this end carries the cookies.
    private static func managed(
        _ c: Call, _ domain: RemoteDomain, to other: LibvirtConnection, _ flags: UInt32, _ params: [RemoteTypedParam]
    ) throws {
        let client = try c.client
        guard client.supports(VirDriverFeature.migrationParams), other.supports(VirDriverFeature.migrationParams) else {
            throw CommandFailure(
                "Migration APIs with extensible parameters are not supported but extended parameters were passed")
        }
        let begun = try client.call(
            Remote.DomainMigrateBegin3Params.self, .init(dom: domain, params: params, flags: flags))
        var offered = params.filter { $0.field != "destination_xml" }
        offered.append(RemoteTypedParam(field: "destination_xml", value: .string(begun.xml)))
        let prepared: Remote.DomainMigratePrepare3Params.Result
        do {
            prepared = try other.call(
                Remote.DomainMigratePrepare3Params.self,
                .init(params: offered, cookieIn: begun.cookieOut, flags: flags))
        } catch {
            // The source stops waiting.
            _ = try? client.call(
                Remote.DomainMigrateConfirm3Params.self,
                .init(dom: domain, params: params, cookieIn: [], flags: flags, cancelled: 1))
            throw error
        }
        var way = params
        if let uri = prepared.uriOut {
            way.removeAll { $0.field == "migrate_uri" }
            way.append(RemoteTypedParam(field: "migrate_uri", value: .string(uri)))
        }
        var failure: (any Error)?
        var cookie: [UInt8] = []
        if flags & VirDomainMigrateFlags.offline != 0 {
            cookie = prepared.cookieOut
        } else {
            do {
                let serial = try client.begin(
                    Remote.DomainMigratePerform3Params.self,
                    .init(dom: domain, dconnuri: nil, params: way, cookieIn: prepared.cookieOut, flags: flags))
                let interrupts = Interrupts()
                let hurry = try Hurry(c, domain)
                while try !client.isAnswered(serial, within: 500) {
                    if interrupts.came { _ = try? client.call(Remote.DomainAbortJob.self, .init(dom: domain)) }
                    hurry.look()
                    _ = try? other.receiveNow()
                    guard c.has("verbose"),
                        let info = try? client.call(Remote.DomainGetJobInfo.self, .init(dom: domain)),
                        info.dataTotal > 0
                    else { continue }
                    JobProgress.show(c, "Migration", info.dataRemaining, info.dataTotal)
                }
                cookie = try client.answer(Remote.DomainMigratePerform3Params.self, to: serial).cookieOut
            } catch {
                failure = error
            }
        }
        let name = c["dname"] ?? domain.name
        var last = params.filter { $0.field != "destination_name" }
        last.append(RemoteTypedParam(field: "destination_name", value: .string(name)))
        var finished: [UInt8] = []
        do {
            finished = try other.call(
                Remote.DomainMigrateFinish3Params.self,
                .init(params: last, cookieIn: cookie, flags: flags, cancelled: failure == nil ? 0 : 1)
            ).cookieOut
        } catch {
            failure = failure ?? error
        }
        do {
            try client.call(
                Remote.DomainMigrateConfirm3Params.self,
                .init(dom: domain, params: params, cookieIn: finished, flags: flags, cancelled: failure == nil ? 0 : 1))
        } catch {
            failure = failure ?? error
        }
        if let failure { throw failure }
        if c.has("verbose") { JobProgress.show(c, "Migration", 0, 1) }
    }

    static func migrateSetmaxdowntime(_ c: Call) throws {
        let domain = try c.domain()
        guard let time = try c.number("downtime", UInt64.self), time > 0 else {
            throw CommandFailure("migrate: Invalid downtime")
        }
        try c.ask(Remote.DomainMigrateSetMaxDowntime.self, .init(dom: domain, downtime: time, flags: 0))
    }

    static func migrateGetmaxdowntime(_ c: Call) throws {
        let time = try c.ask(Remote.DomainMigrateGetMaxDowntime.self, .init(dom: try c.domain(), flags: 0)).downtime
        c.out("\(time)\n")
    }

    static func migrateCompcache(_ c: Call) throws {
        let domain = try c.domain()
        if let size = try c.scaled("size", scale: 1) {
            try c.ask(
                Remote.DomainMigrateSetCompressionCache.self, .init(dom: domain, cacheSize: size, flags: 0))
        }
        let size = try c.ask(Remote.DomainMigrateGetCompressionCache.self, .init(dom: domain, flags: 0)).cacheSize
        let pretty = NumberText.pretty(size)
        c.out("Compression cache: \(NumberText.fixed(pretty.value, 3)) \(pretty.unit)")
    }

    static func migrateSetspeed(_ c: Call) throws {
        let domain = try c.domain()
        let speed = try c.number("bandwidth", UInt64.self) ?? 0
        let flags: UInt32 = c.has("postcopy") ? VirDomainMigrateMaxSpeedFlags.postcopy : 0
        try c.ask(Remote.DomainMigrateSetMaxSpeed.self, .init(dom: domain, bandwidth: speed, flags: flags))
    }

    static func migrateGetspeed(_ c: Call) throws {
        let flags: UInt32 = c.has("postcopy") ? VirDomainMigrateMaxSpeedFlags.postcopy : 0
        let speed = try c.ask(Remote.DomainMigrateGetMaxSpeed.self, .init(dom: try c.domain(), flags: flags)).bandwidth
        c.out("\(speed)\n")
    }

    static func migratePostcopy(_ c: Call) throws {
        try c.ask(Remote.DomainMigrateStartPostCopy.self, .init(dom: try c.domain(), flags: 0))
    }
}
