internal import CLinux
internal import HostOS
internal import SystemPackage

/// The two rings of one io_uring, mapped: fills submission entries, takes completions. No locking of its own: the
/// owner serialises `push` with `push` and `pop` with `pop`. `enter` may run on several threads at once.
@safe struct UringRing: ~Copyable, @unchecked Sendable {
    /// What a completion says: the submission's token and the result (`-errno` for failures).
    struct Completion {
        var token: UInt64
        var result: Int32
    }

    private struct Owner: ~Copyable {
        let descriptor: FileDescriptor
        deinit { try? descriptor.close() }
    }

    private let owner: Owner
    private let rings: Mapping
    private let entries: Mapping
    // SAFETY of the pointers below: they point into the mappings above, which live as long as this value.
    private let submissionHead: UnsafeMutablePointer<UInt32>
    private let submissionTail: UnsafeMutablePointer<UInt32>
    private let submissionIndex: UnsafeMutablePointer<UInt32>
    private let completionHead: UnsafeMutablePointer<UInt32>
    private let completionTail: UnsafeMutablePointer<UInt32>
    private let queueEntries: UnsafeMutablePointer<io_uring_sqe>
    private let completionEntries: UnsafeMutablePointer<io_uring_cqe>
    private let submissionMask: UInt32
    private let completionMask: UInt32
    /// How many submissions fit at once.
    let capacity: Int

    /// A ring of at least `capacity` submissions. Fails where the kernel has no io_uring, forbids it, or has one
    /// without the operations that disks need.
    init(capacity: Int) throws(HostError) {
        var parameters = io_uring_params()
        // SAFETY: the structure outlives the call.
        let status = unsafe apus_uring_setup(UInt32(capacity), &parameters)
        guard status >= 0 else { throw HostError("set up io_uring", Errno(rawValue: apus_errno())) }
        let owned = Owner(descriptor: FileDescriptor(rawValue: status))
        _ = apus_fcntl(status, F_SETFD, Int(FD_CLOEXEC))
        guard apus_uring_supported(status) != 0 else { throw HostError("use io_uring for files", .notSupported) }
        let submissionBytes = Int(parameters.sq_off.array) + Int(parameters.sq_entries) * 4
        let completionBytes =
            Int(parameters.cq_off.cqes) + Int(parameters.cq_entries) * MemoryLayout<io_uring_cqe>.stride
        // Every kernel with the operations wanted maps both rings at once.
        guard parameters.features & IORING_FEAT_SINGLE_MMAP != 0 else {
            throw HostError("use io_uring for files", .notSupported)
        }
        let rings = try Mapping.shared(
            owned.descriptor, offset: Int64(IORING_OFF_SQ_RING), count: max(submissionBytes, completionBytes))
        let entries = try Mapping.shared(
            owned.descriptor, offset: Int64(IORING_OFF_SQES),
            count: Int(parameters.sq_entries) * MemoryLayout<io_uring_sqe>.stride)
        let base = rings.base
        unsafe submissionHead = UringRing.word(base, parameters.sq_off.head)
        unsafe submissionTail = UringRing.word(base, parameters.sq_off.tail)
        unsafe submissionIndex = UringRing.word(base, parameters.sq_off.array)
        unsafe completionHead = UringRing.word(base, parameters.cq_off.head)
        unsafe completionTail = UringRing.word(base, parameters.cq_off.tail)
        unsafe queueEntries = entries.base.assumingMemoryBound(to: io_uring_sqe.self)
        unsafe completionEntries = (base + Int(parameters.cq_off.cqes))
            .assumingMemoryBound(to: io_uring_cqe.self)
        unsafe submissionMask = UringRing.word(base, parameters.sq_off.ring_mask).pointee
        unsafe completionMask = UringRing.word(base, parameters.cq_off.ring_mask).pointee
        self.capacity = Int(parameters.sq_entries)
        owner = owned
        self.rings = rings
        self.entries = entries
    }

    private static func word(_ base: UnsafeMutableRawPointer, _ offset: UInt32) -> UnsafeMutablePointer<UInt32> {
        unsafe (base + Int(offset)).assumingMemoryBound(to: UInt32.self)
    }

    /// Queues one operation; false when the queue is full. The kernel sees it at the next `enter`.
    func push(
        _ opcode: io_uring_op, file: Int32, offset: UInt64, address: UInt64, length: UInt32, flags: UInt32,
        token: UInt64, buffer: UInt16? = nil
    ) -> Bool {
        // SAFETY: the index is masked to the ring's size; the entry is free because the head has passed it.
        let tail = unsafe submissionTail.pointee
        guard unsafe tail &- apus_ring_acquire(submissionHead) <= submissionMask else { return false }
        let index = tail & submissionMask
        unsafe apus_sqe_fill(
            queueEntries + Int(index), UInt8(opcode.rawValue), file, offset, address, length, flags, token)
        if let buffer { unsafe apus_sqe_buffer(queueEntries + Int(index), buffer) }
        unsafe submissionIndex[Int(index)] = index
        unsafe apus_ring_release(submissionTail, tail &+ 1)
        return true
    }

    /// The ring's descriptor.
    var descriptor: Int32 { owner.descriptor.rawValue }

    /// Takes one completion, if there is one.
    func pop() -> Completion? {
        // SAFETY: the index is masked to the ring's size; the kernel filled the entry before it moved the tail.
        let head = unsafe completionHead.pointee
        guard unsafe head != apus_ring_acquire(completionTail) else { return nil }
        let entry = unsafe completionEntries[Int(head & completionMask)]
        let completion = Completion(token: entry.user_data, result: entry.res)
        unsafe apus_ring_release(completionHead, head &+ 1)
        return completion
    }

    /// Hands `submit` queued operations to the kernel, and sleeps until a completion is there if `waits`. Returns how
    /// many were taken, or the reason why none was.
    func enter(submit: Int, waits: Bool) -> Result<Int, Errno> {
        let taken = apus_uring_enter(
            owner.descriptor.rawValue, UInt32(submit), waits ? 1 : 0, waits ? UInt32(IORING_ENTER_GETEVENTS) : 0)
        return taken < 0 ? .failure(Errno(rawValue: apus_errno())) : .success(Int(taken))
    }
}
