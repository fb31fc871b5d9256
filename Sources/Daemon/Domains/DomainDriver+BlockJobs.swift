internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// A job that moves data between the images of one disk of a running machine.
struct BlockJob: Sendable {
    /// The disk's target, `vda`, and the path that its image had at the start.
    let target: String
    let path: String
    /// A `virDomainBlockJobType`.
    let type: Int32
    /// Waits for the client to end it: everything is copied, and writes go to both.
    var isReady = false
    /// The client wants the disk to go on with the new image.
    var pivots = false
    /// What the disk stands on when the job has ended well; nil: as it was.
    var result: XMLTree?
    /// Nodes that nobody needs afterwards.
    var spare: [String] = []
    /// Nodes that nobody needs if the disk stays as it was.
    var made: [String] = []
}

extension DomainDriver {
    /// The disk of a target or path, of a machine that runs.
    private func disk(_ domain: Domain, _ name: String) throws(LibvirtError) -> (XMLTree, QMPClient) {
        let monitor = try domain.running().qmp()
        guard let disk = DomainFigures.disk(domain.state.withLock { $0.current }, name) else {
            throw LibvirtError.invalidArgument("invalid path \(name) not assigned to domain")
        }
        return (disk, monitor)
    }

    private static func node(_ image: XMLTree) -> String { "libvirt-\(image.child("source")?["index"] ?? "0")-format" }

    /// An image of a chain by its path or `vda[2]`.
    private static func image(_ chain: [XMLTree], _ name: String, _ target: String) throws(LibvirtError) -> Int {
        if let place = chain.firstIndex(where: { path($0) == name }) { return place }
        if name.hasPrefix(target + "["), name.hasSuffix("]") {
            let number = name.dropFirst(target.count + 1).dropLast()
            if let place = chain.firstIndex(where: { $0.child("source")?["index"] == String(number) }) { return place }
        }
        throw LibvirtError.invalidArgument("could not find image '\(name)' in chain for '\(path(chain[0]) ?? "")'")
    }

    private static func path(_ image: XMLTree) -> String? {
        image.child("source").flatMap { $0["file"] ?? $0["dev"] ?? $0["name"] }
    }

    private func begin(_ domain: Domain, _ job: BlockJob, _ alias: String) throws(LibvirtError) {
        let busy = domain.state.withLock { state -> Bool in
            guard state.blockJobs[alias] == nil else { return true }
            state.blockJobs[alias] = job
            return false
        }
        if busy {
            throw LibvirtError.operationUnsupported("disk '\(job.target)' already in active block job")
        }
    }

    /// Looks down into the images of a disk that was started without the names of those below.
    private func needChain(_ domain: Domain, _ disk: XMLTree) throws(LibvirtError) -> [XMLTree] {
        let chain = DomainFigures.images(disk)
        guard !chain.isEmpty else { throw LibvirtError.operationInvalid("the disk has no image") }
        return chain
    }

    /// Fills a disk's image with what the images below have.
    func blockPull(
        _ domain: Domain, _ name: String, base: String?, bandwidth: UInt64, flags: UInt32
    ) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (disk, monitor) = try disk(domain, name)
            let chain = try needChain(domain, disk)
            let target = disk.child("target")?["dev"] ?? name
            let alias = disk.child("alias")?["name"] ?? target
            var result = disk
            var arguments: JSONObject = [
                "job-id": .string("pull-\(target)"), "device": .string(DomainDriver.node(disk)),
            ]
            var kept = XMLTree("backingStore")
            if let base {
                let place = try DomainDriver.image(chain, base, target)
                guard place > 0 else { throw LibvirtError.invalidArgument("base '\(base)' is the disk itself") }
                arguments["base-node"] = .string(DomainDriver.node(chain[place]))
                kept = chain[place]
            }
            let speed = DomainDriver.speed(bandwidth, flags & VirDomainBlockPullFlags.bandwidthBytes != 0)
            if speed > 0 { arguments["speed"] = .number(speed) }
            arguments["auto-dismiss"] = true
            result.remove("backingStore")
            result.insert(kept, before: ["target"])
            var job = BlockJob(
                target: target, path: DomainDriver.path(disk) ?? "", type: VirDomainBlockJobType.pull, result: result)
            for image in chain.dropFirst() where !kept.contains(image) {
                let index = image.child("source")?["index"] ?? "0"
                job.spare += ["libvirt-\(index)-format", "libvirt-\(index)-storage"]
            }
            try start(domain, job, alias, "block-stream", arguments, monitor)
        }
    }

    private static func speed(_ bandwidth: UInt64, _ isBytes: Bool) -> UInt64 {
        let (bytes, overflow) = isBytes ? (bandwidth, false) : bandwidth.multipliedReportingOverflow(by: 1 << 20)
        return overflow ? 0 : min(bytes, UInt64(Int64.max))
    }

    private func start(
        _ domain: Domain, _ job: BlockJob, _ alias: String, _ command: String, _ arguments: JSONObject,
        _ monitor: QMPClient
    ) throws(LibvirtError) {
        try begin(domain, job, alias)
        do throws(LibvirtError) { try monitor.execute(command, arguments) } catch {
            domain.state.withLock { $0.blockJobs[alias] = nil }
            throw error
        }
    }

    /// Writes what images of a disk have into one below them.
    func blockCommit(
        _ domain: Domain, _ name: String, base: String?, top: String?, bandwidth: UInt64, flags: UInt32
    ) throws(LibvirtError) {
        typealias Flags = VirDomainBlockCommitFlags
        try domain.job.run { () throws(LibvirtError) in
            let (disk, monitor) = try disk(domain, name)
            let chain = try needChain(domain, disk)
            let target = disk.child("target")?["dev"] ?? name
            let alias = disk.child("alias")?["name"] ?? target
            let upper = try top.map { (name) throws(LibvirtError) in try DomainDriver.image(chain, name, target) } ?? 0
            let lower =
                try base.map { (name) throws(LibvirtError) in try DomainDriver.image(chain, name, target) }
                ?? (flags & Flags.shallow != 0 ? upper + 1 : chain.count - 1)
            guard upper < lower, lower < chain.count else {
                throw LibvirtError.invalidArgument(
                    "top '\(DomainDriver.path(chain[min(upper, chain.count - 1)]) ?? "")' in chain for "
                        + "'\(target)' has no backing file")
            }
            let isActive = upper == 0
            if isActive, flags & Flags.active == 0 {
                throw LibvirtError.invalidArgument("commit of '\(target)' active layer requires active flag")
            }
            var arguments: JSONObject = [
                "job-id": .string("commit-\(target)"), "device": .string(DomainDriver.node(disk)),
                "top-node": .string(DomainDriver.node(chain[upper])),
                "base-node": .string(DomainDriver.node(chain[lower])),
            ]
            let speed = DomainDriver.speed(bandwidth, flags & Flags.bandwidthBytes != 0)
            if speed > 0 { arguments["speed"] = .number(speed) }
            var job = BlockJob(
                target: target, path: DomainDriver.path(disk) ?? "",
                type: isActive ? VirDomainBlockJobType.activeCommit : VirDomainBlockJobType.commit)
            job.result = isActive ? disk.standing(on: chain[lower]) : disk.without(chain[upper..<lower], chain[lower])
            for image in chain[upper..<lower] {
                let index = image.child("source")?["index"] ?? "0"
                job.spare += ["libvirt-\(index)-format", "libvirt-\(index)-storage"]
            }
            try start(domain, job, alias, "block-commit", arguments, monitor)
        }
    }

    /// Copies a disk to another image, which it may go on with.
    func blockCopy(
        _ domain: Domain, _ name: String, path: String, format: String, reuses: Bool, bandwidth: UInt64,
        shallow: Bool = false
    ) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (disk, monitor) = try disk(domain, name)
            let target = disk.child("target")?["dev"] ?? name
            let alias = disk.child("alias")?["name"] ?? target
            guard path.hasPrefix("/") else { throw LibvirtError.invalidArgument("path '\(path)' is not absolute") }
            if !reuses {
                guard HostFile.status(path).kind == .nothing else {
                    throw LibvirtError.configUnsupported(
                        "external destination file for disk \(target) already exists: \(path)")
                }
                try ImageProgram.run(["create", "-f", format, path, "\(DomainFigures.capacity(disk))"])
            }
            let number = freeImageNumber(domain)
            do throws(LibvirtError) {
                try monitor.execute(
                    "blockdev-add",
                    [
                        "driver": "file", "filename": .string(path), "node-name": .string("libvirt-\(number)-storage"),
                        "auto-read-only": true, "discard": "unmap",
                    ])
                try monitor.execute(
                    "blockdev-add",
                    [
                        "driver": .string(format), "node-name": .string("libvirt-\(number)-format"),
                        "read-only": false, "file": .string("libvirt-\(number)-storage"),
                    ])
                var element = XMLTree.of("source", ["file": path])
                element.set("index", "\(number)")
                var result = disk
                result.remove("source")
                result.remove("backingStore")
                result.set("type", "file")
                result.update("driver") { $0.set("type", format) }
                result.insert(element, before: ["target"])
                result.insert(XMLTree("backingStore"), before: ["target"])
                var job = BlockJob(
                    target: target, path: DomainDriver.path(disk) ?? "", type: VirDomainBlockJobType.copy,
                    result: result)
                job.made = ["libvirt-\(number)-format", "libvirt-\(number)-storage"]
                for image in DomainFigures.images(disk) {
                    let index = image.child("source")?["index"] ?? "0"
                    job.spare += ["libvirt-\(index)-format", "libvirt-\(index)-storage"]
                }
                var arguments: JSONObject = [
                    "job-id": .string("copy-\(target)"), "device": .string(DomainDriver.node(disk)),
                    "target": .string("libvirt-\(number)-format"), "sync": "full",
                ]
                if bandwidth > 0 { arguments["speed"] = .number(bandwidth) }
                try start(domain, job, alias, "blockdev-mirror", arguments, monitor)
            } catch {
                for layer in ["format", "storage"] {
                    _ = try? monitor.execute("blockdev-del", ["node-name": .string("libvirt-\(number)-\(layer)")])
                }
                if !reuses { try? HostFile.remove(path) }
                throw error
            }
        }
    }

    // MARK: - What becomes of them

    private func job(_ domain: Domain, _ name: String) throws(LibvirtError) -> (alias: String, job: BlockJob)? {
        let (disk, _) = try disk(domain, name)
        let alias = disk.child("alias")?["name"] ?? ""
        return domain.state.withLock { $0.blockJobs[alias] }.map { (alias, $0) }
    }

    static func id(_ job: BlockJob) -> String {
        switch job.type {
        case VirDomainBlockJobType.pull: "pull-\(job.target)"
        case VirDomainBlockJobType.copy: "copy-\(job.target)"
        default: "commit-\(job.target)"
        }
    }

    func blockJobInfo(_ domain: Domain, _ name: String) throws(LibvirtError) -> Remote.DomainGetBlockJobInfo.Result {
        guard let (_, job) = try job(domain, name) else {
            return .init(found: 0, type: 0, bandwidth: 0, cur: 0, end: 0)
        }
        let answer = try domain.running().qmp().execute("query-block-jobs").arrayValue ?? []
        let entry = answer.first { $0["device"]?.stringValue == DomainDriver.id(job) }
        let end = entry?["len"]?.uint64Value ?? 1
        let isDone = entry?["ready"]?.boolValue ?? false
        let cur = entry?["offset"]?.uint64Value ?? 0
        // Equal figures tell clients that nothing is left to do.
        return .init(
            found: 1, type: job.type, bandwidth: (entry?["speed"]?.uint64Value ?? 0) >> 20,
            cur: isDone || cur < end ? cur : cur - min(cur, 1), end: isDone && end == 0 ? 1 : max(end, 1))
    }

    func abortBlockJob(_ domain: Domain, _ name: String, flags: UInt32) throws(LibvirtError) {
        guard let (alias, job) = try job(domain, name) else {
            throw LibvirtError.invalidArgument("disk \(name) does not have an active block job")
        }
        let monitor = try domain.running().qmp()
        let pivots = flags & VirDomainBlockJobAbortFlags.pivot != 0
        if pivots, !job.isReady {
            throw LibvirtError(
                code: VirErrorNumber.blockCopyActive,
                message: "block copy still active: disk '\(job.target)' not ready for pivot yet")
        }
        domain.state.withLock { $0.blockJobs[alias]?.pivots = pivots }
        if pivots {
            try monitor.execute("job-complete", ["id": .string(DomainDriver.id(job))])
        } else {
            try monitor.execute(
                "block-job-cancel", ["device": .string(DomainDriver.id(job)), "force": .bool(!job.isReady)])
        }
        guard flags & VirDomainBlockJobAbortFlags.async == 0 else { return }
        let deadline = HostClock.monotonic + 60_000_000_000
        let pause = Bell()
        while domain.state.withLock({ $0.blockJobs[alias] }) != nil, HostClock.monotonic < deadline {
            pause.wait(nanoseconds: 2_000_000)
        }
    }

    func setBlockJobSpeed(_ domain: Domain, _ name: String, _ bandwidth: UInt64, flags: UInt32) throws(LibvirtError) {
        guard let (_, job) = try job(domain, name) else {
            throw LibvirtError.invalidArgument("disk \(name) does not have an active block job")
        }
        let speed = DomainDriver.speed(bandwidth, flags & VirDomainBlockJobSetSpeedFlags.bandwidthBytes != 0)
        try domain.running().qmp().execute(
            "block-job-set-speed", ["device": .string(DomainDriver.id(job)), "speed": .number(speed)])
    }
}

extension XMLTree {
    /// Whether this image, or one below it, is the other.
    fileprivate func contains(_ image: XMLTree) -> Bool {
        self == image || (child("backingStore")?.contains(image) ?? false)
    }

    /// A disk whose uppermost image is one of those that were below.
    fileprivate func standing(on image: XMLTree) -> XMLTree {
        var disk = self
        disk.remove("source")
        disk.remove("backingStore")
        if let type = image["type"] { disk.set("type", type) }
        if let format = image.child("format")?["type"] { disk.update("driver") { $0.set("type", format) } }
        if let source = image.child("source") { disk.insert(source, before: ["target"]) }
        disk.insert(image.child("backingStore") ?? XMLTree("backingStore"), before: ["target"])
        return disk
    }

    /// A disk without some images in the middle of its chain.
    fileprivate func without(_ images: ArraySlice<XMLTree>, _ base: XMLTree) -> XMLTree {
        var copy = self
        guard let below = child("backingStore") else { return self }
        let replacement = images.contains(below) ? base : below.without(images, base)
        copy.update("backingStore") { $0 = replacement }
        return copy
    }
}
