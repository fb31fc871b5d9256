internal import CLinux

/// What a node does with a request before it works on it: the options every driver shares.
struct RequestPolicy: Sendable {
    var readOnly: Bool
    var discard: DiscardMode
    var detectZeroes: DetectZeroes
    /// Hears of changes beyond a mark, while one is set.
    var threshold: WriteThreshold?

    init(_ options: NodeOptions, readOnly: Bool) {
        self.readOnly = readOnly
        discard = options.discard
        detectZeroes = options.detectZeroes
    }

    /// Checks the request and rewrites it as the options say. A status means: complete with it at once.
    func apply(to request: inout BlockRequest) -> Int32? {
        if let refused = RequestPolicy.malformed(request) { return refused }
        if readOnly && request.isModifying { return EPERM }
        switch request.operation {
        case .read, .flush: break
        case .discard:
            if discard == .ignore { return 0 }
        case .writeZeroes(let mayUnmap):
            if mayUnmap && discard == .ignore { request.operation = .writeZeroes(mayUnmap: false) }
        case .write:
            if detectZeroes != .off, request.length > 0, request.segments.allSatisfy({ $0.isZero }) {
                request.operation = .writeZeroes(mayUnmap: detectZeroes == .unmap && discard == .unmap)
                request.segments = []
            }
        }
        if request.length == 0 && request.operation != .flush { return 0 }
        if let threshold, request.isModifying { threshold.check(request.offset + request.length) }
        return nil
    }

    /// `EINVAL` for a request whose range or segments make no sense, whatever the disk.
    static func malformed(_ request: BlockRequest) -> Int32? {
        if request.operation == .flush { return nil }
        // A file offset is a signed 64-bit number.
        let (end, overflow) = request.offset.addingReportingOverflow(request.length)
        guard !overflow, end <= UInt64(Int64.max) else { return EINVAL }
        guard request.operation == .read || request.operation == .write else { return nil }
        var total: UInt64 = 0
        for segment in request.segments {
            guard segment.count >= 0 else { return EINVAL }
            let (sum, overflow) = total.addingReportingOverflow(UInt64(segment.count))
            guard !overflow else { return EINVAL }
            total = sum
        }
        return total == request.length ? nil : EINVAL
    }
}

extension BlockSegment {
    /// Whether every byte is zero.
    public var readsAsZeroes: Bool { isZero }

    /// Whether every byte is zero: the first few by hand, the rest by comparing the segment with itself, shifted.
    var isZero: Bool {
        let head = min(count, 16)
        for index in 0..<head where unsafe pointer.load(fromByteOffset: index, as: UInt8.self) != 0 { return false }
        guard count > 16 else { return true }
        // SAFETY: both ranges lie inside the segment, which the submitter keeps valid.
        return unsafe memcmp(pointer, pointer + 16, count - 16) == 0
    }

    /// Fills the segment with zeroes from byte `start` on.
    func zero(from start: Int = 0) {
        // SAFETY: the range lies inside the segment, which the submitter keeps valid.
        if start < count { unsafe memset(pointer + start, 0, count - start) }
    }
}

extension [BlockSegment] {
    /// Zeroes everything from byte `start` of the whole on.
    func zero(from start: Int) {
        var base = 0
        for segment in self {
            segment.zero(from: Swift.max(0, start - base))
            base += segment.count
        }
    }

    /// The part of `count` bytes from byte `start` of the whole.
    func slice(from start: Int, count: Int) -> [BlockSegment] {
        var result: [BlockSegment] = []
        var skip = start
        var left = count
        for segment in self where left > 0 {
            if skip >= segment.count {
                skip -= segment.count
                continue
            }
            let taken = Swift.min(segment.count - skip, left)
            unsafe result.append(BlockSegment(pointer: segment.pointer + skip, count: taken))
            left -= taken
            skip = 0
        }
        return result
    }

    /// Copies the whole to or from a flat buffer of its length.
    func copy(to buffer: UnsafeMutableRawPointer) {
        var at = unsafe buffer
        for segment in self where segment.count > 0 {
            // SAFETY: the caller's buffer holds the sum of the segments.
            unsafe at.copyMemory(from: segment.pointer, byteCount: segment.count)
            unsafe at += segment.count
        }
    }

    /// Fills the segments from a flat buffer of their length.
    func fill(from buffer: UnsafeRawPointer) {
        var at = unsafe buffer
        for segment in self where segment.count > 0 {
            // SAFETY: the caller's buffer holds the sum of the segments.
            unsafe segment.pointer.copyMemory(from: at, byteCount: segment.count)
            unsafe at += segment.count
        }
    }
}
