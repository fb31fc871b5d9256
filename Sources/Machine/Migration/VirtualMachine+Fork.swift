internal import BlockImage
internal import DeviceModel
internal import GuestMemory
internal import HostOS
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
            guard case .unix = place else { throw .failed("A fork waits at 'unix:PATH', not at '\(address)'") }
            places.append(place)
        }
        guard !places.isEmpty else { throw .failed("Parameter 'children' names nobody") }
        switch runState {
        case .inMigrate: throw .failed("Guest is waiting for an incoming migration")
        case .internalError: throw .failed("The engine cannot go on: its state cannot be saved")
        case .postMigrate: throw .failed("The machine is at another place now")
        default: break
        }
        for block in board.blocks {
            if case .shared = block.backing { throw .failed("Memory '\(block.name)' is shared with other processes") }
        }
        try checkForkedDisks(request)
        guard desk.begin(isIncoming: false) else { throw .failed("There's a migration process in progress") }
        report(.setup)
        var channels: [MigrationChannel] = []
        do throws(MachineError) {
            // Where one is missing nothing is done.
            for place in places { channels.append(try place.openForWriting(nil)) }
        } catch {
            fail(error.description)
            throw error
        }
        let opened = channels
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
            guard request.overlays.contains(where: { $0.device == name || $0.device == device.root.nodeName }) else {
                throw .failed("Disk '\(name)' is writable, and 'overlays' has none for it")
            }
        }
        for overlay in request.overlays {
            let isThere = board.storage.writable.contains {
                $0.name == overlay.device || $0.device.root.nodeName == overlay.device
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
            change { information in
                information.status = .active
                information.total = pages.pageCount << 12
                information.setupTime = (HostClock.monotonic - began) / 1_000_000
            }
            var left = pages.all
            if runState.isRunning { left = try copyWhileRunning(frozen, pages) }
            let stopped = HostClock.monotonic
            stood = true
            ran = try standForMigration()
            change { $0.status = .device }
            let last = takeDirty(pages)
            for index in left.indices { left[index].formUnion(last[index]) }
            try frozen.copy(left) { () throws(StateError) in try checkCancelled() }
            try frozen.seal()
            let state = StateBuffer()
            var writer = try StateWriter(state)
            try writeHead(to: &writer, pages, answers: true, isFork: true)
            try writeDevices(to: &writer)
            try checkCancelled()
            for overlay in request.overlays { try put(overlay) }
            try share(frozen)
            // It is its own again; what follows is the children's.
            goOn(ran)
            stood = false
            change { $0.downtime = (HostClock.monotonic - stopped) / 1_000_000 }
            var failures: [String] = []
            for channel in channels {
                do throws(StateError) { try give(state, frozen, to: channel) } catch {
                    failures.append(error.description)
                }
            }
            for channel in channels {
                do throws(StateError) { try channel.finish() } catch { failures.append(error.description) }
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
        state.withLock { state in
            if state.runState == .finishMigrate { state.runState = .paused }
        }
        if ran { do throws(MachineError) { try resume() } catch { log.error("\(error)") } }
    }

    /// Copies memory while the guest runs, until little is left.
    private func copyWhileRunning(_ frozen: FrozenMemory, _ pages: GuestPages) throws(StateError) -> [PageSet] {
        guard board.engine.movable != nil else { return pages.all }
        setDirtyLog(true)
        _ = takeDirty(pages)
        var left = pages.all
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

    /// The machine's own memory becomes the frozen one too, and its pages the host's common ones.
    private func share(_ frozen: FrozenMemory) throws(StateError) {
        do throws(HostError) {
            try control.withLock { (_) throws(HostError) in
                for (block, offset) in zip(board.blocks, frozen.offsets) {
                    guard block.backing == .anonymous || block.backing == .privateFile else { continue }
                    try block.freeze(onto: frozen.file, offset: offset)
                }
            }
        } catch { throw .host("\(error)") }
    }

    private func put(_ overlay: ForkRequest.Overlay) throws(StateError) {
        let arguments: JSONObject = [
            "device": .string(overlay.device), "snapshot-file": .string(overlay.path), "format": "qcow2",
        ]
        do throws(MachineError) { _ = try board.storage.live.perform(.snapshotSync, arguments) } catch {
            throw .host("The overlay of disk '\(overlay.device)': \(error)")
        }
    }

    private func give(
        _ state: StateBuffer, _ frozen: FrozenMemory, to channel: MigrationChannel
    ) throws(StateError) {
        var failure: StateError?
        // SAFETY: the buffer is the array's own for the call.
        unsafe state.bytes.withUnsafeBytes { bytes in
            do throws(StateError) { try unsafe channel.write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        try channel.send(MigrationWord.memory, passing: frozen.file)
        guard try channel.receiveByte() == MigrationWord.ready else { throw .host("A child did not take the machine") }
        try channel.send(MigrationWord.go)
    }

    // MARK: The child

    /// Has the parent's frozen memory as its own.
    func takeFrozenMemory(_ channel: MigrationChannel) throws(StateError) {
        guard try channel.receiveByte() == MigrationWord.memory, let file = channel.takeDescriptor() else {
            throw .host("The parent has given no memory")
        }
        do throws(HostError) {
            for (block, offset) in zip(board.blocks, FrozenMemory.offsets(board.blocks)) {
                try block.freeze(onto: file, offset: offset)
            }
        } catch { throw .host("\(error)") }
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
        /// An overlay.
        public init(device: String, path: String) {
            self.device = device
            self.path = path
        }
    }
    /// Where the children wait, each as `unix:PATH`.
    public var children: [String]
    /// The machine's own overlays: what its disks were is the children's too.
    public var overlays: [Overlay]
    /// A request of all parts.
    public init(children: [String], overlays: [Overlay] = []) {
        self.children = children
        self.overlays = overlays
    }
}

/// A stream in memory.
private final class StateBuffer: StateSink {
    private(set) var bytes: [UInt8] = []
    func write(_ bytes: UnsafeRawBufferPointer) throws(StateError) { unsafe self.bytes.append(contentsOf: bytes) }
}

/// A copy of a machine's memory in a file of memory: first written, then sealed.
struct FrozenMemory {
    let file: Descriptor
    let offsets: [Int64]
    private let blocks: [GuestPages.Block]

    /// Where the blocks lie: one behind the other, each on a boundary of huge pages.
    static func offsets(_ blocks: [RAMBlock]) -> [Int64] {
        var place: Int64 = 0
        return blocks.map { block in
            defer { place += (Int64(block.size) + (2 << 20) - 1) & ~((2 << 20) - 1) }
            return place
        }
    }

    init(_ blocks: [GuestPages.Block]) throws(StateError) {
        self.blocks = blocks
        offsets = Self.offsets(blocks.map(\.block))
        let end = zip(offsets, blocks).map { $0 + Int64($1.block.size) }.max() ?? 0
        do throws(HostError) {
            file = try Descriptor.memoryFile(name: "apus-frozen", count: Int(end), canBeSealed: true)
        } catch { throw .host("\(error)") }
    }

    /// Copies pages. Those that are zero and were never written stay holes.
    func copy(_ pages: [PageSet], _ check: () throws(StateError) -> Void) throws(StateError) {
        for (place, block) in blocks.enumerated() {
            var failure: StateError?
            var first = 0
            var count = 0
            func flush() throws(StateError) {
                guard count > 0 else { return }
                // SAFETY: the pages lie in the block.
                var rest = unsafe UnsafeRawBufferPointer(start: block.block.base + first << 12, count: count << 12)
                var position = offsets[place] + Int64(first) << 12
                while unsafe !rest.isEmpty {
                    switch unsafe file.write(rest, at: position) {
                    case .moved(let moved):
                        unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(moved))
                        position += Int64(moved)
                    case .wouldBlock: continue
                    case .end: throw .host("The memory file is full")
                    case .failed(let number): throw .host("Cannot copy memory: \(HostError.text(number))")
                    }
                }
                count = 0
                try check()
            }
            pages[place].forEach { page in
                guard failure == nil else { return }
                do throws(StateError) {
                    // SAFETY: one page of the block; a guest that writes it meanwhile has it copied again.
                    let contents = unsafe UnsafeRawBufferPointer(start: block.block.base + page << 12, count: 4096)
                    if unsafe isFresh && PageContents.isZero(contents) { return try flush() }
                    if count > 0, first + count != page || count == 256 { try flush() }
                    if count == 0 { first = page }
                    count += 1
                } catch { failure = error }
            }
            if let failure { throw failure }
            try flush()
        }
        isFresh = false
    }
    /// Nothing was written yet: holes are zeroes.
    private var isFresh: Bool {
        get { state.isFresh }
        nonmutating set { state.isFresh = newValue }
    }
    private final class State { var isFresh = true }
    private let state = State()

    func seal() throws(StateError) { do throws(HostError) { try file.seal() } catch { throw .host("\(error)") } }
}
