internal import Synchronization

/// What `qemu-img bitmap` does.
extension QCow2BitmapStore {
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

    /// Gives every bitmap as many bits as a disk of `size` bytes needs. New ones are clear.
    func resize(to size: UInt64) throws(BlockError) {
        for name in list.filter({ $0.flags & QCow2Bitmap.Flag.inUse == 0 }).map(\.name) {
            try editing(name) { entry throws(BlockError) in
                var chunks = try bits(entry)
                let count = QCow2Bitmap.clusters(
                    size: size, granularityBits: entry.bitmap.granularityBits, clusterSize: clusterSize)
                guard count <= UInt64(QCow2Bitmap.maximumTable) else {
                    throw .bitmap("The bitmap '\(name)' would be too large")
                }
                let wanted = max(1, Int(count))
                chunks.removeLast(max(0, chunks.count - wanted))
                chunks += [Chunk](repeating: .zeroes, count: wanted - chunks.count)
                entry.chunks = chunks
                entry.bitmap.tableSize = UInt32(wanted)
                entry.isChanged = true
            }
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
            guard state.entries.count < 65535 else {
                throw .bitmap("Maximum number of persistent bitmaps is already reached")
            }
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
        do throws(ImageFailure) { try giveUp(entry, metadata) } catch {
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
            entry.bitmap.flags =
                isEnabled
                ? entry.bitmap.flags | QCow2Bitmap.Flag.auto
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
