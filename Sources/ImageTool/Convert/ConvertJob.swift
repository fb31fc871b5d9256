internal import BlockImage
internal import CLinux
internal import HostOS
internal import Synchronization

/// Copies the source to the target on several threads: each takes a piece, reads and (for a compressed target) packs
/// it, and writes when its turn has come, so that the target is laid out in order.
final class ConvertJob: Sendable {
    struct Plan: Sendable {
        /// Runs of zeroes of at least this length are left out; 0: nothing is.
        var minimumZeroes = 4096
        /// Clusters are packed, each of this size; 0: not.
        var packedCluster = 0
        var packing = Packing.deflate
        /// What is not written reads as zeroes.
        var isTargetZero = true
        /// Pieces may be written in any order (`-W`).
        var isUnordered = false
        /// Bytes that cannot be read become zeroes (`--salvage`).
        var salvages = false
        var threads = 2
        /// `-r`.
        var limit: RateLimit?
    }

    struct Failure: Error {
        var offset: UInt64
        var status: Int32
        var isReading: Bool
        var error: BlockError?
    }

    private struct Order {
        var turn: UInt64 = 0
        var done: UInt64 = 0
        var failure: Failure?
        var waiting: [UInt64: Bell] = [:]
    }

    private let source: ConvertSource
    private let target: any BlockNode
    private let plan: Plan
    private let order = Mutex(Order())
    private let finished = Bell()
    private let running: Atomic<Int>

    init(_ source: ConvertSource, to target: any BlockNode, _ plan: Plan) {
        self.source = source
        self.target = target
        self.plan = plan
        running = Atomic(plan.threads)
    }

    /// Runs to the end or the first failure. `show` gets how far it is; called on this thread.
    func run(show: (Double) -> Void, warn: (String) -> Void) throws(Failure) {
        var threads: [HostThread] = []
        for _ in 1..<max(1, plan.threads) {
            do throws(HostError) {
                threads.append(try HostThread(name: "convert", stackSize: 512 << 10) { [self] in work {} })
            } catch {
                running.wrappingSubtract(1, ordering: .relaxed)
            }
        }
        // There may be as many warnings as sectors: they are not kept.
        func tell() {
            for line in source.takeWarnings() { warn(line) }
            show(Double(order.withLock { $0.done }) / Double(max(1, source.total)))
        }
        work(tell)
        for thread in threads { thread.join() }
        tell()
        if let failure = order.withLock({ $0.failure }) { throw failure }
    }

    private func work(_ tell: () -> Void) {
        let buffer = AlignedBuffer(count: Int(source.pieceSize))
        let packer = plan.packedCluster > 0 ? ClusterPacker(plan.packing) : nil
        while order.withLock({ $0.failure == nil }) {
            do throws(Failure) {
                guard let piece = try nextPiece() else { return }
                try copy(piece, buffer, packer)
                order.withLock { $0.done += piece.length }
                tell()
            } catch {
                let sleepers = order.withLock { order -> [Bell] in
                    if order.failure == nil { order.failure = error }
                    return Array(order.waiting.values)
                }
                for bell in sleepers { bell.ring() }
                return
            }
        }
    }

    private func nextPiece() throws(Failure) -> ConvertSource.Piece? {
        do throws(BlockError) {
            return try source.next()
        } catch {
            throw Failure(offset: 0, status: EIO, isReading: true, error: error)
        }
    }

    private func copy(
        _ piece: ConvertSource.Piece, _ buffer: AlignedBuffer, _ packer: ClusterPacker?
    ) throws(Failure) {
        guard let number = piece.number else { return }
        let count = Int(min(piece.length, UInt64(buffer.count)))
        if piece.kind == .data { plan.limit?.take(UInt64(count)) }
        let isWritten = piece.kind == .data || (piece.kind == .zero && plan.minimumZeroes == 0)
        if piece.kind == .data { try read(piece, buffer, count) }
        if let packer, piece.kind == .data {
            let clusters = pack(buffer, count, packer)
            guard takeTurn(number) else { return }
            defer { passTurn(number) }
            try writePacked(piece, clusters, buffer, count)
            return
        }
        let runs = piece.kind == .data ? runs(buffer, piece.offset, count) : []
        guard takeTurn(number) else { return }
        var hasPassed = false
        defer { if !hasPassed { passTurn(number) } }
        switch piece.kind {
        case .below: return
        case .zero where isWritten:
            buffer.clear(0, buffer.count)
            var at: UInt64 = 0
            while at < piece.length {
                let part = Int(min(piece.length - at, UInt64(buffer.count)))
                try check(target.write(buffer, at: piece.offset + at, count: part), piece.offset + at)
                at += UInt64(part)
            }
        case .zero: try zero(piece.offset, piece.length)
        case .data:
            let last = plan.isTargetZero ? runs.lastIndex { !$0.isZero } : runs.indices.last
            for (index, run) in runs.enumerated() {
                let at = piece.offset + UInt64(run.start)
                if run.isZero {
                    try zero(at, UInt64(run.count))
                } else if index == last, let image = target as? QCow2Node {
                    // The next one finds its places behind these while these are being written.
                    // SAFETY: the run lies inside the buffer, which lives over the call.
                    let segment = unsafe BlockSegment(pointer: buffer.base + run.start, count: run.count)
                    let status = image.write(at: at, [segment]) {
                        passTurn(number)
                        hasPassed = true
                    }
                    try check(status, at)
                } else {
                    try check(target.write(buffer, at: at, count: run.count, from: run.start), at)
                }
            }
        }
    }

    private func read(_ piece: ConvertSource.Piece, _ buffer: AlignedBuffer, _ count: Int) throws(Failure) {
        let status = source.read(buffer, at: piece.offset, count: count)
        guard status != 0 else { return }
        guard plan.salvages else { throw Failure(offset: piece.offset, status: status, isReading: true) }
        // Sector by sector: what can be read is kept.
        let sector = AlignedBuffer(count: 512)
        for start in stride(from: 0, to: count, by: 512) {
            let length = min(512, count - start)
            let status = source.read(sector, at: piece.offset + UInt64(start), count: length)
            if status == 0 {
                // SAFETY: both lie inside their buffers.
                unsafe memcpy(buffer.base + start, sector.base, length)
            } else {
                buffer.clear(start, length)
                source.warn("error while reading offset \(piece.offset + UInt64(start)): \(Formatting.reason(status))")
            }
        }
    }

    private func zero(_ offset: UInt64, _ length: UInt64) throws(Failure) {
        guard !plan.isTargetZero else { return }
        try check(target.performAndWait(.writeZeroes(mayUnmap: true), offset: offset, length: length), offset)
    }

    private func check(_ status: Int32, _ offset: UInt64) throws(Failure) {
        guard status == 0 else { throw Failure(offset: offset, status: status, isReading: false) }
    }

    /// The runs of data and zeroes in a buffer whose first byte is the disk's at `offset`.
    private func runs(_ buffer: AlignedBuffer, _ offset: UInt64, _ count: Int) -> [(
        start: Int, count: Int, isZero: Bool
    )] {
        guard plan.minimumZeroes > 0 else { return [(0, count, false)] }
        var result: [(start: Int, count: Int, isZero: Bool)] = []
        let unit = plan.minimumZeroes
        var start = 0
        while start < count {
            let length = min(count - start, unit - Int((offset + UInt64(start)) % UInt64(unit)))
            let isZero = buffer.isZero(start, length)
            if let last = result.last, last.isZero == isZero {
                result[result.count - 1].count += length
            } else {
                result.append((start, length, isZero))
            }
            start += length
        }
        return result
    }

    // MARK: Compressed targets

    private enum Packed {
        case zero
        case packed([UInt8])
        case plain
    }

    private func pack(_ buffer: AlignedBuffer, _ count: Int, _ packer: ClusterPacker) -> [Packed] {
        let size = plan.packedCluster
        return stride(from: 0, to: count, by: size).map { start in
            let length = min(size, count - start)
            if plan.minimumZeroes > 0 && buffer.isZero(start, length) { return .zero }
            // The disk's last cluster may be short: what is behind it is zero.
            if length < size {
                guard start + size <= buffer.count else { return .plain }
                buffer.clear(start + length, size - length)
            }
            // SAFETY: the cluster lies inside the buffer.
            let input = unsafe UnsafeRawBufferPointer(start: buffer.base + start, count: size)
            return unsafe packer.pack(input).map(Packed.packed) ?? .plain
        }
    }

    private func writePacked(
        _ piece: ConvertSource.Piece, _ clusters: [Packed], _ buffer: AlignedBuffer, _ count: Int
    ) throws(Failure) {
        guard let target = target as? any PackedWritable else { return }
        for (index, cluster) in clusters.enumerated() {
            let start = index * plan.packedCluster
            let at = piece.offset + UInt64(start)
            let length = min(plan.packedCluster, count - start)
            switch cluster {
            case .zero: try zero(at, UInt64(length))
            case .plain: try check(target.write(buffer, at: at, count: length, from: start), at)
            case .packed(let bytes):
                do throws(BlockError) {
                    try target.writePacked(at: at, bytes)
                } catch {
                    throw Failure(offset: at, status: EIO, isReading: false, error: error)
                }
            }
        }
    }

    // MARK: Order

    /// Waits until every piece before this one is written; false when the job has failed.
    private func takeTurn(_ number: UInt64) -> Bool {
        if plan.isUnordered { return true }
        let bell = Bell()
        while true {
            let state = order.withLock { order -> Bool? in
                if order.failure != nil { return false }
                if order.turn == number { return true }
                order.waiting[number] = bell
                return nil
            }
            if let state { return state }
            bell.wait(nanoseconds: nil)
        }
    }

    private func passTurn(_ number: UInt64) {
        if plan.isUnordered { return }
        let next = order.withLock { order -> Bell? in
            order.turn = number + 1
            order.waiting[number] = nil
            return order.waiting[number + 1]
        }
        next?.ring()
    }
}
