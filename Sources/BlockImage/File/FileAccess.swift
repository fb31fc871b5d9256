internal import CLinux
internal import Synchronization
internal import SystemPackage

/// An open file or device and what is known of it; carries requests out by blocking calls. Any thread.
final class FileAccess: Sendable {
    let descriptor: Int32
    let path: String
    let isBlockDevice: Bool
    /// The multiples that offsets and lengths (in the lower half) and addresses of direct I/O need; 1 without.
    private let multiples: Atomic<Int>
    var isDirect: Bool { alignment > 1 }
    var alignment: Int { multiples.load(ordering: .relaxed) & 0xFFFF_FFFF }
    var memoryAlignment: Int { multiples.load(ordering: .relaxed) >> 32 }
    /// The size in bytes, as far as this process has made it.
    let size: Atomic<UInt64>
    /// What the kernel has refused is not tried again.
    let canPunchHole = Atomic(true)
    let canZeroRange = Atomic(true)
    let canDiscard = Atomic(true)
    let canWriteDurably = Atomic(true)
    private let isUnlocked = Atomic(false)

    /// The most that one call transfers (`MAX_RW_COUNT`), and the most vectors it takes (`UIO_MAXIOV`).
    static let maximumTransfer: UInt64 = 0x7fff_f000
    static let maximumVectors = 1024
    /// The size of bounce and zero buffers.
    static let bufferSize = 1 << 20

    /// Takes the descriptor over.
    init(descriptor: Int32, path: String, isBlockDevice: Bool, isDirect: Bool) throws(BlockError) {
        self.descriptor = descriptor
        self.path = path
        self.isBlockDevice = isBlockDevice
        do throws(BlockError) {
            multiples = Atomic(isDirect ? try Self.multiples(descriptor, path, isBlockDevice) : 1 | 1 << 32)
            size = Atomic(try FileAccess.currentSize(descriptor, path, isBlockDevice))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Gives up the locks for good.
    func unlock() {
        if !isUnlocked.exchange(true, ordering: .relaxed) { ImageLock.release(descriptor) }
    }

    deinit {
        // Locks go with the last copy of the description, which a child about to run another program may still have.
        unlock()
        close(descriptor)
    }

    private static func multiples(
        _ descriptor: Int32, _ path: String, _ isBlockDevice: Bool
    ) throws(BlockError) -> Int {
        let (lengths, addresses) = try directAlignment(descriptor, path, isBlockDevice)
        return lengths | addresses << 32
    }

    /// Makes the kernel take direct I/O, or no more, while nothing is under way.
    func setDirect(_ wanted: Bool) throws(BlockError) {
        let flags = apus_fcntl(descriptor, F_GETFL, 0)
        guard flags >= 0, apus_fcntl(descriptor, F_SETFL, Int(wanted ? flags | O_DIRECT : flags & ~O_DIRECT)) == 0
        else { throw .noDirectIO(path: path) }
        do throws(BlockError) {
            multiples.store(
                wanted ? try Self.multiples(descriptor, path, isBlockDevice) : 1 | 1 << 32, ordering: .relaxed)
        } catch {
            _ = apus_fcntl(descriptor, F_SETFL, Int(flags))
            throw error
        }
    }

    /// Looks at the size again: another process may have changed it.
    func refreshSize(_ path: String) throws(BlockError) {
        size.store(try FileAccess.currentSize(descriptor, path, isBlockDevice), ordering: .relaxed)
    }

    private static func currentSize(
        _ descriptor: Int32, _ path: String, _ isBlockDevice: Bool
    ) throws(BlockError) -> UInt64 {
        if isBlockDevice {
            var bytes: UInt64 = 0
            // SAFETY: the kernel writes 8 bytes into the variable.
            guard unsafe apus_ioctl_u64(descriptor, apus_BLKGETSIZE64, &bytes) == 0 else {
                throw BlockError.system(path: path, operation: "ask for the size of", Errno(rawValue: apus_errno()))
            }
            return bytes
        }
        var status = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_fstat(descriptor, &status) == 0 else {
            throw BlockError.system(path: path, operation: "ask for the size of", Errno(rawValue: apus_errno()))
        }
        return UInt64(max(0, status.st_size))
    }

    /// What multiples the device or file system asks of direct I/O: found by trying, as no older kernel tells.
    private static func directAlignment(
        _ descriptor: Int32, _ path: String, _ isBlockDevice: Bool
    ) throws(BlockError) -> (Int, Int) {
        let largest = 64 << 10
        let buffer = AlignedBuffer(count: 2 * largest)
        defer { withExtendedLifetime(buffer) {} }
        func reads(_ count: Int, at shift: Int) -> Bool {
            // SAFETY: shift + count lies inside the buffer.
            unsafe pread(descriptor, buffer.base + shift, count, 0) >= 0 || apus_errno() != EINVAL
        }
        var alignment = 0
        if isBlockDevice {
            var sector: Int32 = 0
            // SAFETY: the kernel writes an int into the variable.
            if unsafe apus_ioctl_int(descriptor, apus_BLKSSZGET, &sector) == 0, sector >= 512, sector <= 65536 {
                alignment = Int(sector)
            }
        }
        if alignment == 0 {
            // A file system that takes one byte here does not check, or the file is too short to tell.
            if reads(1, at: 0) {
                alignment = 4096
            } else {
                alignment = 512
                while alignment <= largest && !reads(alignment, at: 0) { alignment *= 2 }
            }
        }
        guard alignment <= largest else { throw BlockError.noDirectIO(path: path) }
        var memory = 512
        while memory < largest && !reads(max(alignment, 4096), at: memory) { memory *= 2 }
        return (alignment, memory)
    }

    /// Whether the request meets direct I/O's multiples (always without direct I/O).
    func isAligned(_ request: BlockRequest) -> Bool {
        guard isDirect else { return true }
        let mask = UInt64(alignment - 1)
        guard (request.offset | request.length) & mask == 0 else { return false }
        return request.segments.allSatisfy {
            Int(bitPattern: $0.pointer) & (memoryAlignment - 1) == 0 && $0.count & (alignment - 1) == 0
        }
    }

    /// Whether one operation of io_uring does the request.
    func fitsRing(_ request: BlockRequest) -> Bool {
        switch request.operation {
        case .flush: return true
        case .read, .write:
            return request.length <= FileAccess.maximumTransfer && !request.segments.isEmpty
                && request.segments.count <= FileAccess.maximumVectors && isAligned(request)
        case .discard:
            return !isBlockDevice && canPunchHole.load(ordering: .relaxed)
        case .writeZeroes(let mayUnmap):
            guard !isBlockDevice, !request.forceUnitAccess else { return false }
            // A hole is punched only inside of the file; growing takes another call.
            guard mayUnmap else { return canZeroRange.load(ordering: .relaxed) }
            return canPunchHole.load(ordering: .relaxed)
                && request.offset + request.length <= size.load(ordering: .relaxed)
        }
    }

    /// Notes that the file reaches to `end`.
    func grow(to end: UInt64) {
        var known = size.load(ordering: .relaxed)
        while known < end {
            let (exchanged, original) = size.compareExchange(expected: known, desired: end, ordering: .relaxed)
            if exchanged { return }
            known = original
        }
    }

    /// Carries out a checked request; 0 or an `errno` value.
    func perform(_ request: BlockRequest) -> Int32 {
        switch request.operation {
        case .read: return isAligned(request) ? read(request.segments, at: request.offset) : readBounced(request)
        case .write: return write(request)
        case .flush: return fdatasync(descriptor) == 0 ? 0 : apus_errno()
        case .discard: return discard(offset: request.offset, length: request.length)
        case .writeZeroes(let mayUnmap):
            let status = writeZeroes(offset: request.offset, length: request.length, mayUnmap: mayUnmap)
            guard status == 0, request.forceUnitAccess else { return status }
            return fdatasync(descriptor) == 0 ? 0 : apus_errno()
        }
    }

    private func write(_ request: BlockRequest) -> Int32 {
        let durable = request.forceUnitAccess && canWriteDurably.load(ordering: .relaxed)
        let flags = durable ? apus_RWF_DSYNC : 0
        var status =
            isAligned(request)
            ? write(request.segments, at: request.offset, flags: flags) : writeBounced(request, flags: flags)
        if durable && status == EOPNOTSUPP {
            canWriteDurably.store(false, ordering: .relaxed)
            return write(request)
        }
        if status == 0 && request.forceUnitAccess && !durable {
            status = fdatasync(descriptor) == 0 ? 0 : apus_errno()
        }
        return status
    }
}

/// Memory on a page's boundary, for direct I/O. Whoever hands out `base` extends the object's life over its use.
@safe public final class AlignedBuffer: @unchecked Sendable {
    // Sendable: plain memory; who holds it serialises.
    /// The first byte.
    @safe public let base: UnsafeMutableRawPointer
    /// Length in bytes.
    public let count: Int

    /// Memory of undefined content.
    public init(count: Int) {
        self.count = count
        base = .allocate(byteCount: max(count, 1), alignment: 64 << 10)
    }

    deinit {
        // SAFETY: allocated in `init`, and nobody uses it any more.
        unsafe base.deallocate()
    }
}
