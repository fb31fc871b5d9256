internal import CEngine

// Guest memory as handlers use it. The fast path is a look-up in the current TLB whose tag holds page and generation;
// an access that crosses a page never matches, because its last byte's page is compared in the first byte's place.

/// True where bits 63 to 47 of an address are equal: four-level paging reaches it (SDM volume 1, 3.3.7.1).
@inline(__always) func isCanonical(_ address: UInt64) -> Bool {
    let signed = Int64(bitPattern: address)
    return (signed << 16) >> 16 == signed
}

extension CPU {
    /// The effective address of a memory operand, segment base included.
    @inline(__always) func address(_ op: MicroOp) -> UInt64 {
        UInt64(bitPattern: Int64(op.disp)) &+ slot(op.base) &+ (slot(op.index) << UInt64(op.scale & 3))
            &+ slot(op.segment)
    }

    @inline(__always) var tag: UInt64 { unsafe p.pointee.tlb_generation }
    @inline(__always) private func entry(_ linear: UInt64) -> UnsafeMutablePointer<apus_tlb_entry> {
        unsafe p.pointee.tlb + Int((linear >> 12) & UInt64(APUS_TLB_SIZE - 1))
    }

    /// The host address of `T.size` readable bytes at a linear address, nil where the slow path must decide.
    @inline(__always) func readable<T: GuestInteger>(_ linear: UInt64, _: T.Type) -> UnsafeRawPointer? {
        let e = unsafe entry(linear)
        let last = linear &+ UInt64(T.bitWidth / 8 - 1)
        guard unsafe e.pointee.read_tag == (last & ~0xfff) | tag else { return nil }
        return unsafe UnsafeRawPointer(bitPattern: UInt(linear &+ e.pointee.addend))
    }
    /// The same for writable bytes of a page without code.
    @inline(__always) func writable<T: GuestInteger>(_ linear: UInt64, _: T.Type) -> UnsafeMutableRawPointer? {
        let e = unsafe entry(linear)
        let last = linear &+ UInt64(T.bitWidth / 8 - 1)
        guard unsafe e.pointee.write_tag == (last & ~0xfff) | tag else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: UInt(linear &+ e.pointee.addend))
    }

    /// Reads a memory operand. On false the handler leaves.
    @inline(__always) func load<T: GuestInteger>(_ op: MicroOp, _ value: inout T) -> Bool {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 {
            let linear = address(op)
            if let pointer = unsafe readable(linear, T.self) {
                value = unsafe T.hostLoad(pointer)
                return true
            }
        }
        guard let wide = slowLoad(op, size: T.bitWidth / 8) else { return false }
        value = T(truncatingIfNeeded: wide)
        return true
    }

    /// Writes a memory operand. On false the handler leaves.
    @inline(__always) func store<T: GuestInteger>(_ op: MicroOp, _ value: T) -> Bool {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 {
            let linear = address(op)
            if let pointer = unsafe writable(linear, T.self) {
                unsafe T.hostStore(pointer, value)
                return true
            }
        }
        return slowStore(op, UInt64(truncatingIfNeeded: value), size: T.bitWidth / 8)
    }

    /// Reads, changes and writes a memory operand. `body` runs once; on false it has not run.
    @inline(__always) func modify<T: GuestInteger>(_ op: MicroOp, _ body: (T) -> T) -> Bool {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 {
            let linear = address(op)
            if let pointer = unsafe writable(linear, T.self) {
                unsafe T.hostStore(pointer, body(T.hostLoad(UnsafeRawPointer(pointer))))
                return true
            }
        }
        let size = T.bitWidth / 8
        guard probeWrite(op, size: size), let old = slowLoad(op, size: size) else { return false }
        // A device's register is written by the exit of this store; flags and registers change when it is replayed.
        return slowStore(op, UInt64(truncatingIfNeeded: body(T(truncatingIfNeeded: old))), size: size)
    }

    /// Reads at a linear address with the current privilege.
    @inline(__always) func loadLinear<T: GuestInteger>(_ linear: UInt64, _ value: inout T, _ op: MicroOp) -> Bool {
        if let pointer = unsafe readable(linear, T.self) {
            value = unsafe T.hostLoad(pointer)
            return true
        }
        guard let wide = slowLoadLinear(op, linear, size: T.bitWidth / 8) else { return false }
        value = T(truncatingIfNeeded: wide)
        return true
    }
    /// Writes at a linear address with the current privilege.
    @inline(__always) func storeLinear<T: GuestInteger>(_ linear: UInt64, _ value: T, _ op: MicroOp) -> Bool {
        if let pointer = unsafe writable(linear, T.self) {
            unsafe T.hostStore(pointer, value)
            return true
        }
        return slowStoreLinear(op, linear, UInt64(truncatingIfNeeded: value), size: T.bitWidth / 8)
    }
}
