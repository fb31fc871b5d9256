internal import Synchronization

/// Someone who has to know what changes on a disk: a job, or a dirty bitmap.
protocol ChangeTap: AnyObject, Sendable {
    /// A range is about to change. `go` lets that begin, now or later, from any thread; what it is given comes back
    /// with `didChange`.
    func willChange(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void)
    /// The request that makes the change, once it may begin: as it came, or another in its place that completes it.
    func request(for request: BlockRequest) -> BlockRequest
    /// The change is over, whether or not it worked.
    func didChange(_ offset: UInt64, _ length: UInt64, _ token: UInt64)
}

extension ChangeTap {
    func request(for request: BlockRequest) -> BlockRequest { request }
}

/// A bit for each granule of a disk. Any thread.
final class DirtyBits: Sendable {
    private struct State {
        var words: [UInt64]
        var count = 0
    }
    /// Bytes that one bit stands for: a power of two.
    let granularity: UInt64
    let size: UInt64
    private let bits: UInt64
    private let state: Mutex<State>

    /// Clear bits for a disk of `size` bytes.
    init(size: UInt64, granularity: UInt64) {
        self.granularity = granularity
        self.size = size
        bits = size / granularity + (size % granularity == 0 ? 0 : 1)
        state = Mutex(State(words: [UInt64](repeating: 0, count: Int(bits / 64 + 1))))
    }

    /// How many are set.
    var count: Int { state.withLock { $0.count } }
    /// Bytes that they stand for.
    var bytes: UInt64 { UInt64(count) * granularity }

    private func granules(_ offset: UInt64, _ length: UInt64) -> Range<UInt64> {
        guard length > 0, offset < size else { return 0..<0 }
        let end = min(size, offset &+ length)
        return offset / granularity..<(end + granularity - 1) / granularity
    }

    /// Sets those that a range of bytes touches.
    func set(_ offset: UInt64, _ length: UInt64) { change(granules(offset, length), true) }
    /// Clears those that a range of bytes touches.
    func clear(_ offset: UInt64, _ length: UInt64) { change(granules(offset, length), false) }
    /// Clears all.
    func clear() { change(0..<bits, false) }

    private func change(_ range: Range<UInt64>, _ isSet: Bool) {
        guard !range.isEmpty else { return }
        state.withLock { state in
            var at = range.lowerBound
            while at < range.upperBound {
                let word = Int(at / 64)
                let end = min(range.upperBound, (at / 64 + 1) * 64)
                let span = end - at
                let mask = (span == 64 ? UInt64.max : (1 << span) - 1) << (at % 64)
                let old = state.words[word]
                let new = isSet ? old | mask : old & ~mask
                state.count += new.nonzeroBitCount - old.nonzeroBitCount
                state.words[word] = new
                at = end
            }
        }
    }

    /// Whether any granule of a range is set.
    func touches(_ offset: UInt64, _ length: UInt64) -> Bool {
        let range = granules(offset, length)
        return state.withLock { state in
            range.contains { state.words[Int($0 / 64)] >> ($0 % 64) & 1 != 0 }
        }
    }

    /// The first run of set granules at or after an offset (or else from the start), at most `limit` bytes long.
    func next(from offset: UInt64, limit: UInt64) -> (offset: UInt64, length: UInt64)? {
        state.withLock { state in
            guard state.count > 0 else { return nil }
            let most = max(1, limit / granularity)
            func search(_ from: UInt64, _ end: UInt64) -> (UInt64, UInt64)? {
                var at = from
                while at < end {
                    let word = state.words[Int(at / 64)] >> (at % 64)
                    guard word != 0 else {
                        at = (at / 64 + 1) * 64
                        continue
                    }
                    at += UInt64(word.trailingZeroBitCount)
                    guard at < end else { return nil }
                    var last = at + 1
                    while last < bits, last - at < most, state.words[Int(last / 64)] >> (last % 64) & 1 != 0 {
                        last += 1
                    }
                    let start = at * granularity
                    return (start, min(size, last * granularity) - start)
                }
                return nil
            }
            let start = min(offset / granularity, bits)
            return search(start, bits) ?? search(0, start)
        }
    }

    /// Whether the granule at an offset is set, and for how many bytes that goes on, of at most `limit` and at least 1.
    func run(at offset: UInt64, limit: UInt64) -> (isSet: Bool, length: UInt64) {
        guard offset < size else { return (false, limit) }
        return state.withLock { state in
            let first = offset / granularity
            let isSet = state.words[Int(first / 64)] >> (first % 64) & 1 != 0
            let last = min(bits, (offset &+ (limit - 1)) / granularity + 1)
            var at = first + 1
            while at < last {
                let word = state.words[Int(at / 64)]
                if at % 64 == 0, word == (isSet ? UInt64.max : 0) {
                    at += 64
                } else if (word >> (at % 64) & 1 != 0) == isSet {
                    at += 1
                } else {
                    break
                }
            }
            // Behind the end of the disk nothing is marked.
            return (isSet, max(1, min(limit, at * granularity - offset)))
        }
    }

    /// Sets what another one has set.
    func merge(_ other: DirtyBits) {
        var at: UInt64 = 0
        while at < other.size, let run = other.next(from: at, limit: 1 << 40), run.offset >= at {
            set(run.offset, run.length)
            at = run.offset + run.length
        }
    }

    /// The set bytes as ranges.
    var ranges: [Range<UInt64>] {
        var result: [Range<UInt64>] = []
        var at: UInt64 = 0
        while at < size, let run = next(from: at, limit: 1 << 40), run.offset >= at {
            result.append(run.offset..<run.offset + run.length)
            at = run.offset + run.length
        }
        return result
    }
}

/// A dirty bitmap of a running machine's disk, which goes with the machine.
public final class DirtyBitmap: ChangeTap {
    /// Its name.
    public let name: String
    let bits: DirtyBits
    private let recording: Atomic<Bool>

    /// A bitmap of a disk of `size` bytes.
    public init(name: String, size: UInt64, granularity: UInt64, isRecording: Bool) {
        self.name = name
        bits = DirtyBits(size: size, granularity: granularity)
        recording = Atomic(isRecording)
    }

    /// Whether it notes changes.
    public var isRecording: Bool {
        get { recording.load(ordering: .relaxed) }
        set { recording.store(newValue, ordering: .relaxed) }
    }
    /// Bytes that one bit stands for.
    public var granularity: UInt64 { bits.granularity }
    /// Bytes that are marked.
    public var dirtyBytes: UInt64 { bits.bytes }

    /// What is marked, in bytes.
    public var ranges: [Range<UInt64>] { bits.ranges }
    /// Marks nothing any more.
    public func clear() { bits.clear() }
    /// Marks more.
    public func mark(_ ranges: [Range<UInt64>]) {
        for range in ranges { bits.set(range.lowerBound, range.upperBound - range.lowerBound) }
    }

    func willChange(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void) { go(0) }
    func didChange(_ offset: UInt64, _ length: UInt64, _ token: UInt64) {
        if isRecording { bits.set(offset, length) }
    }
}

extension BlockDevice {
    /// A bitmap hears of what changes from now on, if it did not before.
    public func attach(_ bitmap: DirtyBitmap) { if !hasTap(bitmap) { add(bitmap) } }
    /// No more. False where it did not before.
    @discardableResult
    public func detach(_ bitmap: DirtyBitmap) -> Bool { remove(bitmap) }
}
