internal import CEngine
internal import X86

// Accesses by one base register are checked together: frames, and the members of a structure.

/// A run of instructions whose accesses by one base register lie in one page, checked before the first of them. Until
/// the last the addend's register holds what leads from linear addresses to the host's.
struct Window {
    /// The base, as a guest's register.
    let base: UInt8
    /// The lowest byte, from the base's value before the first instruction.
    let low: Int32
    /// Bytes from there to the end of the highest access, at most `Window.longest`.
    let span: Int32
    /// Some access writes.
    let write: Bool
    /// The instructions that use the window, by their numbers in the block: a bit each.
    let members: UInt64
    /// The number of the last.
    let last: Int
    /// Its instructions can be emitted once more, for when it lies in two pages: it has no calls, and not the block's end.
    let isRepeatable: Bool

    static let longest: Int64 = 512
}

/// Where a window leads that the fast way has not decided.
@safe struct WindowPath {
    /// The first instruction.
    let op: UnsafePointer<apus_op>
    /// The window's first linear address.
    let address: RM
    /// The guest's register that the address register holds.
    let held: UInt8?
    /// The jumps that lead here: of a window in two pages, or of a miss in an inline cache; and of a miss in the table.
    let crosses: UnsafeMutablePointer<UInt8>
    let miss: UnsafeMutablePointer<UInt8>?
    let cache: UnsafeMutablePointer<UInt8>?
    /// Where it goes on once its cache is filled.
    let resume: UnsafeMutablePointer<UInt8>
    let span: Int32
    let write: Bool
    let dirty: UInt16
}

/// What an instruction does with a base register, where it may be part of a window.
private struct BaseUse {
    /// Bytes from the base; nil where memory is left alone.
    var access: (low: Int64, size: Int64, write: Bool)?
    /// How the base's value changes; nil where it becomes something else.
    var change: Int64? = 0
}

extension BlockTranslator {
    /// Windows of a block by the number of their first instruction.
    func planWindows(_ block: DecodedBlock) -> [Int: Window] {
        var windows: [Int: Window] = [:]
        let list = block.instructions
        var index = 0
        while index < list.count {
            guard let base = windowBase(list[index]), let window = window(block, from: index, base),
                block.mergesChecks || tier == .hot && window.isRepeatable
            else {
                index += 1
                continue
            }
            windows[index] = window
            index = window.last + 1
        }
        return windows
    }

    /// The base register of an access that may begin a window.
    private func windowBase(_ i: Instruction) -> UInt8? {
        switch i.mnemonic {
        case .push, .pop, .ret: return 4
        case .call: return i.operands.0.kind == .relative ? 4 : nil
        default: return isSimpleMemory(i) ? i.memory.base & 15 : nil
        }
    }

    private func isSimpleMemory(_ i: Instruction) -> Bool {
        guard i.operands.0.kind == .memory || i.operands.1.kind == .memory else { return false }
        let m = i.memory
        return i.addressSize == unit && (is64 || m.segment == 2 || m.segment == 3)
            && m.index == MemoryReference.noRegister && m.base != MemoryReference.noRegister
            && m.base != MemoryReference.instructionPointer && m.segment != 4 && m.segment != 5
            && Self.pinned(m.base & 15) != nil && Int64(Int16(truncatingIfNeeded: m.displacement)) == m.displacement
    }

    /// The window that begins with an instruction; nil where it would have one access.
    private func window(_ block: DecodedBlock, from first: Int, _ base: UInt8) -> Window? {
        var low = Int64.max
        var high = Int64.min
        var delta: Int64 = 0
        var members: UInt64 = 0
        var last = first
        var writes = false
        var hasJoined = false
        for index in first..<min(block.instructions.count, 64) {
            if index > first, block.segments.contains(where: { $0.instructions.lowerBound == index }) { hasJoined = true }
            if block.join(index) == .branch { continue }
            guard block.offered[index], let use = use(block.instructions[index], base, block.hasPlainVectors) else { break }
            if let access = use.access {
                // A write that may not be executed does not make what is read miss.
                if access.write && hasJoined && !writes { break }
                let bottom = min(low, delta + access.low)
                let top = max(high, delta + access.low + access.size)
                guard top - bottom <= Window.longest else { break }
                (low, high, last) = (bottom, top, index)
                members |= 1 << UInt64(index)
                if access.write { writes = true }
            }
            guard let change = use.change else { break }
            delta += change
        }
        guard members.nonzeroBitCount > 1, let bottom = Int32(exactly: low) else { return nil }
        let isRepeatable = (first...last).allSatisfy { index in
            block.join(index).map { $0 == .branch } ?? !(block.endsItself && index == block.instructions.count - 1)
        }
        return Window(
            base: base, low: bottom, span: Int32(high - low), write: writes, members: members, last: last,
            isRepeatable: isRepeatable)
    }

    /// What an instruction does with the base; nil where a window cannot go over it.
    private func use(_ i: Instruction, _ base: UInt8, _ vectors: Bool) -> BaseUse? {
        let x = i.operands.0
        let y = i.operands.1
        let size = Int64(unit)
        switch i.mnemonic {
        case .nop, .endbr64, .endbr32: return BaseUse()
        case .push:
            guard base == 4, i.operandSize == unit, x.kind == .immediate || x.kind == .general && x.register != 4 else {
                return nil
            }
            return BaseUse(access: (-size, size, true), change: -size)
        case .pop:
            guard base == 4, i.operandSize == unit, x.kind == .general, x.register != 4 else { return nil }
            return BaseUse(access: (0, size, false), change: size)
        case .call where x.kind == .relative && base == 4 && (is64 || i.operandSize == 4):
            return BaseUse(access: (-size, size, true), change: -size)
        case .ret where base == 4 && i.operandSize == unit:
            let more = x.kind == .immediate ? i.immediate & 0xffff : 0
            return BaseUse(access: (0, size, false), change: size + more)
        case .mov, .movzx, .movsx, .movsxd, .add, .sub, .and, .or, .xor, .cmp, .test, .inc, .dec, .neg, .not, .shl, .shr,
            .sar, .set, .cmov, .bswap, .imul, .lea, .adc, .sbb:
            guard !i.prefixes.contains(.lock), x.kind != .highByte, y.kind != .highByte else { return nil }
            // Segment and control registers, and the forms with an address of their own.
            for operand in [x, y, i.operands.2] {
                switch operand.kind {
                case .none, .immediate, .memory, .one, .general: break
                default: return nil
                }
            }
            // The one-operand form has hidden ones.
            if i.mnemonic == .imul && y.kind == .none { return nil }
            if !i.encoding.hasModRM && x.kind == .general && Self.pinned(x.register) == nil { return nil }
            if i.mnemonic == .mov && !i.encoding.hasModRM && y.kind != .immediate { return nil }
            if i.mnemonic == .lea { return useOfLEA(i, base) }
        default:
            guard i.category == .sse && vectors || i.category == .avx && hasWideVectors else { return nil }
            for operand in [x, y, i.operands.2] where operand.kind == .general && Self.pinned(operand.register) == nil {
                return nil
            }
        }
        var use = BaseUse()
        if x.kind == .memory || y.kind == .memory {
            guard isMember(i, base) else { return nil }
            let operand = x.kind == .memory ? x : y
            guard [1, 2, 4, 8, 16, 32].contains(operand.size) else { return nil }
            use.access = (i.memory.displacement, Int64(operand.size), operand.access != .read)
        }
        for operand in [x, y] where operand.kind == .general && operand.register == base && operand.access != .read {
            use.change = change(i)
        }
        return use
    }

    private func isMember(_ i: Instruction, _ base: UInt8) -> Bool { isSimpleMemory(i) && i.memory.base & 15 == base }

    private func useOfLEA(_ i: Instruction, _ base: UInt8) -> BaseUse? {
        let m = i.memory
        guard canAddress(i), Self.pinned(i.operands.0.register) != nil, i.operands.0.size >= 4 else { return nil }
        let isPlain = { (register: UInt8) in
            register == MemoryReference.noRegister || register == MemoryReference.instructionPointer
                || Self.pinned(register & 15) != nil
        }
        guard isPlain(m.base), isPlain(m.index) else { return nil }
        guard i.operands.0.register == base else { return BaseUse() }
        let moves = m.base & 15 == base && m.base != MemoryReference.instructionPointer
            && m.base != MemoryReference.noRegister && m.index == MemoryReference.noRegister && i.operands.0.size == unit
        return BaseUse(change: moves && m.displacement.magnitude < 4096 ? m.displacement : nil)
    }

    /// How an instruction that writes its first operand, the base, moves it.
    private func change(_ i: Instruction) -> Int64? {
        guard i.operands.0.size == unit else { return nil }
        let isConstant = i.operands.1.kind == .immediate && i.immediate.magnitude < 4096
        switch i.mnemonic {
        case .add: return isConstant ? i.immediate : nil
        case .sub: return isConstant ? -i.immediate : nil
        case .inc: return 1
        case .dec: return -1
        default: return nil
        }
    }

    // MARK: Code

    /// Checks a window's bytes: afterwards the addend's register leads to them.
    mutating func open(_ w: Window, _ op: UnsafePointer<apus_op>, liveBefore: Bool) {
        protectAccess(liveBefore)
        let address = RM.base(Self.pinned(w.base) ?? Host.guestStack, w.low)
        let held = heldByAddress?.guest
        var (miss, cache): (UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?) = (nil, nil)
        let crosses: UnsafeMutablePointer<UInt8>
        if usesCache {
            unsafe (crosses, cache) = emitCacheLookup(address, size: w.span)
        } else {
            compareOffset(address, span: w.span)
            unsafe crosses = a.jump(if: 7)
            unsafe miss = emitTableLoad(loadForTable(address), write: w.write)
        }
        let path = unsafe WindowPath(
            op: op, address: address, held: held, crosses: crosses, miss: miss, cache: cache, resume: a.cursor,
            span: w.span, write: w.write, dirty: dirtyVectors)
        if tier == .hot && w.isRepeatable { beginCrossing(path, w) } else { windowPaths.append(path) }
        window = w
    }

    /// Compares an address's offset in its page with the highest from which so many bytes end in it.
    mutating func compareOffset(_ address: RM, span: Int32) {
        a.loadAddress(Host.addend, address)
        a.bytes(0x41, 0x81, 0xe5)  // and r13d, 0xfff
        a.word32(0xfff)
        a.bytes(0x41, 0x81, 0xfd)  // cmp r13d, 4096 - span
        a.word32(4096 - span)
    }

    /// Where the current instruction's access by a window goes; nil where it has a check of its own.
    func windowed(_ displacement: Int64) -> RM? {
        guard let window, window.members >> UInt64(current) & 1 != 0 else { return nil }
        return .indexed(
            Self.pinned(window.base) ?? Host.guestStack, Host.addend, 0, Int32(truncatingIfNeeded: displacement - 1))
    }

    mutating func emitWindowPaths() {
        for path in windowPaths {
            let op = unsafe UInt64(UInt(bitPattern: path.op))
            let write: UInt64 = path.write ? WindowMiss.write : 0
            var (crosses, miss) = unsafe (path.crosses, path.miss)
            if let cache = unsafe path.cache {
                unsafe emitWindowMiss(path, cache)
                compareOffset(path.address, span: path.span)
                unsafe crosses = a.jump(if: 7)
                unsafe miss = a.jump()
            }
            for unsafe (place, kind) in unsafe [(crosses, WindowMiss.crosses), (miss, 0)] {
                guard let place = unsafe place else { continue }
                unsafe a.land(place)
                a.loadAddress(Host.address, path.address)
                moveVectors(path.dirty, store: true)
                a.immediate(Host.addend, op | kind | write)
                unsafe a.jump(to: stubs.window)
            }
        }
    }

    /// Where a window is not the one that its inline cache met last: goes back, or on where the table has nothing.
    mutating func emitWindowMiss(_ path: WindowPath, _ cache: UnsafeMutablePointer<UInt8>) {
        unsafe a.land(path.crosses)
        a.loadAddress(Host.address, path.address)
        unsafe emitCacheMiss(cache, write: path.write, held: path.held, resume: path.resume)
    }
}

/// Low bits of an op's address, where a window is not to be had.
enum WindowMiss {
    static let write: UInt64 = 1
    /// It lies in two pages.
    static let crosses: UInt64 = 2
    static let mask: UInt64 = 31
}
