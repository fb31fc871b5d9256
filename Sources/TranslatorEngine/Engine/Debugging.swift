internal import CEngine
public import Execution

// Debuggers. Code of a page with a breakpoint is executed instruction by instruction, and looked at before each; other
// pages run as ever. Pages with a watched byte stay out of the TLBs, so that their accesses come by the slow path; in
// the middle of a block the instruction leaves there, before it has changed anything, and is executed again alone, so
// that the processor stops right after it.

/// What a debugger has told a processor. Changed while the processor is outside `run`.
struct DebugState {
    var request = DebugRequest()
    /// The pages of the breakpoints.
    var pages: Set<UInt64> = []
    /// The watchpoint that the instruction at hand has reached.
    var hit: DebugRequest.Watchpoint?
    var hitAddress: UInt64 = 0

    /// Whether a byte of the page is watched.
    func watches(page: UInt64) -> Bool {
        request.watchpoints.contains { point in
            let first = point.address & ~0xfff
            let last = (point.address &+ max(point.count, 1) &- 1) & ~0xfff
            return page &- first <= last &- first
        }
    }

    /// Notes the watchpoint that an access reaches.
    mutating func note(_ linear: UInt64, size: UInt64, _ kind: AccessKind) {
        for point in request.watchpoints {
            switch point.kind {
            case .read where kind != .read: continue
            case .write where kind != .write: continue
            default: break
            }
            // The distance of the later start from the earlier one, modulo 2^64.
            guard linear &- point.address < point.count || point.address &- linear < size else { continue }
            hit = point
            hitAddress = max(linear, point.address)
            return
        }
    }
}

extension SoftwareProcessor {
    public var debugAbilities: DebugAbilities? {
        DebugAbilities(pointLimit: nil, watchLength: 1 << 20, watchesReads: true)
    }

    public func setDebug(_ request: DebugRequest) -> Bool {
        guard request.breakpointInstructions.isEmpty else { return false }
        let old = debug.request
        debug.request = request
        debug.pages = Set(request.breakpoints.map { $0 & ~0xfff })
        debug.hit = nil
        var flags: Int32 = 0
        if request.singleStep { flags |= APUS_DEBUG_STEP }
        if !request.breakpoints.isEmpty { flags |= APUS_DEBUG_BREAK }
        if !request.watchpoints.isEmpty { flags |= APUS_DEBUG_WATCH }
        cpu.setDebugging(UInt8(flags), of: UInt8(APUS_DEBUG_STEP | APUS_DEBUG_BREAK | APUS_DEBUG_WATCH))
        if old.watchpoints != request.watchpoints { cpu.flushTLB() }
        if old.breakpoints != request.breakpoints { cpu.forgetCode() }
        return true
    }

    /// The stop for a watchpoint that was reached.
    func takeWatchStop() -> DebugStop? {
        guard let hit = debug.hit else { return nil }
        debug.hit = nil
        return .watchpoint(address: debug.hitAddress, kind: hit.kind)
    }
}

extension CPU {
    // SAFETY of all: the structure lives as long as its handle.

    /// Whether one of these is wanted, bits of `debugging`.
    @inline(__always) func isDebugging(_ bits: Int32) -> Bool {
        unsafe p.pointee.debugging & UInt8(truncatingIfNeeded: bits) != 0
    }
    func setDebugging(_ flags: UInt8, of mask: UInt8) {
        unsafe p.pointee.debugging = p.pointee.debugging & ~mask | flags
    }

    /// The address of the next instruction as a linear one.
    var linearOfRIP: UInt64 { code64 ? rip : (segment(APUS_SEG_CS).base &+ rip) & 0xffff_ffff }

    /// The stop before an instruction at a breakpoint. A step goes over it.
    func breakpointStop(_ owner: SoftwareProcessor) -> Exit? {
        guard isDebugging(APUS_DEBUG_BREAK), !isDebugging(APUS_DEBUG_STEP) else { return nil }
        let linear = linearOfRIP
        return owner.debug.request.breakpoints.contains(linear) ? .debug(.breakpoint(linear)) : nil
    }

    /// Executes one instruction for a debugger, or sleeps on where the processor sleeps. Nil: not done yet.
    func debugStep(_ owner: SoftwareProcessor) -> Exit? {
        if unsafe p.pointee.s.halted != 0 || !owner.debug.request.holdsInterrupts {
            let taken = unsafe p.pointee.interrupts
            if let exit = takeInterrupt(owner) { return exit }
            if unsafe p.pointee.s.halted != 0 {
                if pending == 0 { owner.sleep() }
                return nil
            }
            if unsafe p.pointee.interrupts != taken { return .debug(.step) }
        }
        if let exit = stepWithTrap(owner) { return exit }
        return .debug(owner.takeWatchStop() ?? .step)
    }

    /// Leaves the block at hand before its instruction, which is executed alone then. `rip` is that of the instruction.
    @inline(never) func leaveToRunAlone() -> Leave {
        unsafe p.pointee.runs_alone = 1
        unsafe p.pointee.status = UInt8(APUS_STATUS_STATE)
        return Leave()
    }
}
