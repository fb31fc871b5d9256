/// The log of a VHDX file ([MS-VHDX] 2.3): metadata that was to be written when the last writer ended. The newest
/// whole sequence of entries is carried out again.
struct VHDXLog {
    private struct Entry {
        var offset: Int
        var length: Int
        var tail: Int
        var sequence: UInt64
        var flushedSize: UInt64
        var lastSize: UInt64
        var descriptors: Int
    }

    private static let sector = 4096
    private let bytes: [UInt8]
    private let identifier: [UInt8]
    private let path: String

    /// The log's region in memory.
    init(_ header: VHDXHeader, _ file: any BlockNode) throws(BlockError) {
        bytes = try file.metadataBytes("log", at: header.logOffset, count: Int(header.logLength))
        identifier = header.logIdentifier
        path = file.filename
    }

    /// Carries out what is in the log. Nothing when it holds no whole sequence.
    func replay(_ file: any Resizable) throws(BlockError) {
        guard let entries = try activeSequence() else { return }
        for entry in entries {
            guard file.sizeInBytes >= entry.flushedSize else {
                throw .invalidImage(path: file.filename, reason: "The file is shorter than its log says")
            }
            try replay(entry, file)
            if entry.lastSize > file.sizeInBytes, entry.lastSize <= UInt64(Int64.max) / 2 {
                try file.resize(to: entry.lastSize, preallocation: .off)
            }
        }
        try file.flushAndWait()
    }

    /// Bytes of the region, which goes on at its start.
    private func slice(_ offset: Int, _ count: Int) -> [UInt8] {
        let start = offset % bytes.count
        if start + count <= bytes.count { return Array(bytes[start..<start + count]) }
        return Array(bytes[start...]) + Array(bytes[..<(count - (bytes.count - start))])
    }

    /// The entry at an offset, if it is whole. `work` counts the bytes that were summed up: of entries that overlap, as no
    /// writer leaves them, every one would be read whole.
    private func entry(at offset: Int, _ work: inout Int) throws(BlockError) -> Entry? {
        let head = slice(offset, 64)
        guard head.prefix(4).elementsEqual("loge".utf8), Array(head[32..<48]) == identifier else { return nil }
        let length = Int(head.littleEndian(UInt32.self, at: 8))
        let tail = Int(head.littleEndian(UInt32.self, at: 12))
        let count = Int(head.littleEndian(UInt32.self, at: 24))
        guard length > 0, length % VHDXLog.sector == 0, length <= bytes.count, tail % VHDXLog.sector == 0,
            tail < bytes.count, count <= length / 32
        else { return nil }
        work += length
        guard work <= 16 * bytes.count else {
            throw .invalidImage(path: path, reason: "The entries of the log overlap")
        }
        let whole = slice(offset, length)
        guard CRC32C.of(whole, without: 4) == head.littleEndian(UInt32.self, at: 4) else { return nil }
        return Entry(
            offset: offset, length: length, tail: tail, sequence: head.littleEndian(UInt64.self, at: 16),
            flushedSize: head.littleEndian(UInt64.self, at: 48), lastSize: head.littleEndian(UInt64.self, at: 56),
            descriptors: count)
    }

    /// The entries from the tail to the head of the sequence with the highest number.
    private func activeSequence() throws(BlockError) -> [Entry]? {
        guard bytes.count >= VHDXLog.sector else { return nil }
        var best: [Entry] = []
        var (at, work) = (0, 0)
        while at < bytes.count {
            guard let first = try entry(at: at, &work), first.sequence > 0 else {
                at += VHDXLog.sector
                continue
            }
            var run = [first]
            var total = first.length
            while total < bytes.count, let next = try entry(at: (at + total) % bytes.count, &work),
                next.sequence == run[run.count - 1].sequence + 1
            {
                run.append(next)
                total += next.length
            }
            // The head says where its sequence begins.
            if let head = run.last, let start = run.firstIndex(where: { $0.offset == head.tail }),
                head.sequence > best.last?.sequence ?? 0
            {
                best = Array(run[start...])
            }
            // One that begins later in the same row ends with the same head.
            at += total
        }
        return best.isEmpty ? nil : best
    }

    private func replay(_ entry: Entry, _ file: any Resizable) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: file.filename, reason: "The log \(reason)") }
        let whole = slice(entry.offset, entry.length)
        var data = (64 + entry.descriptors * 32 + VHDXLog.sector - 1) / VHDXLog.sector * VHDXLog.sector
        for number in 0..<entry.descriptors {
            let at = 64 + number * 32
            let place = whole.littleEndian(UInt64.self, at: at + 16)
            guard whole.littleEndian(UInt64.self, at: at + 24) == entry.sequence, place <= UInt64(Int64.max) / 2,
                place % UInt64(VHDXLog.sector) == 0
            else { throw fail("has a descriptor for offset \(place)") }
            if whole[at..<at + 4].elementsEqual("zero".utf8) {
                let length = whole.littleEndian(UInt64.self, at: at + 8)
                guard length <= UInt64(Int64.max) / 2, length % UInt64(VHDXLog.sector) == 0 else {
                    throw fail("zeroes \(length) bytes")
                }
                let status = file.performAndWait(.writeZeroes(mayUnmap: false), offset: place, length: length)
                guard status == 0 else { throw .io(path: file.filename, operation: "write", status) }
                continue
            }
            guard whole[at..<at + 4].elementsEqual("desc".utf8), data + VHDXLog.sector <= whole.count,
                whole[data..<data + 4].elementsEqual("data".utf8)
            else { throw fail("has a descriptor of no known kind") }
            // The first 8 and the last 4 bytes of a sector made way for its marks.
            var sector = Array(whole[data..<data + VHDXLog.sector])
            sector.replaceSubrange(0..<8, with: whole[at + 8..<at + 16])
            sector.replaceSubrange(4092..<4096, with: whole[at + 4..<at + 8])
            try file.put(sector, at: place)
            data += VHDXLog.sector
        }
    }
}
