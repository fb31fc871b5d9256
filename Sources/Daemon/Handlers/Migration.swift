internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// libvirt's third protocol of migration, in both of its forms.
extension HandlerTable {
    mutating func addMigration() {
        addMigrationSource()
        addMigrationDestination()
        addPlainMigration()
        addMigrationLimits()
    }

    // MARK: - With parameters

    private mutating func addMigrationSource() {
        add(Remote.DomainMigrateBegin3Params.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            let (cookie, document) = try call.driver.beginMigration(try call.domain(arguments.dom), request)
            return .init(cookieOut: cookie, xml: document)
        }
        add(Remote.DomainMigratePerform3Params.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            let domain = try call.domain(arguments.dom)
            return .init(
                cookieOut: try HandlerTable.perform(call, domain, request, arguments.cookieIn, arguments.dconnuri))
        }
        add(Remote.DomainMigrateConfirm3Params.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            let domain = try call.domain(arguments.dom)
            try call.driver.confirmMigration(domain, request, cancelled: arguments.cancelled != 0)
        }
    }

    private static func perform(
        _ call: Call, _ domain: Domain, _ request: MigrationRequest, _ cookie: [UInt8], _ destination: String?
    ) throws(LibvirtError) -> [UInt8] {
        if request.has(VirDomainMigrateFlags.peer2peer) {
            guard let destination else {
                throw LibvirtError.invalidArgument("the destination's URI is missing for a peer-to-peer migration")
            }
            try call.driver.migrate(domain, to: destination, request)
            return []
        }
        guard !request.has(VirDomainMigrateFlags.offline) else {
            return try call.driver.finalCookie(domain, request)
        }
        guard let uri = request.uri else {
            throw LibvirtError.internalError("operation not supported: the migration has no URI")
        }
        let way = try call.driver.way(domain, request, to: try MigrationRequest.place(uri))
        try call.driver.performMigration(domain, request, cookie, through: way)
        return try call.driver.finalCookie(domain, request)
    }

    private mutating func addMigrationDestination() {
        add(Remote.DomainMigratePrepare3Params.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            let prepared = try HandlerTable.prepare(call, request, arguments.cookieIn)
            return .init(cookieOut: prepared.cookie, uriOut: prepared.uri)
        }
        add(Remote.DomainMigratePrepareTunnel3Params.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            return .init(cookieOut: try HandlerTable.prepareTunnel(call, request, arguments.cookieIn))
        }
        add(Remote.DomainMigrateFinish3Params.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = try MigrationRequest(arguments.params, flags: arguments.flags)
            let (domain, cookie) = try HandlerTable.finish(
                call, request, arguments.cookieIn, cancelled: arguments.cancelled != 0)
            return .init(dom: domain.reference, cookieOut: cookie)
        }
    }

    /// This host's address as the client, which may be the source, knows it.
    private static func address(_ call: Call) -> String {
        if !call.session.origin.isLocal, let own = call.session.localAddress { return own }
        // Over SSH or from this host: by name, where that means more than this host to itself.
        let name = HostIdentity.hostName
        let addresses = (try? SocketAddress.resolve(host: name, port: "1")) ?? []
        let isReachable = addresses.contains { address in
            let text = address.description
            return !text.hasPrefix("127.") && !text.hasPrefix("[::1]")
        }
        return isReachable ? name : "127.0.0.1"
    }

    private static func prepare(
        _ call: Call, _ request: MigrationRequest, _ cookie: [UInt8]
    ) throws(LibvirtError) -> DomainDriver.Prepared {
        let prepared = try call.driver.prepareMigration(request, cookie, .socket(address: address(call)))
        guard !prepared.isOffline else {
            // There is no second look at it: the end brings nothing but the name.
            let (name, document) = (prepared.domain.name, request.document)
            call.session.state.withLock { state in
                if state.offlineDocuments.count < 64 { state.offlineDocuments[name] = document }
            }
            return prepared
        }
        endWithConnection(call, prepared)
        return prepared
    }

    private static func prepareTunnel(
        _ call: Call, _ request: MigrationRequest, _ cookie: [UInt8]
    ) throws(LibvirtError) -> [UInt8] {
        let prepared = try call.driver.prepareMigration(request, cookie, .tunnel(call.session))
        endWithConnection(call, prepared)
        // Before the answer: the source sends at once when it has that.
        if let tunnel = prepared.tunnel, !call.session.open(tunnel, call.header) { tunnel.abandoned() }
        return prepared.cookie
    }

    /// A machine that waits for its state goes when those go who asked for it.
    private static func endWithConnection(_ call: Call, _ prepared: DomainDriver.Prepared) {
        let isOpen = call.session.state.withLock { state -> Bool in
            guard !state.closed else { return false }
            state.autoDestroy.insert(prepared.domain.uuid)
            return true
        }
        if !isOpen { call.driver.destroyAbandoned(prepared.domain.uuid) }
    }

    private static func finish(
        _ call: Call, _ request: MigrationRequest, _ cookie: [UInt8], cancelled: Bool
    ) throws(LibvirtError) -> (domain: Domain, cookie: [UInt8]) {
        var request = request
        if let name = request.name, request.has(VirDomainMigrateFlags.offline) {
            request.document =
                call.session.state.withLock { $0.offlineDocuments.removeValue(forKey: name) } ?? request.document
        }
        if let name = request.name, let domain = call.driver.list.find(name: name) {
            call.session.state.withLock { _ = $0.autoDestroy.remove(domain.uuid) }
        }
        return try call.driver.finishMigration(request, cookie, cancelled: cancelled)
    }

    // MARK: - Without

    private mutating func addPlainMigration() {
        add(Remote.DomainMigrateBegin3.self, .worker) { (call, arguments) throws(LibvirtError) in
            var request = MigrationRequest(
                flags: arguments.flags, name: arguments.dname, bandwidth: arguments.resource)
            request.document = arguments.xmlin
            let (cookie, document) = try call.driver.beginMigration(try call.domain(arguments.dom), request)
            return .init(cookieOut: cookie, xml: document)
        }
        add(Remote.DomainMigratePrepare3.self, .worker) { (call, arguments) throws(LibvirtError) in
            var request = MigrationRequest(
                flags: arguments.flags, name: arguments.dname, bandwidth: arguments.resource)
            request.document = arguments.domXml
            request.uri = arguments.uriIn
            let prepared = try HandlerTable.prepare(call, request, arguments.cookieIn)
            return .init(cookieOut: prepared.cookie, uriOut: prepared.uri)
        }
        add(Remote.DomainMigratePrepareTunnel3.self, .worker) { (call, arguments) throws(LibvirtError) in
            var request = MigrationRequest(
                flags: arguments.flags, name: arguments.dname, bandwidth: arguments.resource)
            request.document = arguments.domXml
            return .init(cookieOut: try HandlerTable.prepareTunnel(call, request, arguments.cookieIn))
        }
        add(Remote.DomainMigratePerform3.self, .worker) { (call, arguments) throws(LibvirtError) in
            var request = MigrationRequest(
                flags: arguments.flags, name: arguments.dname, bandwidth: arguments.resource)
            request.document = arguments.xmlin
            request.uri = arguments.uri
            let domain = try call.domain(arguments.dom)
            return .init(
                cookieOut: try HandlerTable.perform(call, domain, request, arguments.cookieIn, arguments.dconnuri))
        }
        add(Remote.DomainMigrateFinish3.self, .worker) { (call, arguments) throws(LibvirtError) in
            let request = MigrationRequest(flags: arguments.flags, name: arguments.dname, bandwidth: 0)
            let (domain, cookie) = try HandlerTable.finish(
                call, request, arguments.cookieIn, cancelled: arguments.cancelled != 0)
            return .init(dom: domain.reference, cookieOut: cookie)
        }
        add(Remote.DomainMigrateConfirm3.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let request = MigrationRequest(flags: arguments.flags, name: nil, bandwidth: 0)
            let domain = try call.domain(arguments.dom)
            try call.driver.confirmMigration(domain, request, cancelled: arguments.cancelled != 0)
        }
    }

    // MARK: - Limits

    private mutating func addMigrationLimits() {
        add(Remote.DomainMigrateSetMaxSpeed.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.setMigrationSpeed(
                try call.domain(arguments.dom), arguments.bandwidth,
                ofPostcopy: arguments.flags & VirDomainMigrateMaxSpeedFlags.postcopy != 0)
        }
        add(Remote.DomainMigrateGetMaxSpeed.self, .loop) { (call, arguments) throws(LibvirtError) in
            let speed = try call.domain(arguments.dom).state.withLock { $0.migrationSpeed }
            return .init(bandwidth: speed == 0 ? 8_796_093_022_207 : speed)
        }
        add(Remote.DomainMigrateStartPostCopy.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.startPostcopy(try call.domain(arguments.dom))
        }
        add(Remote.DomainMigrateSetMaxDowntime.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.setMigrationDowntime(try call.domain(arguments.dom), arguments.downtime)
        }
        add(Remote.DomainMigrateGetMaxDowntime.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try call.domain(arguments.dom).running().qmp().execute("query-migrate-parameters")
            return .init(downtime: answer["downtime-limit"]?.uint64Value ?? 300)
        }
        add(Remote.DomainMigrateGetCompressionCache.self, .worker) { (call, arguments) throws(LibvirtError) in
            let answer = try call.domain(arguments.dom).running().qmp().execute("query-migrate-parameters")
            return .init(cacheSize: answer["xbzrle-cache-size"]?.uint64Value ?? 64 << 20)
        }
        add(Remote.DomainMigrateSetCompressionCache.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.domain(arguments.dom).running().qmp().execute(
                "migrate-set-parameters", ["xbzrle-cache-size": .number(arguments.cacheSize)])
        }
    }
}
