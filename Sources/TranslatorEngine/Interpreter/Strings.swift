internal import CEngine

// MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS with their repeat prefixes. Each iteration is complete in itself: registers
// are written after it, so that a fault, an exit or an interrupt finds the instruction restartable. Long runs over
// plain memory go page-wise by the host's own copy.
//
// `extra`: bits 0-1 log2 of the element size, bit 2 REP/REPE, bit 3 REPNE, bits 4-5 log2 of the address size.
// `segment` is the source's.

extension CPU {
    fileprivate func element(_ op: MicroOp) -> Int { 1 << Int(op.extra & 3) }
    fileprivate func repeats(_ op: MicroOp) -> Bool { op.extra & 0xc != 0 }
    fileprivate func addressMask(_ op: MicroOp) -> UInt64 {
        switch op.extra >> 4 & 3 {
        case 3: .max
        case 2: 0xffff_ffff
        default: 0xffff
        }
    }
    fileprivate func step(_ op: MicroOp) -> UInt64 {
        let size = UInt64(element(op))
        return systemFlags & Flag.df != 0 ? 0 &- size : size
    }

    /// Writes rSI, rDI or rCX at the address size.
    fileprivate func setIndex(_ number: Int, _ value: UInt64, _ mask: UInt64) {
        switch mask {
        case .max: setGPR(number, value)
        case 0xffff_ffff: setGPR(number, value & mask)
        default: setGPR(number, gpr(number) & ~0xffff | value & 0xffff)
        }
    }

    fileprivate func sourceAddress(_ op: MicroOp, _ mask: UInt64, size: Int, write: Bool = false) throws(Leave) -> UInt64 {
        if code64 { return slot(op.segment) &+ (rsi & mask) }
        return try linear(Int32(op.segment &- 18) / 2, rsi & mask, size: size, write: write)
    }
    fileprivate func targetAddress(_ mask: UInt64, size: Int, write: Bool) throws(Leave) -> UInt64 {
        if code64 { return rdi & mask }
        return try linear(APUS_SEG_ES, rdi & mask, size: size, write: write)
    }

    /// Ends an iteration of a repeated instruction: true where another follows at once.
    fileprivate func countDown(_ mask: UInt64) -> Bool {
        let left = (rcx &- 1) & mask
        setIndex(1, left, mask)
        commitReplies()
        return left != 0
    }

    /// Whether something is to be looked at between two iterations: an event, or what traps after each.
    fileprivate var pausesHere: Bool { pending != 0 || stepsIterations }
    fileprivate var stepsIterations: Bool { systemFlags & Flag.tf != 0 || hasBreakpoints || debugsAlone }
    /// A debugger looks between two iterations, as with TF.
    fileprivate var debugsAlone: Bool {
        unsafe isDebugging(APUS_DEBUG_STEP | APUS_DEBUG_WATCH) && p.pointee.in_blocks == 0
    }

    /// Leaves a repeated instruction between two iterations, for an event that waits.
    fileprivate func suspend(_ op: MicroOp) -> MicroOp {
        rip = ripOf(op)
        // Its own breakpoint does not hit again.
        if hasBreakpoints { systemFlags |= Flag.rf }
        unsafe p.pointee.status = UInt8(APUS_STATUS_STATE)
        return .leave
    }
}

let movsAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            if cpu.repeats(op), let done = cpu.bulkMove(op, mask) {
                if done { return op.next }
                if cpu.pausesHere { return cpu.suspend(op) }
                continue
            }
            let value = try cpu.readMemory(cpu.sourceAddress(op, mask, size: size), size: size, .current)
            try cpu.writeMemory(cpu.targetAddress(mask, size: size, write: true), value, size: size, .current)
            cpu.setIndex(6, cpu.rsi &+ step, mask)
            cpu.setIndex(7, cpu.rdi &+ step, mask)
            if !cpu.repeats(op) || !cpu.countDown(mask) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

let stosAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            if cpu.repeats(op), let done = cpu.bulkStore(op, mask) {
                if done { return op.next }
                if cpu.pausesHere { return cpu.suspend(op) }
                continue
            }
            try cpu.writeMemory(cpu.targetAddress(mask, size: size, write: true), cpu.rax, size: size, .current)
            cpu.setIndex(7, cpu.rdi &+ step, mask)
            if !cpu.repeats(op) || !cpu.countDown(mask) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

let lodsAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            let value = try cpu.readMemory(cpu.sourceAddress(op, mask, size: size), size: size, .current)
            cpu.writeRegister(0, value, size: size)
            cpu.setIndex(6, cpu.rsi &+ step, mask)
            if !cpu.repeats(op) || !cpu.countDown(mask) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

extension CPU {
    /// Runs a comparison, whose flags are those before it where it faults in its middle (SDM volume 2, REP).
    fileprivate func comparing(_ op: MicroOp, _ body: () throws(Leave) -> MicroOp) -> MicroOp {
        let before = arith
        let next = attempt(self, op, body)
        if next.isLeave && (unsafe p.pointee.status == UInt8(APUS_STATUS_FAULT)) { arith = before }
        return next
    }
    /// Sets the flags of `a - b` at a size.
    fileprivate func compare(_ a: UInt64, _ b: UInt64, size: Int) {
        var flags = arith
        switch size {
        case 1: _ = unsafe apus_cmp8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), &flags)
        case 2: _ = unsafe apus_cmp16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), &flags)
        case 4: _ = unsafe apus_cmp32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), &flags)
        default: _ = unsafe apus_cmp64(a, b, &flags)
        }
        arith = flags
    }
    /// True where the repeat condition ends the loop after this comparison.
    fileprivate func conditionEnds(_ op: MicroOp) -> Bool {
        let zero = arith & Flag.zero != 0
        return op.extra & 8 != 0 ? zero : !zero
    }
}

let scasAny: apus_handler = { cpu, op in
    cpu.comparing(op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            let value = try cpu.readMemory(cpu.targetAddress(mask, size: size, write: false), size: size, .current)
            cpu.compare(cpu.rax, value, size: size)
            cpu.setIndex(7, cpu.rdi &+ step, mask)
            if !cpu.repeats(op) || !cpu.countDown(mask) || cpu.conditionEnds(op) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

let cmpsAny: apus_handler = { cpu, op in
    cpu.comparing(op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            // Processors read [rDI] first, which shows where both fault.
            let b = try cpu.readMemory(cpu.targetAddress(mask, size: size, write: false), size: size, .current)
            let a = try cpu.readMemory(cpu.sourceAddress(op, mask, size: size), size: size, .current)
            cpu.compare(a, b, size: size)
            cpu.setIndex(6, cpu.rsi &+ step, mask)
            cpu.setIndex(7, cpu.rdi &+ step, mask)
            if !cpu.repeats(op) || !cpu.countDown(mask) || cpu.conditionEnds(op) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

extension CPU {
    /// Whether a run by the host's own copy is possible, and how many elements it may have: flat, 64-bit addresses, at
    /// least two elements left.
    private func bulkCount(_ op: MicroOp, _ mask: UInt64) -> Int? {
        guard code64, mask == .max, rcx > 1, !stepsIterations, unsafe p.pointee.reply_count == 0 else { return nil }
        return Int(min(rcx, 1 << 20))
    }

    /// Moves as many elements as lie in one source and one target page. True: the instruction is complete; false:
    /// more remains; nil: not possible here, take the slow path for one element.
    fileprivate func bulkMove(_ op: MicroOp, _ mask: UInt64) -> Bool? {
        guard let wanted = bulkCount(op, mask) else { return nil }
        let size = element(op)
        let from = slot(op.segment) &+ rsi
        let to = rdi
        if systemFlags & Flag.df != 0 { return bulkMoveDown(from, to, wanted, size) }
        let room = min(4096 - Int(from & 0xfff), 4096 - Int(to & 0xfff)) / size
        let count = min(wanted, room)
        guard count > 0, let source = unsafe readable(from, UInt8.self), let target = unsafe writable(to, UInt8.self)
        else { return nil }
        let bytes = count * size
        // A forward copy onto an overlapping higher address repeats its source: element by element, as the
        // processor does it.
        let distance = UInt(bitPattern: target) &- UInt(bitPattern: source)
        if distance != 0 && distance < UInt(bytes) {
            guard distance >= UInt(size) else { return nil }
            unsafe apus_copy_elements(target, source, count, Int32(size))
        } else {
            unsafe target.copyMemory(from: source, byteCount: bytes)
        }
        rsi &+= UInt64(bytes)
        rdi &+= UInt64(bytes)
        rcx &-= UInt64(count)
        return rcx == 0
    }

    /// The same downwards: `from` and `to` are the highest elements.
    private func bulkMoveDown(_ from: UInt64, _ to: UInt64, _ wanted: Int, _ size: Int) -> Bool? {
        let room = min(Int(from & 0xfff), Int(to & 0xfff)) / size + 1
        let count = min(wanted, room)
        let below = UInt64((count - 1) * size)
        guard max(from & 0xfff, to & 0xfff) + UInt64(size) <= 4096,
            let source = unsafe readable(from &- below, UInt8.self),
            let target = unsafe writable(to &- below, UInt8.self)
        else { return nil }
        let bytes = count * size
        // Downwards onto an overlapping lower address repeats its source.
        let distance = UInt(bitPattern: source) &- UInt(bitPattern: target)
        guard distance == 0 || distance >= UInt(bytes) else { return nil }
        unsafe target.copyMemory(from: source, byteCount: bytes)
        rsi &-= UInt64(bytes)
        rdi &-= UInt64(bytes)
        rcx &-= UInt64(count)
        return rcx == 0
    }

    /// The same for STOS.
    fileprivate func bulkStore(_ op: MicroOp, _ mask: UInt64) -> Bool? {
        guard systemFlags & Flag.df == 0, let wanted = bulkCount(op, mask) else { return nil }
        let size = element(op)
        let to = rdi
        let count = min(wanted, (4096 - Int(to & 0xfff)) / size)
        guard count > 0, let target = unsafe writable(to, UInt8.self) else { return nil }
        unsafe apus_fill_elements(target, rax, count, Int32(size))
        rdi &+= UInt64(count * size)
        rcx &-= UInt64(count)
        return rcx == 0
    }
}

/// INS: reads a port, writes [rDI]. The port's value is a recorded reply when the instruction starts again.
let insAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        try cpu.checkPort(UInt16(truncatingIfNeeded: cpu.rdx), size: size)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            let address = try cpu.targetAddress(mask, size: size, write: true)
            try cpu.probe(address, size: size, .write, .current)
            let value = try cpu.portRead(UInt16(truncatingIfNeeded: cpu.rdx), size: size)
            try cpu.writeMemory(address, value, size: size, .current)
            cpu.setIndex(7, cpu.rdi &+ step, mask)
            if !cpu.repeats(op) {
                cpu.commitReplies()
                return op.next
            }
            if !cpu.countDown(mask) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}

let outsAny: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = cpu.element(op)
        let mask = cpu.addressMask(op)
        let step = cpu.step(op)
        try cpu.checkPort(UInt16(truncatingIfNeeded: cpu.rdx), size: size)
        if cpu.repeats(op) && cpu.rcx & mask == 0 { return op.next }
        while true {
            let value = try cpu.readMemory(cpu.sourceAddress(op, mask, size: size), size: size, .current)
            try cpu.portWrite(UInt16(truncatingIfNeeded: cpu.rdx), value, size: size)
            cpu.setIndex(6, cpu.rsi &+ step, mask)
            if !cpu.repeats(op) {
                cpu.commitReplies()
                return op.next
            }
            if !cpu.countDown(mask) { return op.next }
            if cpu.pausesHere { return cpu.suspend(op) }
        }
    }
}
