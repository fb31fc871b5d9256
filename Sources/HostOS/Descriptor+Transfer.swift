internal import CLinux
internal import SystemPackage

extension Descriptor {
    /// What came of one attempt to move bytes without waiting.
    public enum Transfer: Equatable, Sendable {
        /// So many bytes were moved, at least one.
        case moved(Int)
        /// Nothing can be moved now.
        case wouldBlock
        /// The other end has closed, or the file has ended.
        case end
        /// The kernel's error number.
        case failed(Int32)
    }

    /// Reads what is there, up to the buffer's size. Waits only if the descriptor is in blocking mode.
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return Transfer.moved(0) }
        // SAFETY: the caller's buffer is valid for the call.
        return Descriptor.transfer(unsafe apus_read(rawValue, base, buffer.count))
    }

    /// Writes what fits. Waits only if the descriptor is in blocking mode. A broken pipe raises SIGPIPE unless the
    /// process ignores it.
    public func write(_ buffer: UnsafeRawBufferPointer) -> Transfer {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return Transfer.moved(0) }
        // SAFETY: the caller's buffer is valid for the call.
        return Descriptor.transfer(unsafe apus_write(rawValue, base, buffer.count), zeroIsEnd: false)
    }

    static func transfer(_ result: Int, zeroIsEnd: Bool = true) -> Transfer {
        if result > 0 { return Transfer.moved(result) }
        if result == 0 { return zeroIsEnd ? Transfer.end : Transfer.moved(0) }
        let reason = apus_errno()
        return reason == EAGAIN || reason == EWOULDBLOCK ? Transfer.wouldBlock : Transfer.failed(reason)
    }

    /// Reads up to `limit` bytes that are there now; empty at the end of the file or when none are there.
    public func readAvailable(limit: Int) throws(HostError) -> [UInt8] {
        guard limit > 0 else { return [] }
        var result = Transfer.wouldBlock
        // SAFETY: the closure writes only inside the buffer and reports how much it set.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            result = unsafe read(into: UnsafeMutableRawBufferPointer(buffer))
            if case .moved(let moved) = result { count = moved }
        }
        if case .failed(let reason) = result { throw HostError(reason: reason, "read descriptor \(rawValue)") }
        return bytes
    }

    /// Writes everything, and waits for room where it must.
    public func writeAll(_ bytes: [UInt8]) throws(HostError) {
        var failure: Int32 = 0
        unsafe bytes.withUnsafeBytes { buffer in
            var rest = unsafe buffer[...]
            while unsafe !rest.isEmpty {
                switch unsafe self.write(UnsafeRawBufferPointer(rebasing: rest)) {
                case .moved(let count): unsafe rest = rest.dropFirst(count)
                case .wouldBlock, .end: _ = wait(for: [.write], milliseconds: -1)
                case .failed(let reason):
                    failure = reason
                    return
                }
            }
        }
        if failure != 0 { throw HostError(reason: failure, "write descriptor \(rawValue)") }
    }

    /// Writes everything at a place of a file, which stays at its position.
    public func writeAll(_ bytes: [UInt8], at offset: UInt64) throws(HostError) {
        let failure = unsafe bytes.withUnsafeBytes { unsafe writeRest($0, at: Int64(clamping: offset)) }
        if failure != 0 { throw HostError(reason: failure, "write descriptor \(rawValue)") }
    }
    /// The same of bytes that lie still for the call.
    public func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(HostError) {
        let failure = unsafe writeRest(bytes, at: offset)
        if failure != 0 { throw HostError(reason: failure, "write descriptor \(rawValue)") }
    }
    /// Why not all was written, 0 where it was.
    private func writeRest(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int32 {
        var done = 0
        while done < bytes.count {
            // SAFETY: the bytes from `done` on are in the buffer.
            let count = unsafe apus_pwrite(
                rawValue, bytes.baseAddress.unsafelyUnwrapped + done, bytes.count - done, offset &+ Int64(done))
            guard count > 0 else { return count == 0 ? EIO : apus_errno() }
            done += count
        }
        return 0
    }

    /// Waits until one of the events holds or the time is over (-1: for ever), and returns those that hold.
    public func wait(for events: EventLoop.Events, milliseconds: Int32) -> EventLoop.Events {
        // The bits of poll(2) and epoll(7) are the same numbers.
        var request = pollfd(fd: rawValue, events: Int16(truncatingIfNeeded: events.rawValue & 0x3FFF), revents: 0)
        // SAFETY: the structure outlives the call.
        guard unsafe apus_poll(&request, 1, milliseconds) > 0 else { return [] }
        return EventLoop.Events(rawValue: UInt32(UInt16(bitPattern: request.revents)))
    }
}
