internal import BlockImage
internal import Devices
internal import HostOS
internal import MachineState
internal import Synchronization

// Snapshots of the machine: each writable image keeps the disk's, and one of them the machine's state.
extension VirtualMachine {
    public var snapshots: [SnapshotInformation] {
        get throws(MachineError) {
            let disks = try snapshotDisks(nil)
            guard let first = disks.first else { return [] }
            // Those that all disks have, as only they can be gone back to.
            return first.node.snapshots.filter { snapshot in
                disks.allSatisfy { disk in disk.node.snapshots.contains { $0.name == snapshot.name } }
            }.map { snapshot in
                let sizes = disks.compactMap { disk in
                    disk.node.snapshots.first { $0.name == snapshot.name }?.stateSize
                }
                return SnapshotInformation(
                    id: snapshot.id, name: snapshot.name, stateSize: sizes.max() ?? 0, seconds: snapshot.seconds,
                    nanoseconds: snapshot.nanoseconds, guestClock: snapshot.guestClock)
            }
        }
    }

    private struct Disk {
        let name: String
        let node: QCow2Node
    }

    /// The writable disks, or those of the named nodes. Throws where one of them has no snapshots.
    private func snapshotDisks(_ names: [String]?) throws(MachineError) -> [Disk] {
        var disks: [Disk] = []
        for (name, device) in board.storage.writable {
            let node = device.image
            if let names, !names.contains(name), !names.contains(node.nodeName) { continue }
            guard let image = node as? QCow2Node else {
                throw .failed("Device '\(name)' is writable but does not support snapshots")
            }
            disks.append(Disk(name: name, node: image))
        }
        for name in names ?? [] where !disks.contains(where: { $0.name == name || $0.node.nodeName == name }) {
            throw .failed("No block device node '\(name)'")
        }
        return disks
    }

    private func stateDisk(_ disks: [Disk], _ name: String?) throws(MachineError) -> Disk {
        let found = disks.first { name == nil || $0.name == name || $0.node.nodeName == name }
        guard let found else {
            throw name.map { .failed("vmstate block device '\($0)' does not exist") }
                ?? .failed("No block device can accept snapshots")
        }
        return found
    }

    private func step<R>(_ body: () throws(BlockError) -> R) throws(MachineError) -> R {
        do throws(BlockError) { return try body() } catch { throw .failed("\(error)") }
    }

    /// Stops the machine for some work, and lets it go on as before.
    private func whileStanding<R>(
        _ newState: RunState, _ body: () throws(MachineError) -> R
    ) throws(MachineError) -> R {
        guard !desk.information.status.isUnderWay else { throw .failed("There's a migration process in progress") }
        let before = runState
        switch before {
        case .inMigrate: throw .failed("Guest is waiting for an incoming migration")
        case .saveVM, .restoreVM: throw .failed("Another snapshot is being worked on")
        default: break
        }
        let ran = halt(as: newState)
        defer {
            state.withLock { state in
                if state.runState == newState { state.runState = ran || newState == .restoreVM ? .paused : before }
            }
            if ran { _ = run() }
        }
        for (_, device) in board.storage.writable { device.drain() }
        return try body()
    }

    public func saveSnapshot(
        _ name: String, vmstate: String?, devices: [String]?, replaces: Bool
    ) throws(MachineError) {
        try checkBlockers()
        let disks = try snapshotDisks(devices)
        let keeper = try stateDisk(disks, vmstate)
        let time = HostClock.realtime
        let tag = name.isEmpty ? "vm-\(time / 1_000_000_000)" : name
        guard tag.utf8.count <= 255 else { throw .failed("The name of a snapshot has 255 bytes at most") }
        let old = disks.filter { disk in disk.node.snapshots.contains { $0.name == tag } }
        guard replaces || old.isEmpty else { throw .failed("Snapshot '\(tag)' already exists in one or more devices") }
        guard desk.state.withLock({ $0.lateReceiver == nil }) else {
            throw .failed("The machine's memory is still coming from another")
        }
        desk.awaitLateMemory()
        try whileStanding(.saveVM) { () throws(MachineError) in
            for disk in old { try remove(tag, from: disk) }
            try step { () throws(BlockError) in try keeper.node.discardState() }
            let channel = ImageStateChannel(keeper.node)
            do throws(StateError) {
                var writer = try StateWriter(channel)
                let pages = guestPages
                try writeHead(to: &writer, pages, answers: false)
                try pages.send(pages.touched(), to: &writer, skipsZeroes: true, isStanding: true) { _ in }
                try writeDevices(to: &writer)
                try channel.flush()
            } catch {
                try? keeper.node.discardState()
                throw .failed(error.description)
            }
            var made: [Disk] = []
            do throws(MachineError) {
                for disk in disks {
                    let size = disk.node === keeper.node ? channel.count : 0
                    try step { () throws(BlockError) in
                        try disk.node.createSnapshot(
                            name: tag, seconds: UInt32(truncatingIfNeeded: time / 1_000_000_000),
                            nanoseconds: UInt32(time % 1_000_000_000), stateSize: size, guestClock: board.clock.now)
                    }
                    made.append(disk)
                }
            } catch {
                // All or none.
                for disk in made { try? remove(tag, from: disk) }
                try? keeper.node.discardState()
                throw error
            }
            // The snapshot has it now.
            try step { () throws(BlockError) in try keeper.node.discardState() }
        }
    }

    private func remove(_ name: String, from disk: Disk) throws(MachineError) {
        while let snapshot = disk.node.snapshots.first(where: { $0.name == name }) {
            try step { () throws(BlockError) in try disk.node.deleteSnapshot(snapshot) }
        }
    }

    public func loadSnapshot(_ name: String, vmstate: String?, devices: [String]?) throws(MachineError) {
        let disks = try snapshotDisks(devices)
        var found: [(disk: Disk, snapshot: QCow2Snapshot)] = []
        for disk in disks {
            guard let snapshot = disk.node.snapshots.first(where: { $0.name == name }) ?? disk.node.snapshot(name)
            else { throw .failed("Snapshot '\(name)' does not exist in one or more devices") }
            found.append((disk, snapshot))
        }
        let keepers = found.filter { $0.snapshot.stateSize > 0 }
        guard
            let keeper = keepers.first(where: { entry in
                vmstate == nil || entry.disk.name == vmstate || entry.disk.node.nodeName == vmstate
            })
        else { throw .failed("This is a disk-only snapshot. Revert to it offline using qemu-img") }
        try whileStanding(.restoreVM) { () throws(MachineError) in
            for entry in found {
                try step { () throws(BlockError) in try entry.disk.node.applySnapshot(entry.snapshot) }
            }
            let channel = ImageStateChannel(keeper.disk.node, count: keeper.snapshot.stateSize)
            do throws(StateError) {
                let loaded = try readState(channel)
                _ = try control.withLock { (_) throws(StateError) in try apply(loaded, isCopy: true) }
            } catch {
                // Half a machine must not run.
                halt(as: .internalError)
                throw .failed("Error while loading VM state: \(error)")
            }
            try step { () throws(BlockError) in try keeper.disk.node.discardState() }
        }
    }

    public func startSnapshotJob(_ job: SnapshotJob) throws(MachineError) {
        let kind: BlockJob.Kind =
            switch job.kind {
            case .save: .snapshotSave
            case .load: .snapshotLoad
            case .delete: .snapshotDelete
            }
        try board.storage.live.startTask(kind, id: job.id) { [weak self] () throws(MachineError) in
            guard let self else { return }
            switch job.kind {
            case .save: try saveSnapshot(job.tag, vmstate: job.vmstate, devices: job.devices, replaces: false)
            case .load: try loadSnapshot(job.tag, vmstate: job.vmstate, devices: job.devices)
            case .delete: try deleteSnapshot(job.tag, devices: job.devices)
            }
        }
    }

    public var generation: [UInt8]? { board.generation?.identifier }

    public func deleteSnapshot(_ name: String, devices: [String]?) throws(MachineError) {
        let disks = try snapshotDisks(devices)
        guard disks.contains(where: { $0.node.snapshot(name) != nil }) else {
            throw .failed("Snapshot '\(name)' does not exist in any device")
        }
        for disk in disks {
            guard let snapshot = disk.node.snapshots.first(where: { $0.name == name }) ?? disk.node.snapshot(name)
            else { continue }
            try step { () throws(BlockError) in try disk.node.deleteSnapshot(snapshot) }
        }
    }
}

/// The stream of a machine's state in an image. Confined to one thread.
private final class ImageStateChannel: StateSink, StateSource {
    private let node: QCow2Node
    /// Bytes of the state: written so far, or that there are.
    private(set) var count: UInt64 = 0
    private var position: UInt64 = 0
    private var buffer: [UInt8] = []
    private static let chunk = 1 << 20

    init(_ node: QCow2Node, count: UInt64 = 0) {
        self.node = node
        self.count = count
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) {
        unsafe buffer.append(contentsOf: bytes)
        count += UInt64(bytes.count)
        if buffer.count >= 4 * Self.chunk { try put(buffer.count / Self.chunk * Self.chunk) }
    }
    /// Writes what is left, filled up to whole clusters.
    func flush() throws(StateError) {
        let size = (buffer.count + 0xFFFF) & ~0xFFFF
        buffer += [UInt8](repeating: 0, count: size - buffer.count)
        try put(size)
    }
    private func put(_ count: Int) throws(StateError) {
        var failure: StateError?
        // SAFETY: the buffer is the array's own for the call, and no shorter than `count`.
        unsafe buffer.withUnsafeBytes { bytes in
            do throws(BlockError) {
                try unsafe node.writeState(at: position, UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
            } catch { failure = .host("\(error)") }
        }
        if let failure { throw failure }
        position += UInt64(count)
        buffer.removeFirst(count)
    }

    func read(_ target: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        let wanted = Int(min(UInt64(target.count), count - min(position, count)))
        guard wanted > 0 else { return 0 }
        do throws(BlockError) {
            try unsafe node.readState(at: position, UnsafeMutableRawBufferPointer(rebasing: target[0..<wanted]))
        } catch { throw .host("\(error)") }
        position += UInt64(wanted)
        return wanted
    }
}
