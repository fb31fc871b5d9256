internal import DeviceModel
internal import HostOS
internal import MachineState
internal import Synchronization

// Memory that follows a machine which runs at the other end already (postcopy). The pages that are missing there are
// told in a section before the devices; behind the devices the pages come, those first that somebody waits for.

/// What both ends say to one another while memory comes late.
enum LateWord {
    /// Sections: which pages are missing, all devices are there, run, go on over this connection.
    static let missing = "late"
    static let switchover = "switch"
    static let go = "go"
    static let resume = "resume"
    /// Bytes that the receiver sends: a page is asked for (block u16, page u64), all pages are there, pages that are
    /// missing still (length u32, a state).
    static let page: UInt8 = 0x50
    static let end: UInt8 = 0x45
    static let bitmaps: UInt8 = 0x42
    static let requestSize = 10

    /// Sets of pages by their blocks' numbers.
    static func state(_ sets: [PageSet]) -> DeviceState {
        var state = DeviceState(version: 1)
        state.set(
            "blocks",
            sets.map { set in
                var part = DeviceState(version: 1)
                part.set("pages", set.count)
                part.set("bits", set.bytes)
                return part
            })
        return state
    }
    static func sets(_ state: DeviceState, like blocks: [GuestPages.Block]) throws(DeviceStateError) -> [PageSet] {
        try state.requireVersion(1...1)
        let parts = try state.list("blocks", count: blocks.count)
        var sets: [PageSet] = []
        for (part, block) in zip(parts, blocks) {
            let count: UInt64 = try part.integer("pages")
            guard count == UInt64(block.pages) else { throw .outOfRange(field: "pages", value: count) }
            sets.append(
                PageSet(count: block.pages, bytes: try part.bytes("bits", count: (block.pages + 63) / 64 * 8)))
        }
        return sets
    }
}

/// The sender's side. Two threads: one sends, one hears what is asked for.
final class LateSender: Sendable {
    private struct State: Sendable {
        var left: [PageSet]
        var wanted: [(block: Int, page: Int)] = []
        var isReady = false
        var isWhole = false
        var requests: UInt64 = 0
        var failure: StateError?
    }
    private let state: Mutex<State>
    private let bell = Bell()
    private let counts: [Int]
    /// Pages at once: whoever waits for one waits for no more than these.
    private static let batch = 32

    init(_ left: [PageSet]) {
        counts = left.map(\.count)
        state = Mutex(State(left: left))
    }

    var requests: UInt64 { state.withLock { $0.requests } }
    var remaining: UInt64 { state.withLock { $0.left.reduce(0) { $0 + UInt64($1.size) } } }
    /// Whether the other end has all devices.
    var isReady: Bool { state.withLock { $0.isReady } }

    /// Sends over a connection until all is there. `begin` is called once the other end can run, and lets it; `nil`
    /// where it runs already.
    func run(
        _ channel: MigrationChannel, _ writer: inout StateWriter, _ pages: GuestPages,
        begin: (() throws(StateError) -> Void)?, note: () throws(StateError) -> Void
    ) throws(StateError) {
        state.withLock { state in
            state.wanted = []
            state.failure = nil
        }
        let listener: HostThread
        do throws(HostError) {
            listener = try HostThread(name: "postcopy ask") { [self] in
                do throws(StateError) { try listen(channel) } catch {
                    let error = error
                    state.withLock { $0.failure = error }
                }
                bell.ring()
            }
        } catch { throw .host("\(error)") }
        do throws(StateError) {
            var mustBegin = begin != nil
            while true {
                let (failure, isReady, isWhole) = state.withLock { ($0.failure, $0.isReady, $0.isWhole) }
                if mustBegin, isReady {
                    mustBegin = false
                    try begin?()
                    try writer.write(DeviceState(version: 1), section: LateWord.go)
                    continue
                }
                if isWhole { break }
                if let failure { throw failure }
                guard let (block, set) = next() else {
                    bell.wait(nanoseconds: 20_000_000)
                    continue
                }
                // A receiver that has yet to be told has no zeroes where old contents were.
                var sets = counts.map { PageSet(count: $0, isFull: false) }
                sets[block] = set
                try pages.send(sets, to: &writer, skipsZeroes: false) { (_) throws(StateError) in }
                try note()
            }
        } catch {
            channel.cancel()
            listener.join()
            throw error
        }
        listener.join()
    }

    /// What goes next; nil where all has gone.
    private func next() -> (block: Int, pages: PageSet)? {
        state.withLock { state in
            while !state.wanted.isEmpty {
                let (block, page) = state.wanted.removeFirst()
                guard state.left[block].contains(page) else { continue }
                // What lies behind it will be wanted too.
                return (block, state.left[block].take(Self.batch, from: page))
            }
            for block in state.left.indices {
                let set = state.left[block].take(Self.batch, from: 0)
                if set.size > 0 { return (block, set) }
            }
            return nil
        }
    }

    private func listen(_ channel: MigrationChannel) throws(StateError) {
        while true {
            guard let word = try channel.receiveByte() else { throw .host("The other end has closed the connection") }
            switch word {
            case MigrationWord.ready: state.withLock { $0.isReady = true }
            case LateWord.end:
                // Who could not run yet cannot have all of it: else the machine would stand here and run nowhere.
                guard state.withLock({ $0.isReady }) else {
                    throw .host("The other end says that all is there before the machine could run")
                }
                state.withLock { $0.isWhole = true }
                return
            case LateWord.page:
                let bytes = try channel.receive(LateWord.requestSize)
                let block = Int(bytes[0]) | Int(bytes[1]) << 8
                let page = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[2 + $1]) << UInt64($1 * 8) }
                guard block < counts.count, page < UInt64(counts[block]) else {
                    throw .host("The other end asks for page \(page) of block \(block), which is not there")
                }
                state.withLock { state in
                    state.requests += 1
                    if state.wanted.count < 65_536 { state.wanted.append((block, Int(page))) }
                }
            case let other: throw .host("The other end says \(other), which is nothing")
            }
            bell.ring()
        }
    }

    /// Takes what the other end says that it misses, after a connection broke.
    func resume(_ channel: MigrationChannel, _ blocks: [GuestPages.Block]) throws(StateError) {
        guard try channel.receiveByte() == LateWord.bitmaps else { throw .host("The other end does not go on") }
        let head = try channel.receive(4)
        let count = (0..<4).reduce(0) { $0 | Int(head[$1]) << ($1 * 8) }
        guard count <= 64 << 20 else { throw .host("The other end misses too much") }
        let missing = try StateCoding.decode(try channel.receive(count), section: LateWord.missing)
        do throws(DeviceStateError) {
            let sets = try LateWord.sets(missing, like: blocks)
            state.withLock { $0.left = sets }
        } catch { throw .field(section: LateWord.missing, error) }
    }
}
