internal import CEngine

// The breakpoints of the debug registers (SDM volume 3, 17.2). While DR7 enables one, instructions run one by one, and
// pages with a data breakpoint stay out of the TLBs, so that their accesses come by here.

/// Values of `interrupt_shadow`.
enum InterruptShadow {
    static let interrupts: UInt8 = 1
    /// After a load of SS: debug exceptions wait too.
    static let stackSegment: UInt8 = 2
}

extension CPU {
    /// Whether DR7 enables a breakpoint.
    @inline(__always) var hasBreakpoints: Bool { unsafe p.pointee.s.dr.7 & 0xff != 0 }

    /// The address, R/W field and length of an enabled breakpoint; nil for others.
    private func breakpoint(_ number: Int) -> (address: UInt64, kind: UInt64, count: UInt64)? {
        let control = unsafe p.pointee.s.dr.7
        guard control >> UInt64(number * 2) & 3 != 0 else { return nil }
        let field = control >> UInt64(16 + number * 4) & 15
        let count: UInt64 = switch field >> 2 {
        case 0: 1
        case 1: 2
        case 2: 8
        default: 4
        }
        return (unsafe debugSlot(number).pointee & ~(count - 1), field & 3, count)
    }

    /// DR6 bits of the instruction breakpoints at `rip`; nil where there is none or RF holds them off.
    func instructionBreakpoints() -> UInt64? {
        guard systemFlags & Flag.rf == 0 else { return nil }
        let linear = code64 ? rip : (segment(APUS_SEG_CS).base &+ rip) & 0xffff_ffff
        var causes: UInt64 = 0
        for number in 0..<4 {
            guard let found = breakpoint(number), found.kind == 0, found.address == linear else { continue }
            causes |= 1 << UInt64(number)
        }
        return causes == 0 ? nil : causes
    }

    /// Enters the causes of a #DB in DR6: the breakpoints' bits are those of this exception, all others add up.
    func noteDebug(_ causes: UInt64) { unsafe p.pointee.s.dr.6 = p.pointee.s.dr.6 & ~0xf | causes }

    /// Whether accesses to data are watched, by DR7 or by a debugger.
    @inline(__always) var watchesData: Bool { hasBreakpoints || isDebugging(APUS_DEBUG_WATCH) }

    /// Whether a data breakpoint or a debugger's watchpoint lies in the page. Throws where the instruction must run
    /// alone for it.
    @inline(never) func isWatched(page linear: UInt64) throws(Leave) -> Bool {
        if isDebugging(APUS_DEBUG_WATCH), owner.debug.watches(page: linear & ~0xfff) {
            if unsafe p.pointee.in_blocks != 0 { throw leaveToRunAlone() }
            return true
        }
        for number in 0..<4 {
            guard let found = breakpoint(number), found.kind & 1 != 0 else { continue }
            if (found.address ^ linear) & ~0xfff == 0 { return true }
        }
        return false
    }

    /// Notes the data breakpoints that an access reaches.
    @inline(__always) func noteAccess(_ linear: UInt64, size: Int, _ kind: AccessKind) {
        if watchesData { noteWatched(linear, size: size, kind) }
    }
    @inline(never) private func noteWatched(_ linear: UInt64, size: Int, _ kind: AccessKind) {
        if isDebugging(APUS_DEBUG_WATCH) { owner.debug.note(linear, size: UInt64(size), kind) }
        for number in 0..<4 {
            guard let found = breakpoint(number), found.kind == 3 || found.kind == 1 && kind == .write else { continue }
            if linear < found.address &+ found.count && found.address < linear &+ UInt64(size) {
                owner.dataBreakpoints |= 1 << UInt64(number)
            }
        }
    }

    /// DR6 bits of the data breakpoints that were reached since the last call.
    func takeDataBreakpoints() -> UInt64 {
        guard hasBreakpoints else { return 0 }
        let causes = owner.dataBreakpoints
        owner.dataBreakpoints = 0
        return causes
    }
}
