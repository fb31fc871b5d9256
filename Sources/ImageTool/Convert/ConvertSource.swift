internal import BlockImage
internal import Synchronization

/// The images that are converted, one behind the other, cut into pieces of work.
final class ConvertSource: Sendable {
    /// A piece of the target disk.
    struct Piece: Sendable {
        enum Kind: Sendable {
            /// To be read.
            case data
            /// Known to be zero.
            case zero
            /// The target's backing image has it.
            case below
        }
        /// From 0, in the order of the disk; nil: nothing is written, and nobody waits for a turn.
        let number: UInt64?
        let offset: UInt64
        let length: UInt64
        let kind: Kind
    }

    private struct Part {
        let node: any BlockNode
        let start: UInt64
        let walker: StatusWalker
        var end: UInt64 { start + node.sizeInBytes }
    }

    private struct State {
        var parts: [Part]
        var at: UInt64 = 0
        var index = 0
        var number: UInt64 = 0
    }

    /// Bytes of the whole.
    let total: UInt64
    /// The longest piece of data.
    let pieceSize: UInt64
    /// Pieces are whole multiples of this, except the last.
    let unit: UInt64
    private let hasBacking: Bool
    /// Zeroes are work too: in pieces of the same size.
    private let readsZeroes: Bool
    private let writesZeroes: Bool
    /// Where nobody can say what is there, it is read.
    private let salvages: Bool
    private let warnings = Mutex<[String]>([])
    private let nodes: [(node: any BlockNode, start: UInt64)]
    private let state: Mutex<State>

    /// A zero run shorter than this is read along with the data around it.
    private static let worthwhile: UInt64 = 64 << 10
    /// What is read at a time where an image's tables cannot be.
    static let damagedStep: UInt64 = 64 << 10

    /// With `writesZeroes` something is done about zeroes, with `readsZeroes` the same as about data.
    init(
        _ images: [any BlockNode], pieceSize: UInt64, unit: UInt64, targetHasBacking: Bool, readsZeroes: Bool,
        writesZeroes: Bool, salvages: Bool = false
    ) {
        self.salvages = salvages
        self.readsZeroes = readsZeroes
        self.writesZeroes = writesZeroes || readsZeroes
        var start: UInt64 = 0
        var parts: [Part] = []
        for node in images {
            let walker = StatusWalker(node, looksBelow: !targetHasBacking, isPatient: salvages)
            parts.append(Part(node: node, start: start, walker: walker))
            start += node.sizeInBytes
        }
        total = start
        nodes = parts.map { ($0.node, $0.start) }
        self.pieceSize = pieceSize
        self.unit = unit
        hasBacking = targetHasBacking
        state = Mutex(State(parts: parts))
    }

    /// The next piece; nil at the end. Any thread.
    func next() throws(BlockError) -> Piece? {
        try state.withLock { state throws(BlockError) in
            guard state.at < total else { return nil }
            let start = state.at
            let kind: Piece.Kind
            let first = try run(&state, start)
            // Whole units only: what is left of one is read.
            let whole = start + first.length >= total ? first.length : first.length / unit * unit
            var end: UInt64
            if first.kind != .data && whole > 0 {
                kind = first.kind
                end = start + (readsZeroes ? min(whole, pieceSize) : whole)
            } else {
                kind = .data
                let limit = min(total, (start / pieceSize + 1) * pieceSize)
                end = min(limit, start + first.length)
                while end < limit && (!hasBacking || unit > 1) {
                    let next = try run(&state, end)
                    if next.kind != .data && next.length >= max(ConvertSource.worthwhile, 2 * unit) && end % unit == 0 {
                        break
                    }
                    end = min(limit, end + next.length)
                }
                if end % unit != 0 { end = min(total, (end + unit - 1) / unit * unit) }
            }
            state.at = end
            guard kind == .data || (kind == .zero && writesZeroes) else {
                return Piece(number: nil, offset: start, length: end - start, kind: kind)
            }
            state.number += 1
            return Piece(number: state.number - 1, offset: start, length: end - start, kind: kind)
        }
    }

    private func run(_ state: inout State, _ at: UInt64) throws(BlockError) -> (kind: Piece.Kind, length: UInt64) {
        while at >= state.parts[state.index].end { state.index += 1 }
        let part = state.parts[state.index]
        let status: BlockStatus
        do throws(BlockError) {
            status = try part.walker.status(at: at - part.start, limit: part.end - at)
        } catch {
            let words = "error while reading block status at offset \(at): \(Wording.reason(error))"
            guard salvages else { throw .message(words) }
            warn(words)
            return (.data, min(part.end - at, ConvertSource.damagedStep - at % ConvertSource.damagedStep))
        }
        if status.isZero { return (.zero, status.length) }
        if status.isData || !hasBacking { return (.data, status.length) }
        return (.below, status.length)
    }

    /// Keeps a warning until it is taken. Any thread.
    func warn(_ line: String) { warnings.withLock { $0.append(line) } }
    /// What has been warned of since the last time. Any thread.
    func takeWarnings() -> [String] {
        warnings.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    /// Reads a range of the whole. 0 or an `errno` value.
    func read(_ buffer: AlignedBuffer, at offset: UInt64, count: Int) -> Int32 {
        var done = 0
        while done < count {
            let at = offset + UInt64(done)
            guard let part = nodes.last(where: { $0.start <= at }) else { return 0 }
            let inside = at - part.start
            let available = part.node.sizeInBytes > inside ? part.node.sizeInBytes - inside : 0
            guard available > 0 else {
                buffer.clear(done, count - done)
                return 0
            }
            let length = Int(min(available, UInt64(count - done)))
            let status = part.node.read(buffer, at: inside, count: length, into: done)
            guard status == 0 else { return status }
            done += length
        }
        return 0
    }
}
