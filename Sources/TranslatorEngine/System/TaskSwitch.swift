internal import CEngine

/// What starts a task switch: it decides busy bits, NT and the back link (SDM volume 3, 7.3).
enum TaskSwitchCause {
    case jump, call, gate, iret
}

extension CPU {
    /// Switches to the task of a TSS descriptor; 32-bit and 16-bit TSS. `rip` is the address at which the old task
    /// goes on.
    func switchTask(_ selector: UInt16, _ cause: TaskSwitchCause) throws(Leave) {
        let vector = cause == .iret ? Vector.invalidTSS : Vector.general
        let error = UInt32(selector & ~3)
        guard selector & 4 == 0, selector & ~3 != 0 else { throw raise(vector, error: error) }
        let d = try descriptor(selector, vector)
        let wide = d.type & 8 != 0
        let busy = d.type & 2 != 0
        guard d.isSystem, d.type & 5 == 1, busy == (cause == .iret) else { throw raise(vector, error: error) }
        guard d.present else { throw raise(Vector.notPresent, error: error) }
        guard d.limit >= (wide ? 0x67 : 0x2b) else { throw raise(Vector.invalidTSS, error: error) }

        let old = segment(APUS_SEG_TR)
        let oldWide = old.attributes & 8 != 0
        var flags = rflags
        if cause == .jump || cause == .iret { try setBusy(old.selector, false) }
        if cause == .iret { flags &= ~Flag.nt }
        // Save the old task's registers.
        let size = oldWide ? 4 : 2
        var at = old.base &+ (oldWide ? 0x20 : 0x0e)
        for value in [rip, flags] + (0..<8).map({ gpr($0) }) {
            try writeMemory(systemLinear(at), value, size: size, .system)
            at &+= UInt64(size)
        }
        for index in 0..<Int32(oldWide ? 6 : 4) {
            try writeMemory(systemLinear(at), UInt64(segment(index).selector), size: 2, .system)
            at &+= UInt64(size)
        }
        // Read the new one.
        let newSize = wide ? 4 : 2
        var from = d.base &+ (wide ? 0x20 : 0x0e)
        func next() throws(Leave) -> UInt64 {
            let value = try readMemory(systemLinear(from), size: newSize, .system)
            from &+= UInt64(newSize)
            return value
        }
        let newRIP = try next()
        var newFlags = try next()
        var registers: [UInt64] = []
        for _ in 0..<8 { registers.append(try next()) }
        var selectors: [UInt16] = []
        for _ in 0..<(wide ? 6 : 4) { selectors.append(UInt16(truncatingIfNeeded: try next())) }
        let ldt = UInt16(truncatingIfNeeded: try next())
        let newCR3 = wide ? try readMemory(systemLinear(d.base &+ 0x1c), size: 4, .system) : 0

        if cause == .call || cause == .gate {
            try writeMemory(systemLinear(d.base), UInt64(old.selector), size: 2, .system)
            newFlags |= Flag.nt
        }
        if cause != .iret { try setBusy(selector, true) }
        var tr = d.segment(selector)
        tr.attributes |= 2
        setSegment(APUS_SEG_TR, tr)
        unsafe p.pointee.s.cr0 |= CR0.ts
        if wide && cr0 & CR0.pg != 0 {
            unsafe p.pointee.s.cr3 = newCR3
            if unsafe p.pointee.paging == 3 { try loadPDPTEs(newCR3) }
            flushTLB()
        }
        rip = newRIP
        rflags = newFlags & 0x3f_7fd7 | 2
        for (index, value) in registers.enumerated() { setGPR(index, wide ? value & 0xffff_ffff : value | 0xffff_0000) }
        unsafe p.pointee.s.dr.7 &= ~0x155
        try loadTaskSegments(selectors, ldt: ldt)
        updateMode()
    }

    /// The segments of a new task; faults in them happen in the new task's context.
    private func loadTaskSegments(_ selectors: [UInt16], ldt: UInt16) throws(Leave) {
        setSegment(APUS_SEG_LDTR, apus_x86_segment(base: 0, limit: 0, selector: ldt, attributes: 0))
        for (index, selector) in selectors.enumerated() {
            setSegment(Int32(index), apus_x86_segment(base: 0, limit: 0, selector: selector, attributes: 0))
        }
        if systemFlags & Flag.vm != 0 {
            for (index, selector) in selectors.enumerated() {
                setSegment(Int32(index), apus_x86_segment(base: UInt64(selector) << 4, limit: 0xffff, selector: selector, attributes: index == 1 ? 0xfb : 0xf3))
            }
            return updateMode()
        }
        if ldt & ~3 != 0 {
            guard ldt & 4 == 0 else { throw raise(Vector.invalidTSS, error: UInt32(ldt & ~3)) }
            let d = try descriptor(ldt, Vector.invalidTSS)
            guard d.isSystem, d.type == 2, d.present else { throw raise(Vector.invalidTSS, error: UInt32(ldt & ~3)) }
            setSegment(APUS_SEG_LDTR, d.segment(ldt))
        }
        let code = selectors[1]
        let error = UInt32(code & ~3)
        guard error != 0 else { throw raise(Vector.invalidTSS, error: 0) }
        let d = try descriptor(code, Vector.invalidTSS)
        let level = UInt8(code & 3)
        guard d.isCode, d.conforming ? d.dpl <= level : d.dpl == level else {
            throw raise(Vector.invalidTSS, error: error)
        }
        guard d.present else { throw raise(Vector.notPresent, error: error) }
        setSegment(APUS_SEG_CS, d.segment(code))
        let stack = selectors[2]
        let s = try descriptor(stack, Vector.invalidTSS)
        guard stack & ~3 != 0, s.writableData, s.dpl == level, UInt8(stack & 3) == level else {
            throw raise(Vector.invalidTSS, error: UInt32(stack & ~3))
        }
        guard s.present else { throw raise(Vector.stack, error: UInt32(stack & ~3)) }
        setSegment(APUS_SEG_SS, s.segment(stack))
        updateMode()
        for index in [APUS_SEG_ES, APUS_SEG_DS, APUS_SEG_FS, APUS_SEG_GS] where Int(index) < selectors.count {
            try loadDataSegment(index, selectors[Int(index)])
        }
    }

    func setBusy(_ selector: UInt16, _ busy: Bool) throws(Leave) {
        let address = unsafe systemLinear(p.pointee.s.gdtr.base &+ UInt64(selector & ~7) &+ 5)
        let byte = try readMemory(address, size: 1, .system)
        try writeMemory(address, busy ? byte | 2 : byte & ~2, size: 1, .system)
    }
}
