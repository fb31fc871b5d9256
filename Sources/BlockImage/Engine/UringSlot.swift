internal import CLinux

/// One request on its way through the ring: its vectors, and how far it has come. Owned by whoever holds its index.
@safe final class UringSlot: @unchecked Sendable {
    // Sendable: the engine hands an index to one request at a time, and the ring orders its completion after it.
    enum Outcome {
        /// Finished, with a status.
        case done(Int32)
        /// Another step is needed (a short transfer, a signal).
        case again
        /// The ring cannot do it; blocking calls can.
        case fallBack
    }

    struct Step {
        var opcode: io_uring_op
        var offset: UInt64
        var address: UInt64
        var length: UInt32
        var flags: UInt32
        /// The registered buffer that the memory is in.
        var buffer: UInt16?
    }

    private var request: BlockRequest?
    private var done = 0
    private var vectors: UnsafeMutablePointer<iovec>?
    private var capacity = 0

    init() {}

    deinit {
        // SAFETY: this slot's own, and no request is in it any more.
        unsafe vectors?.deallocate()
    }

    func begin(_ request: BlockRequest) {
        self.request = request
        done = 0
    }

    func end() -> BlockRequest? {
        defer { request = nil }
        return request
    }

    /// The operation that moves the request on from where it is.
    func nextStep(_ memory: RegisteredMemory) -> Step {
        guard let request else { return Step(opcode: IORING_OP_NOP, offset: 0, address: 0, length: 0, flags: 0) }
        switch request.operation {
        case .read: return fixed(transfer(request, IORING_OP_READ, IORING_OP_READV, flags: 0), memory)
        case .write:
            let flags = request.forceUnitAccess ? UInt32(apus_RWF_DSYNC) : 0
            return fixed(transfer(request, IORING_OP_WRITE, IORING_OP_WRITEV, flags: flags), memory)
        case .flush:
            return Step(
                opcode: IORING_OP_FSYNC, offset: 0, address: 0, length: 0, flags: 1 /* IORING_FSYNC_DATASYNC */)
        case .discard:
            return fallocate(request, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
        case .writeZeroes(let mayUnmap):
            return fallocate(request, mayUnmap ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE)
        }
    }

    /// The same step by a registered buffer, where the memory is in one.
    private func fixed(_ step: Step, _ memory: RegisteredMemory) -> Step {
        guard step.opcode == IORING_OP_READ || step.opcode == IORING_OP_WRITE,
            let index = memory.index(step.address, step.length)
        else { return step }
        var fixed = step
        fixed.opcode = step.opcode == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED
        fixed.buffer = index
        return fixed
    }

    private func fallocate(_ request: BlockRequest, _ mode: Int32) -> Step {
        // The entry's address field carries the length, its length field the mode.
        Step(
            opcode: IORING_OP_FALLOCATE, offset: request.offset, address: request.length, length: UInt32(mode),
            flags: 0)
    }

    private func transfer(_ request: BlockRequest, _ plain: io_uring_op, _ vectored: io_uring_op, flags: UInt32) -> Step
    {
        let offset = request.offset &+ UInt64(done)
        if request.segments.count == 1 {
            let segment = request.segments[0]
            return unsafe Step(
                opcode: plain, offset: offset, address: UInt64(UInt(bitPattern: segment.pointer + done)),
                length: UInt32(segment.count - done), flags: flags)
        }
        let parts = done == 0 ? request.segments : request.segments.slice(from: done, count: Int(request.length) - done)
        reserve(parts.count)
        for (index, part) in parts.enumerated() {
            // SAFETY: there is room for every part.
            unsafe (vectors! + index).pointee = iovec(iov_base: part.pointer, iov_len: part.count)
        }
        return unsafe Step(
            opcode: vectored, offset: offset, address: UInt64(UInt(bitPattern: vectors)), length: UInt32(parts.count),
            flags: flags)
    }

    private func reserve(_ count: Int) {
        guard capacity < count else { return }
        // SAFETY: no operation is in the kernel while the next step is made.
        unsafe vectors?.deallocate()
        unsafe vectors = .allocate(capacity: max(count, 16))
        capacity = max(count, 16)
    }

    /// Takes the kernel's answer to the last step.
    func advance(_ result: Int32, _ access: FileAccess) -> Outcome {
        guard let request else { return .done(EIO) }
        // Cancelled: the thread that submitted it has ended meanwhile, and the kernel ends what it started.
        if result == -EINTR || result == -EAGAIN || result == -ECANCELED { return .again }
        switch request.operation {
        case .flush: return .done(result < 0 ? -result : 0)
        case .discard, .writeZeroes: return result < 0 ? .fallBack : .done(0)
        case .read, .write: break
        }
        if result < 0 {
            // Old file systems refuse the flag for a durable write, not the write.
            if result == -EOPNOTSUPP && request.forceUnitAccess { return .fallBack }
            return .done(-result)
        }
        done += Int(result)
        let length = Int(request.length)
        if done >= length { return .done(0) }
        switch request.operation {
        case .write: return result == 0 ? .done(ENOSPC) : .again
        default:
            // The end of the file reads as zeroes. Direct I/O is short only there.
            if result == 0 || done & (access.alignment - 1) != 0 {
                request.segments.zero(from: done)
                return .done(0)
            }
            return .again
        }
    }
}
