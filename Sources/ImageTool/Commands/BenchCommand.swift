internal import BlockImage
internal import HostOS
internal import Synchronization

/// `bench [-c count] [-d depth] [-f fmt] [--flush-interval=n] [-i aio] [-n] [--no-drain] [-o offset]
/// [--pattern=byte] [-q] [-s size] [-S step] [-t cache] [-w] [-U] filename`
enum BenchCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hc:d:f:ni:o:qs:S:t:wU",
            long: [
                .init("help", "h"), .init("flush-interval", value: true), .init("pattern", value: true),
                .init("image-opts"), .init("no-drain"), .init("force-share", "U"), .init("object", value: true),
            ])
        var plan = BenchRun.Plan()
        var format: String?
        var mode = OpenMode.read
        var isOptionList = false
        while let (key, value) = try scanner.next() {
            func number(_ what: String, _ maximum: UInt64 = UInt64(Int32.max)) throws(ToolFailure) -> Int {
                guard let found = BlockOptions.size(value), found <= maximum else {
                    throw ToolFailure("Invalid \(what) specified")
                }
                return Int(found)
            }
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "c": plan.count = try number("request count")
            case "d": plan.depth = max(1, try number("queue depth", 1024))
            case "f": format = value
            case "n": mode.cache = CacheMode.none
            case "o": plan.offset = try Sizes.parse(value, "offset")
            case "q": session.isQuiet = true
            case "s": plan.size = max(1, try number("buffer size", 1 << 30))
            case "S": plan.step = try number("step size")
            case "t":
                guard let cache = CacheMode(name: value) else { throw ToolFailure("Invalid cache mode") }
                mode.cache = cache
            case "i":
                guard ["threads", "native", "io_uring"].contains(value) else {
                    throw ToolFailure("Invalid aio option: \(value)")
                }
            case "w": (plan.writes, mode.isWritable) = (true, true)
            case "U": mode.isShared = true
            case "pattern": plan.pattern = UInt8(truncatingIfNeeded: try number("pattern byte", 255))
            case "flush-interval": plan.flushInterval = try number("flush interval")
            case "image-opts": isOptionList = true
            default: break
            }
        }
        guard scanner.operands.count == 1 else { throw .usage("Expecting one image file name") }
        if !plan.writes && plan.flushInterval > 0 {
            throw ToolFailure("--flush-interval is only available in write tests")
        }
        if plan.flushInterval > 0 && plan.flushInterval < plan.depth {
            throw ToolFailure("Flush interval can't be smaller than depth")
        }
        mode.isParallel = true
        let image = try OpenImage(scanner.operands[0], format: format, isOptionList: isOptionList, mode, session)
        defer { image.close() }
        if plan.step == 0 { plan.step = plan.size }
        guard image.size >= UInt64(plan.size) else { throw ToolFailure("The image is smaller than one request") }
        session.put(
            "Sending \(plan.count) \(plan.writes ? "write" : "read") requests, \(plan.size) bytes each, "
                + "\(plan.depth) in parallel (starting at offset \(plan.offset), step size \(plan.step))\n")
        if plan.flushInterval > 0 {
            session.put("Sending flush every \(plan.flushInterval) requests\n")
        }
        session.console.flush()
        let started = HostClock.monotonic
        let status = BenchRun(image.node, plan).run()
        guard status == 0 else { throw ToolFailure("Failed request: \(Formatting.reason(status))") }
        let seconds = Double(HostClock.monotonic - started) / 1e9
        session.put(Formatting.c("Run completed in %3.3f seconds.\n", seconds))
        return 0
    }
}

/// Requests in flight up to a depth, until a number of them is done.
private final class BenchRun: Sendable {
    struct Plan {
        var count = 75000
        var depth = 64
        var size = 4096
        var step = 0
        var offset: UInt64 = 0
        var writes = false
        var pattern: UInt8 = 0
        var flushInterval = 0
    }

    private struct State {
        var started = 0
        var inFlight = 0
        var at: UInt64
        var failure: Int32 = 0
        var free: [Int]
        var sinceFlush = 0
    }

    private let node: any BlockNode
    private let plan: Plan
    private let state: Mutex<State>
    private let bell = Bell()
    private let buffer: AlignedBuffer

    init(_ node: any BlockNode, _ plan: Plan) {
        self.node = node
        self.plan = plan
        state = Mutex(State(at: plan.offset, free: Array(0..<plan.depth)))
        buffer = AlignedBuffer(count: plan.size * plan.depth)
        // SAFETY: the buffer's own length.
        unsafe buffer.base.initializeMemory(as: UInt8.self, repeating: plan.pattern, count: buffer.count)
    }

    func run() -> Int32 {
        let memory = unsafe MemoryRange(buffer.base, count: buffer.count)
        // Nobody else's memory may lie there while a ring takes it for this.
        if node.registerMemory([memory]) {
            defer { node.forgetMemory() }
            return work()
        }
        return work()
    }

    private func work() -> Int32 {
        let batching = node as? any BatchingBackend
        while true {
            var requests: [BlockRequest] = []
            let isOver = state.withLock { state -> Bool in
                while let slot = state.free.last, state.started < plan.count, state.failure == 0 {
                    state.free.removeLast()
                    requests.append(next(&state, slot))
                }
                return state.inFlight == 0 && requests.isEmpty
            }
            if isOver { return state.withLock { $0.failure } }
            batching?.beginBatch()
            for request in requests { node.submit(request) }
            batching?.endBatch()
            // What is done already needs no other thread.
            batching?.poll()
            if requests.isEmpty { bell.wait(nanoseconds: nil) }
        }
    }

    private func next(_ state: inout State, _ slot: Int) -> BlockRequest {
        state.inFlight += 1
        if plan.flushInterval > 0 && state.sinceFlush == plan.flushInterval {
            state.sinceFlush = 0
            return BlockRequest(operation: .flush) { [self] in finish($0, slot) }
        }
        state.started += 1
        state.sinceFlush += 1
        let size = node.sizeInBytes
        if state.at + UInt64(plan.size) > size { state.at = plan.offset + UInt64(plan.size) <= size ? plan.offset : 0 }
        let at = state.at
        state.at += UInt64(plan.step)
        // SAFETY: each slot has a part of the buffer of its own, which lives as long as this object.
        let segment = unsafe BlockSegment(pointer: buffer.base + slot * plan.size, count: plan.size)
        return BlockRequest(
            operation: plan.writes ? .write : .read, offset: at, length: UInt64(plan.size), segments: [segment]
        ) { [self] in finish($0, slot) }
    }

    private func finish(_ status: Int32, _ slot: Int) {
        state.withLock { state in
            state.inFlight -= 1
            state.free.append(slot)
            if status != 0 && state.failure == 0 { state.failure = status }
        }
        bell.ring()
    }
}
