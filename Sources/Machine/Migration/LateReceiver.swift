internal import DeviceModel
internal import GuestMemory
internal import HostOS
internal import MachineState
internal import Synchronization

/// Memory of a machine that runs here already while it comes from another (postcopy). Who touches a page that is not
/// there yet waits until the sender has been asked for it and it has come. Any thread.
final class LateReceiver: LateArrival {
    private struct State: Sendable {
        var missing: [PageSet]
        var asked: [PageSet]
        var channel: MigrationChannel
        var isAllowed = false
        /// The sender has been told that the machine could run: it may have let it go.
        var isReady = false
        var isWhole = false
        var isEnded = false
        var isPaused = false
        var failure: StateError?
        var threads: [HostThread] = []
    }
    private let state: Mutex<State>
    private let pages: [GuestPages.Block]
    private let faults: PageFaults
    private let bell = Bell()
    private let wake = Bell()
    /// The machine's words to the user.
    private let report: @Sendable (MigrationStatus, StateError?) -> Void
    /// What of a new connection says that it belongs here.
    let token: [UInt8]
    /// Taken while bytes go to the sender.
    private let speaking = Mutex(())

    /// Watches over memory, whose missing pages lose what they have. The machine stands, and nobody has used the memory
    /// for more than its devices.
    init(
        _ missing: [PageSet], _ pages: GuestPages, _ channel: MigrationChannel, token: [UInt8],
        report: @escaping @Sendable (MigrationStatus, StateError?) -> Void
    ) throws(StateError) {
        self.pages = pages.blocks
        self.token = token
        self.report = report
        let empty = missing.map { PageSet(count: $0.count, isFull: false) }
        state = Mutex(State(missing: missing, asked: empty, channel: channel))
        do throws(HostError) {
            faults = try PageFaults()
            for (block, set) in zip(pages.blocks, missing) where set.size > 0 {
                guard block.block.backing == .anonymous else {
                    throw HostError.noDescriptor("wait for pages of memory '\(block.name)', which others share")
                }
                // SAFETY: the ranges are the block's own pages, which this object keeps.
                try unsafe faults.watch(block.block.base, count: block.block.size)
                set.forEachRun { first, count in
                    unsafe HostPages.discard(block.block.base + first << 12, count: count << 12)
                }
            }
        } catch { throw .host("Memory cannot come late here: \(error)") }
    }

    /// Begins to read pages, from a stream that has come to the place behind the devices.
    func start(_ reader: StateReader) throws(StateError) {
        let box = Reader(reader)
        do throws(HostError) {
            let reading = try HostThread(name: "postcopy read") { [self] in read(box) }
            let asking = try HostThread(name: "postcopy ask") { [self] in ask() }
            state.withLock { $0.threads = [reading, asking] }
        } catch { throw .host("\(error)") }
    }
    /// One thread's own.
    private final class Reader: @unchecked Sendable {
        var reader: StateReader
        init(_ reader: StateReader) { self.reader = reader }
    }

    /// Waits until the sender lets the machine run.
    func awaitWord() throws(StateError) {
        while true {
            let (failure, isAllowed) = state.withLock { state -> (StateError?, Bool) in
                (state.isEnded ? .cancelled : state.isPaused ? nil : state.failure, state.isAllowed)
            }
            if let failure { throw failure }
            if isAllowed { return }
            bell.wait(nanoseconds: 20_000_000)
        }
    }
    /// Says that all devices are here.
    func sayReady() throws(StateError) {
        state.withLock { $0.isReady = true }
        try say([MigrationWord.ready])
    }

    private func say(_ bytes: [UInt8]) throws(StateError) {
        let channel = state.withLock { $0.channel }
        try speaking.withLock { (_) throws(StateError) in try channel.write(bytes) }
    }

    // MARK: Pages that come

    private func read(_ box: Reader) {
        while true {
            do throws(StateError) {
                try readToTheEnd(box)
                try? say([LateWord.end])
                finish()
                return
            } catch {
                let error = error
                let isOver = state.withLock { state in
                    state.failure = error
                    // Nobody runs here yet, and nobody will. Behind the word that it could, only who sent it knows whether
                    // it may: it comes back and says so, or runs the machine itself.
                    if !state.isReady && !state.isPaused { return true }
                    state.isPaused = true
                    return state.isEnded
                }
                bell.ring()
                if isOver { return }
                report(.postcopyPaused, error)
            }
            // Until there is another connection, or the machine's end.
            while true {
                let (isPaused, isEnded, channel) = state.withLock { ($0.isPaused, $0.isEnded, $0.channel) }
                if isEnded { return }
                if !isPaused {
                    do throws(StateError) { box.reader = try welcome(channel) } catch {
                        report(.postcopyPaused, error)
                        state.withLock { $0.isPaused = true }
                        continue
                    }
                    break
                }
                wake.wait(nanoseconds: 100_000_000)
            }
        }
    }

    private func readToTheEnd(_ box: Reader) throws(StateError) {
        let staging = Staging(pages)
        while true {
            switch try box.reader.next(staging) {
            case .memory(let name, _): try place(name, staging)
            case .values(LateWord.go, _):
                state.withLock { $0.isAllowed = true }
                bell.ring()
                report(.postcopyActive, nil)
            case .values(let section, _): throw .unexpected(section: section)
            case .end:
                let (left, isAllowed) = state.withLock { ($0.missing.reduce(0) { $0 + $1.size }, $0.isAllowed) }
                guard isAllowed else { throw .missing(section: LateWord.go) }
                guard left == 0 else { throw .host("The stream ends, and \(left) pages of memory have not come") }
                return
            }
            let isOver = state.withLock { $0.isAllowed && $0.missing.allSatisfy { $0.isEmpty } }
            if isOver { return }
        }
    }

    private func place(_ name: String, _ staging: Staging) throws(StateError) {
        guard let number = pages.firstIndex(where: { $0.name == name }) else { return }
        let block = pages[number]
        do throws(HostError) {
            for (run, offset) in staging.take() {
                // SAFETY: the staging area has the run's bytes, and the run lies in the block: both were checked.
                let source = unsafe UnsafeRawBufferPointer(start: staging.base + offset, count: Int(run.count) << 12)
                try unsafe faults.fill(block.block.base + Int(run.first) << 12, from: source)
                state.withLock { $0.missing[number].remove(Int(run.first)..<Int(run.first) + Int(run.count)) }
            }
        } catch { throw .host("\(error)") }
    }

    private func finish() {
        for block in pages { unsafe faults.end(block.block.base, count: block.block.size) }
        state.withLock { $0.isWhole = true }
        report(.completed, nil)
    }

    // MARK: Pages that somebody waits for

    private func ask() {
        while true {
            if state.withLock({ $0.isWhole || $0.isEnded }) { return }
            guard let address = faults.next(milliseconds: 50), address != 0 else { continue }
            for (number, block) in pages.enumerated() {
                let base = unsafe UInt(bitPattern: block.block.base)
                guard address >= base, address - base < UInt(block.block.size) else { continue }
                let page = Int(address - base) >> 12
                let (isMissing, isNew) = state.withLock { state -> (Bool, Bool) in
                    guard state.missing[number].contains(page) else { return (false, false) }
                    guard !state.asked[number].contains(page) else { return (true, false) }
                    state.asked[number].insert(page)
                    return (true, true)
                }
                if isNew {
                    try? say(Self.request(number, page))
                } else if !isMissing {
                    // It was zero, or somebody has given it back.
                    // SAFETY: the page lies in the block.
                    try? unsafe faults.zero(block.block.base + page << 12, count: 4096)
                }
            }
        }
    }

    private static func request(_ block: Int, _ page: Int) -> [UInt8] {
        [LateWord.page, UInt8(truncatingIfNeeded: block), UInt8(truncatingIfNeeded: block >> 8)]
            + (0..<8).map { UInt8(truncatingIfNeeded: page >> ($0 * 8)) }
    }

    // MARK: Another connection

    var isPaused: Bool { state.withLock { $0.isPaused } }
    /// Breaks the connection.
    func breakOff() { state.withLock { $0.channel }.cancel() }

    /// Goes on over another connection.
    func use(_ channel: MigrationChannel) {
        state.withLock { state in
            state.channel = channel
            state.isPaused = false
        }
        wake.ring()
    }

    private func welcome(_ channel: MigrationChannel) throws(StateError) -> StateReader {
        report(.postcopyRecover, nil)
        var reader = try StateReader(channel)
        guard case .values(LateWord.resume, let words) = try reader.next(Staging(pages)) else {
            throw .missing(section: LateWord.resume)
        }
        do throws(DeviceStateError) {
            guard try words.bytes("token", count: 16) == token else { throw .missing(field: "token") }
        } catch { throw .field(section: LateWord.resume, error) }
        let (missing, asked) = state.withLock { ($0.missing, $0.asked) }
        let bytes = StateCoding.encode(LateWord.state(missing))
        try say([LateWord.bitmaps] + (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) } + bytes)
        // Who comes back had let it run.
        state.withLock { state in
            state.isAllowed = true
            state.failure = nil
        }
        bell.ring()
        report(.postcopyActive, nil)
        // What was asked for may have been lost.
        for (number, set) in asked.enumerated() {
            var wanted: [Int] = []
            set.forEach { page in if missing[number].contains(page) { wanted.append(page) } }
            for page in wanted { try say(Self.request(number, page)) }
        }
        return reader
    }

    // MARK: The end

    func wait() {
        while !state.withLock({ $0.isWhole || $0.isEnded }) { bell.wait(nanoseconds: 20_000_000) }
        for thread in state.withLock({ $0.threads }) { thread.join() }
    }

    /// Nobody waits any more: the machine ends.
    func abandon() {
        let (channel, isWhole) = state.withLock { state in
            state.isEnded = true
            return (state.channel, state.isWhole)
        }
        guard !isWhole else { return }
        channel.cancel()
        for block in pages { unsafe faults.end(block.block.base, count: block.block.size) }
        wake.ring()
        bell.ring()
    }
    func close() {
        abandon()
        for thread in state.withLock({ $0.threads }) { thread.join() }
    }
}

/// Memory that comes while the machine is here already.
protocol LateArrival: AnyObject, Sendable {
    /// Waits until all is there.
    func wait()
    /// Has nobody wait for it any more, as the machine ends.
    func abandon()
    /// Ends it, when nobody uses the memory any more.
    func close()
}

/// Where pages are put before they are seen. Used by one thread.
@safe private final class Staging: PageReceiver {
    private let blocks: [GuestPages.Block]
    let base = UnsafeMutableRawPointer.allocate(byteCount: PageRun.pageLimit << 13, alignment: 4096)
    private var runs: [(run: PageRun, offset: Int)] = []
    private var filled = 0

    init(_ blocks: [GuestPages.Block]) { self.blocks = blocks }
    deinit { unsafe base.deallocate() }

    func memory(block: String, run: PageRun) -> UnsafeMutableRawBufferPointer? {
        guard let found = blocks.first(where: { $0.name == block }), run.first < UInt64(found.pages),
            UInt64(run.count) <= UInt64(found.pages) - run.first, Int(run.count) <= PageRun.pageLimit * 2
        else { return nil }
        let size = Int(run.count) << 12
        // A run is looked at once before any is written: it keeps its place.
        if let known = runs.first(where: { $0.run == run }) {
            return unsafe UnsafeMutableRawBufferPointer(start: base + known.offset, count: size)
        }
        guard filled + size <= PageRun.pageLimit << 13 else { return nil }
        defer {
            runs.append((run, filled))
            filled += size
        }
        return unsafe UnsafeMutableRawBufferPointer(start: base + filled, count: size)
    }
    func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]? {
        PagePacking.unpack(bytes, method: method, count: count)
    }
    /// The runs of the section that came, and where they lie.
    func take() -> [(run: PageRun, offset: Int)] {
        defer {
            runs = []
            filled = 0
        }
        return runs
    }
}
