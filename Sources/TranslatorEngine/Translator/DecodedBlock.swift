internal import CEngine
internal import X86

// Blocks on their way from the interpreter to the translator.

/// A block as the translator takes it, or several that follow each other.
@safe struct DecodedBlock {
    /// Its first op, which counts executions; the instructions' ops follow.
    let header: UnsafePointer<apus_op>
    var instructions: [Instruction]
    /// The blocks that it is made of.
    var segments: [Segment]
    /// What kind of code it is: 64-bit, or flat 32-bit.
    let code: CodeSize
    /// Whether each exists for the guest: 1 bit an instruction.
    var offered: [Bool]
    /// The block ends with its last instruction, not by being cut after it.
    var endsItself: Bool
    /// It runs at level 0.
    let isSupervisor: Bool
    /// Vector instructions may be executed as they are.
    let hasPlainVectors: Bool
    /// It has AVX instructions that may be executed as they are.
    var hasWideVectors: Bool
    /// The flags that may be looked at after the block, on the way that its branch takes and on the other.
    var liveTaken: FlagSet
    var liveFall: FlagSet
    /// Whether accesses are checked together: not where they were found to cross pages often.
    var mergesChecks: Bool
    /// Whether one turn may follow another without the block being left: not where each is counted or verified.
    var mayGoAround = false

    /// The number of the instruction that it ends with, that of all where it is cut.
    var last: Int { endsItself ? instructions.count - 1 : instructions.count }

    /// The most instructions that its code may have, and then some.
    var mostLaidOut: Int { instructions.count + 6 }

    /// The most bytes of its code, of either kind: what an instruction takes, with its slow path, which stores and loads
    /// vector registers, and then some.
    var mostCode: Int {
        mostLaidOut * (instructions.contains { $0.category == .sse || $0.category == .avx } ? 640 : 320)
    }

    /// Whether some instruction may have an inline cache.
    var accessesMemory: Bool {
        instructions.contains { i in
            switch i.mnemonic {
            case .push, .pop, .call, .ret, .leave: true
            default: i.operands.0.kind == .memory || i.operands.1.kind == .memory
            }
        }
    }
}

extension CodeFetcher {
    /// Has the block that an op begins translated, and goes on with it.
    func translateBlock(_ cpu: CPU, _ op: MicroOp) -> MicroOp {
        guard let translator, let block = cache.block(of: op), let decoded = decodedBlock(op, block) else {
            op.setHeader(cpu.countsInstructions ? chargeBlock : noOperation, state: HeaderState.interpreted)
            return op
        }
        let code = translator.translate(cpu, decoded, tier: firstTier(block))
        // Without room everything is dropped, which this op does not survive: at the next look-up.
        if code == 0 { return cpu.lookup(cpu.ripOf(op)) }
        op.setImmediate(code)
        if verifier == nil {
            op.setHeader(runTranslated, state: HeaderState.translated)
        } else {
            op.setHeader(runVerified, state: HeaderState.verified)
        }
        return op
    }

    /// Decodes a block again for its translation; nil where its bytes are no longer those of its ops.
    func decodedBlock(_ op: MicroOp, _ block: BlockCache.Block) -> DecodedBlock? {
        guard let header = unsafe op.op, let source = unsafe UnsafeRawPointer(bitPattern: block.start) else {
            return nil
        }
        let count = Int(block.count)
        let code = block.code
        unsafe bytes.copyMemory(from: source, byteCount: count)
        var instructions: [Instruction] = []
        var offered: [Bool] = []
        var position = 0
        while position < count {
            do throws(DecodeError) {
                let instruction = unsafe try Decoder.decode(
                    UnsafeRawBufferPointer(start: bytes + position, count: count - position), code: code)
                let op = unsafe header + 1 + instructions.count
                guard instructions.count + 1 < Int(block.opCount), unsafe op.pointee.length == instruction.length else {
                    return nil
                }
                position += Int(instruction.length)
                offered.append(features >> UInt64(instruction.featureRequired.rawValue) & 1 != 0)
                instructions.append(instruction)
            } catch { return nil }
        }
        guard let last = instructions.last else { return nil }
        // A pseudo-op follows a conditional branch and a cut; that of a cut has a count.
        let extra = Int(block.opCount) - 1 - instructions.count
        let endsItself = unsafe extra == 0 || (header + 1 + instructions.count).pointee.dst == 0
        let page = block.start & ~4095
        let end = Int(block.start & 4095) + count
        let (taken, fall) = flagsLive(after: last, code, page: page, end: end, endsItself: endsItself)
        return unsafe DecodedBlock(
            header: header, instructions: instructions,
            segments: [.init(header: header, instructions: 0..<instructions.count)], code: code, offered: offered,
            endsItself: endsItself,
            isSupervisor: block.mode & (ModeBits.user | ModeBits.middle) == 0,
            hasPlainVectors: UInt64(block.mode) & ModeBits.vectorsChecked == 0,
            hasWideVectors: UInt64(block.mode) & (ModeBits.vectorsChecked | ModeBits.wideChecked) == 0
                && zip(instructions, offered).contains { $0.category == .avx && $1 },
            liveTaken: verifier == nil ? taken : .all, liveFall: verifier == nil ? fall : .all,
            mergesChecks: op.disp < Self.crossingLimit)
    }

    /// Windows of a block that may lie in two pages before each access is checked by itself.
    private static let crossingLimit: Int32 = 64

    /// Counts that a window of an op's block lies in two pages. A block where that is common is translated anew.
    func noteCrossing(_ cpu: CPU, _ op: MicroOp) {
        guard let block = cache.block(of: op), let translator else { return }
        let header = cache.header(of: block)
        guard header.translatedCode != nil, header.disp < Self.crossingLimit else { return }
        header.countCrossing()
        guard header.disp == Self.crossingLimit else { return }
        // The window may be a superblock's.
        for block in cache.superblocks(over: block) + [block] {
            let header = cache.header(of: block)
            guard let old = header.translatedCode, let decoded = decodedBlock(header, block) else { continue }
            _ = replace(cpu, header, old, with: translator.translate(cpu, decoded, tier: firstTier(block)))
        }
    }

    /// Supervisor code is not translated more than once.
    private func firstTier(_ block: BlockCache.Block) -> Tier { block.mode & ModeBits.user == 0 ? .plain : .baseline }

    /// Puts new code, or 0 where there was no room for it, in the place of a block's old; returns the code to go on with.
    private func replace(_ cpu: CPU, _ header: MicroOp, _ old: UInt64, with code: UInt64) -> UInt64 {
        guard code != 0 else { return old }
        translator?.redirect(old, to: code)
        header.setImmediate(code)
        cpu.replaceJump(to: old, with: code, at: cpu.ripOf(header))
        return code
    }

    /// Translates a block for the tier above that of its record, and returns the address of the code to go on with.
    func promote(_ cpu: CPU, _ header: MicroOp, _ address: UInt64) -> UInt64 {
        // SAFETY: translated code hands over the record of the block that runs, with its inline caches behind it.
        let record = unsafe UnsafeMutablePointer<BlockRecord>(bitPattern: UInt(address)).unsafelyUnwrapped
        let caches = unsafe UnsafeBufferPointer(
            start: UnsafeRawPointer(record + 1).assumingMemoryBound(to: InlineCache.self),
            count: Int(record.pointee.cacheCount))
        unsafe record.pointee.countdown = .max
        let old = header.imm
        guard let translator, let block = cache.block(of: header), let head = decodedBlock(header, block) else {
            return old
        }
        var cached = UInt64.max
        var tier = Tier.profiled
        let isProfiled = unsafe record.pointee.tier == Tier.profiled.rawValue
        var decoded = head
        // Where instructions are counted each block counts its own.
        if !cpu.countsInstructions {
            decoded = superblock(cpu, head, block, along: isProfiled ? SuperblockPath(rawValue: block.path) : nil)
        }
        if isProfiled || !decoded.accessesMemory || translator.tables.isTagged {
            tier = .hot
            let most = UInt32(translator.promotion) / Tier.hitsForMiss
            for unsafe cache in unsafe caches where cache.misses > most { cached &= ~(1 << UInt64(cache.index)) }
        }
        decoded.mayGoAround = verifier == nil && !cpu.countsInstructions
        return replace(cpu, header, old, with: translator.translate(cpu, decoded, tier: tier, cached: cached))
    }

    /// The arithmetic flags that may be looked at by what follows a block in its page: where its branch leads, and behind
    /// it.
    private func flagsLive(
        after last: Instruction, _ code: CodeSize, page: UInt, end: Int, endsItself: Bool
    ) -> (FlagSet, FlagSet) {
        func flagsLive(at offset: Int) -> FlagSet {
            var budget = 24
            return self.flagsLive(code, page: page, offset: offset, among: .all, &budget)
        }
        if !endsItself {
            let live = flagsLive(at: end)
            return (live, live)
        }
        switch last.mnemonic {
        case .jcc:
            return (flagsLive(at: end + Int(last.immediate)), flagsLive(at: end))
        case .jmp where last.operands.0.kind == .relative, .call where last.operands.0.kind == .relative:
            let live = flagsLive(at: end + Int(last.immediate))
            return (live, live)
        default: return (.all, .all)
        }
    }

    /// Those of `wanted` that are read before they are written, on some way that begins at an offset in a page. Looks at
    /// `budget` instructions.
    private func flagsLive(
        _ code: CodeSize, page: UInt, offset: Int, among wanted: FlagSet, _ budget: inout Int
    ) -> FlagSet {
        var offset = offset
        var unknown = wanted
        var live: FlagSet = []
        while budget > 0 {
            budget -= 1
            guard offset >= 0, offset < 4096, let source = unsafe UnsafeRawPointer(bitPattern: page + UInt(offset))
            else {
                break
            }
            let count = min(4096 - offset, Decoder.maximumLength)
            let place = unsafe bytes + Self.window
            unsafe place.copyMemory(from: source, byteCount: count)
            guard
                let next = unsafe try? Decoder.decode(UnsafeRawBufferPointer(start: place, count: count), code: code)
            else { break }
            offset += Int(next.length)
            let use = FlagUse.of(next)
            live.formUnion(use.reads.intersection(unknown))
            unknown.subtract(use.reads.union(use.writes))
            if unknown.isEmpty { return live }
            switch next.mnemonic {
            case .jmp where next.operands.0.kind == .relative, .call where next.operands.0.kind == .relative:
                offset += Int(next.immediate)
            case .jmp, .call, .ret: return live.union(unknown)
            case .jcc:
                let taken = flagsLive(code, page: page, offset: offset + Int(next.immediate), among: unknown, &budget)
                live.formUnion(taken)
                unknown.subtract(taken)
                if unknown.isEmpty { return live }
            default: break
            }
        }
        return live.union(unknown)
    }
}
