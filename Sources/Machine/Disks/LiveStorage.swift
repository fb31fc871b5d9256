internal import BlockImage
internal import HostOS
internal import JSON
internal import Synchronization

/// What monitors do to the disks of a running machine: jobs, snapshots, bitmaps, limits, exports.
///
/// Commands come one at a time. Jobs work on threads of their own and change the graph at their end, under the same
/// lock; nobody waits for a job with it held.
final class LiveStorage: Sendable {
    struct Entry: Sendable {
        let job: BlockJob
        /// The disk it works on: no second job does.
        let device: BlockDevice?
        let nodes: [String]
    }
    struct State: Sendable {
        var jobs: [Entry] = []
        var bitmaps: [Bitmap] = []
        var nbd: NBDListener?
        /// What the server offers, in the order of its coming.
        var exports: [Export] = []
        var standIns: [StandIn] = []
        var nextJob = 0
    }
    /// A bitmap of a node that is not kept in its image.
    struct Bitmap: Sendable {
        let node: String
        var device: BlockDevice
        let bitmap: DirtyBitmap
        var isBusy = false
    }
    private struct Owner: Sendable { weak var storage: Storage? }
    private let owner = Mutex(Owner())
    private let port = Mutex<LifecyclePort?>(nil)
    let state = Mutex(State())
    /// Rung when a job goes.
    private let gone = Bell()

    func connect(_ storage: Storage) { owner.withLock { $0.storage = storage } }
    func tell(_ port: LifecyclePort) { self.port.withLock { $0 = port } }
    func emit(_ event: String, _ data: JSONObject) {
        port.withLock { $0 }?.send(.blockJob(event: event, data: data))
    }

    /// The drives and the graph, which outlive every command.
    func storage() throws(MachineError) -> Storage {
        guard let storage = owner.withLock({ $0.storage }) else { throw .failed("The machine is at its end") }
        return storage
    }

    /// Tells monitors, and whoever reads the program's errors, of damage that a request has met.
    func tell(_ damage: ImageCorruption) {
        let device = (try? storage().fixedDevices)?.first { $0.device.image.nodeName == damage.node }
        var data: JSONObject = ["device": .string(device?.name ?? "")]
        data["node-name"] = .string(damage.node)
        data["msg"] = .string(damage.reason)
        if let place = damage.place { (data["offset"], data["size"]) = (.number(place.offset), .number(place.size)) }
        data["fatal"] = .bool(damage.isFatal)
        port.withLock { $0 }?.send(.imageCorrupted(damage.description))
        emit("BLOCK_IMAGE_CORRUPTED", data)
    }

    // MARK: Names

    /// The device of a drive's, device's or node's name; of a node that no device uses, the one that stands on it. Unless it
    /// is no matter, nothing else does (`isRoot`).
    func device(_ name: String, isRoot: Bool = true) throws(MachineError) -> BlockDevice {
        if let device = try storage().device(name) { return device }
        if try storage().removableDrives.contains(where: { $0.name == name || $0.id == name }) {
            throw .failed("Device '\(name)' has no medium that can be worked on")
        }
        guard let node = try storage().graph.node(named: name) else {
            throw .failed("Cannot find device='\(name)' nor node-name='\(name)'")
        }
        let device = try standIn(on: node)
        let isAlone = try storage().graph.isRoot(device.root)
        guard isAlone || !isRoot else { throw .failed("Need a root block node") }
        return device
    }
    /// The image of a node by its own name, or of a device.
    func node(_ name: String) throws(MachineError) -> any BlockNode {
        let storage = try storage()
        if let node = storage.graph.node(named: name) { return node.unfiltered }
        if let device = storage.device(name) { return device.image }
        throw .failed("Cannot find device='\(name)' nor node-name='\(name)'")
    }
    /// The device whose disk a node is, if any.
    func user(of node: any BlockNode) throws(MachineError) -> BlockDevice? {
        try storage().fixedDevices.first { $0.device.image === node.unfiltered }?.device
    }
    /// The device that reads a node, as its disk or below that, if any.
    func reader(of node: any BlockNode) throws(MachineError) -> BlockDevice? {
        try storage().fixedDevices.first { entry in
            BlockGraph.chain(entry.device.image).contains { $0 === node }
        }?.device
    }
    /// The image of a chain that a file name, as a user writes it, means.
    func find(file name: String, below top: any BlockNode) -> (any BlockNode)? {
        BlockGraph.chain(top).first { node in
            node.filename == name || BlockGraph.absoluteName(node) == name
        }
    }

    /// Does what may fail in the image engine.
    func images<T>(_ body: () throws(BlockError) -> T) throws(MachineError) -> T {
        do throws(BlockError) { return try body() } catch { throw .failed("\(error)") }
    }

    // MARK: Jobs

    func job(_ name: String) -> BlockJob? { state.withLock { $0.jobs.first { $0.job.id == name }?.job } }

    /// Throws if a job works on a device, or on one of its nodes.
    func checkFree(_ device: BlockDevice?, _ nodes: [any BlockNode] = []) throws(MachineError) {
        let names = nodes.map(\.nodeName)
        let found = state.withLock { state in
            state.jobs.first { entry in
                guard entry.job.progress.status != .concluded else { return false }
                return (device != nil && entry.device === device) || entry.nodes.contains(where: names.contains)
            }
        }
        if let found {
            throw .failed(
                "Node '\(device?.image.nodeName ?? names.first ?? "")' is busy: block device is in use by block job: "
                    + found.job.kind.rawValue)
        }
    }

    /// A letter, then letters, digits, hyphens, dots and underscores.
    static func isWellFormed(_ id: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }
        guard let first = id.utf8.first, isLetter(first) else { return false }
        return id.utf8.allSatisfy { isLetter($0) || (48...57).contains($0) || "-._".utf8.contains($0) }
    }
    /// The name of a new job: given, or the device's.
    func jobID(_ arguments: JSONObject, _ device: BlockDevice?) throws(MachineError) -> String {
        let given = arguments.string("job-id")
        let id = given ?? device?.id ?? ""
        if let given, !LiveStorage.isWellFormed(given) { throw .failed("Invalid job ID '\(given.prefix(64))'") }
        guard !id.isEmpty else { throw .failed("An explicit job ID is required for this node") }
        guard job(id) == nil else { throw .failed("Job ID '\(id)' already in use") }
        return id
    }

    /// Keeps a job, and starts it.
    func begin(_ job: BlockJob, _ device: BlockDevice?, _ nodes: [any BlockNode]) throws(MachineError) {
        let entry = Entry(job: job, device: device, nodes: nodes.map(\.nodeName))
        state.withLock { $0.jobs.append(entry) }
        do throws(BlockError) { try job.start() } catch {
            forget(job)
            throw .failed("\(error)")
        }
    }
    private func forget(_ job: BlockJob) {
        state.withLock { $0.jobs.removeAll { $0.job === job } }
        gone.ring()
    }

    /// Tells monitors what a job does.
    func listen(to job: BlockJob, _ event: BlockJob.Event) {
        func data(_ more: JSONObject = [:]) -> JSONObject {
            let now = job.progress
            var data: JSONObject = [
                "type": .string(job.kind.rawValue), "device": .string(job.id), "len": .number(now.total),
                "offset": .number(now.done), "speed": .number(now.speed),
            ]
            for member in more.members { data[member.name] = member.value }
            return data
        }
        switch event {
        case .completed, .cancelled:
            if job.kind.isBlock { settleBitmaps() }
            // Who hears of the end may start another of the name.
            if job.settings.dismissesItself { forget(job) }
        default: break
        }
        if !job.kind.isBlock {
            guard case .status = event else { return }
        }
        switch event {
        case .status(let status):
            emit("JOB_STATUS_CHANGE", ["id": .string(job.id), "status": .string(status.rawValue)])
            if status == .null { forget(job) }
        case .ready: emit("BLOCK_JOB_READY", data())
        case .pending:
            emit("BLOCK_JOB_PENDING", ["type": .string(job.kind.rawValue), "id": .string(job.id)])
        case .completed(let error):
            emit("BLOCK_JOB_COMPLETED", data(error.map { ["error": .string($0)] } ?? [:]))
        case .cancelled: emit("BLOCK_JOB_CANCELLED", data())
        case .failed(let isRead, let action):
            let word = action == .stop ? "stop" : action == .ignore ? "ignore" : "report"
            emit(
                "BLOCK_JOB_ERROR",
                [
                    "device": .string(job.id), "operation": .string(isRead ? "read" : "write"),
                    "action": .string(word),
                ])
        }
    }

    /// Ends everything, before the images close.
    func end() {
        closeServer()
        for entry in state.withLock({ $0.jobs }) {
            entry.job.cancel(force: true)
            _ = entry.job.finalize()
            _ = entry.job.dismiss()
        }
        while true {
            let left = state.withLock { $0.jobs }
            guard !left.isEmpty else { return }
            for entry in left { _ = entry.job.dismiss() }
            gone.wait(nanoseconds: 20_000_000)
        }
    }

    // MARK: Commands

    func perform(_ operation: BlockOperation, _ arguments: JSONObject) throws(MachineError) -> JSONValue {
        switch operation {
        case .stream: try stream(arguments)
        case .commit: try commit(arguments)
        case .driveMirror, .mirror: try mirror(arguments, makesTarget: operation == .driveMirror)
        case .driveBackup, .backup: _ = try backup(arguments, makesTarget: operation == .driveBackup)
        case .snapshot, .snapshotSync, .internalSnapshot, .addBitmap, .clearBitmap, .enableBitmap, .disableBitmap,
            .mergeBitmap, .removeBitmap:
            _ = try act(operation, arguments)
        case .deleteInternalSnapshot: return try deleteSnapshot(arguments)
        case .transaction: try transaction(arguments)
        case .changeBacking: try changeBacking(arguments)
        case .setJobSpeed, .pauseBlockJob, .resumeBlockJob, .cancelBlockJob, .completeBlockJob, .finalizeBlockJob,
            .dismissBlockJob, .pauseJob, .resumeJob, .cancelJob, .completeJob, .finalizeJob, .dismissJob:
            try control(operation, arguments)
        case .queryBlockJobs:
            return .array(state.withLock { $0.jobs }.filter { $0.job.kind.isBlock }.map { blockJobValue($0.job) })
        case .queryJobs: return .array(state.withLock { $0.jobs }.map { jobValue($0.job) })
        case .setWriteThreshold: try setWriteThreshold(arguments)
        case .setThrottle: try setThrottle(arguments)
        case .startServer: try startServer(arguments)
        case .addExport: try addExport(arguments)
        case .removeExport: try removeExport(arguments.string("name") ?? "", arguments, ofServer: true)
        case .exportAdd: try addBlockExport(arguments)
        case .exportDelete: try removeExport(arguments.string("id") ?? "", arguments, ofServer: false)
        case .stopServer: try stopServer()
        case .queryExports: return exports
        case .create: try create(arguments)
        }
        return [:]
    }

    private func control(_ operation: BlockOperation, _ arguments: JSONObject) throws(MachineError) {
        let isBlock = operation.rawValue.hasPrefix("block-")
        let name = arguments.string(arguments["device"] == nil ? "id" : "device") ?? ""
        guard let job = job(name) else {
            throw isBlock ? .jobNotActive("Block job '\(name)' not found") : .failed("Job not found")
        }
        func check(_ verb: BlockJob.Verb) throws(MachineError) {
            if let refusal = job.refusal(of: verb) { throw .failed(refusal) }
        }
        switch operation {
        case .setJobSpeed:
            try check(.setSpeed)
            guard let speed = arguments["speed"]?.uint64Value else {
                throw .failed("Parameter 'speed' expects a non-negative value")
            }
            job.setSpeed(speed)
        case .pauseBlockJob, .pauseJob:
            try check(.pause)
            guard job.pause() else { throw .failed("Job is already paused") }
        case .resumeBlockJob, .resumeJob:
            guard job.progress.isPaused else { throw .failed("Can't resume a job that was not paused") }
            try check(.resume)
            _ = job.resume()
        case .cancelBlockJob, .cancelJob:
            let isForced = operation == .cancelJob || arguments["force"] == true
            // Somebody holds it still on purpose.
            guard isForced || !job.progress.isPaused else {
                throw .failed("The block job for device '\(name)' is currently paused")
            }
            try check(.cancel)
            job.cancel(force: isForced)
        case .completeBlockJob, .completeJob:
            try check(.complete)
            guard job.complete() else { throw .failed("The active block job '\(name)' cannot be completed") }
        case .finalizeBlockJob, .finalizeJob:
            try check(.finalize)
            _ = job.finalize()
        case .dismissBlockJob, .dismissJob:
            try check(.dismiss)
            _ = job.dismiss()
            // Its name is free when the monitor answers; its thread may take a moment to end.
            forget(job)
        default: break
        }
    }

    private func blockJobValue(_ job: BlockJob) -> JSONValue {
        let now = job.progress
        var value: JSONObject = [
            "type": .string(job.kind.rawValue), "device": .string(job.id), "len": .number(now.total),
            "offset": .number(now.done), "speed": .number(now.speed), "busy": .bool(now.isBusy),
            "paused": .bool(now.isPaused), "ready": .bool([.ready, .standby].contains(now.status)),
            "status": .string(now.status.rawValue),
            "auto-finalize": .bool(job.settings.finalizesItself), "auto-dismiss": .bool(job.settings.dismissesItself),
            "io-status": now.health == .ok ? "ok" : now.health == .noSpace ? "nospace" : "failed",
        ]
        if let error = now.error { value["error"] = .string(error) }
        return .object(value)
    }
    private func jobValue(_ job: BlockJob) -> JSONValue {
        let now = job.progress
        var value: JSONObject = [
            "id": .string(job.id), "type": .string(job.kind.rawValue), "status": .string(now.status.rawValue),
            "current-progress": .number(now.done), "total-progress": .number(now.total),
        ]
        if let error = now.error { value["error"] = .string(error) }
        return .object(value)
    }
}
