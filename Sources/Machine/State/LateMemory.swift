internal import GuestMemory
internal import HostOS
internal import MachineState
internal import Synchronization

/// Memory of a saved machine that stays in its file until a page of it is touched, or its turn has come: the machine
/// runs at once. What comes first is what was saved last, as a running guest wrote it last, and what somebody waits
/// for before that.
///
/// Each piece is checked before any of it is seen. The file may get another name or none meanwhile; when all is there
/// it is used no more.
final class LateMemory: LateArrival {
    /// What stays in the file, as a stream is read.
    struct Plan {
        fileprivate var pieces: [PostponedPages] = []
        fileprivate var places: [Int] = []
        /// For each page of each block the piece that has it last; -1 where it is zero or in memory already.
        fileprivate var owners: [[Int32]]

        init(_ blocks: [GuestPages.Block]) {
            owners = blocks.map { [Int32](repeating: -1, count: $0.pages) }
        }

        mutating func note(_ pages: PostponedPages, _ place: Int) -> Bool {
            let number = Int32(pieces.count)
            pieces.append(pages)
            places.append(place)
            for run in pages.runs {
                for page in Int(run.first)..<Int(run.first) + Int(run.count) {
                    owners[place][page] = run.isZero ? -1 : number
                }
            }
            return true
        }
        var isEmpty: Bool { pieces.isEmpty }
    }

    private let blocks: [GuestPages.Block]
    private let plan: Plan
    private let file: Descriptor
    private let start: Int64
    private let faults: PageFaults
    private let thread = Mutex<HostThread?>(nil)
    private let isEnded = Atomic<Bool>(false)
    private let onDamage: @Sendable (StateError) -> Void

    /// Gaps of fewer pages between two that are awaited are awaited with them: each range costs the host something.
    private static let gap = 32

    /// Begins: who touches a page of the plan waits for it from now on. `start` is where the stream begins in the file.
    init(
        _ plan: Plan, _ pages: GuestPages, file: Descriptor, start: Int64, faults: PageFaults,
        onDamage: @escaping @Sendable (StateError) -> Void
    ) throws(HostError) {
        self.plan = plan
        blocks = pages.blocks
        self.file = file
        self.start = start
        self.faults = faults
        self.onDamage = onDamage
        // SAFETY: the ranges lie in the blocks, which this object keeps.
        try unsafe forEachRange { base, count throws(HostError) in
            try unsafe faults.watch(base, count: count)
            // Somebody may have read zeroes there meanwhile, a screen for one: those pages go.
            unsafe HostPages.discard(base, count: count)
        }
        let worker = try HostThread(name: "late memory") { [self] in work() }
        thread.withLock { $0 = worker }
    }

    /// Waits until all is there.
    func wait() {
        let worker = thread.withLock { thread -> HostThread? in
            defer { thread = nil }
            return thread
        }
        worker?.join()
    }

    /// All comes from the file, whoever waits.
    func abandon() {}

    /// Fetches no more, and waits for that. Nobody uses the memory any more.
    func close() {
        isEnded.store(true, ordering: .relaxed)
        wait()
    }

    private func forEachRange(
        _ body: (UnsafeMutableRawPointer, Int) throws(HostError) -> Void
    ) throws(HostError) {
        for (place, block) in blocks.enumerated() {
            let owners = plan.owners[place]
            var first = -1
            var last = -1
            func end() throws(HostError) {
                // SAFETY: both pages lie in the block, which this object keeps.
                if first >= 0 { try unsafe body(block.block.base + first << 12, (last + 1 - first) << 12) }
            }
            for page in owners.indices where owners[page] >= 0 {
                if first >= 0, page - last > Self.gap {
                    try end()
                    first = page
                } else if first < 0 {
                    first = page
                }
                last = page
            }
            try end()
        }
    }

    // MARK: The thread

    private func work() {
        var isDone = [Bool](repeating: false, count: plan.pieces.count)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: PageRun.pageLimit << 12, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var left = plan.pieces.count
        do throws(StateError) {
            while left > 0, !isEnded.load(ordering: .relaxed) {
                var next = left - 1
                if let address = faults.next(milliseconds: 0) {
                    guard address != 0, let owner = try serve(address, isDone) else { continue }
                    next = owner
                } else {
                    left -= 1
                }
                guard !isDone[next] else { continue }
                isDone[next] = true
                try unsafe fetch(next, buffer)
            }
        } catch {
            // Whoever waits for a page cannot go on, nor be told: the machine ends.
            onDamage(error)
        }
        try? unsafe forEachRange { base, count in unsafe faults.end(base, count: count) }
    }

    /// The piece that a fault waits for; nil where the page was zero, or has been given back since it came.
    private func serve(_ address: UInt, _ isDone: [Bool]) throws(StateError) -> Int? {
        for (place, block) in blocks.enumerated() {
            let base = unsafe UInt(bitPattern: block.block.base)
            guard address >= base, address - base < UInt(block.block.size) else { continue }
            let page = Int(address - base) >> 12
            let owner = plan.owners[place][page]
            if owner >= 0, !isDone[Int(owner)] { return Int(owner) }
            do throws(HostError) {
                // SAFETY: the page lies in the block.
                try unsafe faults.zero(block.block.base + page << 12, count: 4096)
            } catch { throw .host("\(error)") }
            return nil
        }
        return nil
    }

    /// Reads a piece, checks it, and puts in place what no later one has.
    private func fetch(_ number: Int, _ buffer: UnsafeMutableRawBufferPointer) throws(StateError) {
        let piece = plan.pieces[number]
        guard piece.count <= buffer.count else { throw .truncated(section: piece.block) }
        let contents = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<piece.count])
        var done = 0
        while done < piece.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: contents[done...])
            switch unsafe file.read(into: rest, at: start + Int64(piece.offset) + Int64(done)) {
            case .moved(let count): done += count
            case .wouldBlock: continue
            case .end: throw .truncated(section: piece.block)
            case .failed(let number): throw .host("Cannot read the machine's state: \(HostError.text(number))")
            }
        }
        guard unsafe piece.isWhole(UnsafeRawBufferPointer(contents)) else { throw .checksum(section: piece.block) }
        let place = plan.places[number]
        var offset = 0
        for run in piece.runs where !run.isZero {
            var page = Int(run.first)
            let end = page + Int(run.count)
            while page < end {
                let first = page
                while page < end, plan.owners[place][page] == Int32(number) { page += 1 }
                if page > first {
                    let from = offset + (first - Int(run.first)) << 12
                    let source = unsafe UnsafeRawBufferPointer(rebasing: contents[from..<from + (page - first) << 12])
                    do throws(HostError) {
                        // SAFETY: the pages lie in the block, as the reader has checked.
                        try unsafe faults.fill(blocks[place].block.base + first << 12, from: source)
                    } catch { throw .host("\(error)") }
                } else {
                    page += 1
                }
            }
            offset += Int(run.count) << 12
        }
    }
}

/// A stream in a plain file: read from places, so that parts of it can wait.
final class FileStateSource: StateSource {
    let file: Descriptor
    let start: Int64
    private var position: Int64
    private var buffer: [UInt8] = []
    private var taken = 0
    private static let bufferSize = 16 << 10

    /// The stream begins at the file's position.
    init?(_ file: Descriptor) {
        guard file.isRegularFile, let position = file.position else { return nil }
        self.file = file
        start = position
        self.position = position
    }

    var canSkip: Bool { true }
    func skip(_ count: Int) -> Bool {
        let (end, overflow) = (position - Int64(buffer.count - taken)).addingReportingOverflow(Int64(count))
        buffer = []
        taken = 0
        guard !overflow, end <= file.fileSize else { return false }
        position = end
        return true
    }

    func read(_ target: UnsafeMutableRawBufferPointer) throws(StateError) -> Int {
        var done = 0
        while done < target.count {
            if taken < buffer.count {
                let count = min(target.count - done, buffer.count - taken)
                // SAFETY: `count` bytes are left in both.
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[done..<done + count]).copyBytes(
                    from: buffer[taken..<taken + count])
                taken += count
                done += count
                continue
            }
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
            var transfer = Descriptor.Transfer.end
            if rest.count >= Self.bufferSize {
                transfer = unsafe file.read(into: rest, at: position)
                if case .moved(let count) = transfer { done += count }
            } else {
                // SAFETY: the closure writes only inside the buffer and says how much.
                unsafe buffer = [UInt8](unsafeUninitializedCapacity: Self.bufferSize) { bytes, count in
                    transfer = unsafe file.read(into: UnsafeMutableRawBufferPointer(bytes), at: position)
                    if case .moved(let moved) = transfer { count = moved }
                }
                taken = 0
            }
            switch transfer {
            case .moved(let count): position += Int64(count)
            case .wouldBlock: continue
            case .end: return done
            case .failed(let number): throw .host("Cannot read the machine's state: \(HostError.text(number))")
            }
        }
        return done
    }
}
