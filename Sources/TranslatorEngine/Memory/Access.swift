internal import CEngine

/// What a translation is for.
enum AccessKind {
    case read, write, fetch
}

/// With whose rights memory is accessed.
enum Privilege {
    /// The current mode's: explicit accesses of an instruction.
    case current
    /// Supervisor, implicit: descriptor tables, stacks of a more privileged level, task state.
    case system
}

// Slow paths: TLB misses, crossings, device memory, pages with code, segmented addresses.
extension CPU {
    @inline(never) func slowLoad(_ op: MicroOp, size: Int) -> UInt64? {
        rip = ripOf(op)
        do throws(Leave) {
            return try readMemory(operandAddress(op, size: size, write: false), size: size, .current)
        } catch { return nil }
    }

    @inline(never) func slowStore(_ op: MicroOp, _ value: UInt64, size: Int) -> Bool {
        rip = ripOf(op)
        do throws(Leave) {
            try writeMemory(operandAddress(op, size: size, write: true), value, size: size, .current)
            return true
        } catch { return false }
    }

    /// True where a write of the operand would raise no exception.
    @inline(never) func probeWrite(_ op: MicroOp, size: Int) -> Bool {
        rip = ripOf(op)
        do throws(Leave) {
            let linear = try operandAddress(op, size: size, write: true)
            try probe(linear, size: size, .write, .current)
            return true
        } catch { return false }
    }

    @inline(never) func slowLoadLinear(_ op: MicroOp, _ linear: UInt64, size: Int) -> UInt64? {
        rip = ripOf(op)
        do throws(Leave) {
            try checkStack(linear, size: size)
            return try readMemory(linear, size: size, .current)
        } catch { return nil }
    }
    @inline(never) func slowStoreLinear(_ op: MicroOp, _ linear: UInt64, _ value: UInt64, size: Int) -> Bool {
        rip = ripOf(op)
        do throws(Leave) {
            try checkStack(linear, size: size)
            try writeMemory(linear, value, size: size, .current)
            return true
        } catch { return false }
    }
    /// Accesses by linear address are those of 64-bit stacks: #SS(0) where paging cannot reach them.
    private func checkStack(_ linear: UInt64, size: Int) throws(Leave) {
        guard isCanonical(linear), isCanonical(linear &+ UInt64(size - 1)) else { throw raise(Vector.stack, error: 0) }
    }

    /// The address after 4 GiB in code of 16 and 32 bits: 0. Tables of long mode may lie above.
    func wrapped(_ linear: UInt64) -> UInt64 { linear == 1 << 32 && !code64 ? 0 : linear }

    /// Throws what an access of every byte of the range would throw.
    func probe(_ linear: UInt64, size: Int, _ kind: AccessKind, _ privilege: Privilege) throws(Leave) {
        _ = try translate(linear, kind, privilege)
        let last = linear &+ UInt64(size - 1)
        // The second page faults at its first byte.
        if (last ^ linear) & ~0xfff != 0 { _ = try translate(wrapped(last & ~0xfff), kind, privilege) }
    }

    /// Reads 1 to 8 bytes at a linear address.
    func readMemory(_ linear: UInt64, size: Int, _ privilege: Privilege) throws(Leave) -> UInt64 {
        if (linear & 0xfff) &+ UInt64(size) > 4096 {
            let first = Int(4096 - (linear & 0xfff))
            try probe(linear, size: size, .read, privilege)
            let low = try readMemory(linear, size: first, privilege)
            let high = try readMemory(wrapped(linear &+ UInt64(first)), size: size - first, privilege)
            return low | high << UInt64(first * 8)
        }
        let place = try translate(linear, .read, privilege)
        noteAccess(linear, size: size, .read)
        guard let host = unsafe place.host else { return try deviceRead(place.physical, size: size) }
        // SAFETY: `translate` returns the address of bytes up to the page's end.
        switch size {
        case 1: return UInt64(unsafe apus_load8(host))
        case 2: return UInt64(unsafe apus_load16(host))
        case 4: return UInt64(unsafe apus_load32(host))
        case 8: return unsafe apus_load64(host)
        default:
            var value: UInt64 = 0
            for index in 0..<size { value |= UInt64(unsafe apus_load8(host + index)) << UInt64(index * 8) }
            return value
        }
    }

    /// Writes 1 to 8 bytes at a linear address. Nothing is written where any byte of it faults.
    func writeMemory(_ linear: UInt64, _ value: UInt64, size: Int, _ privilege: Privilege) throws(Leave) {
        if (linear & 0xfff) &+ UInt64(size) > 4096 {
            let first = Int(4096 - (linear & 0xfff))
            try probe(linear, size: size, .write, privilege)
            try writeMemory(linear, value, size: first, privilege)
            try writeMemory(wrapped(linear &+ UInt64(first)), value >> UInt64(first * 8), size: size - first, privilege)
            return
        }
        let place = try translate(linear, .write, privilege)
        noteAccess(linear, size: size, .write)
        guard let host = unsafe place.host else { return try deviceWrite(place.physical, value, size: size) }
        // A write to ROM is the bus's: there may be a flash chip that takes commands, else nobody.
        guard place.writable else { return try deviceWrite(place.physical, value, size: size) }
        switch size {
        case 1: unsafe apus_store8(host, UInt8(truncatingIfNeeded: value))
        case 2: unsafe apus_store16(host, UInt16(truncatingIfNeeded: value))
        case 4: unsafe apus_store32(host, UInt32(truncatingIfNeeded: value))
        case 8: unsafe apus_store64(host, value)
        default:
            for index in 0..<size { unsafe apus_store8(host + index, UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
        }
        if place.code { noteStore(place.physical, size: size) }
    }

    // MARK: Device memory

    /// A read of device memory: a recorded reply, or an exit that asks for one.
    private func deviceRead(_ physical: UInt64, size: Int) throws(Leave) -> UInt64 {
        if isVerifying { throw leaveToRunAlone() }
        if let value = apicRead(physical, size: size) { return value }
        if let reply = nextReply() { return reply }
        throw exit(.mmioRead, address: physical, value: 0, size: size)
    }

    private func deviceWrite(_ physical: UInt64, _ value: UInt64, size: Int) throws(Leave) {
        if isVerifying { throw leaveToRunAlone() }
        if apicWrite(physical, value, size: size) { return }
        if nextReply() != nil { return }
        throw exit(.mmioWrite, address: physical, value: value, size: size)
    }

    /// The next recorded reply of an instruction that starts again, nil where it gets further than before. Writes have
    /// replies too, of no meaning.
    func nextReply() -> UInt64? {
        guard unsafe p.pointee.reply_next < p.pointee.reply_count else { return nil }
        let value = unsafe replySlot(Int(p.pointee.reply_next)).pointee
        unsafe p.pointee.reply_next += 1
        return value
    }

    /// The recorded reply with that number. The count is bounded by `exit`.
    func replySlot(_ index: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: `index` is below 80, the array's length.
        unsafe UnsafeMutableRawPointer(p).advanced(by: MemoryLayout<apus_vcpu>.offset(of: \.replies)!)
            .assumingMemoryBound(to: UInt64.self) + min(index, 79)
    }

    /// Records an exit in the middle of an instruction, which starts again when it is answered.
    func exit(_ reason: ExitReason, address: UInt64, value: UInt64, size: Int) -> Leave {
        guard unsafe p.pointee.reply_count < 80 else {
            // More device accesses than any instruction makes: an XSAVE area in device memory. Not supported.
            return raise(Vector.general, error: 0)
        }
        unsafe p.pointee.exit_reason = reason.rawValue
        unsafe p.pointee.exit_address = address
        unsafe p.pointee.exit_value = value
        unsafe p.pointee.exit_size = UInt32(size)
        unsafe p.pointee.status = UInt8(APUS_STATUS_EXIT)
        return Leave()
    }

    /// An instruction's part is done and its registers written: earlier replies are used up.
    @inline(__always) func commitReplies() {
        unsafe p.pointee.reply_count = 0
        unsafe p.pointee.reply_next = 0
    }
}

/// Exits as the working state records them.
enum ExitReason: UInt32 {
    case mmioRead = 1, mmioWrite, portRead, portWrite, error, difference
}
