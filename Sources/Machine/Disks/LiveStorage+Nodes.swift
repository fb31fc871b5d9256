internal import BlockImage
internal import JSON
internal import Synchronization

// Nodes that no device of the machine's uses: made by `blockdev-add` or `-blockdev`, targets of jobs, scratch images of
// backups. Whoever changes one goes through a device that stands on it, so that jobs and bitmaps hear of each change.
extension LiveStorage {
    /// A device that stands on a node. It goes with the last job, bitmap or export that has it.
    struct StandIn: Sendable { weak var device: BlockDevice? }

    /// The device whose disk a node is, or else the one that stands on it.
    func carrier(of node: any BlockNode) throws(MachineError) -> BlockDevice {
        if let device = try user(of: node) { return device }
        return try standIn(on: node)
    }

    /// The device that stands on a node which is no device's disk. Throws where somebody changes the node that nobody would
    /// hear of.
    func standIn(on node: any BlockNode) throws(MachineError) -> BlockDevice {
        let storage = try storage()
        let image = node.unfiltered
        if let drive = storage.removableDrives.first(where: { $0.current?.device.image === image }) {
            throw .failed("Device '\(drive.name)' has no medium that can be worked on")
        }
        // Filters above it are its way in.
        var top = image
        while let filter = storage.graph.nodes.first(where: { ($0 as? any FilterNode)?.filtered === top }) {
            top = filter
        }
        for node in [image, top] {
            guard let above = storage.graph.writer(above: node) else { continue }
            throw .failed("Node '\(node.nodeName)' is busy: node is used by '\(above.nodeName)', which writes to it")
        }
        let root = top
        return state.withLock { state in
            state.standIns.removeAll { $0.device == nil }
            if let found = state.standIns.lazy.compactMap(\.device).first(where: { $0.image === image }) {
                return found
            }
            let made = BlockDevice(standingOn: root)
            state.standIns.append(StandIn(device: made))
            return made
        }
    }

    /// Lets each bitmap hear of the changes of its node by whom they come now: devices take nodes and leave them, and jobs and
    /// snapshots put others in their places. Bitmaps of nodes that are gone go too.
    func settleBitmaps() {
        guard let graph = try? storage().graph else { return }
        for entry in state.withLock({ $0.bitmaps }) {
            guard let node = graph.node(named: entry.node) else {
                // A device that still has the node is gone with it.
                if entry.device.image.nodeName != entry.node { entry.device.detach(entry.bitmap) }
                state.withLock { state in state.bitmaps.removeAll { $0.bitmap === entry.bitmap } }
                continue
            }
            let now = try? carrier(of: node)
            if now === entry.device, now?.image === node.unfiltered {
                now?.attach(entry.bitmap)
                continue
            }
            entry.device.detach(entry.bitmap)
            guard let now else { continue }
            now.attach(entry.bitmap)
            state.withLock { state in
                guard let place = state.bitmaps.firstIndex(where: { $0.bitmap === entry.bitmap }) else { return }
                state.bitmaps[place].device = now
            }
        }
    }

    /// A node is about to be closed by name: throws where a client may have it.
    func checkRemoval(of name: String) throws(MachineError) {
        guard !state.withLock({ $0.exports.contains { $0.node == name } }) else {
            throw .failed("Node '\(name)' is still in use")
        }
    }

    /// `block-set-write-threshold`: the first change beyond a mark is told of.
    func setWriteThreshold(_ arguments: JSONObject) throws(MachineError) {
        let graph = try storage().graph
        let name = arguments.string("node-name") ?? ""
        guard graph.node(named: name) != nil else { throw .failed("Device '\(name)' not found") }
        let value = arguments["write-threshold"]
        // Negative numbers are large ones, as with QEMU.
        guard let mark = value?.uint64Value ?? value?.int64Value.map({ UInt64(bitPattern: $0) }) else {
            throw .failed("Parameter 'write-threshold' expects uint64")
        }
        try images { () throws(BlockError) in
            try graph.setWriteThreshold(of: name, to: mark) { [weak self] excess in
                self?.emit(
                    "BLOCK_WRITE_THRESHOLD",
                    [
                        "node-name": .string(name), "amount-exceeded": .number(excess),
                        "write-threshold": .number(mark),
                    ])
            }
        }
    }
}
