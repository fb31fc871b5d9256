internal import CEngine

// Memory operands of host-executed instructions. In ops with stubs `src` is the size less 1, `dst` the alignment mask
// (for x87 the opcode) and `extra` the reasons not to run (`Blocked`).

extension CPU {
    @inline(__always) private func entry(_ linear: UInt64) -> UnsafeMutablePointer<apus_tlb_entry> {
        unsafe p.pointee.tlb + Int((linear >> 12) & UInt64(APUS_TLB_SIZE - 1))
    }

    /// The host address of `size` readable bytes, nil where the slow path must decide.
    @inline(__always) func fastReadable(_ op: MicroOp, last: UInt64, mask: UInt64) -> UnsafeMutableRawPointer? {
        guard op.scale & UInt8(APUS_EA_SLOW) == 0 else { return nil }
        let linear = address(op)
        let e = unsafe entry(linear)
        guard unsafe e.pointee.read_tag == ((linear &+ last) & ~0xfff) | tag, linear & mask == 0 else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: UInt(linear &+ e.pointee.addend))
    }
    /// The same for writable bytes of a page without code.
    @inline(__always) func fastWritable(_ op: MicroOp, last: UInt64, mask: UInt64) -> UnsafeMutableRawPointer? {
        guard op.scale & UInt8(APUS_EA_SLOW) == 0 else { return nil }
        let linear = address(op)
        let e = unsafe entry(linear)
        guard unsafe e.pointee.write_tag == ((linear &+ last) & ~0xfff) | tag, linear & mask == 0 else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: UInt(linear &+ e.pointee.addend))
    }

    /// The operand's bytes: in place, or copied to `scratch`; nil where the handler leaves.
    @inline(__always) func readable(_ op: MicroOp, last: UInt64, mask: UInt64) -> UnsafeMutableRawPointer? {
        unsafe fastReadable(op, last: last, mask: mask) ?? slowRead(op, last: last, mask: mask)
    }

    /// The linear address of the operand. Throws #GP(0) where it is not aligned as `mask` says.
    func vectorAddress(_ op: MicroOp, size: Int, mask: UInt64, write: Bool) throws(Leave) -> UInt64 {
        let linear = try operandAddress(op, size: size, write: write)
        if linear & mask != 0 { throw raise(Vector.general, error: 0) }
        return linear
    }

    /// Reads an operand by the slow path into `scratch`, where it is returned; nil where the handler leaves.
    @inline(never) func slowRead(_ op: MicroOp, last: UInt64, mask: UInt64) -> UnsafeMutableRawPointer? {
        rip = ripOf(op)
        do throws(Leave) {
            let size = Int(last) + 1
            let linear = try vectorAddress(op, size: size, mask: mask, write: false)
            unsafe try readBytes(linear, scratch, size)
            return unsafe scratch
        } catch { return nil }
    }

    /// Writes an operand from `scratch` by the slow path, after `produce` has put it there. `produce` may change the
    /// x87 and MMX state, which is put back where the write faults or leaves for a device; it returns false to leave
    /// without writing (then with its own effects).
    func slowWrite(
        _ op: MicroOp, last: UInt64, mask: UInt64, _ produce: (UnsafeMutableRawPointer) -> SlowWrite
    ) -> Bool {
        rip = ripOf(op)
        do throws(Leave) {
            let size = Int(last) + 1
            let linear = try vectorAddress(op, size: size, mask: mask, write: true)
            try probe(linear, size: size, .write, .current)
            saveX87()
            let saved = unsafe p.pointee.s.fx
            switch unsafe produce(scratch) {
            case .leave: return false
            case .nothing: return true
            case .write: break
            }
            do throws(Leave) { unsafe try writeBytes(linear, scratch, size) } catch {
                discardX87()
                unsafe p.pointee.s.fx = saved
                throw error
            }
            return true
        } catch { return false }
    }

    /// Reads any number of bytes at a linear address, in pieces of at most 8.
    func readBytes(_ linear: UInt64, _ target: UnsafeMutableRawPointer, _ count: Int) throws(Leave) {
        var done = 0
        while done < count {
            let size = min(8, count - done)
            let value = try readMemory(linear &+ UInt64(done), size: size, .current)
            for index in 0..<size {
                unsafe target.storeBytes(
                    of: UInt8(truncatingIfNeeded: value >> UInt64(index * 8)), toByteOffset: done + index,
                    as: UInt8.self)
            }
            done += size
        }
    }
    /// Writes any number of bytes. The caller has made sure that none faults.
    func writeBytes(_ linear: UInt64, _ source: UnsafeMutableRawPointer, _ count: Int) throws(Leave) {
        var done = 0
        while done < count {
            let size = min(8, count - done)
            var value: UInt64 = 0
            for index in 0..<size {
                value |= UInt64(unsafe source.load(fromByteOffset: done + index, as: UInt8.self)) << UInt64(index * 8)
            }
            try writeMemory(linear &+ UInt64(done), value, size: size, .current)
            done += size
        }
    }
}

/// How the making of a slow store's value ended.
enum SlowWrite {
    /// The value is in `scratch`.
    case write
    /// The instruction is done and stores nothing.
    case nothing
    /// An exception is recorded.
    case leave
}
