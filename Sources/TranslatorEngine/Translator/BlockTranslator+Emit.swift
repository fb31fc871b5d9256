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
        let windows = planWindows(block)
        emitCount()
        for index in 0..<last {
            current = index
            if let window = windows[index] { unsafe open(window, op(index + 1), liveBefore: !liveness[index].isEmpty) }
            unsafe emit(
                block.instructions[index], op(index + 1), isOffered: block.offered[index],
                liveBefore: !liveness[index].isEmpty, liveAfter: liveness[index + 1])
            if let window, window.last == index { self.window = nil }
        }
        current = last
        if last < count, let window = windows[last] { unsafe open(window, op(last + 1), liveBefore: !liveness[last].isEmpty) }
        spillVectors()
        if !block.endsItself && block.instructions[count - 1].loadsVectorControl && !setsPlainControl {
            releaseAll()
            unsafe emitInterpretedEnd(op(count + 1))
        } else if block.endsItself {
            let offered = block.offered[last]
            if offered {
                unsafe emitEnd(
                    block.instructions[last], op(last + 1), fall: op(last + 2), liveTaken: !block.liveTaken.isEmpty,
                    liveFall: !block.liveFall.isEmpty)
            } else {
                releaseAll()
                unsafe emitInterpretedEnd(op(last + 1))
            }
        } else {
            releaseAll()
            if flagsInHost && !block.liveTaken.isEmpty { spillFlags() }
            let cut = unsafe op(count + 1)
            unsafe emitJump(cut, disp: cut.pointee.disp, from: Int32(cut.pointee.disp) - 1)
        }
    }

    /// Emits what lies out of line.
    mutating func emitOutOfLine() {
        emitSlowPaths()
        emitWindowPaths()
        emitEndPaths()
        emitPolls()
        emitPromotion()
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
