internal import CEngine

extension AddressSpace {
    /// What an access does to memory.
    public enum Direction: Sendable { case read, write }

    /// Copies guest memory to `buffer`. Throws where any byte of it is not RAM; the buffer's contents are then
    /// unspecified.
    public func read(_ address: GuestPhysical, into buffer: UnsafeMutableRawBufferPointer) throws(GuestMemoryError) {
        var done = 0
        try unsafe forEachRun(address, count: buffer.count, direction: .read) { pointer, count in
            // SAFETY: `forEachRun` gives at most the bytes that are left.
            unsafe buffer.baseAddress.unsafelyUnwrapped.advanced(by: done).copyMemory(from: pointer, byteCount: count)
            done += count
        }
    }

    /// Copies `buffer` to guest memory. Nothing is written where any byte of the range is not writable RAM.
    public func write(_ address: GuestPhysical, from buffer: UnsafeRawBufferPointer) throws(GuestMemoryError) {
        var done = 0
        try unsafe forEachRun(address, count: buffer.count, direction: .write) { pointer, count in
            // SAFETY: as above.
            unsafe pointer.copyMemory(from: buffer.baseAddress.unsafelyUnwrapped + done, byteCount: count)
            done += count
        }
    }

    /// The bytes of a range.
    public func bytes(_ address: GuestPhysical, count: Int) throws(GuestMemoryError) -> [UInt8] {
        try checkRange(address, count: count, direction: .read)
        var result = [UInt8](repeating: 0, count: count)
        do {
            try unsafe result.withUnsafeMutableBytes { try unsafe read(address, into: $0) }
        } catch let error as GuestMemoryError {
            throw error
        } catch {}
        return result
    }

    /// Writes bytes.
    public func write(_ address: GuestPhysical, bytes: [UInt8]) throws(GuestMemoryError) {
        do {
            try unsafe bytes.withUnsafeBytes { try unsafe write(address, from: $0) }
        } catch let error as GuestMemoryError {
            throw error
        } catch {}
    }

    /// A little-endian integer. Naturally aligned ones are read in one piece.
    public func load<T: FixedWidthInteger>(_ address: GuestPhysical, as type: T.Type) throws(GuestMemoryError) -> T {
        let size = MemoryLayout<T>.size
        if let pointer = unsafe hostPointer(address, count: size, direction: .read) {
            // SAFETY: `size` bytes are readable at the pointer.
            switch size {
            case 1: return T(truncatingIfNeeded: unsafe apus_load8(pointer))
            case 2: return T(truncatingIfNeeded: unsafe apus_load16(pointer))
            case 4: return T(truncatingIfNeeded: unsafe apus_load32(pointer))
            default: return T(truncatingIfNeeded: unsafe apus_load64(pointer))
            }
        }
        var value: UInt64 = 0
        for (index, byte) in try bytes(address, count: size).enumerated() { value |= UInt64(byte) << (8 * index) }
        return T(truncatingIfNeeded: value)
    }

    /// Writes a little-endian integer. Naturally aligned ones are written in one piece.
    public func store<T: FixedWidthInteger>(_ address: GuestPhysical, _ value: T) throws(GuestMemoryError) {
        let size = MemoryLayout<T>.size
        if let range = view.range(at: address), range.writable, address.rawValue + UInt64(size) <= range.end.rawValue {
            let offset = range.offset + (address - range.start)
            // SAFETY: the range holds `size` bytes at that offset.
            let pointer = unsafe range.block.base + Int(offset)
            switch size {
            case 1: unsafe apus_store8(pointer, UInt8(truncatingIfNeeded: value))
            case 2: unsafe apus_store16(pointer, UInt16(truncatingIfNeeded: value))
            case 4: unsafe apus_store32(pointer, UInt32(truncatingIfNeeded: value))
            default: unsafe apus_store64(pointer, UInt64(truncatingIfNeeded: value))
            }
            noteWrite(block: range.block, offset: offset, count: UInt64(size))
            return
        }
        try write(address, bytes: (0..<size).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) })
    }

    /// The host address of a range that lies in one piece of RAM, else nil. Valid while the map keeps that RAM; a
    /// caller that writes through it calls `noteWrite` itself.
    public func hostPointer(
        _ address: GuestPhysical, count: Int, direction: Direction
    ) -> UnsafeMutableRawPointer? {
        guard let range = view.range(at: address), count >= 0,
            UInt64(count) <= range.end - address, direction == .read || range.writable
        else { return nil }
        // SAFETY: the range holds `count` bytes at that offset.
        return unsafe range.block.base + Int(range.offset + (address - range.start))
    }

    /// Throws where any byte of the range cannot be used in the given direction.
    public func checkRange(
        _ address: GuestPhysical, count: Int, direction: Direction
    ) throws(GuestMemoryError) {
        let view = self.view
        guard count >= 0, !address.rawValue.addingReportingOverflow(UInt64(max(count, 0))).overflow else {
            throw .noMemory(at: address, count: count)
        }
        var position = address
        var left = UInt64(count)
        while left > 0 {
            guard let range = view.range(at: position) else { throw .noMemory(at: position, count: Int(left)) }
            if direction == .write && !range.writable { throw .readOnly(at: position) }
            let step = min(left, range.end - position)
            position = position + step
            left -= step
        }
    }

    /// Visits the host memory behind a range piece by piece, after the whole of it was checked. For writes each piece
    /// is noted after `body` returns.
    public func forEachRun(
        _ address: GuestPhysical, count: Int, direction: Direction,
        _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) throws(GuestMemoryError) {
        try checkRange(address, count: count, direction: direction)
        let view = self.view
        var position = address
        var left = UInt64(count)
        while left > 0 {
            guard let range = view.range(at: position) else { throw .noMemory(at: position, count: Int(left)) }
            let step = min(left, range.end - position)
            let offset = range.offset + (position - range.start)
            // SAFETY: the range holds `step` bytes at that offset.
            unsafe body(range.block.base + Int(offset), Int(step))
            if direction == .write { noteWrite(block: range.block, offset: offset, count: step) }
            position = position + step
            left -= step
        }
    }
}
