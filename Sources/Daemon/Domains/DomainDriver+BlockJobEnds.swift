internal import DomainModel
internal import JSON
internal import RPCWire
internal import Synchronization

/// What becomes of block jobs.
extension DomainDriver {
    /// `BLOCK_JOB_READY`, `BLOCK_JOB_COMPLETED`, `BLOCK_JOB_CANCELLED`.
    func blockJobChanged(_ domain: Domain, _ event: String, _ data: JSONValue?) {
        guard let id = data?["device"]?.stringValue else { return }
        if id.hasPrefix("backup-") {
            let isCancelled = event == "BLOCK_JOB_CANCELLED"
            let failure = data?["error"]?.stringValue
            if event != "BLOCK_JOB_READY",
                backupJobEnded(domain, id, failure: failure, wasCancelled: isCancelled)
            {
                return
            }
        }
        let jobs = domain.state.withLock { $0.blockJobs }
        guard let (alias, job) = jobs.first(where: { DomainDriver.id($0.value) == id }) else { return }
        var status = VirConnectDomainEventBlockJobStatus.completed
        if event == "BLOCK_JOB_READY" {
            domain.state.withLock { $0.blockJobs[alias]?.isReady = true }
            status = VirConnectDomainEventBlockJobStatus.ready
        } else {
            let failed = data?["error"] != nil
            // A copy that is ended without going over to the new image has done what it was asked for.
            if event == "BLOCK_JOB_CANCELLED" {
                status =
                    job.isReady && !job.pivots
                    ? VirConnectDomainEventBlockJobStatus.completed : VirConnectDomainEventBlockJobStatus.canceled
            } else if failed {
                status = VirConnectDomainEventBlockJobStatus.failed
            }
            let isMirror = job.type == VirDomainBlockJobType.copy || job.type == VirDomainBlockJobType.activeCommit
            if event == "BLOCK_JOB_COMPLETED", !failed, !isMirror || job.pivots {
                finish(domain, alias, job)
            } else if !job.made.isEmpty {
                close(job.made, domain)
                // A copy is the client's, and no more the machine's.
                let live = domain.state.withLock { $0.live } ?? XMLTree("domain")
                releaseImages(domain, job.result.map { DomainDriver.images($0) } ?? [], besides: live)
            }
            domain.state.withLock { $0.blockJobs[alias] = nil }
        }
        emit(.blockJob(job.path, type: job.type, status: status, byTarget: false), domain)
        emit(.blockJob(job.target, type: job.type, status: status, byTarget: true), domain)
    }

    /// The disk stands on other images now, in what runs and in what is defined.
    private func finish(_ domain: Domain, _ alias: String, _ job: BlockJob) {
        guard let result = job.result else { return }
        let definition = domain.state.withLock { state -> (String, XMLTree)? in
            state.live?.update("devices") { devices in
                devices.updateChildren { if $0.name == "disk", $0.child("alias")?["name"] == alias { $0 = result } }
            }
            guard var definition = state.definition else { return nil }
            definition.update("devices") { devices in
                devices.updateChildren { disk in
                    guard disk.name == "disk", disk.child("target")?["dev"] == job.target,
                        DomainFigures.path(disk) == job.path
                    else { return }
                    let driver = result.child("driver")?["type"]
                    disk.remove("source")
                    disk.remove("backingStore")
                    if let type = result["type"] { disk.set("type", type) }
                    disk.update("driver") { $0.set("type", driver) }
                    if var source = result.child("source") {
                        source.set("index", nil)
                        disk.insert(source, before: ["target"])
                    }
                }
            }
            state.definition = definition
            return (state.name, definition)
        }
        if let (name, tree) = definition { try? store.save(name, tree) }
        try? writeStatus(domain)
        close(job.spare, domain)
    }

    private func close(_ nodes: [String], _ domain: Domain) {
        guard let monitor = domain.machine?.monitor else { return }
        for node in nodes { _ = try? monitor.execute("blockdev-del", ["node-name": .string(node)]) }
    }
}
