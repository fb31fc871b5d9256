internal import CEngine
internal import X86

// Hot blocks that follow each other are translated together, as a superblock: one way in, several out. It begins with a
// block that is hot and goes on where its branches most often lead, forward within the page, once more around where that
// is its own start, and into the functions that it calls and back. The ways out are out of line, where what it has kept
// in the host's registers is put in its place.

/// The branches of a superblock: which way each goes on.
struct SuperblockPath: Equatable {
    /// The number of joins in the lowest four bits, above them a bit each: 1 where the branch is taken.
    private(set) var rawValue: UInt16 = 0

    init(rawValue: UInt16 = 0) { self.rawValue = rawValue }

    static let most = 12
    var count: Int { min(Int(rawValue & 15), Self.most) }
    func isTaken(_ index: Int) -> Bool { rawValue >> UInt16(4 + index) & 1 != 0 }
    mutating func append(taken: Bool) {
        if taken { rawValue |= 1 << UInt16(4 + count) }
        rawValue += 1
    }
}

extension DecodedBlock {
    /// A block's part of a superblock.
    @safe struct Segment {
        /// Its block's first op; the instructions' ops follow.
        let header: UnsafePointer<apus_op>
        /// Its instructions, by their numbers in the superblock.
        var instructions: Range<Int>
        /// The next segment is where its branch leads.
        var isTaken = false
        /// The flags that may be looked at on the way out that is here.
        var liveAside: FlagSet = []
    }

    /// The most instructions of a superblock, and of one that goes around.
    static let mostOfAll = 40
    static let mostOfTurns = 24
    /// The most turns of a loop.
    static let mostTurns = 4

    /// What leads from a segment to the next.
    enum Join {
        case branch, call, comeBack

        init?(_ i: Instruction) {
            switch i.mnemonic {
            case .jcc, .jmp: self = .branch
            case .call: self = .call
            case .ret: self = .comeBack
            default: return nil
            }
        }
    }
    /// What an instruction, not the last, that ends a segment leads on by; nil for all others.
    func join(_ index: Int) -> Join? {
        guard segments.dropLast().contains(where: { $0.instructions.upperBound - 1 == index }) else { return nil }
        return Join(instructions[index])
    }

    /// Whether a superblock may go on behind the block that it ends with.
    var canGoOn: Bool {
        guard let last = instructions.last, offered.last == true else { return false }
        guard endsItself else { return !last.loadsVectorControl && (code == .bits64 || !last.loadsDataSegment) }
        switch Join(last) {
        case .branch: return last.operands.0.kind == .relative && (code == .bits64 || last.operandSize == 4)
        case .call: return last.operands.0.kind == .relative && code == .bits64
        case .comeBack: return last.operandSize == 8 && code == .bits64
        case nil: return false
        }
    }

    /// Goes on with a block.
    mutating func append(_ next: DecodedBlock, isTaken: Bool) {
        let last = segments.count - 1
        segments[last].isTaken = isTaken
        segments[last].liveAside = isTaken ? liveFall : liveTaken
        let first = instructions.count
        unsafe segments.append(Segment(header: next.header, instructions: first..<first + next.instructions.count))
        instructions += next.instructions
        offered += next.offered
        endsItself = next.endsItself
        hasWideVectors = hasWideVectors || next.hasWideVectors
        mergesChecks = mergesChecks && next.mergesChecks
        (liveTaken, liveFall) = (next.liveTaken, next.liveFall)
    }
}

/// Where a superblock has come to.
private struct Course {
    /// The page, as the host has it and as the guest's RIP has.
    var page: UInt
    var linear: UInt64
    /// Where the functions that it is in come back to.
    var callers: [(page: UInt, linear: UInt64, offset: UInt)] = []
}

extension CodeFetcher {
    /// A superblock that begins with a block, whose page the processor is in: along a path, or where its branches have led
    /// most often so far.
    func superblock(
        _ cpu: CPU, _ head: DecodedBlock, _ block: BlockCache.Block, along path: SuperblockPath?
    ) -> DecodedBlock {
        var whole = head
        var made = SuperblockPath()
        var course = Course(page: block.start & ~4095, linear: cpu.pageBase)
        while made.count < path?.count ?? SuperblockPath.most, whole.canGoOn {
            let way = path?.isTaken(made.count) ?? likelyWay(cpu, whole, block, course)
            var next = course
            guard let way, let found = successor(cpu, of: whole, isTaken: way, head: block, &next) else { break }
            let isTurn = found.start == block.start
            guard let decoded = isTurn ? head : decodedBlock(cache.header(of: found), found) else { break }
            let count = whole.instructions.count + decoded.instructions.count
            let turns = whole.segments.count { unsafe $0.header == head.header }
            guard count <= (isTurn ? DecodedBlock.mostOfTurns : DecodedBlock.mostOfAll),
                !isTurn || turns < DecodedBlock.mostTurns
            else { break }
            whole.append(decoded, isTaken: way)
            made.append(taken: way)
            course = next
        }
        let blocks = whole.segments.map { unsafe MicroOp(op: $0.header) }
        return cache.setSuperblock(of: blocks[0], path: made.rawValue, blocks: blocks) ? whole : head
    }

    /// The way on which a superblock goes on: the one that was executed more often; nil where neither was often enough.
    private func likelyWay(
        _ cpu: CPU, _ whole: DecodedBlock, _ head: BlockCache.Block, _ course: Course
    ) -> Bool? {
        func count(_ isTaken: Bool) -> Int {
            var next = course
            guard let next = successor(cpu, of: whole, isTaken: isTaken, head: head, &next), let translator,
                let code = cache.header(of: next).translatedCode
            else { return 0 }
            return translator.executions(code)
        }
        let (taken, fall) = (count(true), count(false))
        guard max(taken, fall) >= Int(translator?.promotion ?? 0) / 2 else { return nil }
        return taken > fall
    }

    /// The block on a way from the end of a superblock: forward in the page, the head, a function that is called, or what
    /// follows the call that led to one. The course goes on there.
    private func successor(
        _ cpu: CPU, of whole: DecodedBlock, isTaken: Bool, head: BlockCache.Block, _ course: inout Course
    ) -> BlockCache.Block? {
        guard let segment = whole.segments.last, let instruction = whole.instructions.last else { return nil }
        let count = segment.instructions.count
        // The last instruction's op, and the pseudo-op of the way that it does not take, or of the cut after it.
        let (last, other) = unsafe (segment.header + count, segment.header + count + 1)
        var isForward = true
        var place: Int32
        switch whole.endsItself ? DecodedBlock.Join(instruction) : nil {
        case nil:
            guard !isTaken else { return nil }
            place = unsafe other.pointee.disp
        case .branch where instruction.mnemonic == .jcc: place = unsafe (isTaken ? last : other).pointee.disp
        case .branch:
            guard isTaken else { return nil }
            place = unsafe last.pointee.disp
        case .call:
            guard isTaken else { return nil }
            isForward = false
            place = unsafe last.pointee.disp
            let offset = unsafe UInt(last.pointee.offset) + UInt(last.pointee.length)
            course.callers.append((course.page, course.linear, offset))
            if place < 0 || place >= 4096 {
                let linear = course.linear &+ UInt64(bitPattern: Int64(place))
                guard let page = knownPage(cpu, linear & ~4095) else { return nil }
                (course.page, course.linear) = (page, linear & ~4095)
                place = Int32(linear & 4095)
            }
        case .comeBack:
            // What is right behind a page's end is in another.
            guard isTaken, let caller = course.callers.popLast(), caller.offset < 4096 else { return nil }
            isForward = false
            (course.page, course.linear, place) = (caller.page, caller.linear, Int32(caller.offset))
        }
        guard place >= 0, place < 4096 else { return nil }
        let start = course.page + UInt(place)
        guard unsafe !isForward || start > course.page + UInt(last.pointee.offset) || start == head.start else { return nil }
        return cache.find(start, mode: head.mode).flatMap { cache.block(of: $0) }
    }
}

extension BlockTranslator {
    /// A way out of the middle of a superblock.
    @safe struct SideExit {
        let place: UnsafeMutablePointer<UInt8>
        /// The op that leads on, and the offset of the branch in its page.
        let op: UnsafePointer<apus_op>
        let offset: Int32
        let spillsFlags: Bool
        /// What only the host's registers hold.
        let held: [(host: UInt8, guest: UInt8)]
        let dirtyVectors: UInt16
        let clearsUpperHalves: Bool
        /// An event is pending: the op's exit finds it.
        let polls: Bool
    }

    /// A way out that a jump leads to, with what the host's registers have now.
    func sideExit(
        _ place: UnsafeMutablePointer<UInt8>, _ op: UnsafePointer<apus_op>, offset: Int32, spillsFlags: Bool, polls: Bool
    ) -> SideExit {
        let held = [(Host.address, heldByAddress), (Host.addend, heldByAddend)].compactMap { host, register in
            register.flatMap { $0.isDirty ? (host: host, guest: $0.guest) : nil }
        }
        return unsafe SideExit(
            place: place, op: op, offset: offset, spillsFlags: spillsFlags, held: held, dirtyVectors: dirtyVectors,
            clearsUpperHalves: hasWideVectors && loadedVectors != 0, polls: polls)
    }

    /// Emits the branch between two segments.
    mutating func emitBranch(_ segment: DecodedBlock.Segment, _ i: Instruction) {
        guard i.mnemonic == .jcc else { return }
        if !flagsInHost {
            reloadFlags()
            flagsInHost = true
        }
        let index = segment.instructions.upperBound - 1
        let branch = unsafe op(index + 1)
        let (exit, condition) =
            unsafe segment.isTaken
            ? (op(index + 2), i.encoding.opcode & 15 ^ 1) : (branch, i.encoding.opcode & 15)
        let (place, offset) = unsafe (a.jump(if: condition), Int32(branch.pointee.offset))
        let disp = unsafe exit.pointee.disp
        let way = unsafe sideExit(place, exit, offset: offset, spillsFlags: !segment.liveAside.isEmpty, polls: false)
        let isPlain = way.held.isEmpty && way.dirtyVectors == 0 && !way.spillsFlags && !way.clearsUpperHalves
        if isPlain && disp > offset && disp < 4096 {
            unsafe exits.append(Exit(place: place, op: exit))
        } else {
            sideExits.append(way)
        }
    }

    /// Emits, out of line, the ways out of superblocks.
    mutating func emitSideExits() {
        for exit in sideExits {
            unsafe a.land(exit.place)
            for (host, guest) in exit.held { a.store(host, .state(Int(guest) * 8)) }
            moveVectors(exit.dirtyVectors, store: true)
            if exit.clearsUpperHalves { a.zeroUpperHalves() }
            if exit.spillsFlags { a.spillFlags(by: Host.addend) }
            if exit.polls {
                unsafe emitPolled(exit.op)
            } else {
                unsafe emitJump(exit.op, disp: exit.op.pointee.disp, from: exit.offset)
            }
        }
    }
}
