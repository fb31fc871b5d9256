internal import CEngine
internal import X86

extension BlockTranslator {
    /// Emits a whole block, but for what lies out of line.
    mutating func emit(_ block: DecodedBlock) {
        hasPlainVectors = block.hasPlainVectors
        hasWideVectors = block.hasWideVectors
        let liveness = flagsLive(block)
        let windows = planWindows(block)
        emitCount()
        if countsInstructions { emitCharge(block.instructions.count) }
        let way = loopWay(block)
        if way != nil { beginLoop(block, liveness, windows) }
        emitSegments(block, liveness, windows)
        if let way {
            emitTurn(block, isTaken: way)
        } else {
            endVectors()
            emitEnd(block)
        }
        emitCrossings(block, liveness)
    }

    /// Emits all but what a block ends with.
    mutating func emitSegments(_ block: DecodedBlock, _ liveness: [FlagSet], _ windows: [Int: Window]) {
        for (segment, next) in zip(block.segments, block.segments.dropFirst()) {
            begin(segment)
            let last = segment.instructions.upperBound - 1
            let join = block.join(last)
            emitBody(block, segment.instructions.lowerBound..<(join == nil ? last + 1 : last), liveness, windows)
            guard let join else { continue }
            emitJoin(join, segment, next, block.instructions[last], liveness, windows[last])
        }
        guard let segment = block.segments.last else { return }
        begin(segment)
        let last = block.last
        emitBody(block, segment.instructions.lowerBound..<last, liveness, windows)
        current = last
        if last < block.instructions.count, let window = windows[last] {
            unsafe open(window, op(last + 1), liveBefore: !liveness[last].isEmpty)
        }
    }

    /// The flags that are looked at before each instruction, and after the last.
    private func flagsLive(_ block: DecodedBlock) -> [FlagSet] {
        let count = block.instructions.count
        var liveness = [FlagSet](repeating: block.liveTaken.union(block.liveFall), count: count + 1)
        for segment in block.segments.reversed() {
            // What is looked at where a superblock is left counts after the branch, which writes none.
            liveness[segment.instructions.upperBound].formUnion(segment.liveAside)
            for index in segment.instructions.reversed() {
                liveness[index] = FlagUse.of(block.instructions[index]).liveBefore(liveness[index + 1])
            }
        }
        return liveness
    }

    /// Emits the instruction that leads from a segment to the next.
    private mutating func emitJoin(
        _ join: DecodedBlock.Join, _ segment: DecodedBlock.Segment, _ next: DecodedBlock.Segment, _ i: Instruction,
        _ liveness: [FlagSet], _ window: Window?
    ) {
        if join == .branch { return emitBranch(segment, i) }
        let index = segment.instructions.upperBound - 1
        current = index
        if let window { unsafe open(window, op(index + 1), liveBefore: !liveness[index].isEmpty) }
        if join == .call {
            unsafe emitCalled(op(index + 1), function: next.header, liveAfter: !liveness[index + 1].isEmpty)
        } else {
            unsafe emitReturned(op(index + 1))
        }
        if self.window?.last == index { self.window = nil }
    }

    /// Emits instructions of one segment.
    mutating func emitBody(
        _ block: DecodedBlock, _ range: Range<Int>, _ liveness: [FlagSet], _ windows: [Int: Window]
    ) {
        for index in range {
            current = index
            if let window = windows[index] { unsafe open(window, op(index + 1), liveBefore: !liveness[index].isEmpty) }
            unsafe emit(
                block.instructions[index], op(index + 1), isOffered: block.offered[index],
                liveBefore: !liveness[index].isEmpty, liveAfter: liveness[index + 1])
            if let window, window.last == index { self.window = nil }
            endCrossing()
        }
    }

    /// Emits the end of the block.
    private mutating func emitEnd(_ block: DecodedBlock) {
        let (count, last) = (block.instructions.count, block.last)
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

    /// Emits what lies out of line.
    mutating func emitOutOfLine() {
        emitSideExits()
        emitLeftCalls()
        emitSlowPaths()
        emitStepPaths()
        emitX87Paths()
        emitWindowPaths()
        emitCrossingPaths()
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
    /// Where the record of a block that counts is, from the code's start; 0 for others.
    var record: Int32 = 0
    /// Where it jumps to once it is dropped, from its start.
    var leave: Int32

    static let bytes = MemoryLayout<BlockHead>.stride

    static func of(_ entry: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<BlockHead> {
        unsafe UnsafeMutableRawPointer(entry - bytes).assumingMemoryBound(to: BlockHead.self)
    }
}
