internal import CEngine
internal import X86

// XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR and XRSTORS (SDM volume 1, chapter 13) of x87, SSE, AVX and PKRU. An area is
// built in `scratch` in the order of the standard form; PKRU, which lies further up, goes by itself.

/// State components as bits of XCR0.
private enum Component {
    static let x87: UInt64 = 1
    static let sse: UInt64 = 2
    static let avx: UInt64 = 4
    static let pkru: UInt64 = 0x200
    static let known: UInt64 = 0x207
}

private enum Area {
    static let header = 512
    static let avx = 576
    static let avxCount = 256
    static let standardPKRU = 2688
    static let compacted: UInt64 = 1 << 63

    /// Where PKRU lies.
    static func pkru(_ compaction: UInt64) -> Int {
        guard compaction & compacted != 0 else { return standardPKRU }
        return avx + (compaction & Component.avx != 0 ? avxCount : 0)
    }
    /// Bytes up to the end of the last component of a set.
    static func count(_ components: UInt64, _ compaction: UInt64) -> Int {
        if components & Component.pkru != 0 { return pkru(compaction) + 8 }
        return components & Component.avx != 0 ? avx + avxCount : avx
    }
}

extension CPU {
    /// The components that are not in their initial configuration.
    private var componentsInUse: UInt64 {
        var used: UInt64 = 0
        if fcw != 0x37f || fsw != 0 || ftw != 0 || fpuNonZero(6, 24) || fpuNonZero(32, 160) { used |= Component.x87 }
        var low: UInt64 = 0
        var high: UInt64 = 0
        for register in 0..<16 as Range<UInt8> {
            let a = vector(VectorLayout.register(register))
            let b = vector(VectorLayout.register(register) + 16)
            low |= a.x | a.y
            high |= b.x | b.y
        }
        if low != 0 { used |= Component.sse }
        if high != 0 { used |= Component.avx }
        if unsafe p.pointee.s.pkru != 0 { used |= Component.pkru }
        return used
    }
    private func fpuNonZero(_ from: Int, _ to: Int) -> Bool {
        var any: UInt16 = 0
        for offset in stride(from: from, to: to, by: 2) {
            any |= unsafe fx.load(fromByteOffset: offset, as: UInt16.self)
        }
        return any != 0
    }

    /// Which components the instruction asks for, of those that XCR0 enables.
    private var requestedComponents: UInt64 {
        unsafe p.pointee.s.xcr0 & Component.known & (rdx << 32 | rax & 0xffff_ffff)
    }

    /// Throws what keeps all instructions on XSAVE areas from running.
    private func checkXSave(privileged: Bool) throws(Leave) {
        if cr4 & CR4.osxsave == 0 { throw raise(Vector.undefined) }
        if privileged && cpl != 0 { throw raise(Vector.general, error: 0) }
        if cr0 & CR0.ts != 0 { throw raise(Vector.deviceNotAvailable) }
        saveX87()
    }

    fileprivate func xsave(_ op: MicroOp, _ form: XSaveForm) throws(Leave) {
        try checkXSave(privileged: form == .supervisor)
        let requested = requestedComponents
        let compaction: UInt64 = form.isCompacted ? requested | Area.compacted : 0
        let linear = try areaAddress(op, size: Area.count(requested, compaction), alignment: 64, write: true)
        try probeRange(linear, Area.count(requested, compaction), .write)
        var inUse = componentsInUse
        if form.isCompacted && mxcsr != 0x1f80 { inUse |= Component.sse }
        let saved = form == .plain ? requested : requested & inUse

        var present = requested & inUse
        if !form.isCompacted {
            unsafe try copyIn(scratch, linear &+ UInt64(Area.header), 8)
            present |= unsafe scratch.load(as: UInt64.self) & ~requested
        }
        buildLegacyRegion(wide: op.extra & 1 != 0)
        for register in 0..<vectorCount {
            setVector(
                VectorLayout.scratch + Area.avx + 16 * register, vector(VectorLayout.register(UInt8(register)) + 16))
        }
        unsafe scratch.storeBytes(of: present, toByteOffset: Area.header, as: UInt64.self)
        unsafe scratch.storeBytes(of: compaction, toByteOffset: Area.header + 8, as: UInt64.self)

        if saved & Component.x87 != 0 {
            try put(linear, 0, 24)
            try put(linear, 32, 128)
        }
        let control = form.isCompacted ? saved & Component.sse : requested & (Component.sse | Component.avx)
        if control != 0 { try put(linear, 24, 8) }
        if saved & Component.sse != 0 { try put(linear, 160, 16 * vectorCount) }
        if saved & Component.avx != 0 { try put(linear, Area.avx, 16 * vectorCount) }
        try put(linear, Area.header, form.isCompacted ? 16 : 8)
        if saved & Component.pkru != 0 {
            unsafe scratch.storeBytes(of: UInt64(p.pointee.s.pkru), as: UInt64.self)
            unsafe try copyOut(linear &+ UInt64(Area.pkru(compaction)), scratch, 8)
        }
    }

    /// Writes a part of the area from the same place in `scratch`.
    private func put(_ linear: UInt64, _ offset: Int, _ count: Int) throws(Leave) {
        unsafe try copyOut(linear &+ UInt64(offset), scratch + offset, count)
    }

    fileprivate func xrstor(_ op: MicroOp, supervisor: Bool) throws(Leave) {
        try checkXSave(privileged: supervisor)
        let requested = requestedComponents
        let linear = try areaAddress(op, size: Area.avx, alignment: 64, write: false)
        unsafe try copyIn(scratch, linear, Area.avx)
        let present = unsafe scratch.load(fromByteOffset: Area.header, as: UInt64.self)
        let compaction = unsafe scratch.load(fromByteOffset: Area.header + 8, as: UInt64.self)
        try checkHeader(present, compaction, supervisor: supervisor)

        let loaded = requested & present
        let isCompacted = compaction & Area.compacted != 0
        if loaded & Component.avx != 0 {
            unsafe try copyIn(scratch + Area.avx, linear &+ UInt64(Area.avx), 16 * vectorCount)
        }
        var pkru: UInt32 = 0
        if loaded & Component.pkru != 0 {
            pkru = UInt32(
                truncatingIfNeeded: try readMemory(
                    linear &+ UInt64(Area.pkru(compaction)), size: 4, .current))
        }
        // The standard form loads MXCSR with either component, whether the area has it or not.
        var control = mxcsr
        if isCompacted {
            if requested & Component.sse != 0 { control = loaded & Component.sse != 0 ? try regionMXCSR() : 0x1f80 }
        } else if requested & (Component.sse | Component.avx) != 0 {
            control = try regionMXCSR()
        }

        // Nothing throws from here on.
        if requested & Component.x87 != 0 {
            if loaded & Component.x87 != 0 {
                loadX87Region(wide: op.extra & 1 != 0)
            } else {
                unsafe fx.initializeMemory(as: UInt8.self, repeating: 0, count: 160)
                fcw = 0x37f
            }
        }
        mxcsr = control
        if requested & Component.sse != 0 {
            if loaded & Component.sse == 0 { clear(160) }
            loadSSERegion()
        }
        if requested & Component.avx != 0 {
            if loaded & Component.avx == 0 { clear(Area.avx) }
            for register in 0..<vectorCount {
                let value = vector(VectorLayout.scratch + Area.avx + 16 * register)
                setVector(VectorLayout.register(UInt8(register)) + 16, value)
            }
        }
        if requested & Component.pkru != 0 {
            setKeyRights(user: pkru, supervisor: unsafe p.pointee.s.pkrs)
        }
    }

    private func clear(_ offset: Int) {
        unsafe (scratch + offset).initializeMemory(as: UInt8.self, repeating: 0, count: 256)
    }

    /// Throws #GP(0) for a header that is malformed or names components that XCR0 does not enable (13.8 and 13.12).
    private func checkHeader(_ present: UInt64, _ compaction: UInt64, supervisor: Bool) throws(Leave) {
        let enabled = unsafe p.pointee.s.xcr0
        var reserved = unsafe scratch.load(fromByteOffset: Area.header + 16, as: UInt64.self)
        let good: Bool
        if compaction & Area.compacted != 0 {
            for offset in stride(from: 24, to: 64, by: 8) {
                reserved |= unsafe scratch.load(fromByteOffset: Area.header + offset, as: UInt64.self)
            }
            good = compaction & ~(enabled | Area.compacted) == 0 && present & ~compaction == 0
        } else {
            good = !supervisor && compaction == 0 && present & ~enabled == 0
        }
        if !good || reserved != 0 { throw raise(Vector.general, error: 0) }
    }
}

/// The instructions that save.
private enum XSaveForm {
    case plain, optimized, compacted, supervisor
    var isCompacted: Bool { self == .compacted || self == .supervisor }
}

@inline(__always) private func saving(_ cpu: CPU, _ op: MicroOp, _ form: XSaveForm) -> MicroOp {
    attempt(cpu, op) { () throws(Leave) in
        try cpu.xsave(op, form)
        return op.next
    }
}
private let xsave: apus_handler = { c, o in saving(c, o, .plain) }
private let xsaveopt: apus_handler = { c, o in saving(c, o, .optimized) }
private let xsavec: apus_handler = { c, o in saving(c, o, .compacted) }
private let xsaves: apus_handler = { c, o in saving(c, o, .supervisor) }
private let xrstor: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.xrstor(op, supervisor: false)
        return op.next
    }
}
private let xrstors: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.xrstor(op, supervisor: true)
        return op.next
    }
}

/// The handler of an instruction that saves or restores whole state; nil for others.
func stateAreaHandler(_ mnemonic: Mnemonic) -> apus_handler? {
    switch mnemonic {
    case .fxsave: fxsave
    case .fxrstor: fxrstor
    case .xsave: xsave
    case .xsaveopt: xsaveopt
    case .xsavec: xsavec
    case .xsaves: xsaves
    case .xrstor: xrstor
    case .xrstors: xrstors
    default: nil
    }
}
