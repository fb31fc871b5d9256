internal import BlockImage
internal import DeviceModel
internal import GuestMemory
internal import HostOS
internal import MachineState
internal import Synchronization

// Connections beside the first (`multifd`): all memory goes over them, a part of each round over each, and at the end
// of a round all wait for one another, so that a page that is sent again comes behind what it was before.

/// What every connection beside the first begins with.
private enum LaneHello {
    static let magic = Array("APUSLANE".utf8)
    static let size = 28
    static func bytes(_ token: [UInt8], _ index: Int) -> [UInt8] {
        magic + token + (0..<4).map { UInt8(truncatingIfNeeded: index >> ($0 * 8)) }
    }
    static func index(_ bytes: [UInt8]) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[24 + $1]) << ($1 * 8) } }
}

/// Packs pages by a library.
private final class LibraryPacker: PagePacker {
    private let packer: ClusterPacker
    let method: UInt32
    /// What it was asked for, and what became of it.
    private(set) var pages: UInt64 = 0
    private(set) var bytes: UInt64 = 0

    init?(_ kind: Packing, level: Int32) {
        guard let packer = ClusterPacker(kind, level: level) else { return nil }
        self.packer = packer
        method = kind == .zstd ? PagePacking.zstd : PagePacking.zlib
    }
    func pack(_ pages: UnsafeRawBufferPointer) -> [UInt8]? {
        // SAFETY: the packer is used by this thread alone, and its stream is valid until it ends.
        guard let packed = unsafe packer.pack(pages), packed.count < pages.count else { return nil }
        self.pages += UInt64(pages.count >> 12)
        bytes += UInt64(packed.count)
        return packed
    }
}

/// How pages may be packed in a stream. The numbers are the stream's.
enum PagePacking {
    static let zlib: UInt32 = 1
    static let zstd: UInt32 = 2

    static func packer(_ settings: MigrationSettings) -> (any PagePacker)? {
        settings.packing.flatMap { LibraryPacker($0.kind, level: $0.level) }
    }
    /// What a packer has packed so far.
    static func counts(_ packer: (any PagePacker)?) -> (pages: UInt64, bytes: UInt64) {
        (packer as? LibraryPacker).map { ($0.pages, $0.bytes) } ?? (0, 0)
    }
    static func unpack(_ bytes: [UInt8], method: UInt32, count: Int) -> [UInt8]? {
        switch method {
        case zlib: Packing.zlib.unpack(bytes, count: count)
        case zstd: Packing.zstd.unpack(bytes, count: count)
        default: nil
        }
    }
}

/// The sender's side. Used by one thread.
final class SendingLanes {
    /// Used by one thread at a time: the one that sends its part of a round, which is joined before the next begins.
    private final class Lane: @unchecked Sendable {
        let channel: MigrationChannel
        var writer: StateWriter
        let pages: GuestPages
        let packer: (any PagePacker)?
        init(_ channel: MigrationChannel, _ pages: GuestPages, _ packer: (any PagePacker)?) throws(StateError) {
            self.channel = channel
            self.pages = pages
            self.packer = packer
            writer = try StateWriter(channel)
            writer.packer = packer
        }
    }
    private let lanes: [Lane]
    private var round: UInt64 = 0

    /// Opens connections with `open`, each cancelled with `first`.
    init(
        _ count: Int, token: [UInt8], beside first: MigrationChannel, _ settings: MigrationSettings,
        pages: () -> GuestPages, open: () throws(StateError) -> MigrationChannel
    ) throws(StateError) {
        var lanes: [Lane] = []
        for index in 0..<count {
            let channel = try open()
            first.accompany(channel)
            try channel.write(LaneHello.bytes(token, index))
            lanes.append(try Lane(channel, pages(), PagePacking.packer(settings)))
        }
        self.lanes = lanes
    }

    /// Bytes of all.
    var written: UInt64 { lanes.reduce(0) { $0 + $1.channel.written } }
    var counters: GuestPages.Counters {
        lanes.reduce(into: GuestPages.Counters()) {
            $0.zeroPages += $1.pages.counters.zeroPages
            $0.fullPages += $1.pages.counters.fullPages
        }
    }
    var packed: (pages: UInt64, bytes: UInt64) {
        lanes.reduce((0, 0)) { sum, lane in
            let own = PagePacking.counts(lane.packer)
            return (sum.0 + own.pages, sum.1 + own.bytes)
        }
    }

    /// Bytes a second of all together; 0 for no limit.
    func setLimit(_ bytes: UInt64) {
        for lane in lanes { lane.channel.setLimit(bytes == 0 ? 0 : max(1, bytes / UInt64(lanes.count))) }
    }

    /// Sends a round of pages and its end, on each lane and on the first connection. `check` is asked meanwhile.
    func send(
        _ sets: [PageSet], first: inout StateWriter, skipsZeroes: Bool, isStanding: Bool,
        check: @escaping @Sendable () throws(StateError) -> Void
    ) throws(StateError) {
        round += 1
        let (number, all) = (round, lanes)
        let parts = sets.map { $0.parts(lanes.count) }
        let failure = Mutex<StateError?>(nil)
        var threads: [HostThread] = []
        for (index, lane) in lanes.enumerated() {
            let own = parts.map { $0[index] }
            let work = { @Sendable in
                do throws(StateError) {
                    try lane.pages.send(own, to: &lane.writer, skipsZeroes: skipsZeroes, isStanding: isStanding) {
                        (_) throws(StateError) in try check()
                    }
                    try lane.writer.write(Self.end(number), section: LaneRound.section)
                } catch {
                    let error = error
                    failure.withLock { $0 = $0 ?? error }
                    // The others need not go on.
                    for lane in all { lane.channel.cancel() }
                }
            }
            do throws(HostError) { threads.append(try HostThread(name: "multifd \(index)", body: work)) } catch {
                work()
            }
        }
        for thread in threads { thread.join() }
        if let error = failure.withLock({ $0 }) { throw error }
        try first.write(Self.end(number), section: LaneRound.section)
    }

    private static func end(_ round: UInt64) -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("number", round)
        return state
    }

    /// Ends the streams.
    func finish() throws(StateError) {
        for lane in lanes {
            try lane.writer.finish()
            try lane.channel.finish()
        }
    }
}

/// The section that ends a round.
enum LaneRound {
    static let section = "round"
}

/// The receiver's side: threads that put pages in place. Any thread.
final class ReceivingLanes: Sendable {
    private struct State: Sendable {
        var arrived = 0
        var generation: UInt64 = 0
        var failure: StateError?
        /// Nobody comes to the end of this round any more.
        var isEnded = false
    }
    private let state = Mutex(State())
    private let threads = Mutex<[HostThread]>([])
    private let channels: [MigrationChannel]
    private let first: MigrationChannel

    /// Waits for so many connections beside the first, which is cancelled where one of them breaks.
    init(
        _ count: Int, token: [UInt8], beside first: MigrationChannel,
        accept: () throws(StateError) -> MigrationChannel
    ) throws(StateError) {
        self.first = first
        var found = [MigrationChannel?](repeating: nil, count: count)
        for _ in 0..<count {
            let channel = try accept()
            first.accompany(channel)
            let hello = try channel.receive(LaneHello.size)
            let index = LaneHello.index(hello)
            guard hello.starts(with: LaneHello.magic), Array(hello[8..<24]) == token, index < count,
                found[index] == nil
            else { throw .host("A connection came that does not belong to this machine") }
            found[index] = channel
        }
        channels = found.compactMap(\.self)
    }

    /// Begins to read. Memory is ready to be written.
    func start(_ pages: () -> GuestPages) throws(StateError) {
        for (index, channel) in channels.enumerated() {
            let target = Target(pages())
            do throws(HostError) {
                let thread = try HostThread(name: "multifd \(index)") { [self] in
                    do throws(StateError) { try read(channel, target.pages) } catch { fail(error) }
                }
                threads.withLock { $0.append(thread) }
            } catch { throw .host("\(error)") }
        }
    }

    /// One thread's own.
    private final class Target: @unchecked Sendable {
        let pages: GuestPages
        init(_ pages: GuestPages) { self.pages = pages }
    }

    private func read(_ channel: MigrationChannel, _ pages: GuestPages) throws(StateError) {
        var reader = try StateReader(channel)
        while true {
            switch try reader.next(pages) {
            case .memory: break
            case .values(LaneRound.section, _): try meet()
            case .values(let section, _): throw .unexpected(section: section)
            case .end: return
            }
        }
    }

    private func fail(_ error: StateError) {
        // That a connection was ended here is not why: who ended it knows.
        if error != .cancelled { state.withLock { $0.failure = $0.failure ?? error } }
        for channel in channels { channel.cancel() }
        first.cancel()
    }
    /// Why one of them broke; nil where none did, or where all were ended from here.
    var failure: StateError? { state.withLock { $0.failure } }

    /// Waits until all connections have come to the end of a round.
    func meet() throws(StateError) {
        let all = channels.count + 1
        let generation = state.withLock { state -> UInt64 in
            let generation = state.generation
            state.arrived += 1
            if state.arrived == all {
                state.arrived = 0
                state.generation += 1
            }
            return generation
        }
        let pause = Bell()
        while true {
            let (now, failure, isEnded) = state.withLock { ($0.generation, $0.failure, $0.isEnded) }
            if let failure { throw failure }
            if now != generation { return }
            if isEnded || first.wasCancelled { throw .cancelled }
            pause.wait(nanoseconds: 200_000)
        }
    }

    /// Waits for the end of all.
    func finish() throws(StateError) {
        for thread in threads.withLock({ $0 }) { thread.join() }
        if let error = failure { throw error }
        if first.wasCancelled { throw .cancelled }
    }
    /// Ends them.
    func cancel() {
        state.withLock { $0.isEnded = true }
        for channel in channels { channel.cancel() }
        for thread in threads.withLock({ $0 }) { thread.join() }
    }
}
