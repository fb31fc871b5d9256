internal import CLinux
internal import Synchronization

/// Reading from the images below what this one does not have: down the chain without a call for each image, as a
/// thread's stack has no room for as many calls as a chain may have images.
extension QCow2Node {
    /// An image on the way down, whose clusters are held.
    private struct Level {
        let node: QCow2Node
        let ticket: UInt64
        var at: UInt64
        let end: UInt64
    }

    /// Fills the segments from the backing image; what is behind its end is zero.
    func readBacking(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        var levels: [Level] = []
        defer { for level in levels.reversed() { level.node.endRead(level.ticket) } }
        func part(_ start: UInt64, _ end: UInt64) -> [BlockSegment] {
            segments.slice(from: Int(start - offset), count: Int(end - start))
        }
        // What a range below an image holds, or one more level to look at.
        func look(below node: QCow2Node, _ start: UInt64, _ end: UInt64) throws(ImageFailure) {
            let below = node.backing
            let size = below?.sizeInBytes ?? 0
            guard let below, start < size else { return part(start, end).zero(from: 0) }
            let last = min(end, size)
            if last < end { part(last, end).zero(from: 0) }
            node.file.debugEvent(.readBackingAIO)
            guard let image = below as? QCow2Node else {
                return try check(below.readAndWait(at: start, into: part(start, last)))
            }
            levels.append(try image.beginRead(start, last))
        }
        do throws(ImageFailure) {
            try look(below: self, offset, offset + segments.reduce(0) { $0 + UInt64($1.count) })
            while let level = levels.last {
                let (node, at) = (level.node, level.at)
                guard at < level.end else {
                    levels.removeLast()
                    node.endRead(level.ticket)
                    continue
                }
                let run = try node.withTables { metadata throws(ImageFailure) in
                    try metadata.run(at: at, limit: level.end - at)
                }
                levels[levels.count - 1].at += run.length
                switch run.kind {
                case .unallocated: try look(below: node, at, at + run.length)
                default: try node.read(run, at, part(at, at + run.length))
                }
            }
        } catch {
            // What is wrong with another image says nothing about this one.
            throw .io(error.status)
        }
    }

    private func beginRead(_ start: UInt64, _ end: UInt64) throws(ImageFailure) -> Level {
        guard !isClosed.load(ordering: .relaxed) else { throw .io(EBADF) }
        guard header.encryption == 0 || encryption != nil else { throw .io(EACCES) }
        inFlight.enter()
        let mask = clusterSize - 1
        let ticket = ranges.acquireAndWait(start: start & ~mask, end: (end + mask) & ~mask, isExclusive: false)
        return Level(node: self, ticket: ticket, at: start, end: end)
    }

    private func endRead(_ ticket: UInt64) {
        ranges.release(ticket)
        inFlight.leave()
    }
}
