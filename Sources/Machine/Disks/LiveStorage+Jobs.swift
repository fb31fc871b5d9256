internal import BlockImage
internal import JSON

// Starting jobs.
extension LiveStorage {
    private func settings(_ arguments: JSONObject, _ device: BlockDevice?) throws(MachineError) -> BlockJob.Settings {
        var settings = BlockJob.Settings(id: try jobID(arguments, device))
        if let speed = arguments["speed"] {
            guard let speed = speed.uint64Value else { throw .failed("Parameter 'speed' expects a non-negative value") }
            settings.speed = speed
        }
        if let flag = arguments["auto-finalize"]?.boolValue { settings.finalizesItself = flag }
        if let flag = arguments["auto-dismiss"]?.boolValue { settings.dismissesItself = flag }
        func rule(_ name: String) -> BlockJob.ErrorRule? {
            arguments.string(name).flatMap { $0 == "auto" ? .enospc : BlockJob.ErrorRule(rawValue: $0) }
        }
        settings.sourceErrors = rule("on-source-error") ?? rule("on-error") ?? .report
        settings.targetErrors = rule("on-target-error") ?? rule("on-error") ?? .report
        return settings
    }
    private var teller: @Sendable (BlockJob, BlockJob.Event) -> Void {
        { [weak self] job, event in self?.listen(to: job, event) }
    }

    /// Starts a step of the whole machine as a job, which stays until somebody dismisses it.
    func startTask(
        _ kind: BlockJob.Kind, id: String, body: @escaping @Sendable () throws(MachineError) -> Void
    ) throws(MachineError) {
        var settings = BlockJob.Settings(id: try jobID(["job-id": .string(id)], nil))
        settings.dismissesItself = false
        let job = BlockJob.task(kind, settings, tell: teller) { () throws(BlockError) in
            do throws(MachineError) { try body() } catch { throw .message(error.description) }
        }
        try begin(job, nil, [])
    }

    /// Throws where two options say the same thing.
    private func exclude(_ one: String, _ other: String, _ arguments: JSONObject) throws(MachineError) {
        guard arguments[one] == nil || arguments[other] == nil else {
            throw .failed("'\(one)' and '\(other)' cannot be specified at the same time")
        }
    }

    func stream(_ arguments: JSONObject) throws(MachineError) {
        let storage = try storage()
        try exclude("base", "base-node", arguments)
        try exclude("base", "bottom", arguments)
        try exclude("bottom", "base-node", arguments)
        let name = arguments.string("device") ?? ""
        let top = try node(name)
        // A node that no device reads may have clients that write.
        var device = try reader(of: top)
        if device == nil, !top.isReadOnly { device = try standIn(on: top) }
        guard let image = top as? QCow2Node else {
            throw .failed("Images of the format '\(top.driverName)' cannot be streamed to")
        }
        let chain = BlockGraph.chain(top)
        var base: (any BlockNode)?
        if let node = arguments.string("base-node") ?? arguments.string("base") {
            base = arguments["base-node"] == nil ? find(file: node, below: top) : storage.graph.node(named: node)
            guard let found = base, chain.dropFirst().contains(where: { $0 === found }) else {
                throw .failed("Can't find '\(node)' in the backing chain of '\(name)'")
            }
        } else if let bottom = arguments.string("bottom") {
            guard let place = chain.firstIndex(where: { $0.nodeName == bottom }) else {
                throw .failed("Node '\(bottom)' is not in the backing chain of '\(name)'")
            }
            base = place + 1 < chain.count ? chain[place + 1] : nil
        }
        guard base != nil || arguments["backing-file"] == nil else {
            throw .failed("backing file specified, but streaming the entire chain")
        }
        let nodes = chain.prefix { $0 !== base }
        try checkFree(device, Array(nodes))
        let settings = try settings(arguments, device?.image === top ? device : nil)
        let backing = base.map { (arguments.string("backing-file") ?? BlockGraph.absoluteName($0), $0.driverName) }
        let teller = teller
        let job = try images { () throws(BlockError) in
            try storage.graph.streamJob(
                settings, device: device, top: image, base: base, backing: backing, tell: teller)
        }
        try begin(job, device, Array(nodes))
    }

    func commit(_ arguments: JSONObject) throws(MachineError) {
        let storage = try storage()
        for name in ["base", "top"] where arguments[name] != nil && arguments["\(name)-node"] != nil {
            throw .failed("'\(name)-node' and '\(name)' are mutually exclusive")
        }
        let name = arguments.string("device") ?? ""
        let device = try device(name)
        let active = device.image
        let chain = BlockGraph.chain(active)
        func find(_ node: String, _ file: String) throws(MachineError) -> (any BlockNode)? {
            guard let wanted = arguments.string(node) ?? arguments.string(file) else { return nil }
            let found =
                arguments[node] == nil ? self.find(file: wanted, below: active) : storage.graph.node(named: wanted)
            guard let found, chain.contains(where: { $0 === found }) else {
                throw .failed("'\(wanted)' is not in this backing file chain")
            }
            return found
        }
        let top = try find("top-node", "top") ?? active
        guard let base = try find("base-node", "base") ?? chain.last, base !== top,
            let topPlace = chain.firstIndex(where: { $0 === top }),
            let basePlace = chain.firstIndex(where: { $0 === base }), basePlace > topPlace
        else { throw .failed("cannot commit an image into itself") }
        let nodes = Array(chain[topPlace...basePlace])
        try checkFree(device, nodes)
        let settings = try settings(arguments, device)
        let teller = teller
        let sink = try carrier(of: base)
        if top === active {
            guard arguments["backing-file"] == nil else {
                throw .failed("'backing-file' specified, but 'top' is the active layer")
            }
            let job = try images { () throws(BlockError) in
                try storage.graph.mirrorJob(
                    settings, device: device, target: base, sink: sink, scope: .above(base), isCommit: true,
                    tell: teller)
            }
            return try begin(job, device, nodes)
        }
        guard let overlay = chain[topPlace - 1] as? QCow2Node else {
            throw .failed("Images of the format '\(chain[topPlace - 1].driverName)' cannot be changed")
        }
        let backing = (arguments.string("backing-file") ?? BlockGraph.absoluteName(base), base.driverName)
        let job = try images { () throws(BlockError) in
            try storage.graph.commitJob(
                settings, top: top, base: base, sink: sink, overlay: overlay, device: device, backing: backing,
                tell: teller)
        }
        try begin(job, device, nodes)
    }

    /// The node that a job writes to: one that is there, or a new image.
    private func target(
        _ arguments: JSONObject, _ device: BlockDevice, makes: Bool, _ backing: (any BlockNode)?
    ) throws(MachineError) -> (node: any BlockNode, isMade: Bool) {
        let storage = try storage()
        let name = arguments.string("target") ?? ""
        guard makes else {
            guard let node = storage.graph.node(named: name) else {
                throw .failed("Cannot find device='\(name)' nor node-name='\(name)'")
            }
            guard node.unfiltered !== device.image else { throw .failed("Can't mirror node into itself") }
            guard storage.graph.users(of: node) == 0 else {
                throw .failed("Node '\(name)' is in use")
            }
            try images { () throws(BlockError) in try storage.graph.expectWrites(to: node) }
            return (node, false)
        }
        let source = device.image
        let exists = arguments.string("mode") == "existing"
        return (
            try images { () throws(BlockError) in
                var format = arguments.string("format") ?? source.driverName
                if exists && arguments["format"] == nil {
                    format = try BlockGraph.probe(path: name, opener: storage.graph.opener).rawValue
                }
                if !exists {
                    try storage.graph.makeImage(
                        name, format: format, size: source.sizeInBytes,
                        backing: format != "qcow2"
                            ? nil : backing.map { (BlockGraph.absoluteName($0), $0.driverName) })
                }
                return try storage.graph.openTarget(
                    name, format: format, nodeName: arguments.string("node-name"), like: source)
            }, true
        )
    }

    func mirror(_ arguments: JSONObject, makesTarget: Bool) throws(MachineError) {
        let storage = try storage()
        let device = try device(arguments.string("device") ?? "")
        let source = device.image
        if let replaced = arguments.string("replaces") {
            guard let node = storage.graph.node(named: replaced) else {
                throw .failed("Failed to find node with node-name='\(replaced)'")
            }
            guard node.unfiltered === source else {
                throw .failed("Node '\(replaced)' cannot be replaced: it is not the disk that is mirrored")
            }
        }
        try checkFree(device, [source])
        let settings = try settings(arguments, device)
        let below = source.children.first { $0.role == "backing" }?.node
        var scope = MirrorScope.full
        switch arguments.string("sync") {
        case "full": break
        case "top": if let below { scope = .above(below) }
        case "none": scope = .none
        default: throw .failed("Sync mode '\(arguments.string("sync") ?? "")' not supported")
        }
        var granularity: UInt64 = 65536
        if let given = arguments["granularity"]?.uint64Value, given != 0 {
            guard given >= 512, given <= 64 << 20 else {
                throw .failed("Parameter 'granularity' expects a value in range [512B, 64MB]")
            }
            guard given & (given - 1) == 0 else { throw .failed("Parameter 'granularity' expects a power of 2") }
            granularity = given
        }
        let copyMode = arguments.string("copy-mode").flatMap { MirrorCopyMode(rawValue: $0) } ?? .background
        let base: (any BlockNode)? =
            if case .above(let node) = scope { node } else if case .none = scope { source } else { nil }
        let (target, isMade) = try target(arguments, device, makes: makesTarget, base)
        let teller = teller
        do throws(MachineError) {
            let sink = try standIn(on: target)
            let job = try images { () throws(BlockError) in
                try storage.graph.mirrorJob(
                    settings, device: device, target: target, sink: sink, scope: scope, granularity: granularity,
                    copyMode: copyMode, tell: teller)
            }
            try begin(job, device, [source, target])
        } catch {
            if isMade { try? storage.graph.remove(target.nodeName) }
            throw error
        }
    }

    private func checkBitmapMode(_ sync: String, _ bitmap: String?, _ mode: String?) throws(MachineError) {
        guard bitmap != nil else {
            guard mode == nil else { throw .failed("Cannot specify bitmap sync mode without a bitmap") }
            return
        }
        guard let mode else { throw .failed("Bitmap sync mode must be given when providing a bitmap") }
        if sync == "none" { throw .failed("sync mode 'none' does not produce meaningful bitmap outputs") }
        if mode == "never" && (sync == "full" || sync == "top") {
            throw .failed(
                "Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '\(sync)'")
        }
        if sync == "incremental" && mode != "on-success" {
            throw .failed("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'")
        }
    }

    /// Starts a backup; the job, which a transaction may have to take back.
    func backup(
        _ arguments: JSONObject, makesTarget: Bool, group: BlockJobGroup? = nil
    ) throws(MachineError) -> BlockJob {
        let storage = try storage()
        let device = try device(arguments.string("device") ?? "", isRoot: false)
        let source = device.image
        try checkFree(device, [source])
        var settings = try settings(arguments, device)
        settings.group = group
        let sync = arguments.string("sync") ?? ""
        let bitmap = arguments.string("bitmap")
        let below = source.children.first { $0.role == "backing" }?.node
        let isIncremental = sync == "incremental" || sync == "bitmap"
        guard !isIncremental || bitmap != nil else {
            throw .failed("must provide a valid bitmap name for '\(sync)' sync mode")
        }
        let mode = arguments.string("bitmap-mode") ?? (sync == "incremental" ? "on-success" : nil)
        try checkBitmapMode(sync, bitmap, mode)
        let (target, isMade) = try target(arguments, device, makes: makesTarget, sync == "top" ? below : nil)
        do throws(MachineError) {
            let sink = try standIn(on: target)
            device.beginDrained()
            defer { device.endDrained() }
            var scope = BackupScope.full
            if sync == "top" && below != nil { scope = .top }
            if sync == "none" { scope = .none }
            var ended: @Sendable (Bool) -> Void = { _ in }
            if let bitmap {
                let marked = try takeBitmap(bitmap, of: source, keeps: mode == "never")
                if isIncremental { scope = .ranges(marked.ranges) }
                ended = { [weak self] succeeded in
                    if !(succeeded || mode == "always") { self?.giveBack(marked) }
                    self?.release(marked)
                }
            }
            let teller = teller
            let (kind, done, how) = (scope, ended, settings)
            let packs = arguments["compress"] == true
            do throws(MachineError) {
                let job = try images { () throws(BlockError) in
                    try storage.graph.backupJob(
                        how, device: device, target: target, sink: sink, scope: kind, packs: packs, ended: done,
                        tell: teller)
                }
                try begin(job, device, [source, target])
                return job
            } catch {
                done(false)
                throw error
            }
        } catch {
            if isMade { try? storage.graph.remove(target.nodeName) }
            throw error
        }
    }

    func changeBacking(_ arguments: JSONObject) throws(MachineError) {
        let device = try device(arguments.string("device") ?? "")
        let name = arguments.string("image-node-name") ?? ""
        guard let image = BlockGraph.chain(device.image).first(where: { $0.nodeName == name }) as? QCow2Node else {
            throw .failed("'\(name)' is no image of the chain whose backing file can be changed")
        }
        guard let below = image.children.first(where: { $0.role == "backing" })?.node else {
            throw .failed("not allowing backing file change on an image without a backing file")
        }
        try checkFree(device, [image])
        let wasReadOnly = image.isReadOnly
        try images { () throws(BlockError) in
            if wasReadOnly { try image.reopen(readOnly: false) }
            defer { if wasReadOnly { try? image.reopen(readOnly: true) } }
            try image.changeBacking(file: arguments.string("backing-file"), format: below.driverName)
        }
    }
}
