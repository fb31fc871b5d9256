internal import CLinux
internal import HostOS
internal import Synchronization

/// A node that makes requests fail, or work stand still, at named points of the node above (`blkdebug`).
///
/// Events and rules follow QEMU's `docs/devel/blkdebug.txt`: an event makes the errors of its rules active, in place
/// of those before; the next request that an active error fits ends with it.
public final class BlkdebugNode: BlockNode, Reopenable {
    private struct State {
        var rules: [BlkdebugRule] = []
        var active: [BlkdebugRule] = []
        var state = 1
        var nextNumber = 0
        /// Who sleeps at a break point.
        var suspended: [(tag: String, bell: Bell)] = []
        var hits: [BlockEvent: Int] = [:]
        var isClosing = false
    }

    public let nodeName: String
    public var driverName: String { "blkdebug" }
    public var filename: String { image.filename }
    public var isReadOnly: Bool { image.isReadOnly }
    public var sizeInBytes: UInt64 { image.sizeInBytes }
    public var logicalBlockSize: Int { image.logicalBlockSize }
    public var growsWithZeroes: Bool { image.growsWithZeroes }
    public var wantsEvents: Bool { true }
    public var children: [BlockChild] { [BlockChild(role: "image", node: image)] }

    private let image: any BlockNode
    private let alignment: UInt64
    let usualPolicy: NodePolicy
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }
    private let state = Mutex(State())
    private let inFlight = InFlight()

    /// A node on `image`. Requests that are no multiple of `alignment` read, change and write whole multiples.
    init(
        image: any BlockNode, nodeName: String, rules: [BlkdebugRule] = [], alignment: UInt64 = 1,
        options: NodeOptions = NodeOptions()
    ) {
        self.image = image
        self.nodeName = nodeName
        self.alignment = max(1, alignment)
        usualPolicy = NodePolicy(options, readOnly: image.isReadOnly)
        for rule in rules { add(rule) }
        debugEvent(.none)
    }

    /// A node with the rules of a text in the syntax of a configuration file, as if it came from `path`.
    public convenience init(
        image: any BlockNode, nodeName: String, configuration: String, path: String = "blkdebug.conf",
        alignment: UInt64 = 1
    ) throws(BlockError) {
        self.init(
            image: image, nodeName: nodeName, rules: try BlkdebugRule.parse(configuration, path: path),
            alignment: alignment,
            options: NodeOptions(discard: .unmap))
    }

    private func add(_ rule: BlkdebugRule) {
        state.withLock { state in
            var rule = rule
            state.nextNumber += 1
            rule.number = state.nextNumber
            state.rules.append(rule)
        }
    }

    public func reopen(readOnly: Bool) throws(BlockError) {
        guard readOnly != isReadOnly else { return }
        guard let image = image as? any Reopenable else { throw .readOnly(path: filename) }
        try image.reopen(readOnly: readOnly)
    }

    // MARK: Events

    public func debugEvent(_ event: BlockEvent) {
        let bells = state.withLock { state -> [Bell] in
            state.hits[event, default: 0] += 1
            var next = state.state
            var isFirst = true
            var bells: [Bell] = []
            for rule in state.rules where rule.event == event && (rule.state == 0 || rule.state == state.state) {
                switch rule.action {
                case .inject:
                    if isFirst { state.active = [] }
                    isFirst = false
                    state.active.insert(rule, at: 0)
                case .setState(let new): next = new
                case .suspend(let tag):
                    guard !state.isClosing else { continue }
                    let bell = Bell()
                    bells.append(bell)
                    state.suspended.append((tag, bell))
                    // A break point holds the first who comes.
                    state.rules.removeAll { $0.number == rule.number }
                }
            }
            state.state = next
            return bells
        }
        for bell in bells {
            while state.withLock({ $0.suspended.contains { $0.bell === bell } }) { bell.wait(nanoseconds: nil) }
        }
    }

    /// How often each event has come: for tests that have to know that they reached it.
    public var eventCounts: [BlockEvent: Int] { state.withLock { $0.hits } }

    /// Holds the next work that comes to an event (`break` of qemu-io).
    public func addBreakpoint(_ event: BlockEvent, tag: String) {
        add(BlkdebugRule(event: event, state: 0, action: .suspend(tag: tag)))
    }

    /// Takes break points away that nobody has come to, and lets go who has. False: there is none of that tag.
    @discardableResult
    public func removeBreakpoint(tag: String) -> Bool {
        let removed = state.withLock { state in
            let count = state.rules.count
            state.rules.removeAll { rule in
                if case .suspend(tag) = rule.action { true } else { false }
            }
            return state.rules.count < count
        }
        return resume(tag: tag) || removed
    }

    /// Lets work go on that a break point holds (`resume`). False: there is none.
    @discardableResult
    public func resume(tag: String) -> Bool {
        let bells = state.withLock { state in
            let bells = state.suspended.filter { $0.tag == tag }.map(\.bell)
            state.suspended.removeAll { $0.tag == tag }
            return bells
        }
        for bell in bells { bell.ring() }
        return !bells.isEmpty
    }

    /// Whether a break point holds someone (`wait_break` asks until it does).
    public func isSuspended(tag: String) -> Bool { state.withLock { $0.suspended.contains { $0.tag == tag } } }

    // MARK: Requests

    public func submit(_ request: BlockRequest) {
        inFlight.enter()
        image.schedule { [self] in
            request.completion(carryOut(request))
            inFlight.leave()
        }
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        var request = request
        if let status = policy.apply(to: &request) { return status }
        switch request.operation {
        case .read:
            if let fault = fault(for: request) { return fault.status }
            return image.carryOut(request)
        case .flush, .discard:
            if let fault = fault(for: request) { return fault.status }
            return image.carryOut(request)
        case .writeZeroes:
            debugEvent(.pwritevZero)
            defer { debugEvent(.pwritevDone) }
            if let fault = fault(for: request) { return fault.status }
            return image.carryOut(request)
        case .write: return write(request)
        }
    }

    private func fault(for request: BlockRequest) -> BlkdebugRule.Fault? {
        state.withLock { state in
            for (index, rule) in state.active.enumerated() {
                guard case .inject(let fault) = rule.action, fault.meets(request) else { continue }
                if fault.isOnce {
                    state.active.remove(at: index)
                    state.rules.removeAll { $0.number == rule.number }
                }
                return fault.status == 0 ? nil : fault
            }
            return nil
        }
    }

    private func write(_ request: BlockRequest) -> Int32 {
        let mask = alignment - 1
        let start = request.offset & ~mask
        let end = (request.offset + request.length + mask) & ~mask
        guard start != request.offset || end != request.offset + request.length else {
            return writeAligned(request)
        }
        // Read, change, write, as the block layer does for a node that takes only whole blocks.
        guard end - start <= 1 << 30 else { return EINVAL }
        let buffer = AlignedBuffer(count: Int(end - start))
        defer { withExtendedLifetime(buffer) {} }
        let whole = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        var status: Int32 = 0
        if start != request.offset {
            debugEvent(.pwritevRMWHead)
            status = carryOut(
                BlockRequest(
                    operation: .read, offset: start, length: alignment,
                    segments: whole.slice(from: 0, count: Int(alignment))
                ) { _ in })
            guard status == 0 else { return status }
            debugEvent(.pwritevRMWAfterHead)
        }
        if end != request.offset + request.length {
            debugEvent(.pwritevRMWTail)
            if start == request.offset || end - start > alignment {
                status = carryOut(
                    BlockRequest(
                        operation: .read, offset: end - alignment, length: alignment,
                        segments: whole.slice(from: Int(end - alignment - start), count: Int(alignment))
                    ) { _ in })
                guard status == 0 else { return status }
            }
            debugEvent(.pwritevRMWAfterTail)
        }
        // SAFETY: the buffer holds the request's range, which begins less than one block after its start.
        unsafe request.segments.copy(to: buffer.base + Int(request.offset - start))
        var inner = request
        (inner.offset, inner.length, inner.segments) = (start, end - start, whole)
        return writeAligned(inner)
    }

    private func writeAligned(_ request: BlockRequest) -> Int32 {
        debugEvent(.pwritev)
        defer { debugEvent(.pwritevDone) }
        guard let fault = fault(for: request) else { return image.carryOut(request) }
        let sectors = Int((request.length + 511) / 512)
        for sector in 0..<sectors {
            switch fault.torn {
            case .none: continue
            case .prefix where sector >= sectors / 2: continue
            case .scattered where sector % 2 == 1: continue
            case .prefix, .scattered: break
            }
            let part = request.segments.slice(
                from: sector * 512, count: min(512, Int(request.length) - sector * 512))
            _ = image.writeAndWait(at: request.offset + UInt64(sector) * 512, from: part)
        }
        return fault.status
    }

    public func schedule(_ work: @escaping @Sendable () -> Void) { image.schedule(work) }

    public func drain() {
        inFlight.waitUntilIdle()
        image.drain()
    }

    public func close() {
        // Nobody is left to let them go.
        let bells = state.withLock { state in
            state.isClosing = true
            let bells = state.suspended.map(\.bell)
            state.suspended = []
            return bells
        }
        for bell in bells { bell.ring() }
        drain()
    }
}

extension BlkdebugNode: Resizable, SparseMappable {
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard let image = image as? any Resizable else {
            throw .unsupported(path: filename, feature: "another size of a node '\(image.driverName)'")
        }
        try image.resize(to: size, preallocation: preallocation)
    }

    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        if let mappable = image as? any SparseMappable {
            let found = try mappable.extents(offset: offset, length: length, limit: limit)
            guard image.unfiltered.children.contains(where: { $0.role == "backing" }) else { return found }
            // What lies below the image is this node's own content.
            return found.map { extent in
                var extent = extent
                if !extent.isAllocated && !extent.isZero { extent.isAllocated = true }
                return extent
            }
        }
        let size = sizeInBytes
        guard offset < size, length > 0 else { return [] }
        return [BlockExtent(offset: offset, length: min(length, size - offset), isAllocated: true, isZero: false)]
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        try (image as? any SparseMappable)?.allocatedBytes() ?? sizeInBytes
    }
}
