internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Size and holes of a file.
extension FileNode: Resizable, SparseMappable {
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard !isReadOnly else { throw .readOnly(path: filename) }
        guard size <= UInt64(Int64.max) else { throw .invalidSize(path: filename, size: size) }
        let current = access.size.load(ordering: .relaxed)
        if access.isBlockDevice {
            // A device has the size it has; a smaller disk on it is `raw`'s option.
            guard size <= current else { throw .message("Cannot grow device files") }
            return
        }
        if size > current && preallocation != .off && preallocation != .metadata {
            try preallocate(from: current, to: size, preallocation)
        }
        guard apus_ftruncate(access.descriptor, Int64(size)) == 0 else { throw failure("resize") }
        access.size.store(size, ordering: .relaxed)
    }

    private func preallocate(from start: UInt64, to end: UInt64, _ way: Preallocation) throws(BlockError) {
        if apus_fallocate(access.descriptor, 0, Int64(start), Int64(end - start)) != 0 {
            let reason = Errno(rawValue: apus_errno())
            guard way == .full, FileAccess.isRefusal(reason.rawValue) else {
                _ = apus_ftruncate(access.descriptor, Int64(start))
                throw .system(path: filename, operation: "reserve space for", reason)
            }
        }
        guard way == .full else { return }
        let status = access.writeBuffersOfZeroes(offset: start, length: end - start)
        guard status == 0 else {
            _ = apus_ftruncate(access.descriptor, Int64(start))
            throw .system(path: filename, operation: "fill", Errno(rawValue: status))
        }
    }

    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        let size = access.size.load(ordering: .relaxed)
        let disk = sizeInBytes
        guard offset < disk, length > 0 else { return [] }
        let end = offset + min(length, disk - offset)
        var result: [BlockExtent] = []
        var at = offset
        while at < end && result.count < limit {
            if at >= size {
                result.append(BlockExtent(offset: at, length: end - at, isAllocated: false, isZero: true))
                break
            }
            let data = try seek(at, apus_SEEK_DATA) ?? size
            if data > at {
                let stop = min(data >= size ? end : data, end)
                result.append(
                    BlockExtent(offset: at, length: stop - at, isAllocated: false, isZero: true, hostOffset: at))
                at = stop
                continue
            }
            // The file may shrink between two calls: never stand still.
            let hole = min(max(try seek(at, apus_SEEK_HOLE) ?? size, at + 1), end)
            result.append(
                BlockExtent(offset: at, length: hole - at, isAllocated: true, isZero: false, hostOffset: at))
            at = hole
        }
        return result
    }

    /// The next data or hole from `offset` on; nil when there is none. Everything is data where nobody can tell.
    private func seek(_ offset: UInt64, _ whence: Int32) throws(BlockError) -> UInt64? {
        let found = apus_lseek(access.descriptor, Int64(offset), whence)
        if found >= 0 { return max(UInt64(found), offset) }
        switch apus_errno() {
        case ENXIO: return nil
        case EINVAL, EOPNOTSUPP: return whence == apus_SEEK_DATA ? offset : nil
        default: throw failure("map")
        }
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        var status = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_fstat(access.descriptor, &status) == 0 else { throw failure("examine") }
        return UInt64(max(0, status.st_blocks)) * 512
    }

    private func failure(_ operation: String) -> BlockError {
        .system(path: filename, operation: operation, Errno(rawValue: apus_errno()))
    }

    /// Makes (or empties) a regular file of `size` bytes. Blocks.
    public static func create(
        path: String, size: UInt64, preallocation: Preallocation = .off, locking: FileLocking = .auto,
        open: @escaping FileOpener = FileNode.openDirectly
    ) throws(BlockError) {
        guard size <= UInt64(Int64.max) else { throw .invalidSize(path: path, size: size) }
        // Emptied only once the locks are ours: another machine may be using it.
        switch open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644) {
        case .success(let descriptor): CLinux.close(descriptor)
        case .failure(let reason): throw .opening(path, forWriting: true, reason)
        }
        var options = FileOptions(path: path)
        options.aio = .threads
        options.locking = locking
        let node = try FileNode(options, node: NodeOptions(), isDevice: false, nodeName: "#create", open: open)
        defer { node.close() }
        try node.resize(to: 0, preallocation: .off)
        try node.resize(to: size, preallocation: preallocation)
    }
}
