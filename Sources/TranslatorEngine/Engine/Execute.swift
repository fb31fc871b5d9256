internal import CEngine
internal import Execution
internal import LocalAPIC

// The loop of one processor: events, blocks, and why blocks are left.
extension CPU {
    /// Runs the guest until something needs the machine.
    func execute(_ owner: SoftwareProcessor) -> Exit {
        if unsafe p.pointee.reply_count != 0 {
            // The instruction that asked starts again with the replies, alone.
            if let exit = finishInstruction(owner) { return exit }
            if isDebugging(APUS_DEBUG_STEP) { return .debug(owner.takeWatchStop() ?? .step) }
        }
        while true {
            if unsafe p.pointee.shutdown_pending != 0 {
                unsafe p.pointee.shutdown_pending = 0
                return .shutdown
            }
            if isDebugging(APUS_DEBUG_WATCH), let stop = owner.takeWatchStop() { return .debug(stop) }
            if countsInstructions && isAtLimit { owner.reachedLimit() }
            if unsafe p.pointee.runs_alone != 0 {
                unsafe p.pointee.runs_alone = 0
                if let exit = stepWithTrap(owner) { return exit }
                continue
            }
            if pending != 0 || maskedEvents || needsAttention {
                if let exit = handleEvents(owner) { return exit }
            }
            if let exit = runBlocks(owner) { return exit }
        }
    }

    /// States in which the next instruction is not simply executed.
    private var needsAttention: Bool {
        unsafe p.pointee.s.halted != 0 || p.pointee.s.waiting_for_sipi != 0 || p.pointee.s.interrupt_shadow != 0
            || p.pointee.s.rflags & Flag.tf != 0 || hasBreakpoints || isDebugging(APUS_DEBUG_STEP)
    }

    /// Finds the block at `rip` and runs from block to block until one leaves. Nil: look at events and go on.
    private func runBlocks(_ owner: SoftwareProcessor) -> Exit? {
        let fetcher = owner.fetcher
        while true {
            let found: MicroOp?
            unsafe p.pointee.charged = nil
            unsafe apus_count_way(p, APUS_WAY_LOOKUP)
            do throws(Leave) { found = try fetcher.find(self) } catch { return left(owner) }
            guard var op = found else {
                unsafe p.pointee.link_from = nil
                if let stop = breakpointStop(owner) { return stop }
                return step(owner)
            }
            link(to: op, fetcher)
            unsafe p.pointee.in_blocks = 1
            repeat { op = op.run(self) } while !op.isLeave
            unsafe p.pointee.in_blocks = 0
            // The common reason: a block that is not in the jump cache.
            guard unsafe p.pointee.status == UInt8(APUS_STATUS_LOOKUP), pending == 0 else { return left(owner) }
        }
    }

    /// Links the direct branch that asked for a block, where both lie in one page of the host.
    private func link(to op: MicroOp, _ fetcher: CodeFetcher) {
        guard let from = unsafe p.pointee.link_from else { return }
        unsafe p.pointee.link_from = nil
        let branch = unsafe MicroOp(op: from)
        guard let source = fetcher.cache.hostPage(of: branch), source == fetcher.cache.hostPage(of: op) else { return }
        branch.link(op)
    }

    /// Why the loop was left.
    private func left(_ owner: SoftwareProcessor) -> Exit? {
        unsafe p.pointee.link_from = nil
        if unsafe p.pointee.charged != nil && p.pointee.status != UInt8(APUS_STATUS_LOOKUP) { giveBackCharge(at: rip) }
        switch Int32(unsafe p.pointee.status) {
        case APUS_STATUS_FAULT:
            commitReplies()
            return deliverFault()
        case APUS_STATUS_EXIT: return makeExit()
        default: return nil
        }
    }

    /// Executes the instruction at `rip` alone.
    private func step(_ owner: SoftwareProcessor) -> Exit? {
        let fetcher = owner.fetcher
        let first: MicroOp
        do throws(Leave) { first = try fetcher.single(self) } catch { return left(owner) }
        let after = ripAfter(first)
        unsafe p.pointee.charged = nil
        let next = first.run(self)
        if countsInstructions { countSingle(first, next) }
        if next.isLeave { return left(owner) }
        unsafe p.pointee.link_from = nil
        rip = fetcher.isSingle(next) ? after : ripOf(next)
        return nil
    }

    /// Executes the instruction that an exit interrupted to its end, or to its next exit.
    private func finishInstruction(_ owner: SoftwareProcessor) -> Exit? {
        unsafe p.pointee.reply_next = 0
        if let exit = step(owner) {
            switch exit {
            case .portRead, .portWrite, .mmioRead, .mmioWrite: return exit
            default: break
            }
            commitReplies()
            return exit
        }
        commitReplies()
        return singleStepTrap()
    }

    /// #DB after an instruction that ran with TF set, or that reached a data breakpoint.
    private func singleStepTrap() -> Exit? {
        var causes = takeDataBreakpoints()
        if systemFlags & Flag.tf != 0, unsafe p.pointee.trap_armed != 0 { causes |= 0x4000 }
        unsafe p.pointee.trap_armed = 0
        guard causes != 0 else { return nil }
        noteDebug(causes)
        return deliverException(Vector.debug, error: nil)
    }

    /// Executes one instruction with what follows from the interrupt shadow and TF.
    func stepWithTrap(_ owner: SoftwareProcessor) -> Exit? {
        let shadow = unsafe p.pointee.s.interrupt_shadow
        unsafe p.pointee.s.interrupt_shadow = 0
        if hasBreakpoints {
            // AMD's processors do not hold these off after a load of SS.
            let isHeldOff = unsafe shadow == InterruptShadow.stackSegment && p.pointee.intel_vendor != 0
            if !isHeldOff, let causes = instructionBreakpoints() {
                noteDebug(causes)
                return deliverException(Vector.debug, error: nil)
            }
            // RF lasts for one instruction.
            systemFlags &= ~Flag.rf
            if shadow != InterruptShadow.stackSegment { _ = takeDataBreakpoints() }
        }
        unsafe p.pointee.trap_armed = systemFlags & Flag.tf != 0 ? 1 : 0
        let exceptions = unsafe p.pointee.exceptions
        if let exit = step(owner) { return exit }
        // An exception's handler runs without the trap; the instruction has not ended.
        guard unsafe p.pointee.exceptions == exceptions else { return nil }
        // Nothing traps between a load of SS and the instruction after it.
        guard unsafe p.pointee.s.interrupt_shadow != InterruptShadow.stackSegment else { return nil }
        var causes = takeDataBreakpoints()
        if unsafe p.pointee.trap_armed != 0 { causes |= 0x4000 }
        unsafe p.pointee.trap_armed = 0
        guard causes != 0 else { return nil }
        noteDebug(causes)
        return deliverException(Vector.debug, error: nil)
    }

    /// The exit that the working state records.
    private func makeExit() -> Exit {
        let address = unsafe p.pointee.exit_address
        let value = unsafe p.pointee.exit_value
        let size = unsafe UInt8(truncatingIfNeeded: p.pointee.exit_size)
        switch ExitReason(rawValue: unsafe p.pointee.exit_reason) {
        case .mmioRead: return .mmioRead(address: address, size: size)
        case .mmioWrite: return .mmioWrite(address: address, size: size, value: Self.cut(value, size))
        case .portRead: return .portRead(port: UInt16(truncatingIfNeeded: address), size: size)
        case .portWrite:
            return .portWrite(
                port: UInt16(truncatingIfNeeded: address), size: size,
                value: UInt32(truncatingIfNeeded: Self.cut(value, size)))
        case .difference:
            return .error(
                "The translator and the interpreter differ about the block at 0x\(String(address, radix: 16)): the log "
                    + "has both results")
        default:
            return .error(
                "Executed code at guest-physical address 0x\(String(address, radix: 16)), where there is no memory "
                    + "(rip 0x\(String(rip, radix: 16)))")
        }
    }

    private static func cut(_ value: UInt64, _ size: UInt8) -> UInt64 {
        size >= 8 ? value : value & ((1 << (UInt64(size) * 8)) - 1)
    }

    /// Appends the machine's answer to the replies of the instruction at hand.
    func recordReply(_ value: UInt64) {
        let count = unsafe Int(p.pointee.reply_count)
        unsafe replySlot(count).pointee = Self.cut(value, UInt8(truncatingIfNeeded: p.pointee.exit_size))
        unsafe p.pointee.reply_count += 1
    }
}
