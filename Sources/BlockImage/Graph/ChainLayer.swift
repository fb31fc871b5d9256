/// An image that others may lie below.
protocol ChainLayer: BlockNode {
    /// The image below.
    var below: (any BlockNode)? { get }
    /// Begins to read a range: it stays as it is until `endRead` with the number that this gives.
    func beginRead(_ start: UInt64, _ end: UInt64) throws(ImageFailure) -> UInt64
    func endRead(_ ticket: UInt64)
    /// Looks at what is at an offset, over at most `limit` bytes: what the image itself has goes into the segments that
    /// `place` gives for as many bytes.
    func readOwn(
        at offset: UInt64, limit: UInt64, into place: (UInt64) -> [BlockSegment]
    ) throws(ImageFailure) -> (length: UInt64, isBelow: Bool)
    /// Sleeps until nothing is in flight here, whatever goes on below.
    func drainAlone()
}

/// Reading from the images below what an image does not have: down the chain without a call for each image, as a thread's
/// stack has no room for as many calls as a chain may have images.
extension ChainLayer {
    /// Fills the segments from the images below; what is behind their end is zero.
    func readBacking(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        var levels: [ChainLevel] = []
        defer { for level in levels.reversed() { level.node.endRead(level.ticket) } }
        func part(_ start: UInt64, _ end: UInt64) -> [BlockSegment] {
            segments.slice(from: Int(start - offset), count: Int(end - start))
        }
        // What a range below an image holds, or one more level to look at.
        func look(below node: any ChainLayer, _ start: UInt64, _ end: UInt64) throws(ImageFailure) {
            let below = node.below
            let size = below?.sizeInBytes ?? 0
            guard let below, start < size else { return part(start, end).zero(from: 0) }
            let last = min(end, size)
            if last < end { part(last, end).zero(from: 0) }
            node.debugEvent(.readBackingAIO)
            guard let image = below as? any ChainLayer else {
                return try ImageFailure.check(below.readAndWait(at: start, into: part(start, last)))
            }
            levels.append(ChainLevel(node: image, ticket: try image.beginRead(start, last), at: start, end: last))
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
                let run = try node.readOwn(at: at, limit: level.end - at) { part(at, at + $0) }
                levels[levels.count - 1].at += run.length
                if run.isBelow { try look(below: node, at, at + run.length) }
            }
        } catch {
            // What is wrong with another image says nothing about this one.
            throw .io(error.status)
        }
    }

    /// Sleeps until nothing is in flight here and in the images below.
    func drainChain() {
        drainAlone()
        var next = below
        while let image = next as? any ChainLayer {
            image.drainAlone()
            next = image.below
        }
        next?.drain()
    }
}

/// An image on the way down, whose range is held.
private struct ChainLevel {
    let node: any ChainLayer
    let ticket: UInt64
    var at: UInt64
    let end: UInt64
}
