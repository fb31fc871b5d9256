internal import Synchronization

/// The persistent bitmaps of an image that is open for writing. Those that record are read when the first byte
/// changes, marked in use on the disk before it does, and saved when the image closes: after a crash they say that
/// they cannot be trusted, never something wrong.
final class QCow2BitmapStore: Sendable {
    /// One cluster of bits.
    enum Chunk: Sendable {
        case zeroes
        case ones
        case bits([UInt8])
    }

    struct Entry: Sendable {
        var bitmap: QCow2Bitmap
        /// The bits; nil while only the disk has them.
        var chunks: [Chunk]?
        var isChanged = false
    }

    private struct State {
        var entries: [Entry]
        /// The directory on the disk differs.
        var isChanged = false
        /// The bitmaps that record are marked in use on the disk.
        var isRecording = false
        /// Marking or reading them failed: recording is over, and they stay marked.
        var isBroken = false
    }

    private let state: Mutex<State>
    private let clusterSize: Int
    private let file: any BlockNode
    private let hasAny: Atomic<Bool>
    private let directoryOffset: UInt64

    /// The store of an image whose header names bitmaps, or none.
    init(header: QCow2Header, metadata: QCow2Metadata, path: String) throws(BlockError) {
        file = metadata.file
        clusterSize = header.clusterSize
        directoryOffset = header.bitmaps?.directoryOffset ?? 0
        let bitmaps = try QCow2Bitmap.directory(header, file: metadata.file)
        state = Mutex(State(entries: bitmaps.map { Entry(bitmap: $0) }))
        hasAny = Atomic(bitmaps.contains { $0.flags & QCow2Bitmap.Flag.auto != 0 })
    }

    /// The bitmaps as they are now.
    var list: [QCow2Bitmap] { state.withLock { $0.entries.map(\.bitmap) } }

    /// Records that a range changes.
    func note(_ offset: UInt64, _ length: UInt64) {
        guard hasAny.load(ordering: .relaxed), length > 0 else { return }
        state.withLock { state in
            if !state.isRecording { beginRecording(&state) }
            guard !state.isBroken else { return }
            for index in state.entries.indices where state.entries[index].chunks != nil {
                guard state.entries[index].bitmap.flags & QCow2Bitmap.Flag.auto != 0 else { continue }
                let bits = UInt64(state.entries[index].bitmap.granularityBits)
                let last = (offset + length - 1) >> bits
                QCow2BitmapStore.set(&state.entries[index].chunks!, offset >> bits, last, clusterSize)
                state.entries[index].isChanged = true
            }
        }
    }

    private static func set(_ chunks: inout [Chunk], _ first: UInt64, _ last: UInt64, _ clusterSize: Int) {
        let perChunk = UInt64(clusterSize) * 8
        var at = first
        while at <= last {
            let index = Int(at / perChunk)
            guard index < chunks.count else { return }
            let end = min(last, (at / perChunk + 1) * perChunk - 1)
            if case .ones = chunks[index] {
            } else if end - at + 1 == perChunk {
                chunks[index] = .ones
            } else {
                var bytes: [UInt8]
                if case .bits(let old) = chunks[index] { bytes = old } else { bytes = .init(repeating: 0, count: clusterSize) }
                chunks[index] = .zeroes
                for bit in at...end { bytes[Int(bit % perChunk / 8)] |= 1 << UInt8(bit % 8) }
                chunks[index] = .bits(bytes)
            }
            at = end + 1
        }
    }

    private func beginRecording(_ state: inout State) {
        state.isRecording = true
        do throws(BlockError) {
            for index in state.entries.indices {
                let flags = state.entries[index].bitmap.flags
                guard flags & QCow2Bitmap.Flag.auto != 0, flags & QCow2Bitmap.Flag.inUse == 0 else { continue }
                if state.entries[index].chunks == nil {
                    state.entries[index].chunks = try load(state.entries[index].bitmap)
                }
            }
            guard directoryOffset != 0, !state.isChanged else { return }
            let marked = state.entries.flatMap { entry in
                var bitmap = entry.bitmap
                if entry.chunks != nil { bitmap.flags |= QCow2Bitmap.Flag.inUse }
                return bitmap.encoded()
            }
            try file.put(marked, at: directoryOffset)
            try file.flushAndWait()
            state.isChanged = true
        } catch {
            state.isBroken = true
        }
    }

    private func bits(_ entry: Entry) throws(BlockError) -> [Chunk] {
        if let chunks = entry.chunks { return chunks }
        return try load(entry.bitmap)
    }

    /// The bits of a bitmap, from the disk. Blocks.
    private func load(_ bitmap: QCow2Bitmap) throws(BlockError) -> [Chunk] {
        let table = try file.metadataBytes(
            "table of the bitmap '\(bitmap.name)'", at: bitmap.tableOffset, count: Int(bitmap.tableSize) * 8)
        var chunks: [Chunk] = []
        for index in 0..<Int(bitmap.tableSize) {
            let entry = table.bigEndian(UInt64.self, at: index * 8)
            let offset = entry & QCow2Metadata.offsetMask
            guard entry & ~(QCow2Metadata.offsetMask | 1) == 0, offset & UInt64(clusterSize - 1) == 0 else {
                throw .invalidImage(
                    path: file.filename, reason: "Entry \(index) of the bitmap '\(bitmap.name)' is \(entry)")
            }
            if offset == 0 {
                chunks.append(entry & 1 == 0 ? .zeroes : .ones)
            } else {
                chunks.append(.bits(try file.metadataBytes("bitmap '\(bitmap.name)'", at: offset, count: clusterSize)))
            }
        }
        return chunks
    }

    // MARK: Saving

    /// Brings what changed to the disk, in new clusters; the old ones are given up after that.
    func save(_ metadata: QCow2Metadata) throws(ImageFailure) {
        var entries: [Entry] = []
        let isNeeded = state.withLock { state in
            entries = state.entries
            return !state.isBroken && (state.isChanged || state.entries.contains(where: \.isChanged))
        }
        guard isNeeded else { return }
        for index in entries.indices where entries[index].isChanged {
            try saveBits(&entries[index], metadata)
        }
        try saveDirectory(entries.map(\.bitmap), metadata)
        state.withLock { state in
            state.entries = entries
            state.isChanged = false
            state.isRecording = false
        }
    }

    private func saveBits(_ entry: inout Entry, _ metadata: QCow2Metadata) throws(ImageFailure) {
        guard let chunks = entry.chunks else { return }
        try giveUp(entry.bitmap, metadata)
        var table = [UInt8](repeating: 0, count: chunks.count * 8)
        for (index, chunk) in chunks.enumerated() {
            switch chunk {
            case .zeroes: break
            case .ones: table.store(UInt64(1), at: index * 8)
            case .bits(let bytes):
                guard bytes.contains(where: { $0 != 0 }) else { continue }
                let cluster = try metadata.allocate(1).cluster
                try metadata.check(file.writeAndWait(at: cluster << metadata.clusterBits, bytes: bytes))
                table.store(cluster << metadata.clusterBits, at: index * 8)
            }
        }
        let clusters = (UInt64(table.count) + metadata.clusterSize - 1) >> metadata.clusterBits
        let first = try metadata.allocateRow(clusters)
        table += [UInt8](repeating: 0, count: Int(clusters << metadata.clusterBits) - table.count)
        try metadata.check(file.writeAndWait(at: first << metadata.clusterBits, bytes: table))
        entry.bitmap.tableOffset = first << metadata.clusterBits
        entry.bitmap.tableSize = UInt32(chunks.count)
        entry.bitmap.flags &= ~QCow2Bitmap.Flag.inUse
        entry.isChanged = false
    }

    /// Gives up a bitmap's clusters.
    private func giveUp(_ bitmap: QCow2Bitmap, _ metadata: QCow2Metadata) throws(ImageFailure) {
        guard bitmap.tableOffset != 0 else { return }
        let (status, table) = file.bytesAndWait(at: bitmap.tableOffset, count: Int(bitmap.tableSize) * 8)
        try metadata.check(status)
        for index in 0..<Int(bitmap.tableSize) {
            let offset = table.bigEndian(UInt64.self, at: index * 8) & QCow2Metadata.offsetMask
            if offset != 0 { metadata.pendingFrees.append((offset >> metadata.clusterBits, 1)) }
        }
        let clusters = (UInt64(table.count) + metadata.clusterSize - 1) >> metadata.clusterBits
        metadata.pendingFrees.append((bitmap.tableOffset >> metadata.clusterBits, clusters))
    }

    /// Writes the directory anew and points the header there.
    private func saveDirectory(_ bitmaps: [QCow2Bitmap], _ metadata: QCow2Metadata) throws(ImageFailure) {
        let old = metadata.header.bitmaps
        var header = metadata.header
        if bitmaps.isEmpty {
            header.bitmaps = nil
            header.autoclear &= ~QCow2Header.Autoclear.bitmaps
        } else {
            let bytes = bitmaps.flatMap { $0.encoded() }
            let clusters = (UInt64(bytes.count) + metadata.clusterSize - 1) >> metadata.clusterBits
            let first = try metadata.allocateRow(clusters)
            let padding = [UInt8](repeating: 0, count: Int(clusters << metadata.clusterBits) - bytes.count)
            try metadata.check(file.writeAndWait(at: first << metadata.clusterBits, bytes: bytes + padding))
            header.bitmaps = QCow2Header.Bitmaps(
                count: UInt32(bitmaps.count), directorySize: UInt64(bytes.count),
                directoryOffset: first << metadata.clusterBits)
            header.autoclear |= QCow2Header.Autoclear.bitmaps
        }
        try metadata.writeBack()
        try metadata.rewriteHeader(header)
        if let old {
            let clusters = (old.directorySize + metadata.clusterSize - 1) >> metadata.clusterBits
            metadata.pendingFrees.append((old.directoryOffset >> metadata.clusterBits, clusters))
        }
        metadata.noteFixedMetadata()
    }

    // MARK: Changing

    private func editing(
        _ name: String, allowsBroken: Bool = false, _ body: (inout Entry) throws(BlockError) -> Void
    ) throws(BlockError) {
        try state.withLock { state throws(BlockError) in
            guard let index = state.entries.firstIndex(where: { $0.bitmap.name == name }) else {
                throw .bitmap("Dirty bitmap '\(name)' not found")
            }
            guard allowsBroken || state.entries[index].bitmap.flags & QCow2Bitmap.Flag.inUse == 0 else {
                throw .bitmap("Bitmap '\(name)' is inconsistent and cannot be used")
            }
            var entry = state.entries[index]
            try body(&entry)
            state.entries[index] = entry
            state.isChanged = true
        }
    }

    /// Adds an empty bitmap.
    func add(_ name: String, granularity: UInt64, size: UInt64, isEnabled: Bool) throws(BlockError) {
        guard !name.isEmpty else { throw .bitmap("Bitmap name cannot be empty") }
        guard name.utf8.count <= QCow2Bitmap.maximumName else { throw .bitmap("Bitmap name is too long") }
        guard granularity >= 512, granularity <= 1 << 31, granularity & (granularity - 1) == 0 else {
            throw .bitmap("Granularity must be power of 2 and at least 512")
        }
        let bits = granularity.trailingZeroBitCount
        let count = QCow2Bitmap.clusters(size: size, granularityBits: bits, clusterSize: clusterSize)
        guard count <= UInt64(QCow2Bitmap.maximumTable) else { throw .bitmap("The bitmap would be too large") }
        try state.withLock { state throws(BlockError) in
            guard !state.entries.contains(where: { $0.bitmap.name == name }) else {
                throw .bitmap("Bitmap already exists: \(name)")
            }
            guard state.entries.count < 65535 else { throw .bitmap("Maximum number of persistent bitmaps is already reached") }
            let bitmap = QCow2Bitmap(
                name: name, flags: isEnabled ? QCow2Bitmap.Flag.auto : 0, granularityBits: bits, tableOffset: 0,
                tableSize: UInt32(max(1, count)))
            let chunks = [Chunk](repeating: .zeroes, count: max(1, Int(count)))
            state.entries.append(Entry(bitmap: bitmap, chunks: chunks, isChanged: true))
            state.isChanged = true
            hasAny.store(true, ordering: .relaxed)
        }
    }

    /// Removes a bitmap.
    func remove(_ name: String, _ metadata: QCow2Metadata) throws(BlockError) {
        try editing(name, allowsBroken: true) { _ throws(BlockError) in }
        let entry = state.withLock { state -> Entry? in
            guard let index = state.entries.firstIndex(where: { $0.bitmap.name == name }) else { return nil }
            return state.entries.remove(at: index)
        }
        guard let entry else { return }
        do throws(ImageFailure) { try giveUp(entry.bitmap, metadata) } catch {
            throw .io(path: file.filename, operation: "remove a bitmap of", error.status)
        }
    }

    /// Empties a bitmap.
    func clear(_ name: String) throws(BlockError) {
        try editing(name) { entry throws(BlockError) in
            entry.chunks = .init(repeating: .zeroes, count: Int(entry.bitmap.tableSize))
            entry.isChanged = true
        }
    }

    /// Switches a bitmap's recording.
    func setEnabled(_ name: String, _ isEnabled: Bool) throws(BlockError) {
        try editing(name) { entry throws(BlockError) in
            entry.bitmap.flags = isEnabled ? entry.bitmap.flags | QCow2Bitmap.Flag.auto
                : entry.bitmap.flags & ~QCow2Bitmap.Flag.auto
        }
    }

    /// The ranges of the disk that a bitmap marks: granule numbers.
    func ranges(_ name: String) throws(BlockError) -> (granularity: UInt64, ranges: [Range<UInt64>]) {
        var result: [Range<UInt64>] = []
        var granularity: UInt64 = 0
        let perChunk = UInt64(clusterSize) * 8
        try editing(name) { entry throws(BlockError) in
            granularity = entry.bitmap.granularity
            let chunks = try bits(entry)
            for (number, chunk) in chunks.enumerated() {
                let base = UInt64(number) * perChunk
                func add(_ range: Range<UInt64>) {
                    if let last = result.last, last.upperBound == range.lowerBound {
                        result[result.count - 1] = last.lowerBound..<range.upperBound
                    } else {
                        result.append(range)
                    }
                }
                switch chunk {
                case .zeroes: break
                case .ones: add(base..<base + perChunk)
                case .bits(let bytes):
                    for (index, byte) in bytes.enumerated() where byte != 0 {
                        for bit in 0..<8 where byte >> UInt8(bit) & 1 != 0 {
                            let at = base + UInt64(index * 8 + bit)
                            add(at..<at + 1)
                        }
                    }
                }
            }
        }
        return (granularity, result)
    }

    /// Marks ranges of granules of `granularity` bytes in a bitmap.
    func merge(
        _ name: String, granularity: UInt64, _ ranges: [Range<UInt64>], size: UInt64
    ) throws(BlockError) {
        try editing(name) { entry throws(BlockError) in
            var chunks = try bits(entry)
            let bits = UInt64(entry.bitmap.granularityBits)
            for range in ranges {
                let (start, overflow) = range.lowerBound.multipliedReportingOverflow(by: granularity)
                guard !overflow, start < size else { continue }
                let end = min(size, range.upperBound.multipliedReportingOverflow(by: granularity).partialValue)
                guard end > start else { continue }
                QCow2BitmapStore.set(&chunks, start >> bits, (end - 1) >> bits, clusterSize)
            }
            entry.chunks = chunks
            entry.isChanged = true
        }
    }
}
