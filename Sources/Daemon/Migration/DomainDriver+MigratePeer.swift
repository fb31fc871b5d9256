internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// Migration without a client in the middle: this daemon does all the steps, with the other as its server.
extension DomainDriver {
    private typealias Flags = VirDomainMigrateFlags

    func migrate(_ domain: Domain, to uri: String, _ wanted: MigrationRequest) throws(LibvirtError) {
        var request = wanted
        try request.check()
        let peer = try PeerDaemon(uri)
        guard try peer.supports(VirDriverFeature.migrationV3), try peer.supports(VirDriverFeature.migrationParams)
        else {
            throw LibvirtError.operationFailed(
                "Destination libvirt does not support the migration protocol with parameters")
        }
        if domain.state.withLock({ $0.state == VirDomainState.paused }) { request.flags |= Flags.paused }
        let (cookie, document) = try beginMigration(domain, request)
        let parameters = request.parameters(document: document, uri: nil, name: domain.name)
        // Errors until there is a machine at the other end are ours alone; it ends what it has begun with the connection.
        let (way, theirs) = try prepare(domain, &request, peer, parameters, cookie)
        var failure: LibvirtError?
        do throws(LibvirtError) {
            if let way { try performMigration(domain, request, theirs, through: way) }
        } catch { failure = error }
        try finish(domain, request, peer, parameters, failure)
    }

    /// Lets the other end prepare; the way of the state there, nil where there is none, and the other end's cookie.
    private func prepare(
        _ domain: Domain, _ request: inout MigrationRequest, _ peer: PeerDaemon, _ parameters: [RemoteTypedParam],
        _ cookie: [UInt8]
    ) throws(LibvirtError) -> (StateWay?, [UInt8]) {
        if request.has(Flags.tunnelled) {
            let (result, header) = try peer.begin(
                Remote.DomainMigratePrepareTunnel3Params.self,
                .init(params: parameters, cookieIn: cookie, flags: request.flags))
            return (.tunnel(StateTunnel(peer, header)), result.cookieOut)
        }
        let prepared = try peer.call(
            Remote.DomainMigratePrepare3Params.self, .init(params: parameters, cookieIn: cookie, flags: request.flags))
        if request.has(Flags.offline) { return (nil, prepared.cookieOut) }
        guard let place = prepared.uriOut ?? request.uri else {
            throw LibvirtError.internalError("domainMigratePrepare3 did not set uri")
        }
        request.uri = place
        return (try way(domain, request, to: try MigrationRequest.place(place)), prepared.cookieOut)
    }

    private func finish(
        _ domain: Domain, _ request: MigrationRequest, _ peer: PeerDaemon, _ parameters: [RemoteTypedParam],
        _ failure: LibvirtError?
    ) throws(LibvirtError) {
        let kept: Set<String> = ["destination_name", "persistent_xml", "destination_xml"]
        let cookie = try finalCookie(domain, request)
        do throws(LibvirtError) {
            try peer.call(
                Remote.DomainMigrateFinish3Params.self,
                .init(
                    params: parameters.filter { kept.contains($0.field) }, cookieIn: cookie, flags: request.flags,
                    cancelled: failure == nil ? 0 : 1))
        } catch {
            if let failure {
                try? confirmMigration(domain, request, cancelled: true)
                throw failure
            }
            guard error != PeerDaemon.gone else {
                // It may run there: two of one machine would ruin its disks.
                log.error("'\(domain.name)' was sent, and its destination does not say whether it runs")
                throw LibvirtError.operationFailed(
                    "the destination was lost while it took '\(domain.name)' over: the machine stays paused here")
            }
            try? confirmMigration(domain, request, cancelled: true)
            throw error
        }
        try confirmMigration(domain, request, cancelled: failure != nil)
        if let failure { throw failure }
    }

    /// What the destination needs at the end.
    func finalCookie(_ domain: Domain, _ request: MigrationRequest) throws(LibvirtError) -> [UInt8] {
        var cookie = MigrationCookie()
        cookie.name = domain.name
        cookie.uuid = domain.uuid.description
        cookie.hostName = HostIdentity.hostName
        cookie.hostUUID = identity
        if request.has(Flags.persistDest) { cookie.persistent = domain.state.withLock { $0.definition } }
        return cookie.bytes
    }
}
