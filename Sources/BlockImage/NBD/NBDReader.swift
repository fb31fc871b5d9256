internal import HostOS

/// Reads a connection through a buffer, on one thread. Waits where nothing is there.
@safe final class NBDReader {
    private let channel: NBDChannel
    private let buffer: NBDBuffer
    private var start = 0
    private var end = 0
    /// Called before each wait.
    var beforeWaiting: () -> Void = {}
    /// The time at which waiting ends in an error; nil: never.
    var deadline: UInt64?

    private static let size = 256 << 10

    init(_ channel: NBDChannel) {
        self.channel = channel
        buffer = NBDBuffer(count: NBDReader.size)
    }

    /// Bytes that can be taken without a wait.
    var available: Int { end - start }

    /// The next `count` bytes, at most 64 KiB.
    func take(_ count: Int) throws(NBDFailure) -> [UInt8] {
        guard count <= NBDReader.size else { throw NBDFailure("\(count) bytes are too many") }
        while available < count { try refill() }
        defer { start += count }
        // SAFETY: the range lies inside the buffer.
        return unsafe Array(UnsafeRawBufferPointer(start: buffer.base + start, count: count))
    }

    /// Fills memory.
    func take(into base: UnsafeMutableRawPointer, count: Int) throws(NBDFailure) {
        let first = min(count, available)
        // SAFETY: both ranges lie inside their memory.
        unsafe base.copyMemory(from: buffer.base + start, byteCount: first)
        start += first
        var done = first
        while done < count {
            // The rest of something large goes straight to its place.
            if count - done >= 16 << 10 {
                switch unsafe channel.receive(into: base + done, count: count - done) {
                case .moved(let moved): done += moved
                case .wouldBlock: try pause()
                case .end, .failed: throw NBDFailure.closed
                }
            } else {
                try refill()
                let part = min(count - done, available)
                unsafe (base + done).copyMemory(from: buffer.base + start, byteCount: part)
                start += part
                done += part
            }
        }
    }

    /// Takes bytes that nobody wants.
    func skip(_ count: Int) throws(NBDFailure) {
        var left = count
        while left > 0 {
            if available == 0 { try refill() }
            let part = min(left, available)
            start += part
            left -= part
        }
    }

    private func refill() throws(NBDFailure) {
        if start == end {
            (start, end) = (0, 0)
        } else if end == buffer.count {
            // SAFETY: both ranges lie inside the buffer; they may overlap.
            unsafe buffer.base.copyMemory(from: buffer.base + start, byteCount: available)
            (start, end) = (0, available)
        }
        while true {
            switch unsafe channel.receive(into: buffer.base + end, count: buffer.count - end) {
            case .moved(let count):
                end += count
                return
            case .wouldBlock: try pause()
            case .end, .failed: throw NBDFailure.closed
            }
        }
    }

    private func pause() throws(NBDFailure) {
        beforeWaiting()
        guard let deadline else {
            _ = channel.wait(receives: true)
            return
        }
        let now = HostClock.monotonic
        guard now < deadline else { throw NBDFailure("The other end takes too long") }
        _ = channel.wait(receives: true, milliseconds: Int32(min(60_000, (deadline - now) / 1_000_000 + 1)))
    }
}
