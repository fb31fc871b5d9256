internal import CLinux
internal import HostOS
internal import Synchronization

/// The nodes of a machine's disks by name, and who uses them. Opening and closing block; any thread.
public final class BlockGraph: Sendable {
    private struct Entry {
        let node: any BlockNode
        /// Nodes and devices above.
        var users = 0
        /// A device above writes and does not share that.
        var hasWriter = false
        /// Came into being as a part of its parent, and goes with it.
        let isImplicit: Bool
        /// As it was opened, and what of that has changed.
        let given: BlockOptions
        var options: NodeOptions
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var names: Set<String> = []
        var nextNumber = 100
    }

    /// Opens files for the drivers.
    public let opener: FileOpener
    /// How files that say nothing else are read and written.
    public let defaultAIO: FileAIO
    /// What options such as `key-secret=` name.
    public let secrets: BlockSecrets
    /// What `throttle-group=` and the limits of devices name.
    public let throttles: ThrottleGroups
    /// Nodes open without locks, for `activate` to take: another machine has the images until it hands them over.
    public var isInactive: Bool { inactive.load(ordering: .relaxed) }
    let inactive: Atomic<Bool>
    /// Which names in images are followed.
    public let references: ReferencePolicy
    /// Memory of the guest's that is locked in the host's: rings of files register it. It stays mapped as long as there are
    /// files, and none of its pages is exchanged.
    public let lockedMemory: [MemoryRange]
    private let drivers: [String: BlockDriver]
    private let state = Mutex(State())
    private let observer = Mutex<(@Sendable (ImageCorruption) -> Void)?>(nil)

    /// An empty graph.
    public init(
        opener: @escaping FileOpener = FileNode.openDirectly, drivers: [BlockDriver] = BlockDriver.all,
        defaultAIO: FileAIO = .auto, secrets: BlockSecrets = BlockSecrets(),
        throttles: ThrottleGroups = ThrottleGroups(),
        references: ReferencePolicy = ReferencePolicy(), isInactive: Bool = false,
        lockedMemory: [MemoryRange] = []
    ) {
        self.lockedMemory = lockedMemory
        self.references = references
        inactive = Atomic(isInactive)
        self.secrets = secrets
        self.throttles = throttles
        self.opener = opener
        self.defaultAIO = defaultAIO
        self.drivers = Dictionary(drivers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Who is told of damage that requests meet in an image, on any thread; not to come back to the image.
    public func observeCorruption(_ body: (@Sendable (ImageCorruption) -> Void)?) { observer.withLock { $0 = body } }
    func tell(_ damage: ImageCorruption) { observer.withLock { $0 }?(damage) }

    /// The drivers' names, sorted.
    public var driverNames: [String] { drivers.keys.sorted() }

    /// Every node, by name in order.
    public var nodes: [any BlockNode] {
        state.withLock { $0.entries.sorted { $0.key < $1.key }.map(\.value.node) }
    }

    /// The node of a name.
    public func node(named name: String) -> (any BlockNode)? { state.withLock { $0.entries[name]?.node } }

    /// Opens a node with all that is below it (`-blockdev`, `blockdev-add`).
    @discardableResult
    public func open(_ options: [String: String]) throws(BlockError) -> any BlockNode {
        var options = BlockOptions(options)
        // Nobody stands on it yet.
        if ["file", "host_device"].contains(options.value("driver")) { options.setDefault("x-waits", "on") }
        return try open(options, isImplicit: false)
    }

    /// Somebody is about to write to a node: one that is open for reading until then (`auto-read-only`) takes writes from now
    /// on, where its file does. Throws where others' use of the file is in the way.
    public func expectWrites(to node: any BlockNode) throws(BlockError) {
        let options = nodeOptions(of: node)
        guard node.isReadOnly, options.autoReadOnly, !options.readOnly, let node = node as? any Reopenable else {
            return
        }
        do throws(BlockError) { try node.reopen(readOnly: false) } catch {
            switch error {
            case .noPermission, .readOnly: return
            default: throw error
            }
        }
    }

    /// Closes a node that nobody uses, with the parts that belong to it alone (`blockdev-del`).
    public func remove(_ name: String) throws(BlockError) {
        let entry = state.withLock { $0.entries[name] }
        guard let entry else { throw .unknownNode(name) }
        guard entry.users == 0 else { throw .nodeInUse(name) }
        close(entry.node)
    }

    /// Puts a device on a node. A node with a writer above takes no second one unless `sharesWrites`.
    public func attach(
        _ name: String, id: String, writeCache: Bool = true, sharesWrites: Bool = false
    ) throws(BlockError) -> BlockDevice {
        if let node = self.node(named: name) { try expectWrites(to: node) }
        let node = try state.withLock { state throws(BlockError) -> any BlockNode in
            guard var entry = state.entries[name] else { throw .unknownNode(name) }
            guard sharesWrites || entry.users == 0 || entry.node.isReadOnly else { throw .nodeInUse(name) }
            guard !entry.hasWriter || sharesWrites else { throw .nodeInUse(name) }
            entry.users += 1
            entry.hasWriter = entry.hasWriter || !(entry.node.isReadOnly || sharesWrites)
            state.entries[name] = entry
            return entry.node
        }
        return BlockDevice(id: id, root: node, writeCache: writeCache)
    }

    /// Takes a device off its node, after a drain. A node that came with `openDrive` closes with its last user.
    public func detach(_ device: BlockDevice) {
        device.drain()
        let name = device.root.nodeName
        state.withLock { state in
            state.entries[name]?.users -= 1
            state.entries[name]?.hasWriter = false
        }
        release(name)
    }

    /// Closes every node, from the top.
    public func closeAll() {
        while true {
            let entries = state.withLock { Array($0.entries.values) }
            guard !entries.isEmpty else { return }
            let below = Set(entries.flatMap { $0.node.children.map(\.node.nodeName) })
            for entry in entries where !below.contains(entry.node.nodeName) { close(entry.node) }
        }
    }

    /// Opens a node that goes with its last user.
    public func openImplicitly(_ options: [String: String]) throws(BlockError) -> any BlockNode {
        try open(BlockOptions(options), isImplicit: true)
    }

    /// Throws unless what an image names may be opened, though not as a part of it: for a walk over a chain.
    public func checkReference(_ name: String, of image: any BlockNode) throws(BlockError) {
        try references.check(name, "backing file", in: image)
    }

    // MARK: For jobs

    /// Puts another image under a device that is drained, below its filters. The old one goes if nobody else uses it and
    /// it came with its user.
    func exchange(_ device: BlockDevice, to node: any BlockNode) {
        let old = device.image
        guard old !== node else { return }
        guard !device.isStandIn else { return device.exchange(image: node) }
        state.withLock { state in
            state.entries[node.nodeName]?.users += 1
            state.entries[node.nodeName]?.hasWriter = !node.isReadOnly
            state.entries[old.nodeName]?.users -= 1
            state.entries[old.nodeName]?.hasWriter = false
        }
        device.exchange(image: node)
        release(old.nodeName)
    }

    /// Puts another image (or none) below one, while nothing is in flight there.
    func setBacking(of image: QCow2Node, to node: (any BlockNode)?) {
        let old = image.link.withLock { link in
            defer { link = node }
            return link
        }
        guard old !== node else { return }
        state.withLock { state in
            if let node { state.entries[node.nodeName]?.users += 1 }
            if let old { state.entries[old.nodeName]?.users -= 1 }
        }
        if let old { release(old.nodeName) }
    }

    /// Keeps a node from going, until `unpin`.
    public func pin(_ node: any BlockNode) { state.withLock { $0.entries[node.nodeName]?.users += 1 } }
    /// Ends one `pin`.
    public func unpin(_ node: any BlockNode) {
        state.withLock { $0.entries[node.nodeName]?.users -= 1 }
        release(node.nodeName)
    }

    /// What a node was opened with, what of that is true now, and who is above.
    func opening(
        of node: any BlockNode
    ) -> (given: BlockOptions, options: NodeOptions, isImplicit: Bool, hasWriter: Bool) {
        state.withLock { state in
            guard let entry = state.entries[node.nodeName] else {
                return (BlockOptions([:]), NodeOptions(), false, false)
            }
            return (entry.given, entry.options, entry.isImplicit, entry.hasWriter)
        }
    }
    func note(_ options: NodeOptions, of node: any BlockNode) {
        state.withLock { $0.entries[node.nodeName]?.options = options }
    }

    /// The options that a node has.
    func nodeOptions(of node: any BlockNode) -> NodeOptions {
        state.withLock { $0.entries[node.nodeName]?.options ?? NodeOptions() }
    }

    /// Whether a node is somebody's.
    public func users(of node: any BlockNode) -> Int { state.withLock { $0.entries[node.nodeName]?.users ?? 0 } }

    // MARK: For drivers

    /// Opens an image that goes with the node above it. Long chains go on with a stack of their own now and then, and with
    /// more descriptors than a process usually may have.
    public func openBelow(_ options: BlockOptions) throws(BlockError) -> any BlockNode {
        let node =
            try options.place.needsStack ? openWithStack(options) : open(options, isImplicit: true)
        state.withLock { $0.entries[node.nodeName]?.users += 1 }
        return node
    }

    /// Opens the child of a role: the node that `role=` names, or a new one of the options `role.…`. It takes over
    /// the parent's read-only and cache options where it has none of its own, and gives storage back on discard:
    /// whether the guest may do that is the parent's choice.
    public func openChild(
        _ role: String, of driver: String, _ options: inout BlockOptions, _ parent: NodeOptions
    ) throws(BlockError) -> any BlockNode {
        if let name = options.take(role) {
            if role != "backing", !parent.readOnly, let child = self.node(named: name) { try expectWrites(to: child) }
            return try state.withLock { state throws(BlockError) in
                guard let entry = state.entries[name] else { throw .unknownNode(name) }
                // An image is only read by those that stand on it: a guest's disk may be a base, too, for a backup.
                guard entry.users == 0 || entry.node.isReadOnly || role == "backing" else { throw .nodeInUse(name) }
                state.entries[name]?.users += 1
                return entry.node
            }
        }
        guard var child = options.takeChild(role) else { throw .missingOption(driver: driver, option: role) }
        if child.value("driver") == nil, let name = child.value("filename") {
            if NBDLocation.isLocation(name) {
                child.setDefault("driver", "nbd")
            } else {
                let isDevice = try BlockGraph.isDevice(name, opener: opener)
                child.setDefault("driver", isDevice ? "host_device" : "file")
            }
        }
        child.inherit(parent)
        if role != "backing", let inner = child.value("driver"), !BlockDriver.isBottom(inner) {
            try child.place.wrap(child.value("filename") ?? child.value("file.filename") ?? inner)
        }
        return try openBelow(child)
    }

    /// Gives up a child whose parent did not come to be.
    public func discard(_ child: any BlockNode) {
        state.withLock { $0.entries[child.nodeName]?.users -= 1 }
        release(child.nodeName)
    }

    private func openWithStack(_ options: BlockOptions) throws(BlockError) -> any BlockNode {
        _ = apus_share_descriptors(1 << 16)
        let answer = Answer()
        let thread: HostThread
        do throws(HostError) {
            thread = try HostThread(name: "block-chain") { [self] in
                do throws(BlockError) {
                    let node = try open(options, isImplicit: true)
                    answer.result.withLock { $0 = .success(node) }
                } catch {
                    answer.result.withLock { $0 = .failure(error) }
                }
            }
        } catch { return try open(options, isImplicit: true) }
        thread.join()
        return try answer.result.withLock { $0 }.get()
    }

    /// What a thread has opened.
    private final class Answer: Sendable {
        let result = Mutex<Result<any BlockNode, BlockError>>(.failure(.message("The image was not opened")))
    }

    private func open(_ given: BlockOptions, isImplicit: Bool) throws(BlockError) -> any BlockNode {
        var options = given
        let driverName = try options.require("driver", driver: "blockdev")
        guard let driver = drivers[driverName] else { throw .unknownDriver(driverName) }
        let common = try options.takeNodeOptions()
        let name = try reserve(common.nodeName)
        do throws(BlockError) {
            let node = try driver.open(self, &options, common, name)
            do throws(BlockError) {
                try options.finish(driver: driverName)
            } catch {
                let children = node.children
                node.close()
                for child in children { discard(child.node) }
                throw error
            }
            state.withLock {
                $0.entries[name] = Entry(node: node, isImplicit: isImplicit, given: given, options: common)
            }
            return node
        } catch {
            _ = state.withLock { $0.names.remove(name) }
            throw error
        }
    }

    private func reserve(_ wanted: String?) throws(BlockError) -> String {
        try state.withLock { state throws(BlockError) -> String in
            if let wanted {
                guard BlockGraph.isWellFormed(wanted) else {
                    throw .invalidOption(
                        option: "node-name", value: wanted,
                        expected: "a letter, then at most 30 letters, digits, '-', '.' and '_'")
                }
                guard state.names.insert(wanted).inserted else { throw .duplicateNode(wanted) }
                return wanted
            }
            state.nextNumber += 1
            let name = "#block\(state.nextNumber)"
            state.names.insert(name)
            return name
        }
    }

    private static func isWellFormed(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 31 else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 97 && (byte | 0x20) <= 122 }
        return isLetter(first)
            && name.utf8.allSatisfy {
                isLetter($0) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 46 || $0 == 95
            }
    }

    /// Closes an implicit node that has no user any more.
    private func release(_ name: String) {
        if let node = unused(name) { close(node) }
    }

    private func unused(_ name: String) -> (any BlockNode)? {
        let entry = state.withLock { $0.entries[name] }
        guard let entry, entry.isImplicit, entry.users <= 0 else { return nil }
        return entry.node
    }

    /// Closes a node, and those below that nobody uses then: one after the other, as chains may be long.
    private func close(_ first: any BlockNode) {
        var left = [first]
        while let node = left.popLast() {
            // Two above may have let it go.
            guard state.withLock({ $0.entries[node.nodeName] != nil }) else { continue }
            let children = node.children
            node.close()
            state.withLock { state in
                state.entries[node.nodeName] = nil
                state.names.remove(node.nodeName)
                for child in children { state.entries[child.node.nodeName]?.users -= 1 }
            }
            left += children.reversed().compactMap { unused($0.node.nodeName) }
        }
    }
}
