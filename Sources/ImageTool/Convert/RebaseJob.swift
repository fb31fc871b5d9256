internal import BlockImage
internal import CLinux
internal import HostOS
internal import Synchronization

/// Writes into an image what it shows of its old base and would not show of a new one. Two threads take a piece of the
/// disk at a time each; a piece is small enough that what is compared is still in the processor's cache. They compare side
/// by side, and write in the order of the disk, so that the image is the same each time.
final class RebaseJob: Sendable {
    private struct State {
        let walker: StatusWalker
        var at: UInt64 = 0
        var failure: BlockError?
        /// How many pieces were taken; the first that is not done; those done behind it.
        var taken = 0
        var turn = 0
        var done: Set<Int> = []
        /// Who waits for its turn.
        var waiting: [Bell] = []
    }

    private let node: any BlockNode
    private let old: (any BlockNode)?
    private let new: (any BlockNode)?
    private let size: UInt64
    private let state: Mutex<State>

    private static let pieceSize = 512 << 10
    private static let threads = 2

    init(_ node: any BlockNode, from old: (any BlockNode)?, to new: (any BlockNode)?, size: UInt64) {
        self.node = node
        self.old = old
        self.new = new
        self.size = size
        state = Mutex(State(walker: StatusWalker(node, looksBelow: false)))
    }

    /// Runs to the end or the first failure. `show` gets how far it is; called on this thread.
    func run(show: (Double) -> Void) throws(BlockError) {
        var others: [HostThread] = []
        for _ in 1..<Self.threads {
            // Without the others this one does it all.
            do throws(HostError) {
                others.append(try HostThread(name: "rebase", stackSize: 512 << 10) { [self] in work { _ in } })
            } catch { break }
        }
        work(show)
        for thread in others { thread.join() }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func work(_ show: (Double) -> Void) {
        let (one, two) = (AlignedBuffer(count: Self.pieceSize), AlignedBuffer(count: Self.pieceSize))
        let bell = Bell()
        do throws(BlockError) {
            while let (number, offset, count) = try next() {
                show(Double(offset) / Double(size))
                try read(old, one, offset, count)
                try read(new, two, offset, count)
                // SAFETY: both buffers hold the count.
                if unsafe memcmp(one.base, two.base, count) != 0 {
                    guard waitForTurn(number, bell) else { break }
                    try write(one, unlike: two, offset, count)
                }
                finish(number)
            }
        } catch {
            let waiting = state.withLock { state in
                if state.failure == nil { state.failure = error }
                return state.waiting
            }
            for bell in waiting { bell.ring() }
        }
    }

    /// Sleeps until all pieces before this one are done; false where that will not be.
    private func waitForTurn(_ number: Int, _ bell: Bell) -> Bool {
        while true {
            enum Next { case go, sleep, end }
            let next = state.withLock { state -> Next in
                state.waiting.removeAll { $0 === bell }
                guard state.failure == nil else { return .end }
                guard state.turn < number else { return .go }
                state.waiting.append(bell)
                return .sleep
            }
            switch next {
            case .go: return true
            case .end: return false
            case .sleep: bell.wait(nanoseconds: nil)
            }
        }
    }

    private func finish(_ number: Int) {
        let waiting = state.withLock { state in
            state.done.insert(number)
            while state.done.remove(state.turn) != nil { state.turn += 1 }
            return state.waiting
        }
        for bell in waiting { bell.ring() }
    }

    /// The next piece that the image has not itself; nil at the end, and after a failure.
    private func next() throws(BlockError) -> (number: Int, offset: UInt64, count: Int)? {
        try state.withLock { state throws(BlockError) in
            while state.failure == nil, state.at < size {
                let at = state.at
                // Pieces end where the next one of the whole disk begins.
                let limit = min(size - at, UInt64(Self.pieceSize) - at % UInt64(Self.pieceSize))
                let run = try state.walker.status(at: at, limit: limit)
                state.at = at + run.length
                guard !run.isPresent else { continue }
                state.taken += 1
                return (state.taken - 1, at, Int(run.length))
            }
            return nil
        }
    }

    private func read(
        _ node: (any BlockNode)?, _ buffer: AlignedBuffer, _ offset: UInt64, _ count: Int
    ) throws(BlockError) {
        let end = node?.sizeInBytes ?? 0
        let available = end > offset ? Int(min(UInt64(count), end - offset)) : 0
        if let node { try BlockError.check(node.read(buffer, at: offset, count: available), node) }
        buffer.clear(available, count - available)
    }

    /// Writes the sectors of the first buffer that differ from the other's.
    private func write(
        _ bytes: AlignedBuffer, unlike other: AlignedBuffer, _ offset: UInt64, _ count: Int
    ) throws(BlockError) {
        var start = 0
        while start < count {
            var end = start
            while end < count {
                let length = min(512, count - end)
                // SAFETY: both buffers hold the count.
                if unsafe memcmp(bytes.base + end, other.base + end, length) == 0 { break }
                end += length
            }
            if end > start {
                let at = offset + UInt64(start)
                let status =
                    bytes.isZero(start, end - start)
                    ? node.performAndWait(.writeZeroes(mayUnmap: false), offset: at, length: UInt64(end - start))
                    : node.write(bytes, at: at, count: end - start, from: start)
                try BlockError.check(status, node)
            }
            start = max(end, start + 512)
        }
    }
}
