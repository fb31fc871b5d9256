internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Reading, on a thread that may block.
extension QCow2Node {
    /// Fills the segments from the guest's offset, wherever the bytes are.
    func read(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let total = segments.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total {
            let at = offset + UInt64(done)
            let limit = UInt64(total - done)
            let run = try withTables { metadata throws(ImageFailure) in try metadata.run(at: at, limit: limit) }
            let part = segments.slice(from: done, count: Int(run.length))
            if case .unallocated = run.kind { try readBacking(at, part) } else { try read(run, at, part) }
            done += Int(run.length)
        }
    }

    /// Fills the segments with a run that this image has.
    func read(_ run: QCow2Run, _ at: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        switch run.kind {
        case .unallocated: break
        case .zero: segments.zero(from: 0)
        case .normal(let host):
            file.debugEvent(.readAIO)
            try readData(host, at, segments)
        case .compressed(let host, let length):
            try readCompressed(host, length, from: Int(at & (clusterSize - 1)), segments)
        }
    }

    func check(_ status: Int32) throws(ImageFailure) {
        guard status == 0 else { throw .io(status) }
    }

    /// Reads the guest's bytes from where they are stored.
    func readData(_ host: UInt64, _ guest: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        guard let encryption else { return try check(dataFile.readAndWait(at: host, into: segments)) }
        try check(
            encryption.access(dataFile).read(
                at: host, sectorOffset: encryption.usesHostOffset ? host : guest, into: segments))
    }

    /// Writes the guest's bytes where they are stored.
    func writeData(_ host: UInt64, _ guest: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        guard let encryption else { return try check(dataFile.writeAndWait(at: host, from: segments)) }
        try check(
            encryption.access(dataFile).write(
                at: host, sectorOffset: encryption.usesHostOffset ? host : guest, from: segments))
    }

    private func readCompressed(
        _ host: UInt64, _ length: Int, from start: Int, _ segments: [BlockSegment]
    ) throws(ImageFailure) {
        let cluster: [UInt8]
        if let last = inflated.withLock({ $0 }), last.host == host {
            cluster = last.bytes
        } else {
            file.debugEvent(.readCompressed)
            let (status, packed) = file.bytesAndWait(at: host, count: length)
            try check(status)
            guard let whole = Unpacking.cluster(header.compression, packed, count: Int(clusterSize)) else {
                throw .io(EIO)
            }
            cluster = whole
            inflated.withLock { $0 = (host, whole) }
        }
        // SAFETY: a run of a compressed cluster ends with it: start and the segments lie inside.
        unsafe cluster.withUnsafeBytes { unsafe segments.fill(from: $0.baseAddress! + start) }
    }
}

extension QCow2Node: SparseMappable {
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard offset < size, length > 0 else { return [] }
        let end = offset + min(length, size - offset)
        var result: [BlockExtent] = []
        var at = offset
        while at < end && result.count < limit {
            let (start, rest) = (at, end - at)
            let run: QCow2Run
            do throws(ImageFailure) {
                run = try withTables { metadata throws(ImageFailure) in try metadata.run(at: start, limit: rest) }
            } catch {
                if case .corrupt(let reason) = error { throw .invalidImage(path: filename, reason: reason) }
                throw .system(path: filename, operation: "map", Errno(rawValue: error.status))
            }
            var extent = BlockExtent(offset: at, length: run.length, isAllocated: true, isZero: false)
            switch run.kind {
            case .unallocated:
                (extent.isAllocated, extent.isZero) = (false, backing == nil)
                extent.hostOffset = run.storage.map { $0 + at % clusterSize }
            case .zero:
                extent.isZero = true
                extent.hostOffset = run.storage.map { $0 + at % clusterSize }
            case .normal(let host): extent.hostOffset = host
            case .compressed: extent.isCompressed = true
            }
            // What is there is not what the guest sees.
            if header.encryption != 0 { extent.hostOffset = nil }
            if var last = result.last, last.continues(in: extent) {
                last.length += extent.length
                result[result.count - 1] = last
            } else {
                result.append(extent)
            }
            at += run.length
        }
        return result
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        var total: UInt64 = 0
        for node in header.hasDataFile ? [file, dataFile] : [file] {
            total += try (node as? any SparseMappable)?.allocatedBytes() ?? node.sizeInBytes
        }
        return total
    }
}

extension BlockExtent {
    /// Whether the next run goes on with this one.
    fileprivate func continues(in next: BlockExtent) -> Bool {
        guard isAllocated == next.isAllocated, isZero == next.isZero, isCompressed == next.isCompressed else {
            return false
        }
        switch (hostOffset, next.hostOffset) {
        case (nil, nil): return true
        case (.some(let host), .some(let other)): return host + length == other
        default: return false
        }
    }
}

extension QCow2Node {
    /// Whether the file takes far less storage than its clusters would: its metadata was made in advance, and what it
    /// calls data may be holes. Blocks.
    public var isPreallocated: Bool {
        guard !header.hasDataFile, let file = file as? any SparseMappable, let bytes = try? file.allocatedBytes()
        else { return false }
        let real = bytes / clusterSize
        let end = (file.sizeInBytes + clusterSize - 1) / clusterSize
        let threshold = max(real * 10 / 9, real + 2)
        guard end >= threshold else { return false }
        let used = try? withTables { metadata throws(ImageFailure) in
            try metadata.usedClusters(before: end, most: threshold)
        }
        return (used ?? 0) >= threshold
    }
}
