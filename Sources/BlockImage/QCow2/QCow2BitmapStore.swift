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
        /// Entries of the table on the disk; 0 before the first time.
        var storedSize: UInt32 = 0
    }

    struct State {
        var entries: [Entry]
        /// The directory on the disk differs.
        var isChanged = false
        /// The bitmaps that record are marked in use on the disk.
        var isRecording = false
        /// Marking or reading them failed: recording is over, and they stay marked.
        var isBroken = false
        /// Where the directory is; 0 without one.
        var directoryOffset: UInt64
    }

    let state: Mutex<State>
    let clusterSize: Int
    let file: any BlockNode
    let hasAny: Atomic<Bool>

    /// The store of an image whose header names bitmaps, or none.
    init(header: QCow2Header, metadata: QCow2Metadata, path: String) throws(BlockError) {
        file = metadata.file
        clusterSize = header.clusterSize
        let bitmaps = try QCow2Bitmap.directory(header, file: metadata.file)
        state = Mutex(
            State(
                entries: bitmaps.map { Entry(bitmap: $0, storedSize: $0.tableSize) },
                directoryOffset: header.bitmaps?.directoryOffset ?? 0))
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

    static func set(_ chunks: inout [Chunk], _ first: UInt64, _ last: UInt64, _ clusterSize: Int) {
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
                if case .bits(let old) = chunks[index] {
                    bytes = old
                } else {
                    bytes = .init(repeating: 0, count: clusterSize)
                }
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
            guard state.directoryOffset != 0, !state.isChanged else { return }
            let marked = state.entries.flatMap { entry in
                var bitmap = entry.bitmap
                if entry.chunks != nil { bitmap.flags |= QCow2Bitmap.Flag.inUse }
                return bitmap.encoded()
            }
            try file.put(marked, at: state.directoryOffset)
            try file.flushAndWait()
            state.isChanged = true
        } catch {
            state.isBroken = true
        }
    }

    func bits(_ entry: Entry) throws(BlockError) -> [Chunk] {
        if let chunks = entry.chunks { return chunks }
        return try load(entry.bitmap)
    }

    /// The bits of a bitmap, from the disk. Blocks.
    private func load(_ bitmap: QCow2Bitmap) throws(BlockError) -> [Chunk] {
        let table = try file.metadataBytes(
            "table of the bitmap '\(bitmap.name)'", at: bitmap.tableOffset, count: Int(bitmap.tableSize) * 8)
        var chunks: [Chunk] = []
        var total = 0
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
                total += clusterSize
                // Entries may all point to the same cluster: the file's size is no bound.
                guard total <= QCow2Bitmap.maximumBytes else {
                    throw .invalidImage(
                        path: file.filename, reason: "The bitmap '\(bitmap.name)' has over 512 MiB of bits")
                }
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
        let retired = metadata.retired
        do throws(ImageFailure) {
            for index in entries.indices where entries[index].isChanged {
                try saveBits(&entries[index], metadata)
            }
            try saveDirectory(entries.map(\.bitmap), metadata)
        } catch {
            // The old directory stays, with what it leads to; what was stored for the new one is lost.
            metadata.retired = retired
            metadata.mayLeak = true
            throw error
        }
        state.withLock { state in
            state.entries = entries
            state.isChanged = false
            state.isRecording = false
            state.directoryOffset = metadata.header.bitmaps?.directoryOffset ?? 0
        }
    }

    private func saveBits(_ entry: inout Entry, _ metadata: QCow2Metadata) throws(ImageFailure) {
        guard let chunks = entry.chunks else { return }
        try giveUp(entry, metadata)
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
        entry.storedSize = UInt32(chunks.count)
        entry.bitmap.flags &= ~QCow2Bitmap.Flag.inUse
        entry.isChanged = false
    }

    /// Gives up a bitmap's clusters, once the header leads to another directory.
    func giveUp(_ entry: Entry, _ metadata: QCow2Metadata) throws(ImageFailure) {
        let bitmap = entry.bitmap
        guard bitmap.tableOffset != 0, entry.storedSize > 0 else { return }
        let (status, table) = file.bytesAndWait(at: bitmap.tableOffset, count: Int(entry.storedSize) * 8)
        try metadata.check(status)
        for index in 0..<Int(entry.storedSize) {
            let offset = table.bigEndian(UInt64.self, at: index * 8) & QCow2Metadata.offsetMask
            if offset != 0 { metadata.retired.append((offset >> metadata.clusterBits, 1)) }
        }
        let clusters = (UInt64(table.count) + metadata.clusterSize - 1) >> metadata.clusterBits
        metadata.retired.append((bitmap.tableOffset >> metadata.clusterBits, clusters))
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
        metadata.pendingFrees += metadata.retired
        metadata.retired = []
        metadata.noteFixedMetadata()
    }
}
