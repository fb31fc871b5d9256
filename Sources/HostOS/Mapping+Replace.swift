internal import CLinux
internal import SystemPackage

extension Mapping {
    /// Puts a view of a file's bytes in place of pages of this mapping, at the same addresses: what this process
    /// changes stays its own. All three in whole pages; the file is no shorter. Nobody writes to the pages meanwhile.
    public func replace(offset: Int, count: Int, with file: Descriptor, at position: Int64) throws(HostError) {
        try renew(offset, count, MAP_PRIVATE | MAP_NORESERVE, file.rawValue, position)
    }

    /// The same with a view that others see too.
    public func replaceShared(
        offset: Int, count: Int, with file: Descriptor, at position: Int64
    ) throws(HostError) {
        try renew(offset, count, MAP_SHARED | MAP_NORESERVE, file.rawValue, position)
    }

    /// The same with a view that is executed and not written.
    public func replaceExecutable(
        offset: Int, count: Int, with file: Descriptor, at position: Int64, isShared: Bool
    ) throws(HostError) {
        try renew(offset, count, isShared ? MAP_SHARED : MAP_PRIVATE, file.rawValue, position, [.read, .execute])
    }

    /// Puts zeroes in place of pages of this mapping, which take no memory before they are written.
    public func replaceWithZeroes(offset: Int, count: Int) throws(HostError) {
        try renew(offset, count, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    }

    private func renew(
        _ offset: Int, _ count: Int, _ flags: Int32, _ descriptor: Int32, _ position: Int64,
        _ protection: Protection = [.read, .write]
    ) throws(HostError) {
        precondition(
            offset >= 0 && count > 0 && count <= self.count - offset && (offset | count) & 4095 == 0,
            "A mapping replaces its own pages")
        // SAFETY: the range is this mapping's own, and a new mapping takes its place at once.
        let renewed = unsafe mmap(
            base + offset, count, protection.rawValue, flags | MAP_FIXED, descriptor, off_t(position))
        guard unsafe renewed != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw HostError(reason: apus_errno(), "map \(count) bytes in place of others")
        }
    }
}

extension Descriptor {
    /// Makes a memory file one that nobody changes any more. No mapping may be able to write to it.
    public func seal() throws(HostError) {
        guard apus_seal(rawValue) == 0 else { throw HostError(reason: apus_errno(), "seal a memory file") }
    }
    /// Makes a memory file one whose size nobody changes any more; false where it is no such file.
    @discardableResult
    public func sealSize() -> Bool { apus_seal_size(rawValue) == 0 }
    /// Whether it is a memory file that keeps its bytes and its size.
    public var isSealed: Bool { apus_is_sealed(rawValue) != 0 }

    /// Whether it is a plain file, which has places to read from.
    public var isRegularFile: Bool { apus_is_plain_file(rawValue) != 0 }
    /// Bytes of the file; negative where it has no size.
    public var fileSize: Int64 { apus_file_size(rawValue) }
    /// Where the next read or write begins; nil where there is no such place.
    public var position: Int64? {
        let place = apus_lseek(rawValue, 0, SEEK_CUR)
        return place < 0 ? nil : place
    }

    /// Reads bytes of a place in a file.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) -> Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return Transfer.moved(0) }
        // SAFETY: the caller's buffer is valid for the call.
        return Descriptor.transfer(unsafe apus_pread(rawValue, base, buffer.count, position))
    }
    /// Writes bytes to a place in a file.
    public func write(_ buffer: UnsafeRawBufferPointer, at position: Int64) -> Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return Transfer.moved(0) }
        // SAFETY: the caller's buffer is valid for the call.
        return Descriptor.transfer(unsafe apus_pwrite(rawValue, base, buffer.count, position), zeroIsEnd: false)
    }

    /// Makes a pipe hold as much as is allowed, up to `count` bytes: fewer changes between its two ends.
    public func widenPipe(_ count: Int32) { _ = apus_pipe_size(rawValue, count) }
}
