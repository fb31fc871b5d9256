internal import CEngine
internal import X86

// Hot blocks that go around: what the host's registers have of the guest at the end of a turn the next one finds there.

/// Where the turns of a loop begin, and what the host's registers have of the guest then.
@safe struct LoopStart {
    let place: UnsafeMutablePointer<UInt8>
    let state: EmissionState
}

extension BlockTranslator {
    /// Whether a hot block's last branch leads to its start where it is taken, or where it is not; nil for all others.
    func loopWay(_ block: DecodedBlock) -> Bool? {
        guard tier == .hot, block.mayGoAround, block.endsItself, block.offered.last == true,
            let i = block.instructions.last, i.mnemonic == .jcc, is64 || i.operandSize == 4,
            let segment = block.segments.last,
            !block.segments.contains(where: { block.join($0.instructions.upperBound - 1) == .call })
        else { return nil }
        let branch = unsafe segment.header + segment.instructions.count
        let start = unsafe Int32(block.header.pointee.offset)
        if unsafe branch.pointee.disp == start { return true }
        return unsafe (branch + 1).pointee.disp == start ? false : nil
    }

    /// Begins a loop with what a first, discarded emission of its turn ends with in the host's registers.
    mutating func beginLoop(_ block: DecodedBlock, _ liveness: [FlagSet], _ windows: [Int: Window]) {
        var trial = self
        trial.emitSegments(block, liveness, windows)
        (heldByAddress, heldByAddend) = (trial.heldByAddress, trial.heldByAddend)
        (loadedVectors, dirtyVectors) = (trial.loadedVectors, trial.dirtyVectors)
        for (host, register) in [(Host.address, heldByAddress), (Host.addend, heldByAddend)] {
            if let register { loadGuest(register.guest, into: host) }
        }
        moveVectors(loadedVectors, store: false)
        loop = unsafe LoopStart(place: a.cursor, state: emissionState)
    }

    /// Emits the branch at the end of a turn, whose other way is out of line.
    mutating func emitTurn(_ block: DecodedBlock, isTaken: Bool) {
        guard let loop, var segment = block.segments.last, let i = block.instructions.last else { return }
        segment.isTaken = isTaken
        segment.liveAside = isTaken ? block.liveFall : block.liveTaken
        emitBranch(segment, i)
        if !(isTaken ? block.liveTaken : block.liveFall).isEmpty { spillFlags() }
        flagsInHost = false
        // Events are seen once in a turn.
        let count = block.instructions.count
        let place = unsafe emitPoll(if: 5)
        unsafe sideExits.append(
            sideExit(place, op(isTaken ? count : count + 1), offset: 0, spillsFlags: false, polls: true))
        become(loop.state)
        unsafe a.jump(to: loop.place)
    }
}
