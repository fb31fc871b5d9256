internal import CEngine

// Far JMP, CALL, RET and IRET (SDM volume 2, and volume 3, 5.8).
extension CPU {
    /// Sets CS and rIP of real and virtual-8086 mode.
    private func setParagraph(_ selector: UInt16, _ offset: UInt64) throws(Leave) {
        var cs = segment(APUS_SEG_CS)
        guard offset <= UInt64(cs.limit) else { throw raise(Vector.general, error: 0) }
        cs.selector = selector
        cs.base = UInt64(selector) << 4
        if virtual8086 { cs.attributes = 0xfb } else { cs.attributes = cs.attributes & SegmentBits.big | 0x9b }
        setSegment(APUS_SEG_CS, cs)
        rip = offset
        updateMode()
    }

    /// Loads CS with a checked code descriptor.
    private func setCode(_ selector: UInt16, _ d: Descriptor, level: UInt8, _ offset: UInt64) throws(Leave) {
        let long = longMode && d.attributes & SegmentBits.long != 0
        if long {
            guard isCanonical(offset) else {
                throw raise(Vector.general, error: 0)
            }
        } else {
            guard offset & 0xffff_ffff <= UInt64(d.limit) else { throw raise(Vector.general, error: 0) }
        }
        try markAccessed(selector, d)
        var s = d.segment(selector & ~3 | UInt16(level))
        s.attributes |= SegmentBits.accessed
        setSegment(APUS_SEG_CS, s)
        rip = long ? offset : offset & 0xffff_ffff
    }

    /// Checks the target of a direct far transfer at the current privilege.
    private func checkDirect(_ selector: UInt16, _ d: Descriptor) throws(Leave) {
        let error = UInt32(selector & ~3)
        let rpl = UInt8(selector & 3)
        if d.conforming {
            guard d.dpl <= cpl else { throw raise(Vector.general, error: error) }
        } else {
            guard rpl <= cpl, d.dpl == cpl else { throw raise(Vector.general, error: error) }
        }
        guard d.present else { throw raise(Vector.notPresent, error: error) }
        if longMode && d.attributes & (SegmentBits.long | SegmentBits.big) == SegmentBits.long | SegmentBits.big {
            throw raise(Vector.general, error: error)
        }
    }

    func farJump(_ selector: UInt16, _ offset: UInt64) throws(Leave) {
        if paragraphs { return try setParagraph(selector, offset) }
        guard selector & ~3 != 0 else { throw raise(Vector.general, error: 0) }
        let d = try descriptor(selector)
        if d.isCode {
            try checkDirect(selector, d)
            try setCode(selector, d, level: cpl, offset)
            updateMode()
            return
        }
        guard d.isSystem else { throw raise(Vector.general, error: UInt32(selector & ~3)) }
        guard d.dpl >= max(cpl, UInt8(selector & 3)) else { throw raise(Vector.general, error: UInt32(selector & ~3)) }
        switch (d.type, longMode) {
        case (12, _), (4, false):
            guard d.present else { throw raise(Vector.notPresent, error: UInt32(selector & ~3)) }
            let target = d.gateSelector
            let error = UInt32(target & ~3)
            guard error != 0 else { throw raise(Vector.general, error: 0) }
            let code = try descriptor(target)
            guard code.isCode, code.conforming ? code.dpl <= cpl : code.dpl == cpl else {
                throw raise(Vector.general, error: error)
            }
            guard code.present else { throw raise(Vector.notPresent, error: error) }
            try setCode(target, code, level: cpl, d.type == 4 ? d.gateOffset & 0xffff : d.gateOffset)
            updateMode()
        case (1, false), (9, false): try switchTask(selector, .jump)
        case (5, false): try switchTask(d.gateSelector, .jump)
        default: throw raise(Vector.general, error: UInt32(selector & ~3))
        }
    }

    func farCall(_ selector: UInt16, _ offset: UInt64, size: Int, returnTo next: UInt64) throws(Leave) {
        let oldCS = segment(APUS_SEG_CS).selector
        let saved = rsp
        do throws(Leave) {
            if paragraphs {
                try push(UInt64(oldCS), size: size)
                try push(next, size: size)
                return try setParagraph(selector, offset)
            }
            guard selector & ~3 != 0 else { throw raise(Vector.general, error: 0) }
            let d = try descriptor(selector)
            if d.isCode {
                try checkDirect(selector, d)
                try push(UInt64(oldCS), size: size)
                try push(next, size: size)
                try setCode(selector, d, level: cpl, offset)
                updateMode()
                return
            }
            guard d.isSystem, d.dpl >= max(cpl, UInt8(selector & 3)) else {
                throw raise(Vector.general, error: UInt32(selector & ~3))
            }
            switch (d.type, longMode) {
            case (12, _), (4, false): try callGate(d, selector, returnTo: next)
            case (1, false), (9, false):
                rip = next
                try switchTask(selector, .call)
            case (5, false):
                rip = next
                try switchTask(d.gateSelector, .call)
            default: throw raise(Vector.general, error: UInt32(selector & ~3))
            }
        } catch {
            rsp = saved
            throw error
        }
    }

    private func callGate(_ gate: Descriptor, _ selector: UInt16, returnTo next: UInt64) throws(Leave) {
        guard gate.present else { throw raise(Vector.notPresent, error: UInt32(selector & ~3)) }
        let target = gate.gateSelector
        let error = UInt32(target & ~3)
        guard error != 0 else { throw raise(Vector.general, error: 0) }
        let code = try descriptor(target)
        guard code.isCode, code.dpl <= cpl else { throw raise(Vector.general, error: error) }
        guard code.present else { throw raise(Vector.notPresent, error: error) }
        let size = longMode ? 8 : gate.type == 12 ? 4 : 2
        let oldCS = UInt64(segment(APUS_SEG_CS).selector)
        if code.conforming || code.dpl == cpl {
            try push(oldCS, size: size)
            try push(next, size: size)
            try setCode(target, code, level: cpl, gate.gateOffset)
            updateMode()
            return
        }
        let oldSS = segment(APUS_SEG_SS)
        let oldRSP = rsp
        let level = code.dpl
        var words: [UInt64] = [UInt64(oldSS.selector), oldRSP]
        var newSS: apus_x86_segment
        var top: UInt64
        if longMode {
            let tr = segment(APUS_SEG_TR)
            guard 4 + UInt64(level) * 8 + 7 <= UInt64(tr.limit) else {
                throw raise(Vector.invalidTSS, error: UInt32(tr.selector & ~3))
            }
            top = try readMemory(tr.base &+ 4 &+ UInt64(level) * 8, size: 8, .system)
            newSS = apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: UInt16(level), attributes: 0xc93 | UInt16(level) << 5)
        } else {
            (newSS, top) = try innerStack(level, 0)
            let parameters = Int(gate.low >> 32) & 31
            for index in stride(from: parameters - 1, through: 0, by: -1) {
                words.append(try peek(index * size, size: size))
            }
        }
        words += [oldCS, next]
        let mask: UInt64 = longMode ? .max : newSS.attributes & SegmentBits.big != 0 ? 0xffff_ffff : 0xffff
        for word in words {
            top = top &- UInt64(size)
            try writeMemory(systemLinear(newSS.base &+ (top & mask)), word, size: size, .system)
        }
        try setCode(target, code, level: level, gate.gateOffset)
        setSegment(APUS_SEG_SS, newSS)
        rsp = top & mask
        updateMode()
    }

    func farReturn(size: Int, release: UInt64) throws(Leave) {
        let offset = try peek(0, size: size)
        let selector = UInt16(truncatingIfNeeded: try peek(size, size: size))
        if paragraphs {
            try setParagraph(selector, offset)
            rsp = stackPointer(adding: Int64(2 * size) + Int64(release))
            return
        }
        try returnTo(
            selector, offset, stackOffset: 2 * size + Int(release), size: size, release: release, isInterrupt: false)
    }

    /// The common end of RETF and IRET in protected and long mode.
    private func returnTo(
        _ selector: UInt16, _ offset: UInt64, stackOffset: Int, size: Int, release: UInt64, isInterrupt: Bool
    ) throws(Leave) {
        let error = UInt32(selector & ~3)
        guard error != 0 else { throw raise(Vector.general, error: 0) }
        let d = try descriptor(selector)
        let rpl = UInt8(selector & 3)
        guard d.isCode, rpl >= cpl, d.conforming ? d.dpl <= rpl : d.dpl == rpl else {
            throw raise(Vector.general, error: error)
        }
        guard d.present else { throw raise(Vector.notPresent, error: error) }
        let to64 = longMode && d.attributes & SegmentBits.long != 0
        if rpl == cpl && !(isInterrupt && code64) {
            try setCode(selector, d, level: rpl, offset)
            rsp = stackPointer(adding: Int64(stackOffset))
            updateMode()
            return
        }
        // To an outer level, or IRET of 64-bit mode, which always pops SS:RSP.
        let newRSP = try peek(stackOffset, size: size)
        let newSS = UInt16(truncatingIfNeeded: try peek(stackOffset + size, size: size))
        let stackError = UInt32(newSS & ~3)
        var ss: apus_x86_segment
        if newSS & ~3 == 0 {
            guard to64, rpl != 3, UInt8(newSS & 3) == rpl else { throw raise(Vector.general, error: 0) }
            ss = apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: newSS, attributes: 0xc93 | UInt16(rpl) << 5)
        } else {
            let s = try descriptor(newSS)
            guard UInt8(newSS & 3) == rpl, s.writableData, s.dpl == rpl else {
                throw raise(Vector.general, error: stackError)
            }
            guard s.present else { throw raise(Vector.stack, error: stackError) }
            try markAccessed(newSS, s)
            ss = s.segment(newSS)
            ss.attributes |= SegmentBits.accessed
        }
        let outward = rpl > cpl
        try setCode(selector, d, level: rpl, offset)
        setSegment(APUS_SEG_SS, ss)
        let mask: UInt64 = to64 ? .max : ss.attributes & SegmentBits.big != 0 ? 0xffff_ffff : 0xffff
        rsp = (mask == 0xffff ? rsp & ~0xffff | newRSP & 0xffff : newRSP & mask) &+ release
        if outward { dropPrivilegedSegments(rpl) }
        updateMode()
    }

    /// After a return to an outer level, data segments that it may not use become null. Their bases stay, which 64-bit
    /// code sees in FS and GS.
    private func dropPrivilegedSegments(_ level: UInt8) {
        for index in [APUS_SEG_ES, APUS_SEG_DS, APUS_SEG_FS, APUS_SEG_GS] {
            var s = segment(index)
            let conforming = s.attributes & (SegmentBits.code | SegmentBits.expandDown) == SegmentBits.code | SegmentBits.expandDown
            if !conforming && UInt8(s.attributes >> 5 & 3) < level && s.attributes & SegmentBits.present != 0 {
                s.selector = 0
                s.attributes = 0
                setSegment(index, s)
            }
        }
    }

    func interruptReturn(size: Int) throws(Leave) {
        if !protected || virtual8086 {
            if virtual8086 && systemFlags & Flag.iopl != Flag.iopl { throw raise(Vector.general, error: 0) }
            let offset = try peek(0, size: size)
            let selector = UInt16(truncatingIfNeeded: try peek(size, size: size))
            let flags = try peek(2 * size, size: size)
            try setParagraph(selector, offset)
            rsp = stackPointer(adding: Int64(3 * size))
            setFlagsFromGuest(flags, size: size, fromIRET: true)
            updateMode()
            return
        }
        if systemFlags & Flag.nt != 0 {
            guard !longMode else { throw raise(Vector.general, error: 0) }
            let link = UInt16(truncatingIfNeeded: try readMemory(systemLinear(segment(APUS_SEG_TR).base), size: 2, .system))
            return try switchTask(link, .iret)
        }
        let offset = try peek(0, size: size)
        let selector = UInt16(truncatingIfNeeded: try peek(size, size: size))
        let flags = try peek(2 * size, size: size)
        if flags & Flag.vm != 0 && cpl == 0 && size == 4 && !longMode {
            return try returnToVirtual8086(offset, selector, flags)
        }
        let oldLevel = cpl
        let oldFlags = rflags
        try returnTo(selector, offset, stackOffset: 3 * size, size: size, release: 0, isInterrupt: true)
        // Privilege for the flags is that before the return.
        let newLevel = cpl
        unsafe p.pointee.cpl = oldLevel
        setFlagsFromGuest(flags & ~Flag.vm | oldFlags & Flag.vm, size: size, fromIRET: true)
        unsafe p.pointee.cpl = newLevel
        updateMode()
    }

    private func returnToVirtual8086(_ offset: UInt64, _ selector: UInt16, _ flags: UInt64) throws(Leave) {
        var values: [UInt64] = []
        for index in 3..<9 { values.append(try peek(index * 4, size: 4)) }
        rflags = flags & 0x3f_7fd7 | Flag.vm | 2
        rsp = values[0]
        let order = [APUS_SEG_SS, APUS_SEG_ES, APUS_SEG_DS, APUS_SEG_FS, APUS_SEG_GS]
        for (index, value) in zip(order, values[1...]) {
            setSegment(index, apus_x86_segment(base: (value & 0xffff) << 4, limit: 0xffff, selector: UInt16(truncatingIfNeeded: value), attributes: 0xf3))
        }
        setSegment(APUS_SEG_CS, apus_x86_segment(base: UInt64(selector) << 4, limit: 0xffff, selector: selector, attributes: 0xfb))
        rip = offset & 0xffff
        updateMode()
    }
}
