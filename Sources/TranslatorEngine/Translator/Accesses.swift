internal import CEngine
internal import X86

// Accesses to memory: where they go, how they are checked, and what becomes of those that the tables do not know.

extension BlockTranslator {
    /// Whether `emitAddress` can compute it.
    func canAddress(_ i: Instruction) -> Bool {
        guard i.addressSize == unit, Int32(exactly: i.memory.displacement) != nil else { return false }
        // Segments that are known to be flat: SS and DS.
        guard is64 || i.memory.segment == 2 || i.memory.segment == 3 || i.mnemonic == .lea else { return false }
        return i.memory.base != MemoryReference.instructionPointer
            || Int32(exactly: i.memory.displacement + 8192) != nil
    }

    /// The effective address as an operand, with unpinned registers loaded into the two free ones; the segment is not
    /// in it.
    mutating func effectiveAddress(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> RM {
        let m = i.memory
        var disp = Int32(truncatingIfNeeded: m.displacement)
        var base: UInt8?
        if m.base == MemoryReference.instructionPointer {
            a.load(Host.address, .state(Int(Slot.pageBase) * 8))
            base = Host.address
            disp = unsafe Int32(truncatingIfNeeded: m.displacement + Int64(op.pointee.offset) + Int64(i.length))
        } else if m.base != MemoryReference.noRegister {
            base = Self.pinned(m.base & 15)
            if base == nil {
                loadGuest(m.base & 15, into: Host.address)
                base = Host.address
            }
        }
        guard m.index != MemoryReference.noRegister else {
            return base.map { .base($0, disp) } ?? .scaled(4, 0, disp)
        }
        var index = Self.pinned(m.index & 15)
        if index == nil {
            window = nil
            loadGuest(m.index & 15, into: Host.addend)
            index = Host.addend
        }
        let shift = m.shift & 3
        return base.map { .indexed($0, index ?? 0, shift, disp) } ?? .scaled(index ?? 0, shift, disp)
    }

    /// The register of the linear address: the base's own where that is all of it, else the address register, into which
    /// it is computed.
    mutating func emitAddress(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> UInt8 {
        let address = unsafe effectiveAddress(i, op)
        let isBased = is64 && (i.memory.segment == 4 || i.memory.segment == 5)
        if case .base(let base, 0) = address, !isBased { return base }
        a.lea(Host.address, address, wide: is64)
        if isBased {
            a.modrm(
                0, wide: true, opcode: 0x03, length: 1, reg: Host.address,
                rm: .state(Int(Slot.base(i.memory.segment)) * 8))
        }
        return Host.address
    }

    /// The linear address as an operand that leaves the addend's register free: where it can be said so of the guest's
    /// registers themselves, else of the address register, into which it is computed.
    mutating func addressOperand(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> RM {
        let m = i.memory
        let (hasBase, hasIndex) = (m.base != MemoryReference.noRegister, m.index != MemoryReference.noRegister)
        let (baseGuest, indexGuest) = (m.base & 15, m.index & 15)
        let isComputed =
            !is64 || m.segment == 4 || m.segment == 5 || m.base == MemoryReference.instructionPointer
            || !hasBase && !hasIndex || m.displacement == Int64(Int32.min)
            || hasBase && hasIndex && baseGuest != indexGuest && Self.pinned(baseGuest) == nil
                && Self.pinned(indexGuest) == nil
        if isComputed {
            releaseAll()
            return .base(unsafe emitAddress(i, op), 0)
        }
        let disp = Int32(truncatingIfNeeded: m.displacement)
        let base = hasBase ? Self.pinned(baseGuest) ?? holdByAddress(baseGuest, reads: true, writes: false) : nil
        guard hasIndex else { return .base(base ?? 0, disp) }
        let index = Self.pinned(indexGuest) ?? holdByAddress(indexGuest, reads: true, writes: false)
        return base.map { .indexed($0, index, m.shift & 3, disp) } ?? .scaled(index, m.shift & 3, disp)
    }

    /// Checks an access at the linear address in a register.
    mutating func emitCheck(_ op: UnsafePointer<apus_op>, at address: UInt8, size: Int, write: Bool) -> RM {
        unsafe emitCheck(op, at: .base(address, 0), size: size, write: write)
    }

    /// Checks an access at a linear address, and returns where its bytes are, by the addend's register. The slow path is
    /// finished by `finishAccess`.
    mutating func emitCheck(_ op: UnsafePointer<apus_op>, at address: RM, size: Int, write: Bool) -> RM {
        var address = address
        if !is64, !address.isRegister {
            // Sums end at 4 GiB.
            release(Host.address)
            a.lea(Host.address, address, wide: false)
            address = .base(Host.address, 0)
        }
        let held = heldByAddress?.guest
        if usesCache {
            let (miss, cache) = unsafe emitCacheLookup(address, size: Int32(size))
            unsafe slowPaths.append(
                SlowPath(
                    op: op, address: address, held: held, miss: miss, misaligned: nil, size: size, write: write,
                    aligned: a.cursor, cache: cache, end: a.cursor, reloadsFlags: false, dirty: dirtyVectors))
            return behindCheck(address)
        }
        let source = loadForTable(address)
        var misaligned: UnsafeMutablePointer<UInt8>? = nil
        if size > 1 {
            a.modrm(0, wide: false, opcode: 0xf6, length: 1, reg: 0, rm: .register(source), byteRegister: true)
            a.byte(UInt8(size - 1))
            unsafe misaligned = a.jump(if: 5)
        }
        let aligned = unsafe a.cursor
        let miss = unsafe emitTableLoad(source, write: write)
        unsafe slowPaths.append(
            SlowPath(
                op: op, address: address, held: held, miss: miss, misaligned: misaligned, size: size, write: write,
                aligned: aligned, cache: nil, end: a.cursor, reloadsFlags: false, dirty: dirtyVectors))
        return behindCheck(address)
    }
    /// The register that has a linear address: its own, or the addend's.
    mutating func loadForTable(_ address: RM) -> UInt8 {
        if case .base(let register, 0) = address { return register }
        a.lea(Host.addend, address)
        return Host.addend
    }
    /// Where the bytes are whose address was checked, with what leads to the host's in the addend's register.
    private mutating func behindCheck(_ address: RM) -> RM {
        switch address {
        case .base(let base, let disp): return .indexed(base, Host.addend, 0, disp - 1)
        case .indexed(let base, let index, let shift, let disp):
            a.lea(Host.addend, .indexed(base, Host.addend, 0, 0))
            return .indexed(Host.addend, index, shift, disp - 1)
        case .scaled(let index, let shift, let disp): return .indexed(Host.addend, index, shift, disp - 1)
        default: fatalError("No address")
        }
    }
    /// Where the bytes of a memory operand are: in the window that is open, or checked by themselves, which `finishAccess`
    /// ends.
    mutating func emitOperand(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, size: Int, write: Bool, liveBefore: Bool
    ) -> (place: RM, isChecked: Bool) {
        if let place = windowed(i.memory.displacement) {
            storeHeld()
            return (place, false)
        }
        protectAccess(liveBefore)
        let address = unsafe addressOperand(i, op)
        return (unsafe emitCheck(op, at: address, size: size, write: write), true)
    }
    /// Loads what leads from the page of a linear address to the host's, plus 1, into the addend's register. Returns the
    /// jump where nothing does.
    mutating func emitTableLoad(_ address: UInt8, write: Bool) -> UnsafeMutablePointer<UInt8> {
        window = nil
        if isTagged { return unsafe emitTLBLookup(address, write: write) }
        a.rotateRight(Host.addend, address, by: 8)
        a.modrm(0, wide: true, opcode: 0x23, length: 1, reg: Host.addend, rm: .indexMask)
        a.load(Host.addend, .table(Host.addend, write ? 8 : 0))
        a.bytes(0x41, 0xf6, 0xc5)  // test r13b, 1
        a.byte(1)
        return unsafe a.jump(if: 4)
    }

    /// The same by the interpreter's TLB.
    private mutating func emitTLBLookup(_ address: UInt8, write: Bool) -> UnsafeMutablePointer<UInt8> {
        typealias Entry = apus_tlb_entry
        let entry = { (offset: Int?) in unsafe RM.base(Host.rax, Int32(offset.unsafelyUnwrapped)) }
        if address != Host.addend { a.move(Host.addend, address) }
        a.byte(0x50)  // push rax
        a.bytes(0x44, 0x89, 0xe8)  // mov eax, r13d
        // The page's number times the bytes of an entry.
        a.shiftRight(Host.rax, by: UInt8(12 - MemoryLayout<Entry>.stride.trailingZeroBitCount))
        a.operate(.and, Host.rax, Int32(APUS_TLB_SIZE - 1) * Int32(MemoryLayout<Entry>.stride))
        unsafe a.modrm(
            0, wide: true, opcode: 0x03, length: 1, reg: Host.rax, rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.tlb)))
        a.bytes(0x49, 0x81, 0xe5)  // and r13, -4096
        a.word32(-4096)
        unsafe a.modrm(
            0, wide: true, opcode: 0x0b, length: 1, reg: Host.addend,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.tlb_generation)))
        let tag = write ? MemoryLayout<Entry>.offset(of: \.write_tag) : MemoryLayout<Entry>.offset(of: \.read_tag)
        a.modrm(0, wide: true, opcode: 0x3b, length: 1, reg: Host.addend, rm: entry(tag))
        a.load(Host.addend, entry(MemoryLayout<Entry>.offset(of: \.addend)))
        a.lea(Host.addend, .base(Host.addend, 1))
        a.byte(0x58)  // pop rax
        return unsafe a.jump(if: 5)
    }

    /// Notes that the bytes before the cursor may fault.
    mutating func noteSite(_ op: UnsafePointer<apus_op>) {
        unsafe sites.append((a.cursor, op, UInt32(dirtyVectors) | (hasWideVectors ? FaultSite.wide : 0)))
    }

    /// The instruction of the last check ends here.
    mutating func finishAccess(reloadsFlags: Bool) {
        unsafe slowPaths[slowPaths.count - 1].end = a.cursor
        slowPaths[slowPaths.count - 1].reloadsFlags = reloadsFlags
        slowPaths[slowPaths.count - 1].loaded = loadedVectors
        slowPaths[slowPaths.count - 1].heldAtEnd = heldByAddress?.guest
    }

    /// Where accesses end up that the fast way has not decided, and jumps that are not linked.
    mutating func emitSlowPaths() {
        for path in slowPaths {
            landMiss(path)
            moveVectors(path.dirty, store: true)
            unsafe emitCall(path.op, stubs.slow)
            moveVectors(path.loaded, store: false)
            if let held = path.heldAtEnd { loadGuest(held, into: Host.address) }
            if path.reloadsFlags { a.reloadFlags(by: Host.addend) }
            unsafe a.jump(to: path.end)
        }
        for exit in exits {
            unsafe a.land(exit.place)
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: exit.op)))
            unsafe a.immediate(Host.address, UInt64(UInt(bitPattern: exit.place)))
            unsafe a.jump(to: stubs.link)
        }
    }

    /// Lands an access that the fast way has not decided, with its linear address in the address register: one that is
    /// only misaligned, or whose page the table has, goes back.
    mutating func landMiss(_ path: SlowPath) {
        landMisaligned(path)
        unsafe a.land(path.miss)
        a.loadAddress(Host.address, path.address)
        if let cache = unsafe path.cache {
            unsafe emitCacheMiss(cache, write: path.write, held: path.held, resume: path.aligned)
        }
    }

    private mutating func landMisaligned(_ path: SlowPath) {
        guard let misaligned = unsafe path.misaligned else { return }
        unsafe a.land(misaligned)
        compareOffset(path.address, span: Int32(path.size))
        _ = loadForTable(path.address)
        let within = unsafe a.jump(if: 6)
        unsafe a.patch(within, to: path.aligned)
    }

    mutating func emitCall(_ op: UnsafePointer<apus_op>, _ stub: UnsafeMutablePointer<UInt8>) {
        a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
        unsafe a.call(stub)
    }
}
