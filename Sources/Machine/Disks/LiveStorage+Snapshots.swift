internal import BlockImage
internal import HostOS
internal import JSON

// Snapshots, and several steps as one.
extension LiveStorage {
    /// What undoes a step.
    typealias Undo = @Sendable () -> Void

    /// One step that a transaction may take. The device is drained meanwhile.
    func act(
        _ operation: BlockOperation, _ arguments: JSONObject, group: BlockJobGroup? = nil
    ) throws(MachineError) -> Undo {
        switch operation {
        case .snapshot: return try snapshot(arguments)
        case .snapshotSync: return try snapshotSync(arguments)
        case .internalSnapshot: return try internalSnapshot(arguments)
        case .addBitmap: return try addBitmap(arguments)
        case .removeBitmap: return try removeBitmap(arguments)
        case .clearBitmap: return try clearBitmap(arguments)
        case .enableBitmap: return try setRecording(arguments, true)
        case .disableBitmap: return try setRecording(arguments, false)
        case .mergeBitmap: return try mergeBitmaps(arguments)
        case .driveBackup, .backup:
            let job = try backup(arguments, makesTarget: operation == .driveBackup, group: group)
            return { job.cancel(force: true) }
        default: throw .failed("'\(operation.rawValue)' is no step of a transaction")
        }
    }

    func transaction(_ arguments: JSONObject) throws(MachineError) {
        let actions = arguments["actions"]?.arrayValue ?? []
        let mode = arguments["properties"]?.objectValue?.string("completion-mode") ?? "individual"
        guard ["individual", "grouped"].contains(mode) else {
            throw .failed("Parameter 'properties.completion-mode' does not accept value '\(mode)'")
        }
        // Jobs of a group end together, or none does.
        let group = mode == "grouped" ? BlockJobGroup() : nil
        defer { group?.complete() }
        var held: [BlockDevice] = []
        defer { for device in held { device.endDrained() } }
        var steps: [(operation: BlockOperation, data: JSONObject)] = []
        for action in actions {
            guard let type = action.objectValue?.string("type") else {
                throw .failed("Parameter 'actions[].type' is missing")
            }
            let data = action.objectValue?["data"]?.objectValue ?? [:]
            guard type != "abort", let operation = BlockOperation(rawValue: type), operation != .transaction else {
                throw .failed(type == "abort" ? "Transaction aborted using Abort action" : "'\(type)' is no step")
            }
            steps.append((operation, data))
            let name = data.string("device") ?? data.string("node-name") ?? data.string("node") ?? ""
            if let device = try? device(name), !held.contains(where: { $0 === device }) {
                device.beginDrained()
                held.append(device)
            }
        }
        // All of them see the disks at the same moment: nothing moves until the last step.
        var undos: [Undo] = []
        do throws(MachineError) {
            for (operation, data) in steps { undos.append(try act(operation, data, group: group)) }
        } catch {
            for undo in undos.reversed() { undo() }
            throw error
        }
    }

    private func snapshot(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let device = try device(arguments.string("node") ?? "")
        let name = arguments.string("overlay") ?? ""
        guard let overlay = try storage().graph.node(named: name) else {
            throw .failed("Cannot find device='\(name)' nor node-name='\(name)'")
        }
        return try put(overlay, over: device)
    }

    private func put(_ overlay: any BlockNode, over device: BlockDevice) throws(MachineError) -> Undo {
        try checkFree(device)
        let graph = try storage().graph
        guard overlay.sizeInBytes >= device.image.sizeInBytes || overlay is QCow2Node else {
            throw .failed("The overlay is smaller than the disk")
        }
        device.beginDrained()
        defer { device.endDrained() }
        let undo = try images { () throws(BlockError) in try graph.takeSnapshot(device, overlay: overlay) }
        settleBitmaps()
        return { [weak self] in
            undo()
            self?.settleBitmaps()
        }
    }

    private func snapshotSync(_ arguments: JSONObject) throws(MachineError) -> Undo {
        guard arguments["device"] != nil || arguments["node-name"] != nil else {
            throw .failed("Cannot find device='' nor node-name=''")
        }
        let device = try device(arguments.string("device") ?? arguments.string("node-name") ?? "")
        try checkFree(device)
        let graph = try storage().graph
        let path = arguments.string("snapshot-file") ?? ""
        let format = arguments.string("format") ?? "qcow2"
        if let name = arguments.string("snapshot-node-name") {
            guard graph.node(named: name) == nil else { throw .failed("New overlay node-name already in use") }
        } else if arguments["node-name"] != nil {
            throw .failed("New overlay node-name missing")
        }
        try images { () throws(BlockError) in try graph.checkMaking(format) }
        guard format == "qcow2" else { throw .failed("Overlays of the format '\(format)' cannot be made here") }
        guard !path.isEmpty else { throw .failed("Parameter 'snapshot-file' is missing") }
        let base = device.image
        let overlay = try images { () throws(BlockError) in
            if arguments.string("mode") != "existing" {
                try graph.makeImage(
                    path, format: format, size: base.sizeInBytes,
                    backing: (BlockGraph.absoluteName(base), base.driverName))
            }
            return try graph.openTarget(
                path, format: format, nodeName: arguments.string("snapshot-node-name"), like: base)
        }
        do throws(MachineError) { return try put(overlay, over: device) } catch {
            try? graph.remove(overlay.nodeName)
            throw error
        }
    }

    private func internalSnapshot(_ arguments: JSONObject) throws(MachineError) -> Undo {
        let name = arguments.string("device") ?? ""
        let device = try device(name)
        let title = arguments.string("name") ?? ""
        guard let image = device.image as? QCow2Node else {
            throw .failed(
                "Block format '\(device.image.driverName)' used by node '\(device.image.nodeName)' does not support"
                    + " internal snapshots")
        }
        guard !title.isEmpty else { throw .failed("Name is empty") }
        guard !image.isReadOnly else { throw .failed("Device '\(name)' is read only") }
        guard image.snapshot(title) == nil else {
            throw .failed("Snapshot with name '\(title)' already exists on device '\(name)'")
        }
        try checkFree(device)
        device.beginDrained()
        defer { device.endDrained() }
        let now = HostClock.realtime
        try images { () throws(BlockError) in
            try image.createSnapshot(
                name: title, seconds: UInt32(truncatingIfNeeded: now / 1_000_000_000),
                nanoseconds: UInt32(now % 1_000_000_000))
        }
        return {
            if let made = image.snapshot(title) { try? image.deleteSnapshot(made) }
        }
    }

    func deleteSnapshot(_ arguments: JSONObject) throws(MachineError) -> JSONValue {
        let name = arguments.string("device") ?? ""
        let device = try device(name)
        let (id, title) = (arguments.string("id"), arguments.string("name"))
        guard id != nil || title != nil else { throw .failed("Name or id must be provided") }
        let image = device.image as? QCow2Node
        let found = image?.snapshots.first { (id == nil || $0.id == id) && (title == nil || $0.name == title) }
        guard let image, let found else {
            throw .failed("Snapshot with id '\(id ?? "null")' and name '\(title ?? "null")' does not exist on device '\(name)'")
        }
        try checkFree(device)
        device.beginDrained()
        defer { device.endDrained() }
        try images { () throws(BlockError) in try image.deleteSnapshot(found) }
        return [
            "id": .string(found.id), "name": .string(found.name), "vm-state-size": .number(UInt64(found.stateSize)),
            "date-sec": .number(UInt64(found.seconds)), "date-nsec": .number(UInt64(found.nanoseconds)),
            "vm-clock-sec": .number(found.guestClock / 1_000_000_000),
            "vm-clock-nsec": .number(found.guestClock % 1_000_000_000),
        ]
    }
}
