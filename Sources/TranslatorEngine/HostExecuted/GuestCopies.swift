internal import CEngine

// Copies between host memory and ranges of linear addresses of any length, for the areas of saved state.

extension CPU {
    /// The parts of a range that lie in one page each.
    private func pieces(
        _ linear: UInt64, _ count: Int, _ body: (_ linear: UInt64, _ offset: Int, _ count: Int) throws(Leave) -> Void
    ) throws(Leave) {
        var done = 0
        while done < count {
            let start = linear &+ UInt64(done)
            let part = min(count - done, 4096 - Int(start & 0xfff))
            try body(start, done, part)
            done += part
        }
    }

    /// Throws what an access of the whole range would throw.
    func probeRange(_ linear: UInt64, _ count: Int, _ kind: AccessKind) throws(Leave) {
        try pieces(linear, count) { (start, _, _) throws(Leave) in _ = try translate(start, kind, .current) }
    }

    /// Reads a range; device memory is read in pieces of 8 bytes.
    func copyIn(_ target: UnsafeMutableRawPointer, _ linear: UInt64, _ count: Int) throws(Leave) {
        try pieces(linear, count) { (start, offset, part) throws(Leave) in
            let place = try translate(start, .read, .current)
            noteAccess(start, size: part, .read)
            if let host = unsafe place.host {
                // SAFETY: `translate` returns the address of bytes up to the page's end.
                unsafe (target + offset).copyMemory(from: host, byteCount: part)
            } else {
                unsafe try readBytes(start, target + offset, part)
            }
        }
    }

    /// Writes a range. Nothing is written where any byte of it faults.
    func copyOut(_ linear: UInt64, _ source: UnsafeMutableRawPointer, _ count: Int) throws(Leave) {
        try probeRange(linear, count, .write)
        try pieces(linear, count) { (start, offset, part) throws(Leave) in
            let place = try translate(start, .write, .current)
            noteAccess(start, size: part, .write)
            guard let host = unsafe place.host else {
                unsafe try writeBytes(start, source + offset, part)
                return
            }
            guard place.writable else { return }
            // SAFETY: as above.
            unsafe host.copyMemory(from: source + offset, byteCount: part)
            guard place.code else { return }
            var noted = 0
            while noted < part {
                let physical = place.physical &+ UInt64(noted)
                let size = min(part - noted, 64 - Int(physical & 63))
                noteStore(physical, size: size)
                noted += size
            }
        }
    }

    /// The same within the handler of an instruction: false where it leaves.
    func areaAddress(_ op: MicroOp, size: Int, alignment: UInt64, write: Bool) throws(Leave) -> UInt64 {
        try vectorAddress(op, size: size, mask: alignment - 1, write: write)
    }
}
