internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Synchronization

/// The host memory that is a guest's RAM, as one run from the first byte to the last: a block of its own, or those of
/// the objects that `-machine memory-backend=` and `-numa node,memdev=` name, one after another.
struct GuestRAM {
    private struct Piece {
        let block: RAMBlock
        /// Where in RAM it begins.
        let start: UInt64
        let count: UInt64
    }
    private var pieces: [Piece] = []

    /// Makes `total` bytes, a multiple of 4096.
    init(
        _ configuration: MachineConfiguration, total: UInt64, contexts: [ThreadContext] = []
    ) throws(MachineBuildError) {
        var names = configuration.numa.nodes.compactMap(\.backend)
        if names.isEmpty, let name = configuration.board.memoryBackend { names = [name] }
        if names.isEmpty {
            add(try Self.plain(configuration, total), total)
            return
        }
        var left = total
        for name in names {
            guard let object = configuration.objects.first(where: { $0.id == name }) else {
                throw MachineBuildError("Memory backend '\(name)' not found")
            }
            let count = min(object.properties["size"]?.uint64Value ?? 0, left) & ~4095
            if count > 0 { add(try Self.block(object, count, configuration, contexts), count) }
            left -= count
        }
        // The host bridge has the first MiB in one block.
        guard let first = pieces.first, first.count >= 1 << 20 else {
            throw MachineBuildError("Memory backend '\(names[0])' is too small: the first has 1 MiB at least")
        }
        guard left == 0 else { throw MachineBuildError("The memory back-ends are smaller than guest memory") }
    }

    private mutating func add(_ block: RAMBlock, _ count: UInt64) {
        let start = pieces.last.map { $0.start + $0.count } ?? 0
        pieces.append(Piece(block: block, start: start, count: count))
    }

    /// Puts the bytes from `offset` on at an address.
    func map(_ space: AddressSpace, at start: UInt64, offset: UInt64, count: UInt64) {
        for piece in pieces {
            let first = max(offset, piece.start)
            let end = min(offset + count, piece.start + piece.count)
            guard first < end else { continue }
            space.add(
                FlatView.Range(
                    start: GuestPhysical(start + (first - offset)), count: end - first, block: piece.block,
                    offset: first - piece.start))
        }
    }

    // MARK: Blocks

    private static func step<R>(_ name: String, _ body: () throws(HostError) -> R) throws(MachineBuildError) -> R {
        do throws(HostError) { return try body() } catch {
            throw MachineBuildError("cannot set up guest memory '\(name)': \(error)")
        }
    }

    /// The block where no object is named: of `-mem-path`, or memory of its own.
    private static func plain(
        _ configuration: MachineConfiguration, _ total: UInt64
    ) throws(MachineBuildError) -> RAMBlock {
        let name = "pc.ram"
        return try step(name) { () throws(HostError) in
            let block: RAMBlock
            if let path = configuration.memory.path {
                let file = try Descriptor.backingFile(path, name: name, count: Int(total))
                block = try RAMBlock(name: name, size: Int(total), file: file, isShared: false)
            } else {
                block = try RAMBlock(name: name, size: Int(total))
            }
            try advise(block, MemoryBackendStatus(configuration))
            return block
        }
    }

    /// The block of a `memory-backend-*` object.
    static func block(
        _ object: ObjectConfiguration, _ count: UInt64, _ configuration: MachineConfiguration,
        _ contexts: [ThreadContext]
    ) throws(MachineBuildError) -> RAMBlock {
        let properties = object.properties
        let wanted = MemoryBackendStatus(object, configuration)
        let size = Int(count)
        var context: ThreadContext?
        if let name = properties.string("prealloc-context") {
            context = contexts.first { $0.id == name }
            guard context != nil else {
                throw MachineBuildError("Object '\(object.id)': prealloc-context '\(name)' is no thread-context")
            }
        }
        let worker = context
        return try step(object.id) { () throws(HostError) in
            let block: RAMBlock
            switch object.type {
            case "memory-backend-file":
                let path = properties.string("mem-path") ?? ""
                let file = try Descriptor.backingFile(path, name: object.id, count: size)
                block = try RAMBlock(name: object.id, size: size, file: file, isShared: wanted.isShared)
            case "memory-backend-memfd":
                let isHuge = properties.bool("hugetlb") == true
                let file = try Descriptor.memoryFile(
                    name: "memory-backend-memfd", count: size, canBeSealed: true,
                    hugePages: isHuge ? properties["hugetlbsize"]?.uint64Value ?? 0 : nil)
                block = try RAMBlock(name: object.id, size: size, file: file, isShared: wanted.isShared)
            default:
                if wanted.isShared {
                    let file = try Descriptor.memoryFile(name: object.id, count: size, canBeSealed: true)
                    block = try RAMBlock(name: object.id, size: size, file: file, isShared: true)
                } else {
                    block = try RAMBlock(name: object.id, size: size)
                }
            }
            try place(block, wanted)
            try advise(block, wanted, on: worker)
            return block
        }
    }

    private static func place(_ block: RAMBlock, _ wanted: MemoryBackendStatus) throws(HostError) {
        switch wanted.policy {
        case "preferred": try block.bind(.preferred, nodes: wanted.hostNodes)
        case "bind": try block.bind(.bind, nodes: wanted.hostNodes)
        case "interleave": try block.bind(.interleave, nodes: wanted.hostNodes)
        default: break
        }
    }

    private enum Advice {
        static let mergeable: Int32 = 12
        static let hugePages: Int32 = 14
        static let dontDump: Int32 = 16
    }

    /// Tells the host's kernel how RAM is used (madvise(2)).
    private static func advise(
        _ block: RAMBlock, _ wanted: MemoryBackendStatus, on context: ThreadContext? = nil
    ) throws(HostError) {
        block.advise(Advice.hugePages)
        if wanted.merges { block.advise(Advice.mergeable) }
        if !wanted.dumps { block.advise(Advice.dontDump) }
        guard wanted.preallocates else { return }
        guard let context else { return try block.populate() }
        // Pages come from beside the processor that touches them first.
        let failure = Mutex<HostError?>(nil)
        context.run {
            do throws(HostError) { try block.populate() } catch {
                let error = error
                failure.withLock { $0 = error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}

extension ACPIConfiguration {
    /// Tells of the nodes of a machine whose RAM lies as the layout says, and of the place of modules, which belong to
    /// the last node until they come: guests prepare for memory there.
    mutating func set(_ numa: NUMAConfiguration, _ layout: PCMemory, modules: MemoryModules.Region?) {
        var numa = numa
        if numa.nodes.isEmpty, modules != nil {
            numa.nodes = [NUMAConfiguration.Node(memory: layout.low + layout.high)]
        }
        guard !numa.nodes.isEmpty else { return }
        defer {
            if let modules {
                nodeMemory.append(
                    NodeMemory(
                        node: UInt32(numa.nodes.count - 1), start: modules.start, count: modules.count,
                        isHotpluggable: true))
            }
        }
        for index in processors.indices {
            let uid = Int(processors[index].uid)
            processors[index].node = UInt32(numa.processors.indices.contains(uid) ? numa.processors[uid] : 0)
        }
        var start: UInt64 = 0
        for (number, node) in numa.nodes.enumerated() {
            let end = start + (node.memory & ~4095)
            // What of RAM's run lies where: the legacy hole is no memory, and the upper part begins at 4 GiB.
            let parts: [(first: UInt64, end: UInt64, shift: UInt64)] = [
                (0, PCMemory.conventionalEnd, 0), (PCMemory.extendedStart, layout.low, 0),
                (layout.low, layout.low + layout.high, PCMemory.highStart &- layout.low),
            ]
            for part in parts {
                let (first, last) = (max(start, part.first), min(end, part.end))
                guard first < last else { continue }
                nodeMemory.append(
                    NodeMemory(node: UInt32(number), start: first &+ part.shift, count: last - first))
            }
            start = end
        }
        nodeDistances = numa.distances
    }
}
