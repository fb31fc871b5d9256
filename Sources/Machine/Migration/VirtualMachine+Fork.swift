internal import BlockImage
internal import DeviceModel
internal import GuestMemory
public import HostOS
internal import JSON
internal import Log
internal import MachineState
internal import Synchronization

// A running machine becomes several. Its memory goes into a file of memory that nobody changes any more; it and its
// children have that in common, and each keeps what it changes to itself. Children are processes that were started to
// wait (`-incoming unix:PATH`) with disks, addresses and consoles of their own; the machine goes on.
extension VirtualMachine {
    public func fork(_ request: ForkRequest) throws(MachineError) {
        var places: [MigrationAddress] = []
        for address in request.children {
            let place = try MigrationAddress(address)
            switch place {
            case .unix: break
            case .descriptor where request.descriptors[address] != nil: break
            default: throw .failed("A fork waits at 'unix:PATH', not at '\(address)'")
            }
            places.append(place)
        }
        guard !places.isEmpty else { throw .failed("Parameter 'children' names nobody") }
        switch runState {
        case .inMigrate: throw .failed("Guest is waiting for an incoming migration")
        case .internalError: throw .failed("The engine cannot go on: its state cannot be saved")
        case .postMigrate: throw .failed("The machine is at another place now")
        default: break
        }
        try checkBlockers(forks: true)
        try checkForkedDisks(request)
        guard desk.begin(isIncoming: false) else { throw .failed("There's a migration process in progress") }
        report(.setup)
        var channels: [MigrationChannel] = []
        do throws(MachineError) {
            // Where one is missing nothing is done.
            for (place, address) in zip(places, request.children) {
                channels.append(try place.openForWriting(request.descriptors[address]))
            }
        } catch {
            fail(error.description)
            throw error
        }
        let opened = channels
        // Who cancels ends all of them.
        for other in opened.dropFirst() { opened[0].accompany(other) }
        desk.use(opened[0])
        do throws(HostError) {
            desk.keep(try HostThread(name: "fork") { [self] in fork(to: opened, request) })
        } catch {
            fail("\(error)")
            throw .failed("\(error)")
        }
    }

    /// Writable disks would be written by two: each has to get an overlay of its own.
    private func checkForkedDisks(_ request: ForkRequest) throws(MachineError) {
        for (name, device) in board.storage.writable {
            guard request.overlays.contains(where: { $0.device == name || $0.device == device.image.nodeName }) else {
                throw .failed("Disk '\(name)' is writable, and 'overlays' has none for it")
            }
        }
        for overlay in request.overlays {
            let isThere = board.storage.writable.contains {
                $0.name == overlay.device || $0.device.image.nodeName == overlay.device
            }
            if !isThere { throw .deviceNotFound(overlay.device) }
        }
    }

    // MARK: The thread

    private func fork(to channels: [MigrationChannel], _ request: ForkRequest) {
        var ran = false
        var stood = false
        let began = HostClock.monotonic
        do throws(StateError) {
            desk.awaitLateMemory()
            let pages = guestPages
            let frozen = try FrozenMemory(pages.blocks)
            let isOwn = board.engine.movable != nil && runState.isRunning
            if isOwn {
                setDirtyLog(true)
                // What is marked until here goes with the first round.
                _ = takeDirty(pages)
            }
            change { information in
                information.status = .active
                information.total = pages.pageCount << 12
                information.setupTime = (HostClock.monotonic - began) / 1_000_000
            }
            var left = frozen.ownPages
            if isOwn { left = try copyWhileRunning(frozen, pages, left) }
            let stopped = HostClock.monotonic
            stood = true
            ran = try standForMigration()
            change { $0.status = .device }
            if isOwn {
                let last = takeDirty(pages)
                for index in left.indices { left[index].formUnion(last[index]) }
            } else {
                left = frozen.ownPages
            }
            try frozen.copy(left) { () throws(StateError) in try checkCancelled() }
            let state = StateBuffer()
            var writer = try StateWriter(state)
            try writeHead(to: &writer, pages, answers: true, isFork: true)
            try writeDevices(to: &writer, ends: false)
            try checkCancelled()
            for overlay in request.overlays { try put(overlay) }
            // Its own memory becomes the frozen one too, and its pages the host's common ones.
            let layers = try control.withLock { (_) throws(StateError) in try frozen.seal() }
            let code = control.withLock { _ in board.engine.movable?.freezeCode(of: board.blocks) ?? [] }
            let (described, files) = FrozenMemory.describe(layers, code: code)
            try writer.write(described, section: FrozenMemory.section)
            try writer.finish()
            // It is its own again; what follows is the children's.
            goOn(ran)
            stood = false
            change { $0.downtime = (HostClock.monotonic - stopped) / 1_000_000 }
            var failures: [String] = []
            // All have it before any is waited for.
            var given: [MigrationChannel] = []
            for channel in channels {
                do throws(StateError) {
                    try give(state, files, to: channel)
                    given.append(channel)
                } catch { failures.append(error.description) }
            }
            for channel in given {
                do throws(StateError) { try release(channel) } catch { failures.append(error.description) }
            }
            if let first = failures.first {
                throw .host("\(failures.count) of \(channels.count) children did not start: \(first)")
            }
            change { $0.status = .completed }
        } catch {
            if stood { goOn(ran) }
            fail(error.description)
        }
        setDirtyLog(false)
    }

    private func checkCancelled() throws(StateError) { if desk.isCancelled { throw .cancelled } }

    private func goOn(_ ran: Bool) {
        standAsBefore()
        if ran { do throws(MachineError) { try resume() } catch { log.error("\(error)") } }
    }

    /// Copies memory while the guest runs, until little is left.
    private func copyWhileRunning(
        _ frozen: FrozenMemory, _ pages: GuestPages, _ first: [PageSet]
    ) throws(StateError) -> [PageSet] {
        var left = first
        for round in 0..<4 {
            try frozen.copy(left) { () throws(StateError) in try checkCancelled() }
            left = takeDirty(pages)
            let size = left.reduce(0) { $0 + $1.size }
            change { information in
                information.rounds = UInt64(round + 1)
                information.remaining = UInt64(size) << 12
            }
            // Two milliseconds' work.
            if size < 1024 || !runState.isRunning { break }
        }
        return left
    }

    /// What is written to, for those who make overlays.
    public var forkedDisks: [ForkedIdentity.Disk] {
        get throws(MachineError) {
            board.storage.writable.map { name, device in
                ForkedIdentity.Disk(
                    device: name, backing: BlockGraph.absoluteName(device.image), format: device.image.driverName,
                    size: device.image.sizeInBytes)
            }
        }
    }

    private func put(_ overlay: ForkRequest.Overlay) throws(StateError) {
        var arguments: JSONObject = [
            "device": .string(overlay.device), "snapshot-file": .string(overlay.path), "format": "qcow2",
        ]
        if let name = overlay.nodeName {
            // An image that somebody has opened already.
            arguments = ["node": .string(overlay.device), "overlay": .string(name)]
        }
        let operation: BlockOperation = overlay.nodeName == nil ? .snapshotSync : .snapshot
        do throws(MachineError) { _ = try board.storage.live.perform(operation, arguments) } catch {
            throw .host("The overlay of disk '\(overlay.device)': \(error)")
        }
    }

    private func give(
        _ state: StateBuffer, _ files: [Descriptor], to channel: MigrationChannel
    ) throws(StateError) {
        var failure: StateError?
        // SAFETY: the buffer is the array's own for the call.
        unsafe state.bytes.withUnsafeBytes { bytes in
            do throws(StateError) { try unsafe channel.write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        for file in files { try channel.send(MigrationWord.memory, passing: file) }
    }

    private func release(_ channel: MigrationChannel) throws(StateError) {
        guard try channel.receiveByte() == MigrationWord.ready else { throw .host("A child did not take the machine") }
        try channel.send(MigrationWord.go)
        try channel.finish()
    }

    // MARK: The child

    /// Has the parent's frozen memory as its own.
    func takeFrozenMemory(_ channel: MigrationChannel, _ loaded: inout LoadedState) throws(StateError) {
        guard let state = loaded.sections.removeValue(forKey: FrozenMemory.section) else {
            throw .missing(section: FrozenMemory.section)
        }
        var files: [Descriptor] = []
        for _ in 0..<FrozenMemory.count(state) {
            guard try channel.receiveByte() == MigrationWord.memory, let file = channel.takeDescriptor() else {
                throw .host("The parent has given no memory")
            }
            files.append(file)
        }
        try FrozenMemory.take(state, files, board.blocks)
        // Code is taken from who could as well have started another program in this one's place.
        let code = FrozenMemory.code(state, files)
        if channel.isOfOwnUser, !code.isEmpty {
            _ = board.engine.movable?.adoptCode(code, of: board.blocks)
        }
    }
}

/// What `x-fork` asks for.
public struct ForkRequest: Sendable {
    /// A disk of the machine, and the new file that takes what it writes from now on.
    public struct Overlay: Sendable {
        /// The disk, by its drive's or its node's name.
        public var device: String
        /// The file, which is made.
        public var path: String
        /// The node that it is already, instead of a file.
        public var nodeName: String?
        /// An overlay.
        public init(device: String, path: String, nodeName: String? = nil) {
            self.device = device
            self.path = path
            self.nodeName = nodeName
        }
    }
    /// Where the children wait, each as `unix:PATH`, or `fd:NAME` of a connection with its socket.
    public var children: [String]
    /// Those connections, by what they are called in `children`.
    public var descriptors: [String: Descriptor]
    /// The machine's own overlays: what its disks were is the children's too.
    public var overlays: [Overlay]
    /// A request of all parts.
    public init(children: [String], overlays: [Overlay] = [], descriptors: [String: Descriptor] = [:]) {
        self.descriptors = descriptors
        self.children = children
        self.overlays = overlays
    }
}

/// A stream in memory.
private final class StateBuffer: StateSink {
    private(set) var bytes: [UInt8] = []
    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) { unsafe self.bytes.append(contentsOf: bytes) }
}
