internal import CLinux

/// Reads and writes of a file whose sectors are encrypted, at any byte. A write of parts of sectors reads them first:
/// the caller keeps others away from these.
struct EncryptedAccess {
    let cipher: DiskCipher
    let file: any BlockNode

    /// Requests are cut into pieces of this many bytes, each in a buffer.
    private static let piece: UInt64 = 1 << 20

    /// Fills the segments from the file's byte `place`. `sectorOffset` is the byte by which its sector's number goes:
    /// as far into a sector as `place`.
    func read(at place: UInt64, sectorOffset: UInt64, into segments: [BlockSegment]) -> Int32 {
        let total = segments.reduce(0) { $0 + UInt64($1.count) }
        return pieces(total, sectorOffset) { done, count in
            let inSector = (sectorOffset + done) & 511
            let whole = Int((inSector + count + 511) & ~511)
            let buffer = AlignedBuffer(count: whole)
            defer { withExtendedLifetime(buffer) {} }
            let status = load(buffer, place + done - inSector, sectorOffset + done - inSector)
            guard status == 0 else { return status }
            // SAFETY: the buffer holds the piece from `inSector` on.
            unsafe segments.slice(from: Int(done), count: Int(count)).fill(from: buffer.base + Int(inSector))
            return 0
        }
    }

    private func load(_ buffer: AlignedBuffer, _ place: UInt64, _ sectorOffset: UInt64) -> Int32 {
        let status = unsafe file.readAndWait(
            at: place, into: [BlockSegment(pointer: buffer.base, count: buffer.count)])
        guard status == 0 else { return status }
        // SAFETY: the buffer's own length, whole sectors.
        let isDone = unsafe cipher.apply(
            false, buffer.base, count: buffer.count, firstSector: sectorOffset / 512)
        return isDone ? 0 : EIO
    }

    /// Stores the segments, encrypted.
    func write(
        at place: UInt64, sectorOffset: UInt64, from segments: [BlockSegment], durably: Bool = false
    ) -> Int32 {
        let total = segments.reduce(0) { $0 + UInt64($1.count) }
        return unsafe store(at: place, sectorOffset, total, durably) { done, count, target in
            // SAFETY: the target has room for the piece.
            unsafe segments.slice(from: Int(done), count: Int(count)).copy(to: target)
        }
    }

    /// Stores zeroes, encrypted.
    func writeZeroes(at place: UInt64, sectorOffset: UInt64, count: UInt64, durably: Bool = false) -> Int32 {
        unsafe store(at: place, sectorOffset, count, durably) { _, count, target in
            // SAFETY: the target has room for the piece.
            unsafe memset(target, 0, Int(count))
        }
    }

    private func store(
        at place: UInt64, _ sectorOffset: UInt64, _ total: UInt64, _ durably: Bool,
        _ fill: (_ done: UInt64, _ count: UInt64, _ target: UnsafeMutableRawPointer) -> Void
    ) -> Int32 {
        pieces(total, sectorOffset) { done, count in
            let inSector = (sectorOffset + done) & 511
            let whole = Int((inSector + count + 511) & ~511)
            let buffer = AlignedBuffer(count: whole)
            defer { withExtendedLifetime(buffer) {} }
            let (start, first) = (place + done - inSector, sectorOffset + done - inSector)
            if UInt64(whole) != count {
                let status = load(buffer, start, first)
                guard status == 0 else { return status }
            }
            unsafe fill(done, count, buffer.base + Int(inSector))
            // SAFETY: the buffer's own length, whole sectors.
            guard unsafe cipher.apply(true, buffer.base, count: whole, firstSector: first / 512) else { return EIO }
            let segments = unsafe [BlockSegment(pointer: buffer.base, count: whole)]
            return file.carryOut(
                BlockRequest(
                    operation: .write, offset: start, length: UInt64(whole), segments: segments,
                    forceUnitAccess: durably
                ) { _ in })
        }
    }

    /// Cuts a range into pieces that end with a sector.
    private func pieces(
        _ total: UInt64, _ sectorOffset: UInt64, _ body: (_ done: UInt64, _ count: UInt64) -> Int32
    ) -> Int32 {
        var done: UInt64 = 0
        while done < total {
            let inSector = (sectorOffset + done) & 511
            let count = min(total - done, EncryptedAccess.piece - inSector)
            let status = body(done, count)
            guard status == 0 else { return status }
            done += count
        }
        return 0
    }
}
