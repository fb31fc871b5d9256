internal import CEngine

/// Bits of `apus_x86_segment.attributes`: descriptor bits 40-47, then 52-55 (SDM volume 3, 3.4.5).
enum SegmentBits {
    static let accessed: UInt16 = 1
    static let writable: UInt16 = 2  // data; readable for code
    static let expandDown: UInt16 = 4  // data; conforming for code
    static let code: UInt16 = 8
    static let nonSystem: UInt16 = 0x10
    static let present: UInt16 = 0x80
    static let long: UInt16 = 0x200
    static let big: UInt16 = 0x400
    static let granularity: UInt16 = 0x800
}

/// A descriptor of the GDT or LDT as read from memory.
struct Descriptor {
    var low: UInt64
    /// Upper half of a 16-byte system descriptor.
    var high: UInt64 = 0

    var attributes: UInt16 { UInt16(truncatingIfNeeded: (low >> 40) & 0xff | (low >> 44) & 0xf00) }
    var dpl: UInt8 { UInt8(truncatingIfNeeded: low >> 45) & 3 }
    var type: UInt8 { UInt8(truncatingIfNeeded: low >> 40) & 15 }
    var present: Bool { attributes & SegmentBits.present != 0 }
    var isSystem: Bool { attributes & SegmentBits.nonSystem == 0 }
    var isCode: Bool { !isSystem && attributes & SegmentBits.code != 0 }
    var conforming: Bool { attributes & SegmentBits.expandDown != 0 }
    var readable: Bool { !isSystem && (attributes & SegmentBits.code == 0 || attributes & SegmentBits.writable != 0) }
    var writableData: Bool { !isSystem && attributes & SegmentBits.code == 0 && attributes & SegmentBits.writable != 0 }
    var base: UInt64 { (low >> 16) & 0xff_ffff | (low >> 32) & 0xff00_0000 | high << 32 }
    var limit: UInt32 {
        let raw = UInt32(truncatingIfNeeded: low & 0xffff | (low >> 32) & 0xf_0000)
        return attributes & SegmentBits.granularity != 0 ? raw << 12 | 0xfff : raw
    }
    // Gates
    var gateSelector: UInt16 { UInt16(truncatingIfNeeded: low >> 16) }
    var gateOffset: UInt64 { low & 0xffff | (low >> 32) & 0xffff_0000 | high << 32 }

    func segment(_ selector: UInt16) -> apus_x86_segment {
        apus_x86_segment(base: base, limit: limit, selector: selector, attributes: attributes)
    }
}

extension CPU {
    func segmentSlot(_ index: Int32) -> UnsafeMutablePointer<apus_x86_segment> {
        // SAFETY: indices are 0 to 7, the array's bounds.
        unsafe UnsafeMutableRawPointer(p).advanced(by: 144).assumingMemoryBound(to: apus_x86_segment.self)
            + Int(index & 7)
    }
    func segment(_ index: Int32) -> apus_x86_segment { unsafe segmentSlot(index).pointee }
    func setSegment(_ index: Int32, _ value: apus_x86_segment) { unsafe segmentSlot(index).pointee = value }

    /// The linear address of an offset in a segment, checked as the mode asks (SDM volume 3, 5.3 and 5.4).
    func linear(
        _ index: Int32, _ offset: UInt64, size: Int, write: Bool
    ) throws(Leave) -> UInt64 {
        let s = segment(index)
        if code64 {
            let address = index == APUS_SEG_FS || index == APUS_SEG_GS ? s.base &+ offset : offset
            if !isCanonical(address) {
                throw raise(index == APUS_SEG_SS ? Vector.stack : Vector.general, error: 0)
            }
            return address
        }
        let vector = index == APUS_SEG_SS ? Vector.stack : Vector.general
        let offset = offset & 0xffff_ffff
        if protected && !virtual8086 {
            let a = s.attributes
            var bad = a & SegmentBits.present == 0 || s.selector & ~3 == 0 && index != APUS_SEG_CS && a == 0
            if a & SegmentBits.code != 0 {
                bad = bad || write || a & SegmentBits.writable == 0 && index != APUS_SEG_CS
            } else {
                bad = bad || write && a & SegmentBits.writable == 0
            }
            if bad { throw raise(vector, error: 0) }
        }
        let last = offset &+ UInt64(size - 1)
        let limit = UInt64(s.limit)
        let a = s.attributes
        if a & (SegmentBits.code | SegmentBits.expandDown) == SegmentBits.expandDown && protected && !virtual8086 {
            let top: UInt64 = a & SegmentBits.big != 0 ? 0xffff_ffff : 0xffff
            if offset <= limit || last > top { throw raise(vector, error: 0) }
        } else if last > limit && limit != 0xffff_ffff {
            // A segment of 4 GiB has no end: an access at its last bytes goes on at its start.
            throw raise(vector, error: 0)
        }
        return (s.base &+ offset) & 0xffff_ffff
    }

    /// The linear address of the memory operand, by the slow way that serves every mode.
    func operandAddress(_ op: MicroOp, size: Int, write: Bool) throws(Leave) -> UInt64 {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 { return try canonical(address(op), op, size: size) }
        let offset = leaAddress(op)
        if op.scale & UInt8(APUS_EA_SEGMENTED) != 0 {
            return try linear(Int32(op.segment &- 18) / 2, offset, size: size, write: write)
        }
        return try canonical(slot(op.segment) &+ offset, op, size: size)
    }

    func canonical(_ address: UInt64, _ op: MicroOp, size: Int) throws(Leave) -> UInt64 {
        if !isCanonical(address) || !isCanonical(address &+ UInt64(size - 1)) {
            // #SS where the base register is RSP or RBP; the lowering leaves them in `base`.
            throw raise(op.base == 4 || op.base == 5 ? Vector.stack : Vector.general, error: 0)
        }
        return address
    }

    /// Reads a descriptor. Throws `vector` with the selector as its error code where it lies outside its table.
    func descriptor(_ selector: UInt16, _ vector: UInt8 = Vector.general) throws(Leave) -> Descriptor {
        let offset = UInt64(selector & ~7)
        let error = UInt32(selector & ~3)
        let base: UInt64
        let limit: UInt32
        if selector & 4 != 0 {
            let ldt = segment(APUS_SEG_LDTR)
            guard ldt.attributes & SegmentBits.present != 0 else { throw raise(vector, error: error) }
            (base, limit) = (ldt.base, ldt.limit)
        } else {
            (base, limit) = unsafe (p.pointee.s.gdtr.base, p.pointee.s.gdtr.limit)
        }
        guard offset + 7 <= UInt64(limit) else { throw raise(vector, error: error) }
        var result = Descriptor(low: try readMemory(systemLinear(base &+ offset), size: 8, .system))
        // System descriptors of long mode are 16 bytes: call gates, TSS and LDT.
        if result.isSystem && longMode {
            guard offset + 15 <= UInt64(limit) else { throw raise(vector, error: error) }
            result.high = try readMemory(systemLinear(base &+ offset &+ 8), size: 8, .system) & 0xffff_ffff
        }
        return result
    }

    /// Outside long mode linear addresses have 32 bits.
    func systemLinear(_ address: UInt64) -> UInt64 { longMode ? address : address & 0xffff_ffff }

    /// Sets the accessed bit of a code or data descriptor, as loading it does.
    func markAccessed(_ selector: UInt16, _ descriptor: Descriptor) throws(Leave) {
        guard !descriptor.isSystem, descriptor.attributes & SegmentBits.accessed == 0 else { return }
        let base = unsafe selector & 4 != 0 ? segment(APUS_SEG_LDTR).base : p.pointee.s.gdtr.base
        let address = systemLinear(base &+ UInt64(selector & ~7) &+ 5)
        let byte = try readMemory(address, size: 1, .system)
        try writeMemory(address, byte | 1, size: 1, .system)
    }

    /// MOV and POP to ES, SS, DS, FS, GS (SDM volume 2, MOV; volume 3, 5.5).
    func loadDataSegment(_ index: Int32, _ selector: UInt16) throws(Leave) {
        if paragraphs {
            var s = segment(index)
            s.selector = selector
            s.base = UInt64(selector) << 4
            if virtual8086 {
                s.limit = 0xffff
                s.attributes = 0xf3
            } else {
                s.attributes = s.attributes & SegmentBits.big | 0x93
            }
            setSegment(index, s)
            if index == APUS_SEG_SS { updateMode() }
            return
        }
        defer { if index == APUS_SEG_DS && !code64 { dataSegmentChanged() } }
        let rpl = UInt8(selector & 3)
        let error = UInt32(selector & ~3)
        if selector & ~3 == 0 {
            if index == APUS_SEG_SS {
                guard code64, cpl != 3, rpl == cpl else { throw raise(Vector.general, error: 0) }
                setSegment(index, apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: selector, attributes: 0xc93 | UInt16(cpl) << 5))
            } else {
                var s = segment(index)
                s.selector = selector
                s.attributes = 0
                s.limit = 0
                s.base = 0
                setSegment(index, s)
            }
            return
        }
        let d = try descriptor(selector)
        if index == APUS_SEG_SS {
            guard rpl == cpl, d.writableData, d.dpl == cpl else { throw raise(Vector.general, error: error) }
            guard d.present else { throw raise(Vector.stack, error: error) }
        } else {
            guard d.readable else { throw raise(Vector.general, error: error) }
            if !(d.isCode && d.conforming) {
                guard max(rpl, cpl) <= d.dpl else { throw raise(Vector.general, error: error) }
            }
            guard d.present else { throw raise(Vector.notPresent, error: error) }
        }
        try markAccessed(selector, d)
        var s = d.segment(selector)
        s.attributes |= SegmentBits.accessed
        setSegment(index, s)
        if index == APUS_SEG_SS { updateMode() }
    }
}
