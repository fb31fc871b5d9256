internal import CLinux

/// A table of one cluster in memory: an L2 table or a block of reference counts, as on disk (big-endian).
final class MetadataTable {
    /// Where it is in the file.
    let offset: UInt64
    let buffer: AlignedBuffer
    /// The bytes that differ from the disk, rounded to sectors; empty when none does.
    private(set) var dirty: Range<Int> = 0..<0
    var lastUse: UInt64 = 0

    init(offset: UInt64, buffer: AlignedBuffer) {
        self.offset = offset
        self.buffer = buffer
    }

    var isDirty: Bool { !dirty.isEmpty }
    /// Nothing of it is on the disk yet, or every byte has changed.
    var isWhole: Bool { dirty.count == buffer.count }

    /// The number at an index, whose range the caller has checked.
    subscript(index: Int) -> UInt64 {
        get {
            precondition(index >= 0 && index < buffer.count / 8)
            // SAFETY: checked above; the buffer is aligned.
            return unsafe UInt64(bigEndian: buffer.base.load(fromByteOffset: index * 8, as: UInt64.self))
        }
        set {
            precondition(index >= 0 && index < buffer.count / 8)
            // SAFETY: checked above; the buffer is aligned.
            unsafe buffer.base.storeBytes(of: newValue.bigEndian, toByteOffset: index * 8, as: UInt64.self)
            touch(index * 8, 8)
        }
    }

    /// The byte at an index, whose range the caller has checked.
    subscript(byte index: Int) -> UInt8 {
        get {
            precondition(index >= 0 && index < buffer.count)
            // SAFETY: checked above.
            return unsafe buffer.base.load(fromByteOffset: index, as: UInt8.self)
        }
        set {
            precondition(index >= 0 && index < buffer.count)
            // SAFETY: checked above.
            unsafe buffer.base.storeBytes(of: newValue, as: UInt8.self, at: index)
            touch(index, 1)
        }
    }

    /// Notes that bytes differ from the disk.
    func touch(_ start: Int, _ count: Int) {
        let low = start / 512 * 512
        let high = min(buffer.count, (start + count + 511) / 512 * 512)
        dirty = dirty.isEmpty ? low..<high : min(low, dirty.lowerBound)..<max(high, dirty.upperBound)
    }

    /// Writes what differs.
    func write(to file: any BlockNode) -> Int32 {
        guard isDirty else { return 0 }
        let range = dirty
        // SAFETY: the range lies inside the buffer, which this object keeps over the wait.
        let status = unsafe file.writeAndWait(
            at: offset + UInt64(range.lowerBound),
            from: [BlockSegment(pointer: buffer.base + range.lowerBound, count: range.count)])
        if status == 0 { dirty = 0..<0 }
        return status
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func storeBytes(of value: UInt8, as type: UInt8.Type, at offset: Int) {
        unsafe storeBytes(of: value, toByteOffset: offset, as: type)
    }
}

/// Tables by file offset, the least recently used going first. Dirty ones stay until their owner has written them.
struct MetadataCache {
    private var tables: [UInt64: MetadataTable] = [:]
    private var clock: UInt64 = 0
    let tableSize: Int
    private(set) var limit: Int

    /// A cache of tables of a size that holds about `bytes`.
    init(tableSize: Int, bytes: Int) {
        self.tableSize = tableSize
        limit = max(4, bytes / tableSize)
    }

    /// Gives it another size. What is too much goes, but for what has to be written first.
    mutating func resize(_ limit: Int) {
        self.limit = max(4, limit)
        let clean = tables.values.filter { !$0.isDirty }.sorted { $0.lastUse < $1.lastUse }
        for old in clean.prefix(max(0, tables.count - self.limit)) { tables[old.offset] = nil }
    }

    var dirtyTables: [MetadataTable] {
        tables.values.filter(\.isDirty).sorted { $0.offset < $1.offset }
    }

    /// Whether the cache is over its limit with nothing clean to drop: the owner should write back.
    var isChoked: Bool { tables.count >= limit && tables.values.allSatisfy(\.isDirty) }

    func contains(_ offset: UInt64) -> Bool { tables[offset] != nil }

    /// The table at an offset, if it is here.
    mutating func find(_ offset: UInt64) -> MetadataTable? {
        guard let table = tables[offset] else { return nil }
        clock += 1
        table.lastUse = clock
        return table
    }

    /// Adds a table; drops the oldest clean ones when there are too many. Of many small tables some go at once, so that
    /// not each miss looks at all of them.
    mutating func insert(_ table: MetadataTable) {
        if tables.count >= limit {
            let clean = tables.values.filter { !$0.isDirty }.sorted { $0.lastUse < $1.lastUse }
            for old in clean.prefix(max(1, limit / 16)) { tables[old.offset] = nil }
        }
        clock += 1
        table.lastUse = clock
        tables[table.offset] = table
    }

    /// Forgets a table whose cluster has been given up.
    mutating func remove(_ offset: UInt64) { tables[offset] = nil }
}
