internal import CEngine

/// Where an event comes from: it decides the checks and the error codes of its delivery.
enum EventSource {
    /// A fault or trap of the processor.
    case exception
    /// INT n, INT3, INTO: the gate's DPL counts.
    case software
    /// An external interrupt or NMI.
    case external
}

// Delivery of interrupts and exceptions through the IVT or IDT (SDM volume 3, 6.12 to 6.14).
extension CPU {
    /// Delivers one event: pushes the frame and goes to the handler. `rip` is the address to return to.
    func deliver(_ vector: UInt8, error: UInt32?, _ source: EventSource) throws(Leave) {
        if isDebugging(APUS_DEBUG_TRACE) { traceEvent(vector, error, source) }
        if !protected { return try deliverReal(vector) }
        if longMode { return try deliverLong(vector, error: error, source) }
        return try deliverProtected(vector, error: error, source)
    }

    private func deliverReal(_ vector: UInt8) throws(Leave) {
        let idt = unsafe p.pointee.s.idtr
        let offset = UInt64(vector) * 4
        guard offset + 3 <= UInt64(idt.limit) else { throw raise(Vector.general) }
        let entry = try readMemory((idt.base &+ offset) & 0xffff_ffff, size: 4, .system)
        let saved = rsp
        do throws(Leave) {
            try push(rflags & 0xffff, size: 2)
            try push(UInt64(segment(APUS_SEG_CS).selector), size: 2)
            try push(rip & 0xffff, size: 2)
        } catch {
            rsp = saved
            throw error
        }
        systemFlags &= ~(Flag.if | Flag.tf | Flag.ac | Flag.rf)
        var cs = segment(APUS_SEG_CS)
        cs.selector = UInt16(truncatingIfNeeded: entry >> 16)
        cs.base = (entry >> 16) << 4
        setSegment(APUS_SEG_CS, cs)
        rip = entry & 0xffff
        updateMode()
    }

    private func gateError(_ vector: UInt8, _ source: EventSource) -> UInt32 {
        UInt32(vector) * 8 + 2 + (source == .software ? 0 : 1)
    }

    private func deliverLong(_ vector: UInt8, error: UInt32?, _ source: EventSource) throws(Leave) {
        let idt = unsafe p.pointee.s.idtr
        let external: UInt32 = source == .software ? 0 : 1
        let fail = gateError(vector, source)
        let offset = UInt64(vector) * 16
        guard offset + 15 <= UInt64(idt.limit) else { throw raise(Vector.general, error: fail) }
        let gate = Descriptor(
            low: try readMemory(idt.base &+ offset, size: 8, .system),
            high: try readMemory(idt.base &+ offset &+ 8, size: 8, .system) & 0xffff_ffff)
        guard gate.isSystem, gate.type == 14 || gate.type == 15 else { throw raise(Vector.general, error: fail) }
        guard source != .software || gate.dpl >= cpl else { throw raise(Vector.general, error: fail) }
        guard gate.present else { throw raise(Vector.notPresent, error: fail) }
        let selector = gate.gateSelector
        let selectorError = UInt32(selector & ~3) + external
        guard selector & ~3 != 0 else { throw raise(Vector.general, error: external) }
        let code = try descriptorForGate(selector, external)
        guard code.isCode, code.dpl <= cpl else { throw raise(Vector.general, error: selectorError) }
        guard code.attributes & SegmentBits.long != 0, code.attributes & SegmentBits.big == 0 else {
            throw raise(Vector.general, error: selectorError)
        }
        guard code.present else { throw raise(Vector.notPresent, error: selectorError) }

        let newLevel = code.conforming ? cpl : code.dpl
        let ist = Int(gate.low >> 32) & 7
        var stack: UInt64
        if ist != 0 {
            stack = try taskStack(offset: 28 + ist * 8, external)
        } else if newLevel < cpl {
            stack = try taskStack(offset: 4 + Int(newLevel) * 8, external)
        } else {
            stack = rsp
        }
        guard isCanonical(stack) else {
            throw raise(Vector.stack, error: external)
        }
        let frame = stack & ~15
        let oldSS = segment(APUS_SEG_SS)
        let words = [
            UInt64(oldSS.selector), rsp, rflags, UInt64(segment(APUS_SEG_CS).selector), rip,
        ]
        var top = frame
        for word in words {
            top &-= 8
            try writeMemory(top, word, size: 8, .system)
        }
        if let error {
            top &-= 8
            try writeMemory(top, UInt64(error), size: 8, .system)
        }
        try markAccessed(selector, code)
        rsp = top
        systemFlags &= ~(Flag.tf | Flag.nt | Flag.rf | Flag.vm | (gate.type == 14 ? Flag.if : 0))
        var cs = code.segment(selector & ~3 | UInt16(newLevel))
        cs.attributes |= SegmentBits.accessed
        setSegment(APUS_SEG_CS, cs)
        if newLevel != cpl {
            setSegment(
                APUS_SEG_SS,
                apus_x86_segment(
                    base: 0, limit: 0xffff_ffff, selector: UInt16(newLevel), attributes: 0xc93 | UInt16(newLevel) << 5))
        }
        rip = gate.gateOffset
        updateMode()
    }

    /// RSPn or ISTn of the 64-bit TSS.
    private func taskStack(offset: Int, _ external: UInt32) throws(Leave) -> UInt64 {
        let tr = segment(APUS_SEG_TR)
        guard UInt64(offset) + 7 <= UInt64(tr.limit) else {
            throw raise(Vector.invalidTSS, error: UInt32(tr.selector & ~3) + external)
        }
        return try readMemory(tr.base &+ UInt64(offset), size: 8, .system)
    }

    /// A code descriptor named by a gate: errors carry the external bit.
    private func descriptorForGate(_ selector: UInt16, _ external: UInt32) throws(Leave) -> Descriptor {
        do throws(Leave) {
            return try descriptor(selector)
        } catch {
            if unsafe p.pointee.fault_vector == Vector.general { unsafe p.pointee.fault_error |= external }
            throw error
        }
    }

    private func deliverProtected(_ vector: UInt8, error: UInt32?, _ source: EventSource) throws(Leave) {
        let idt = unsafe p.pointee.s.idtr
        let external: UInt32 = source == .software ? 0 : 1
        let fail = gateError(vector, source)
        let offset = UInt64(vector) * 8
        guard offset + 7 <= UInt64(idt.limit) else { throw raise(Vector.general, error: fail) }
        let gate = Descriptor(low: try readMemory((idt.base &+ offset) & 0xffff_ffff, size: 8, .system))
        guard gate.isSystem, [5, 6, 7, 14, 15].contains(gate.type) else { throw raise(Vector.general, error: fail) }
        guard source != .software || gate.dpl >= cpl else { throw raise(Vector.general, error: fail) }
        guard gate.present else { throw raise(Vector.notPresent, error: fail) }
        if gate.type == 5 {
            try switchTask(gate.gateSelector, .gate)
            if let error { try push(UInt64(error), size: taskIs32Bit ? 4 : 2) }
            return
        }
        let selector = gate.gateSelector
        let selectorError = UInt32(selector & ~3) + external
        guard selector & ~3 != 0 else { throw raise(Vector.general, error: external) }
        let code = try descriptorForGate(selector, external)
        guard code.isCode, code.dpl <= cpl else { throw raise(Vector.general, error: selectorError) }
        guard code.present else { throw raise(Vector.notPresent, error: selectorError) }
        let width = gate.type >= 14 ? 4 : 2
        let fromVirtual = virtual8086
        let newLevel = code.conforming ? cpl : code.dpl
        guard !fromVirtual || newLevel == 0 else { throw raise(Vector.general, error: selectorError) }

        let oldSS = segment(APUS_SEG_SS)
        let oldRSP = rsp
        let oldFlags = rflags
        let oldCS = segment(APUS_SEG_CS)
        var words: [UInt64] = []
        var stackSegment = oldSS
        var stackSelector = oldSS.selector
        var stackTop = rsp
        if newLevel < cpl {
            (stackSegment, stackTop) = try innerStack(newLevel, external)
            stackSelector = stackSegment.selector
            if fromVirtual {
                for index in [APUS_SEG_GS, APUS_SEG_FS, APUS_SEG_DS, APUS_SEG_ES] {
                    words.append(UInt64(segment(index).selector))
                }
            }
            words += [UInt64(oldSS.selector), oldRSP]
        }
        words += [oldFlags, UInt64(oldCS.selector), rip]
        if let error { words.append(UInt64(error)) }
        let mask: UInt64 = stackSegment.attributes & SegmentBits.big != 0 ? 0xffff_ffff : 0xffff
        var top = stackTop
        for word in words {
            top = top &- UInt64(width)
            let address = (stackSegment.base &+ (top & mask)) & 0xffff_ffff
            guard top & mask <= UInt64(stackSegment.limit) || stackSegment.attributes & SegmentBits.expandDown != 0 else {
                throw raise(Vector.stack, error: newLevel < cpl ? UInt32(stackSelector & ~3) + external : external)
            }
            try writeMemory(address, word, size: width, .system)
        }
        try markAccessed(selector, code)
        if newLevel < cpl { setSegment(APUS_SEG_SS, stackSegment) }
        rsp = mask == 0xffff ? stackTop & ~0xffff | top & 0xffff : top & mask
        systemFlags &= ~(Flag.tf | Flag.nt | Flag.rf | Flag.vm | (gate.type & 1 == 0 ? Flag.if : 0))
        if fromVirtual {
            for index in [APUS_SEG_GS, APUS_SEG_FS, APUS_SEG_DS, APUS_SEG_ES] {
                setSegment(index, apus_x86_segment(base: 0, limit: 0, selector: 0, attributes: 0))
            }
        }
        var cs = code.segment(selector & ~3 | UInt16(newLevel))
        cs.attributes |= SegmentBits.accessed
        setSegment(APUS_SEG_CS, cs)
        rip = width == 4 ? gate.gateOffset & 0xffff_ffff : gate.gateOffset & 0xffff
        updateMode()
    }

    /// SSn:ESPn of the current 16- or 32-bit TSS, checked (SDM volume 3, 6.12.1).
    func innerStack(_ level: UInt8, _ external: UInt32) throws(Leave) -> (apus_x86_segment, UInt64) {
        let tr = segment(APUS_SEG_TR)
        let wide = tr.attributes & 8 != 0
        let offset = wide ? 4 + UInt64(level) * 8 : 2 + UInt64(level) * 4
        let size = wide ? 8 : 4
        guard offset + UInt64(size) - 1 <= UInt64(tr.limit) else {
            throw raise(Vector.invalidTSS, error: UInt32(tr.selector & ~3) + external)
        }
        let raw = try readMemory(systemLinear(tr.base &+ offset), size: size, .system)
        let selector = UInt16(truncatingIfNeeded: wide ? raw >> 32 : raw >> 16)
        let stack = wide ? raw & 0xffff_ffff : raw & 0xffff
        let error = UInt32(selector & ~3) + external
        guard selector & ~3 != 0 else { throw raise(Vector.invalidTSS, error: external) }
        let d = try descriptor(selector, Vector.invalidTSS)
        guard selector & 3 == UInt16(level), d.dpl == level, d.writableData else {
            throw raise(Vector.invalidTSS, error: error)
        }
        guard d.present else { throw raise(Vector.stack, error: error) }
        try markAccessed(selector, d)
        var s = d.segment(selector)
        s.attributes |= SegmentBits.accessed
        return (s, stack)
    }

    var taskIs32Bit: Bool { segment(APUS_SEG_TR).attributes & 8 != 0 }
}
