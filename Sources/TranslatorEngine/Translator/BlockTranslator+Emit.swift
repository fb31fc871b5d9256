internal import CEngine
internal import X86

extension BlockTranslator {
    /// Emits a whole block, but for what lies out of line.
    mutating func emit(_ block: DecodedBlock) {
        let count = block.instructions.count
        // liveness[k]: flags are looked at after instruction k - 1.
        var liveness = [FlagSet](repeating: block.liveTaken.union(block.liveFall), count: count + 1)
        for index in stride(from: count - 1, through: 0, by: -1) {
            liveness[index] = FlagUse.of(block.instructions[index]).liveBefore(liveness[index + 1])
        }
        let last = block.endsItself ? count - 1 : count
        hasPlainVectors = block.hasPlainVectors
        hasWideVectors = block.hasWideVectors
        let windows = planWindows(block)
        emitCount()
        if countsInstructions { emitCharge(count) }
        for _ in 1..<turns(block) {
            emitBody(block, last, liveness, windows)
            unsafe emitTurnEnd(block.instructions[last], fall: op(last + 2))
        }
        emitBody(block, last, liveness, windows)
        emitEnd(block, last)
    }

    /// Emits what comes before the instruction that ends the block.
    private mutating func emitBody(
        _ block: DecodedBlock, _ last: Int, _ liveness: [FlagSet], _ windows: [Int: Window]
    ) {
        for index in 0..<last {
            current = index
            if let window = windows[index] { unsafe open(window, op(index + 1), liveBefore: !liveness[index].isEmpty) }
            unsafe emit(
                block.instructions[index], op(index + 1), isOffered: block.offered[index],
                liveBefore: !liveness[index].isEmpty, liveAfter: liveness[index + 1])
            if let window, window.last == index { self.window = nil }
        }
        current = last
        if last < block.instructions.count, let window = windows[last] {
            unsafe open(window, op(last + 1), liveBefore: !liveness[last].isEmpty)
        }
        endVectors()
    }

    /// Emits the end of the block, `last` being the instruction that it ends with, or their number.
    private mutating func emitEnd(_ block: DecodedBlock, _ last: Int) {
        let count = block.instructions.count
        if !block.endsItself && isChangingMode(block.instructions[count - 1]) {
            releaseAll()
            unsafe emitInterpretedEnd(op(count + 1))
        } else if block.endsItself {
            guard block.offered[last] else {
                releaseAll()
                return unsafe emitInterpretedEnd(op(last + 1))
            }
            unsafe emitEnd(
                block.instructions[last], op(last + 1), fall: op(last + 2), liveTaken: !block.liveTaken.isEmpty,
                liveFall: !block.liveFall.isEmpty)
        } else {
            releaseAll()
            if flagsInHost && !block.liveTaken.isEmpty { spillFlags() }
            let cut = unsafe op(count + 1)
            unsafe emitJump(cut, disp: cut.pointee.disp, from: Int32(cut.pointee.disp) - 1)
        }
    }

    /// Whether what an instruction loads may change the mode of what follows.
    private func isChangingMode(_ i: Instruction) -> Bool {
        i.loadsVectorControl ? !setsPlainControl : !is64 && i.loadsDataSegment
    }

    // MARK: Loops

    /// The most turns of a loop that are laid out.
    static let mostTurns = 4

    /// How often a block's code is laid out: hot blocks that are short loops by themselves several times, so that the
    /// events are looked at once for all.
    private func turns(_ block: DecodedBlock) -> Int {
        let count = block.instructions.count
        guard tier == .hot, !countsInstructions, count <= 12, block.endsItself, block.offered[count - 1],
            block.instructions[count - 1].mnemonic == .jcc, block.liveTaken.isEmpty, block.liveFall.isEmpty
        else { return 1 }
        let (head, branch, fall) = unsafe (ops.pointee.offset, op(count).pointee, op(count + 1).pointee)
        guard branch.disp == Int32(head), fall.disp > Int32(branch.offset), fall.disp < 4096 else { return 1 }
        return count <= 6 ? Self.mostTurns : 2
    }

    /// Ends a turn that another follows.
    private mutating func emitTurnEnd(_ i: Instruction, fall: UnsafePointer<apus_op>) {
        releaseAll()
        if !flagsInHost { reloadFlags() }
        unsafe exits.append(Exit(place: a.jump(if: i.encoding.opcode & 15 ^ 1), op: fall))
        flagsInHost = false
    }

    /// Emits what lies out of line.
    mutating func emitOutOfLine() {
        emitSlowPaths()
        emitStepPaths()
        emitWindowPaths()
        emitEndPaths()
        emitPolls()
        emitPromotion()
        emitLimitPath()
    }
}

/// What lies before the code of a block.
struct BlockHead {
    /// The first of the jumps that lead to it.
    var links = IncomingLinks.none
    /// Where it jumps to once it is dropped, from its start.
    var leave: Int32

    static let bytes = MemoryLayout<BlockHead>.stride

    static func of(_ entry: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<BlockHead> {
        unsafe UnsafeMutableRawPointer(entry - bytes).assumingMemoryBound(to: BlockHead.self)
    }
}
