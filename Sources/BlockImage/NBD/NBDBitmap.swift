internal import Synchronization

/// A bitmap as a server shows it: which parts of the disk are dirty.
struct NBDBitmap: Sendable {
    let name: String
    private let chunks: [QCow2BitmapStore.Chunk]
    private let granularityBits: UInt64
    private let bitsPerChunk: UInt64
    /// The marks of one that no image keeps, as they are at each moment.
    private let live: DirtyBits?

    /// A bitmap of a running machine's.
    init(_ bitmap: DirtyBitmap) {
        (name, live) = (bitmap.name, bitmap.bits)
        (chunks, granularityBits, bitsPerChunk) = ([], 0, 0)
    }

    /// The bitmap of an image, as it is now. Blocks.
    init(_ name: String, of node: QCow2Node) throws(BlockError) {
        let header = node.currentHeader
        let store: QCow2BitmapStore
        if let writable = node.bitmaps {
            store = writable
        } else {
            store = try QCow2BitmapStore(header: header, metadata: node.metadata, path: node.filename)
        }
        let found = store.state.withLock { state in state.entries.first { $0.bitmap.name == name } }
        guard let found else { throw .bitmap("Bitmap '\(name)' is not found") }
        guard found.bitmap.flags & QCow2Bitmap.Flag.inUse == 0 else {
            throw .bitmap("Bitmap '\(name)' is inconsistent and cannot be used")
        }
        guard node.isReadOnly || found.bitmap.flags & QCow2Bitmap.Flag.auto == 0 else {
            throw .bitmap("Enabled bitmap '\(name)' incompatible with readonly export")
        }
        self.name = name
        live = nil
        chunks = try store.bits(found)
        granularityBits = UInt64(found.bitmap.granularityBits)
        bitsPerChunk = UInt64(header.clusterSize) * 8
    }

    /// The runs of a range, at most `limit` of them.
    func runs(offset: UInt64, length: UInt64, limit: Int) -> [(length: UInt64, isDirty: Bool)] {
        var result: [(length: UInt64, isDirty: Bool)] = []
        var at = offset
        let end = offset + length
        while at < end {
            let (isDirty, count) = part(at, end)
            if let last = result.last, last.isDirty == isDirty {
                result[result.count - 1].length += count
            } else {
                guard result.count < limit else { break }
                result.append((count, isDirty))
            }
            at += count
        }
        return result
    }

    /// Whether a byte is dirty, and for how many that goes on.
    private func part(_ at: UInt64, _ end: UInt64) -> (isDirty: Bool, count: UInt64) {
        if let live {
            let run = live.run(at: at, limit: end - at)
            return (run.isSet, run.length)
        }
        let (isDirty, bits) = run(at >> granularityBits)
        let next = (at >> granularityBits) + bits
        let (stop, overflow) = next.multipliedReportingOverflow(by: 1 << granularityBits)
        return (isDirty, (overflow ? end : min(end, stop)) - at)
    }

    /// The value of a bit, and for how many bits it goes on within its cluster.
    private func run(_ bit: UInt64) -> (isDirty: Bool, bits: UInt64) {
        let index = bit / bitsPerChunk
        let inside = bit % bitsPerChunk
        guard index < UInt64(chunks.count) else { return (false, bitsPerChunk - inside) }
        switch chunks[Int(index)] {
        case .zeroes: return (false, bitsPerChunk - inside)
        case .ones: return (true, bitsPerChunk - inside)
        case .bits(let bytes):
            func value(_ at: UInt64) -> Bool { bytes[Int(at / 8)] >> UInt8(at % 8) & 1 == 1 }
            let first = value(inside)
            var at = inside + 1
            while at < bitsPerChunk {
                if at % 8 == 0 && bytes[Int(at / 8)] == (first ? 0xff : 0) {
                    at += 8
                } else if value(at) == first {
                    at += 1
                } else {
                    break
                }
            }
            return (first, at - inside)
        }
    }
}
